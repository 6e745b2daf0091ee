//! Reading the golden files: a name, one space, and the bytes as they are on the wire (JSON as text,
//! frames as hex). Lines that begin with `#` are for people.

use std::fmt::Write as _;
use std::path::Path;

/// The lines of `tests/golden/<file>`, as (name, rest).
pub(crate) fn golden(file: &str) -> Vec<(String, String)> {
    text(file)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{file}: {line:?}"));
            (name.to_owned(), rest.to_owned())
        })
        .collect()
}

/// Compares a golden file with what the code writes today.
pub(crate) fn check(file: &str, rows: impl IntoIterator<Item = (String, String)>) {
    let found = text(file);
    let mut expected: String = found
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    for (name, rest) in rows {
        writeln!(expected, "{name} {rest}").unwrap();
    }
    assert!(
        found == expected,
        "tests/golden/{file} is not what the code writes. A changed line is a changed wire: read \
         CONTRIBUTING.md before you copy anything. The code writes:\n{expected}----- end -----"
    );
}

fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
