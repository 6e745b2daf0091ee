//! Mistyped commands, words of a shell, pasted lines and local patterns at the prompt, and files of commands.

use std::fs;
use std::path::Path;

use quiver_e2e::process::ProgramOutput;
use quiver_e2e::{Home, PromptUser, Server};

async fn server() -> Server {
    let server = Server::options().argument("--allow-upload").start().await;
    server.add_file("notes/a.txt", "content");
    server
}

/// Runs the lines of a file, which may be no text.
async fn run_file(home: &Home, server: &Server, arguments: &[&str], lines: &[u8]) -> ProgramOutput {
    home.quiver_as(server, "Ron", arguments).run_with_input(lines).await
}

#[tokio::test]
async fn a_mistyped_command_is_sent_only_when_enter_is_pressed_again() {
    let server = server().await;
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    ron.terminal.type_line("mesage hi");
    ron.terminal.wait_for("mesage looks like the command message. Enter sends the line");
    ron.terminal.wait_for_end("\nRon: mesage hi");
    assert!(!ron.terminal.contents().contains("ACK"), "{}", ron.terminal.contents());
    ron.press("\r");
    ron.terminal.wait_for("Server: mesage hi ACK");
    // An edited line gets a new chance: it is a command now.
    ron.terminal.type_line("lsit notes");
    ron.terminal.wait_for_end("\nRon: lsit notes");
    ron.press("\x15list notes\r");
    ron.terminal.wait_for("Server: notes/a.txt");
    // Another mistake is held back again, and Ctrl-C forgets it.
    ron.terminal.type_line("stauts");
    ron.terminal.wait_for_end("\nRon: stauts");
    ron.terminal.type_line("\x15sttaus");
    ron.terminal.wait_for("sttaus looks like the command status.");
    ron.terminal.wait_for_end("\nRon: sttaus");
    ron.press("\x03");
    assert_eq!(ron.enter("Hello"), "Server: Hello ACK");
    // Talk is not held back.
    for line in ["lost in thought", "exist now", "mesage hi there"] {
        assert_eq!(ron.enter(line), format!("Server: {line} ACK"));
    }
    ron.exit();
}

#[tokio::test]
async fn a_terminal_that_cannot_move_its_cursor_sends_a_held_line_at_enter() {
    let server = server().await;
    let home = Home::new();
    let quiver = home.quiver_as(&server, "Ron", [""; 0]).environment("TERM", "dumb");
    let mut ron = PromptUser::at_terminal(quiver.start_at_terminal(), "Ron");
    assert!(ron.enter("stauts").starts_with("stauts looks like the command status."));
    assert_eq!(ron.enter(""), "Server: stauts ACK");
    assert!(ron.enter("stauts").starts_with("stauts looks like the command status."));
    assert!(ron.enter("status").starts_with("Server: Client 1: Ron"));
    assert_eq!(ron.enter(""), "");
    ron.exit();
}

#[tokio::test]
async fn words_of_a_shell_work_where_the_whole_line_parses() {
    let server = server().await;
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    assert_eq!(ron.enter("ls"), "Server: notes/");
    assert_eq!(ron.enter("DIR /notes/"), "Server: notes/a.txt");
    assert!(ron.enter("?").starts_with("status [--here]"));
    assert_eq!(ron.enter("ls or dir, it is the same"), "Server: ls or dir, it is the same ACK");
    assert_eq!(ron.enter("help me"), "Server: help me ACK");
    for line in ["cd", "pwd", "cd .."] {
        let told = ron.enter(line);
        assert!(
            told.starts_with("error: there are no working folders on the server\nhint: "),
            "{told}"
        );
    }
    assert_eq!(ron.enter("message \"hi there\""), "Server: hi there ACK");
    ron.terminal.type_line("bye");
    assert_eq!(ron.terminal.wait_for_exit().exit_code(), 0);
}

#[tokio::test]
async fn all_lines_of_a_paste_are_run() {
    const LINES: usize = 200;
    let server = server().await;
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    // As a terminal without bracketed paste sends it.
    let lines: String = (0..LINES).map(|line| format!("/say line {line}\r")).collect();
    ron.terminal.type_text(&lines);
    for line in 0..LINES {
        ron.terminal.wait_for_output(&format!("Server: line {line} ACK"));
    }
    // A mistyped command in a paste is not sent, and the next line is not lost.
    ron.terminal.type_text("list\rstauts\rmesage hi\rlist notes\r/say end\r");
    ron.terminal.wait_for_output("Server: end ACK");
    ron.terminal.wait_for_output("Server: notes/a.txt");
    let output = String::from_utf8_lossy(&ron.terminal.raw_output()).into_owned();
    for held in ["stauts ACK", "mesage hi ACK"] {
        assert!(!output.contains(held), "{output}");
    }
    ron.exit();
}

