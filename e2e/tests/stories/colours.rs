//! Colours are shown at terminals only, and where the person wants them.

use std::fs;

use quiver_e2e::quiver::QuiverCommand;
use quiver_e2e::terminal::Terminal;
use quiver_e2e::{Home, PromptUser, Server};

/// A server with a file and a folder.
async fn server() -> Server {
    let server = Server::start().await;
    server.add_file("a.txt", "content");
    server.add_file("notes/b.txt", "content");
    server
}

fn finished(mut terminal: Terminal) -> Terminal {
    terminal.wait_for_exit();
    terminal
}

fn has_escapes(terminal: &Terminal) -> bool {
    terminal.raw_output().contains(&0x1b)
}

#[tokio::test]
async fn errors_hints_and_folders_are_in_colour_at_a_terminal() {
    let server = server().await;
    let home = Home::new();
    let run = |arguments: &[&str]| home.quiver_as(&server, "Ron", arguments);
    let listed = finished(run(&["list"]).start_at_terminal());
    assert!(listed.is_coloured("notes/"), "{}", listed.contents());
    assert!(!listed.is_coloured("a.txt"));
    let long = finished(run(&["list", "-l"]).start_at_terminal());
    assert!(long.is_coloured("notes/") && !long.is_coloured("a.txt"), "{}", long.contents());
    let failed = finished(run(&["get", "missing"]).start_at_terminal());
    assert!(failed.is_coloured("error:") && failed.is_coloured("hint:"), "{}", failed.contents());
    assert!(!failed.is_coloured("missing"));
    let usage = finished(run(&["gett"]).start_at_terminal());
    assert!(usage.is_coloured("error:"), "{}", usage.contents());
    let help = finished(run(&["get", "--help"]).start_at_terminal());
    assert!(help.is_coloured("--dry-run"), "{}", help.contents());
    // The same program off a terminal.
    assert_eq!(run(&["list"]).run().await.expect(0).stdout, "a.txt\nnotes/\n");
    assert!(run(&["get", "missing"]).run().await.expect(7).stderr.starts_with("error: "));
}

#[tokio::test]
async fn nobody_who_does_not_want_colours_gets_them() {
    let server = server().await;
    let home = Home::new();
    let all: [&[&str]; 5] =
        [&["list"], &["list", "-l"], &["status"], &["get", "missing"], &["list", "--json"]];
    for arguments in all {
        let plain = |name: &str, value: &str| {
            let quiver = home.quiver_as(&server, "Ron", arguments).environment(name, value);
            finished(quiver.start_at_terminal())
        };
        for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let shown = plain(name, value);
            assert!(!has_escapes(&shown), "{name} {arguments:?}: {}", shown.contents());
        }
        let is_json = arguments.contains(&"--json");
        // An empty variable is none (no-color.org).
        assert_eq!(has_escapes(&plain("NO_COLOR", "")), !is_json, "{arguments:?}");
    }
}

#[tokio::test]
async fn standard_output_and_standard_error_decide_for_themselves() {
    let server = server().await;
    let home = Home::new();
    let through_cat = |arguments: &[&str]| {
        finished(home.quiver_as(&server, "Ron", arguments).start_at_terminal_through_cat())
    };
    let listed = through_cat(&["list"]);
    assert_eq!(listed.contents().trim(), "a.txt\nnotes/");
    assert!(!has_escapes(&listed), "{}", listed.contents());
    // The error goes to the terminal.
    assert!(through_cat(&["list", "missing"]).is_coloured("error:"));
}

#[tokio::test]
async fn the_progress_of_a_transfer_has_a_coloured_bar() {
    let server = server().await;
    server.add_file("big", vec![7; 3_000_000]);
    let home = Home::new();
    let get = |arguments: &[&str]| -> QuiverCommand {
        home.quiver_as(&server, "Ron", ["get", "big", "--limit", "2MB/s"]).arguments(arguments)
    };
    let terminal = get(&[]).start_at_terminal();
    terminal.wait_until("the progress", |screen| screen.contains(" % "));
    let shown = String::from_utf8_lossy(&finished(terminal).raw_output()).into_owned();
    assert!(shown.contains("\u{1b}[32m["), "{}", shown.escape_debug());
    fs::remove_file(home.file("big")).unwrap();
    let plain = finished(get(&[]).environment("NO_COLOR", "1").start_at_terminal());
    let raw = String::from_utf8_lossy(&plain.raw_output()).into_owned();
    // The line still moves, in one colour.
    assert!(raw.contains("\u{1b}[K"), "{}", raw.escape_debug());
    assert!(!raw.contains("\u{1b}[3"), "{}", raw.escape_debug());
}

#[tokio::test]
async fn names_of_people_are_in_colour_at_the_prompt() {
    let server = server().await;
    let homes = [Home::new(), Home::new()];
    let mut ron = PromptUser::sign_in(&homes[0], &server, "Ron");
    let mut ben = PromptUser::sign_in(&homes[1], &server, "Ben");
    ron.terminal.wait_for("Ben has joined.");
    assert!(ron.terminal.is_coloured("Ben") && !ron.terminal.is_coloured("has joined."));
    assert!(ron.enter("status").contains("Client 1: Ron - Start: "));
    assert!(ron.terminal.is_coloured("Server:") && ron.terminal.is_coloured("Ben"));
    assert!(ron.terminal.is_coloured("Ron") && !ron.terminal.is_coloured("Client 2:"));
    ben.enter("@Ron lunch?");
    ron.terminal.wait_for("[Ben] lunch?");
    assert!(ron.terminal.is_coloured("[Ben]") && !ron.terminal.is_coloured("lunch?"));
    ben.exit();
    ron.exit();
}
