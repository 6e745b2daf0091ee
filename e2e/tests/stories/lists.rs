//! Lists have aligned columns, and break between them where the terminal is narrow; commands that do several things end
//! with one line.

use std::fs;

use quiver_e2e::terminal::Terminal;
use quiver_e2e::{Home, PromptUser, Server};

fn finished(mut terminal: Terminal) -> Terminal {
    terminal.wait_for_exit();
    terminal
}

/// The longest row of a screen.
fn widest(screen: &str) -> usize {
    screen.lines().map(|row| row.chars().count()).max().unwrap_or(0)
}

#[tokio::test]
async fn other_clients_are_listed_in_columns() {
    let server = Server::start().await;
    let homes = [Home::new(), Home::new(), Home::new()];
    let mut ron = PromptUser::sign_in(&homes[0], &server, "Ron");
    let mut alexandra = PromptUser::sign_in(&homes[1], &server, "Alexandra");
    ron.terminal.wait_for("Alexandra has joined.");
    let mut ben = PromptUser::sign_in(&homes[2], &server, "Ben");
    ron.terminal.wait_for("Ben has joined.");
    let rows = ron.enter("/peers");
    let rows: Vec<&str> = rows.lines().collect();
    assert_eq!(rows, ["Alexandra  can be reached", "Ben        can be reached"]);
    for user in [&mut alexandra, &mut ben, &mut ron] {
        user.exit();
    }
}

#[tokio::test]
async fn no_list_is_broken_by_the_terminal() {
    let server = Server::start().await;
    for name in ["a rather long name of a file.txt", "b.txt", "notes/c.txt"] {
        server.add_file(name, "content");
    }
    let home = Home::new();
    fs::write(home.file("one.txt"), "content").unwrap();
    let ben_home = Home::new();
    let ben = PromptUser::sign_in(&ben_home, &server, "Ben");
    let offer = home.quiver_as(&server, "Ron", ["send", "Ben", "one.txt"]).start();
    ben.terminal.wait_for("/accept 1");
    drop(offer);
    let asked = home.quiver(["--name", "Ron", "status"]).server_address(server.address());
    let mut asked = asked.start_at_terminal();
    asked.wait_for_end("[yes/no]");
    asked.type_line("yes");
    asked.wait_for_exit();
    for columns in [40, 80, 120] {
        for arguments in [&["list", "-l"][..], &["offers"], &["contacts"], &["peers"]] {
            let quiver = home.quiver_as(&server, "Ron", arguments);
            let shown = finished(quiver.start_at_terminal_of(columns)).contents();
            // A fingerprint is one word, so that it can be copied.
            let is_key = |row: &&str| row.trim().bytes().all(|byte| byte.is_ascii_hexdigit());
            let rows: Vec<&str> = shown.lines().filter(|row| !is_key(row)).collect();
            assert!(widest(&rows.join("\n")) <= usize::from(columns), "{columns}: {shown}");
            let is_whole = |row: &&str| row.len() < usize::from(columns) || row.ends_with(' ');
            assert!(rows.iter().all(is_whole), "{columns} {arguments:?}: {shown}");
        }
    }
    let long = home.quiver_as(&server, "Ron", ["list", "-l"]);
    let long = finished(long.start_at_terminal_of(40)).contents();
    assert!(
        long.contains("\n    a rather long name of a file.txt\n") || long.starts_with(' '),
        "{long}"
    );
    assert!(long.lines().any(|row| row == "    a rather long name of a file.txt"), "{long}");
    let trust = finished(home.quiver(["trust"]).start_at_terminal_of(80)).contents();
    let rows: Vec<&str> = trust.lines().collect();
    assert!(rows[0].contains("  since 2") && rows[1] == format!("  {}", server.fingerprint()));
}

#[tokio::test]
async fn messages_wrap_between_words_at_the_prompt_too() {
    let server = Server::start().await;
    let home = Home::new();
    let quiver = home.quiver_as(&server, "Ron", [""; 0]);
    let mut ron = PromptUser::at_terminal(quiver.start_at_terminal_of(60), "Ron");
    ron.terminal.type_line("stauts");
    ron.terminal.wait_for_end("correct it.\nRon: stauts");
    let screen = ron.terminal.contents();
    let note = "stauts looks like the command status. Enter sends the line as\n  a message, or correct it.";
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&screen).contains(&words(note)), "{screen}");
    assert!(screen.contains("\n  "), "{screen}");
    assert!(widest(&screen) <= 60, "{screen}");
    // Ctrl-C leaves the line.
    ron.terminal.type_text("\u{3}");
    ron.terminal.wait_for_end("\nRon:");
    ron.exit();
}

#[tokio::test]
async fn a_command_that_does_several_things_ends_with_one_line() {
    let server = Server::options().argument("--allow-upload").start().await;
    let home = Home::new();
    let run = async |arguments: &[&str]| {
        let done = home.quiver_as(&server, "Ron", arguments).run().await;
        done.expect(0).stderr.clone()
    };
    assert_eq!(run(&["mkdir", "a", "b"]).await, "a: made\nb: made\nMade 2 folders.\n");
    assert_eq!(run(&["mkdir", "c"]).await, "c: made\n");
    assert!(run(&["rm", "--yes", "a", "b"]).await.ends_with("\nRemoved 2 paths.\n"));
    assert_eq!(run(&["rm", "--yes", "-r", "c"]).await, "Removed 1 folder.\n");
    assert_eq!(run(&["transfers", "--clean"]).await, "no unfinished transfers\n");
    for name in ["one", "two"] {
        fs::write(home.file(name), "content").unwrap();
    }
    let put = run(&["put", "one", "two"]).await;
    assert!(put.contains("\n2 files stored and verified (14 B in "), "{put}");
    let again = run(&["put", "one", "two"]).await;
    assert!(again.ends_with("\n0 files stored, 2 already there\n"), "{again}");
    run(&["rm", "--yes", "one", "two"]).await;
    // At a terminal no command prints nothing.
    let empty = finished(home.quiver_as(&server, "Ron", ["list"]).start_at_terminal());
    assert_eq!(empty.contents().trim(), "the folder is empty");
    assert_eq!(run(&["list"]).await, "");
    assert_eq!(run(&["mkdir", "d", "e", "--quiet"]).await, "");
    let quiver = home.quiver_as(&server, "Ron", ["rm", "d"]);
    let mut declined = quiver.start_at_terminal();
    declined.wait_for_end("[y/N]");
    declined.type_line("n");
    declined.wait_for_exit();
    assert!(
        declined.contents().trim().ends_with("\nNothing was removed."),
        "{}",
        declined.contents()
    );
}
