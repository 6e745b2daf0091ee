//! Reads and compares the golden files. A line is a name, one space, and the bytes on the wire
//! (JSON as text, frames as hex). Lines that start with `#` are comments.

use std::fmt::Write as _;
use std::path::Path;

/// The lines of `tests/golden/<file>`, as (name, bytes).
pub(crate) fn lines(file: &str) -> Vec<(String, String)> {
    text(file)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, bytes) = line.split_once(' ').unwrap_or_else(|| panic!("{file}: {line:?}"));
            (name.to_owned(), bytes.to_owned())
        })
        .collect()
}

/// Compares a golden file with what the code writes.
pub(crate) fn check(file: &str, rows: impl IntoIterator<Item = (String, String)>) {
    let pinned = text(file);
    let mut written: String = pinned
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    for (name, bytes) in rows {
        writeln!(written, "{name} {bytes}").unwrap();
    }
    assert!(
        pinned == written,
        "tests/golden/{file} differs from what the code writes. A changed line changes the wire: \
         read CONTRIBUTING.md before you copy it. The code writes:\n{written}----- end -----"
    );
}

fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