#[tokio::test]
async fn local_patterns_and_the_home_folder_are_expanded_at_the_prompt_and_in_files() {
    let server = server().await;
    let home = Home::new();
    fs::create_dir(home.file("sub")).unwrap();
    for name in ["a.txt", "b.txt", "x*y", "xzy", "sub/c.md"] {
        fs::write(home.file(name), name).unwrap();
    }
    fs::write(home.root().join("of-home"), "home").unwrap();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    ron.enter("put *.txt */c.md");
    ron.enter("put x*y --to notes");
    ron.enter("put ~/of-home");
    let quoted = ron.enter("put \"?.txt\"");
    assert!(quoted.contains("error: cannot read ?.txt: No such file or directory"), "{quoted}");
    let nothing = ron.enter("put *.png");
    assert!(nothing.contains("error: cannot read *.png: No such file"), "{nothing}");
    ron.enter("get notes/a.txt -o ~");
    ron.exit();
    assert_eq!(server.stored_names(), ["a.txt", "b.txt", "c.md", "notes", "of-home"]);
    assert_eq!(quiver_e2e::quiver::names(&server.files().join("notes")), ["a.txt", "x*y"]);
    assert_eq!(fs::read_to_string(home.root().join("a.txt")).unwrap(), "content");
    let lines = "put x?y --to notes --overwrite\nput ~/of-home --as again\n";
    run_file(&home, &server, &["--quiet"], lines.as_bytes()).await.expect(0);
    assert!(server.files().join("notes/xzy").exists() && server.files().join("again").exists());
}

#[tokio::test]
async fn a_file_of_commands_has_comments_and_its_errors_have_line_numbers() {
    let server = server().await;
    let home = Home::new();
    let lines = b"\xef\xbb\xbf# What is there\r\nlist\r\n\n  # to be talked about\nstauts\n\xffHello\nget none\n/say #1\n";
    let output = run_file(&home, &server, &[], lines).await;
    assert_eq!(output.expect(2).stdout, "notes/\n#1 ACK\n");
    let errors: Vec<&str> =
        output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(
        errors[..2],
        ["error: line 5: stauts looks like the command status", "error: line 6: it is not UTF-8",]
    );
    assert!(errors[2].starts_with("error: line 7: cannot get none: "), "{}", output.stderr);
    let hint = "hint: status runs it; /say stauts sends it as a message\n";
    assert!(output.stderr.contains(hint), "{}", output.stderr);
}

#[tokio::test]
async fn fail_fast_stops_at_the_first_failure() {
    let server = server().await;
    let home = Home::new();
    let lines = b"list\nget none\nHello\n";
    let all = run_file(&home, &server, &[], lines).await;
    assert_eq!(all.expect(7).stdout, "notes/\nHello ACK\n");
    let first = run_file(&home, &server, &["--fail-fast"], lines).await;
    assert_eq!(first.expect(7).stdout, "notes/\n");
    assert!(first.stderr.contains("error: line 2: cannot get none: "), "{}", first.stderr);
    assert!(first.stderr.ends_with("Connection closed.\n"), "{}", first.stderr);
    let misused = home.quiver_as(&server, "Ron", ["--fail-fast", "list"]).run().await;
    assert!(misused.expect(2).stderr.contains("--fail-fast is for commands"), "{}", misused.stderr);
}

#[tokio::test]
async fn tab_completes_paths_as_they_are_typed() {
    let server = server().await;
    let home = Home::new();
    fs::create_dir(home.root().join("inbox")).unwrap();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    ron.terminal.type_text("ls ./no\t");
    ron.terminal.wait_for_end("Ron: ls ./notes/");
    ron.press("\r");
    ron.terminal.type_text("get /notes/a\t");
    ron.terminal.wait_for_end("Ron: get /notes/a.txt");
    ron.terminal.type_text("-o ~/inb\t");
    ron.terminal.wait_for_end("-o ~/inbox/");
    ron.press("\r");
    assert!(Path::new(&home.root().join("inbox/a.txt")).exists());
    ron.exit();
}
