//! The manual has a page for every command, and the client works at a dumb terminal.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;

use quiver_e2e::{Home, PromptUser, Server};

/// The commands that `quiver --help` lists.
fn commands(help: &str) -> Vec<&str> {
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let names: Vec<_> = names.filter(|name| *name != "help").collect();
    assert!(names.len() >= 12, "{names:?}");
    names
}

#[tokio::test]
async fn the_manual_has_a_page_for_every_command() {
    let home = Home::new();
    let help = home.quiver(["--help"]).run().await;
    for command in commands(&help.expect(0).stdout) {
        let page = home.quiver(["man", command]).run().await;
        let page = &page.expect(0).stdout;
        assert!(page.starts_with(".ie "), "{command}: {page:.200}");
        assert!(page.contains(&format!(".TH quiver-{command} 1")), "{command}: {page:.300}");
        for section in [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS"] {
            assert!(page.contains(section), "{command} has no {section}");
        }
        assert!(
            page.contains("\\fB\\-\\-server\\fR"),
            "{command} lacks the options of all commands"
        );
    }
    // The page of contacts refers to those of its own commands.
    let page = home.quiver(["man", "contacts-block"]).run().await;
    assert!(page.expect(0).stdout.contains(".TH quiver-contacts-block 1"), "{:.300}", page.stdout);
    let unknown = home.quiver(["man", "fly"]).run().await;
    assert_eq!(
        unknown.expect(2).stderr,
        "error: unknown command fly\nhint: quiver --help lists them\n"
    );
}

#[tokio::test]
async fn the_client_writes_no_escape_sequences_to_a_dumb_terminal() {
    let server = Server::start().await;
    // The get takes long enough for a progress bar.
    server.add_file("big", vec![7; 3_000_000]);
    let home = Home::new();
    let get = home.quiver_as(&server, "Ron", ["get", "big", "--limit", "2MB/s"]);
    let mut terminal = get.environment("TERM", "dumb").start_at_terminal();
    assert!(terminal.wait_for_exit().success(), "{}", terminal.contents());
    assert!(terminal.contents().contains("received and verified"), "{}", terminal.contents());
    let raw = terminal.raw_output();
    assert!(!raw.contains(&0x1b), "{}", String::from_utf8_lossy(&raw).escape_debug());
    assert_eq!(fs::metadata(home.file("big")).unwrap().len(), 3_000_000);
    // At a capable terminal, the client draws the bar.
    fs::remove_file(home.file("big")).unwrap();
    let mut capable =
        home.quiver_as(&server, "Ron", ["get", "big", "--limit", "2MB/s"]).start_at_terminal();
    assert!(capable.wait_for_exit().success(), "{}", capable.contents());
    assert!(capable.raw_output().contains(&0x1b), "no bar was drawn");
}

#[tokio::test]
async fn the_prompt_works_at_a_dumb_terminal() {
    let server = Server::start().await;
    server.add_file("a", "content");
    let home = Home::new();
    let quiver = home.quiver_as(&server, "Ron", [""; 0]).environment("TERM", "dumb");
    let mut ron = PromptUser::at_terminal(quiver.start_at_terminal(), "Ron");
    assert_eq!(ron.enter("Hello"), "Server: Hello ACK");
    assert_eq!(ron.enter("list"), "Server: a");
    assert_eq!(ron.enter("get a"), "File received successfully.");
    assert_eq!(fs::read_to_string(home.file("a")).unwrap(), "content");
    ron.exit();
    let raw = ron.terminal.raw_output();
    assert!(!raw.contains(&0x1b), "{}", String::from_utf8_lossy(&raw).escape_debug());
}
