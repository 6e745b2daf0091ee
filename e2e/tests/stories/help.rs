//! Help, man pages and errors as a user reads them: of both programs, at narrow and wide terminals.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use portable_pty::CommandBuilder;
use quiver_e2e::quiver::QuiverCommand;
use quiver_e2e::terminal::Terminal;
use quiver_e2e::{Home, PromptUser, Server, binary};

/// Starts the client at a terminal with this many columns.
fn start_at_width(quiver: &QuiverCommand, columns: usize) -> Terminal {
    let command = quiver.command();
    let mut shell = CommandBuilder::new("sh");
    shell.args(["-c", "stty cols \"$0\"; exec \"$@\""]);
    shell.arg(columns.to_string());
    shell.arg(command.get_program());
    shell.args(command.get_args());
    shell.cwd(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        }
    }
    Terminal::start(shell)
}

/// The commands of a program that have help of their own, by their words.
fn commands(program: &Path, words: &[String], all: &mut Vec<Vec<String>>) {
    let help = Command::new(program).args(words).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    all.push(words.to_vec());
    let Some((_, listed)) = help.split_once("Commands:\n") else { return };
    let lines = listed.lines().take_while(|line| !line.is_empty());
    for name in lines.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()) {
        if name != "help" {
            commands(program, &[words, &[name.to_owned()]].concat(), all);
        }
    }
}

fn check_pages(program: &Path, name: &str, folder: &Path) {
    let output = Command::new(program).args(["man", "--output"]).arg(folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    let mut all = Vec::new();
    commands(program, &[], &mut all);
    let page_name = |words: &Vec<String>| {
        let words = std::iter::once(name).chain(words.iter().map(String::as_str));
        format!("{}.1", words.collect::<Vec<_>>().join("-"))
    };
    let expected: BTreeSet<_> = all.iter().map(page_name).collect();
    let stored = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let stored: BTreeSet<_> = stored.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(stored, expected);
    for file in stored {
        let page = folder.join(&file);
        let groff = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&page).output();
        // Of the package groff-base, which scripts/test installs.
        let groff = groff.unwrap();
        let warnings = String::from_utf8_lossy(&groff.stderr);
        assert!(groff.status.success() && warnings.is_empty(), "{file}: {warnings}");
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains(".SH EXAMPLES"), "{file} has no examples");
    }
}

#[test]
fn every_command_has_a_man_page_that_groff_accepts() {
    let home = Home::new();
    check_pages(&binary::client(), "quiver", &home.root().join("new/man1"));
    check_pages(&binary::server(), "quiver-server", &home.root().join("server"));
}

#[tokio::test]
async fn a_man_page_that_cannot_be_stored_is_an_error_of_the_disk() {
    let home = Home::new();
    fs::write(home.file("file"), "").unwrap();
    let failed = home.quiver(["man", "--output", "file/man1"]).run().await;
    assert_eq!(
        failed.expect(8).stderr,
        "error: cannot store man pages in file/man1: Not a directory\n"
    );
    let one = home.quiver(["man", "contacts", "block", "-o", "pages"]).run().await;
    one.expect(0);
    assert!(home.file("pages/quiver-contacts-block.1").exists());
    assert_eq!(fs::read_dir(home.file("pages")).unwrap().count(), 1);
}

#[test]
fn the_server_prints_completions_and_pages_without_serving() {
    let home = Home::new();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(binary::server());
        command.args(arguments).current_dir(home.folder()).output().unwrap()
    };
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert!(script.status.success() && script.stderr.is_empty(), "{shell}: {script:?}");
        assert!(String::from_utf8_lossy(&script.stdout).contains("quiver-server"), "{shell}");
    }
    let page = run(&["man", "user", "add"]);
    assert!(String::from_utf8_lossy(&page.stdout).contains(".TH quiver-server-user-add 1"));
    let unknown = run(&["man", "fly"]);
    assert_eq!(
        String::from_utf8_lossy(&unknown.stderr),
        "error: unknown command fly\nhint: quiver-server --help lists them\n"
    );
    assert_eq!(home.names(), [""; 0]);
}

#[tokio::test]
async fn short_and_long_help_begin_with_usage_and_examples() {
    let home = Home::new();
    for flag in ["-h", "--help"] {
        let help = home.quiver(["get", flag]).run().await;
        let help = &help.expect(0).stdout;
        let place = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text}: {help}"));
        assert!(place("Usage: quiver get") < place("\nExamples:\n"), "{help}");
        assert!(place("\n  quiver get notes/todo.txt\n      Fetch a file") < place("Options:"));
        assert_eq!(help.contains("Exit codes:"), flag == "--help", "{help}");
    }
}

#[test]
fn errors_wrap_between_words_at_the_width_of_the_terminal() {
    let home = Home::new();
    for columns in [40, 80, 120] {
        let quiver = home.quiver(["list", "--cert", "a-certificate-that-does-not-exist.pem"]);
        let mut terminal = start_at_width(&quiver, columns);
        assert_eq!(terminal.wait_for_exit().exit_code(), 8, "{}", terminal.contents());
        let shown = terminal.contents();
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines.iter().all(|line| line.len() <= columns), "{columns}: {shown}");
        assert!(lines[0].starts_with("error: cannot read"), "{shown}");
        let hint = lines.iter().position(|line| line.starts_with("hint: ")).unwrap();
        assert!(lines[1..hint].iter().all(|line| line.starts_with("  ")), "{shown}");
        let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains("a-certificate-that-does-not-exist.pem: No such file or directory"),
            "{shown}"
        );
        if columns == 120 {
            assert_eq!(lines.len(), 2, "{shown}");
        }
    }
}

#[tokio::test]
async fn errors_do_not_wrap_off_a_terminal() {
    let home = Home::new();
    let name = format!("{}.pem", "a".repeat(200));
    let failed = home.quiver(["list", "--cert", &name]).run().await;
    assert_eq!(failed.expect(8).stderr.lines().count(), 2, "{}", failed.stderr);
}

#[tokio::test]
async fn the_help_of_the_prompt_wraps_at_the_width_of_the_terminal() {
    let server = Server::start().await;
    for columns in [40, 80, 120] {
        let home = Home::new();
        let quiver = home.quiver_as(&server, "Ron", [""; 0]);
        let mut ron = PromptUser::at_terminal(start_at_width(&quiver, columns), "Ron");
        let help = ron.enter("help");
        assert!(help.lines().all(|line| line.len() <= columns), "{columns}: {help}");
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("offer files to another client; /send --cancel N"), "{help}");
        assert!(words.ends_with("on an empty line, all transfers."), "{help}");
        ron.exit();
    }
}
