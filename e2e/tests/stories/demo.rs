//! The demo with its picture in README.md, and the pictures of the terminal in docs/client.md.

use std::fs;
use std::path::Path;
use std::process::Command;

use quiver_e2e::binary;
use quiver_e2e::process::run;
use quiver_e2e::terminal_picture;

/// Characters of a row that are compared: the picture cuts long rows.
const COMPARED: usize = 60;

#[test]
fn the_picture_shows_what_the_demo_prints() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let certs = folder.path().join("certs");
    run(Command::new(binary::server()).args(["cert", "new", "--certs"]).arg(certs), b"").expect(0);
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    demo.arg(folder.path()).current_dir(repository).env("NO_COLOR", "1");
    let printed = run(&mut demo, b"");
    printed.expect(0);

    let picture = fs::read_to_string(repository.join("docs/demo.svg")).unwrap();
    let drawn: Vec<_> = picture
        .lines()
        .filter_map(|line| line.strip_prefix("<text ")?.strip_suffix("</text>")?.split_once('>'))
        .map(|(_, row)| row.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
        .collect();
    let drawn: Vec<_> = drawn.iter().map(|row| without_figures(row)).collect();
    let rows = printed.stdout.lines().filter(|row| !row.trim().is_empty());
    let rows: Vec<_> = rows.map(without_figures).collect();
    assert_eq!(drawn, rows, "scripts/demo-picture draws docs/demo.svg anew");
}

#[test]
fn the_pictures_of_the_terminal_show_what_the_program_prints() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    run(Command::new(env!("CARGO_BIN_EXE_screens")).arg(folder.path()), b"").expect(0);
    let rows = |file: &Path| -> Vec<String> {
        let rows = terminal_picture::rows_of(&fs::read_to_string(file).unwrap());
        rows.iter().map(|row| without_figures(row)).collect()
    };
    for name in ["list", "dry-run", "error", "prompt"] {
        let name = format!("{name}.svg");
        let (kept, drawn) =
            (repository.join("docs/pictures").join(&name), folder.path().join(&name));
        assert!(!rows(&kept).is_empty(), "{name}");
        assert_eq!(rows(&kept), rows(&drawn), "scripts/demo-picture draws {name} anew");
    }
    // What it shows of a running transfer differs each time.
    let progress = rows(&repository.join("docs/pictures/progress.svg"));
    assert!(progress[1].contains(" MB/s  "), "{progress:?}");
}

/// The beginning of a row, with `0` for each number, without the length of a progress bar, and nothing after a
/// fingerprint's first digits: times, ports, keys and progress differ in each run.
fn without_figures(row: &str) -> String {
    let row = row.split_once("fingerprint ").map_or(row, |(before, _)| before);
    let mut text = String::new();
    for character in row.trim_end().chars() {
        let is_bar = character == '=' || (character == ' ' && text.ends_with("> "));
        if is_bar {
            continue;
        }
        if !character.is_ascii_digit() {
            text.push(character);
        } else if !text.ends_with('0') {
            text.push('0');
        }
    }
    text.chars().take(COMPARED).collect::<String>().trim_end().to_owned()
}
