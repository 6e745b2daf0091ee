//! Sign-in with a password, and the client's name if none is given.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use quiver_e2e::process::ProgramOutput;
use quiver_e2e::{Home, PromptUser, Server};

const PASSWORD: &str = "correct horse Ünd 🐎";

async fn server() -> Server {
    Server::options().account("Ron", PASSWORD).start().await
}

/// Creates a password file with these permissions.
fn password_file(home: &Home, text: &str, mode: u32) -> PathBuf {
    let path = home.root().join("password");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

/// Runs `quiver message Hello` with a password file.
async fn message(home: &Home, server: &Server, name: &str, file: &PathBuf) -> ProgramOutput {
    let quiver = home.quiver_as(server, name, ["message", "Hello", "--password-file"]);
    quiver.arguments([file]).run().await
}

#[tokio::test]
async fn the_client_reads_a_password_from_a_file() {
    let server = server().await;
    let home = Home::new();
    for text in [PASSWORD.to_owned(), format!("{PASSWORD}\n"), format!("{PASSWORD}\r\nmore\n")] {
        let file = password_file(&home, &text, 0o600);
        let finished = message(&home, &server, "Ron", &file).await;
        assert_eq!(finished.expect(0).stdout, "Hello ACK\n");
    }
    server.log().wait_for("Client connected as Client 1: Ron").await;
}

#[tokio::test]
async fn the_server_refuses_a_wrong_password() {
    let server = server().await;
    let home = Home::new();
    for (name, text) in [("Ron", "wrong"), ("Nobody", PASSWORD), ("Ron", "")] {
        let file = password_file(&home, text, 0o600);
        let finished = message(&home, &server, name, &file).await;
        finished.expect(5);
        assert_eq!(finished.stdout, "");
        let error = format!("error: cannot sign in as {name}: ");
        assert!(finished.stderr.starts_with(&error), "{}", finished.stderr);
        assert!(finished.stderr.contains("\nhint: check the name and the password\n"));
        assert!(!finished.stderr.contains("horse"));
    }
}

#[tokio::test]
async fn off_a_terminal_a_missing_password_is_an_error_with_a_hint() {
    let server = server().await;
    let home = Home::new();
    let finished = home.quiver_as(&server, "Ron", ["status"]).run().await;
    finished.expect(5);
    let hint = "\nhint: --password-file FILE signs in without a terminal\n";
    assert!(finished.stderr.ends_with(hint), "{}", finished.stderr);
}

#[tokio::test]
async fn the_client_rejects_a_password_file_that_others_may_read() {
    let server = server().await;
    let home = Home::new();
    for mode in [0o640, 0o604, 0o660, 0o610] {
        let file = password_file(&home, PASSWORD, mode);
        let finished = message(&home, &server, "Ron", &file).await;
        finished.expect(8);
        let path = file.display();
        let error = format!("error: {path} can be read by other users\nhint: chmod 600 {path}\n");
        assert_eq!(finished.stderr, error, "{mode:o}");
    }
    let missing = home.root().join("missing");
    let finished = message(&home, &server, "Ron", &missing).await;
    let error = format!("error: cannot read {}: No such file or directory", missing.display());
    assert!(finished.expect(8).stderr.starts_with(&error), "{}", finished.stderr);
    server.log().wait_for("listening").await;
    for outcome in ["sign-in as", "Client connected as"] {
        assert_eq!(server.log().count(outcome), 0, "the client sent a password");
    }
}

#[tokio::test]
async fn the_terminal_never_shows_a_typed_password() {
    let server = server().await;
    let home = Home::new();
    let mut terminal = home.quiver_as(&server, "Ron", [""; 0]).start_at_terminal();
    for password in ["a wrong one", PASSWORD] {
        terminal.wait_for_end("Password:");
        let questions = terminal.contents().matches("Password:").count();
        terminal.type_line(password);
        if password != PASSWORD {
            terminal.wait_until("the question again", |screen| {
                screen.matches("Password:").count() > questions && screen.ends_with("Password:")
            });
        }
    }
    let mut ron = PromptUser::at_terminal(terminal, "Ron");
    assert_eq!(ron.enter("Hello"), "Server: Hello ACK");
    ron.exit();
    let raw = String::from_utf8_lossy(&ron.terminal.raw_output()).into_owned();
    assert!(!raw.contains("wrong one") && !raw.contains("horse"), "{raw}");
    let screen = ron.terminal.contents();
    assert!(screen.contains("error: cannot sign in as Ron: "), "{screen}");
}

#[tokio::test]
async fn a_command_at_a_terminal_asks_for_the_password() {
    let server = server().await;
    let home = Home::new();
    let mut terminal = home.quiver_as(&server, "Ron", ["message", "Hello"]).start_at_terminal();
    terminal.wait_for_end("Password:");
    terminal.type_line(PASSWORD);
    assert_eq!(terminal.wait_for_exit().exit_code(), 0);
    assert_eq!(terminal.contents().trim_end(), "Password:\nHello ACK");
}

#[tokio::test]
async fn ctrl_c_and_ctrl_d_end_a_question() {
    let server = server().await;
    let home = Home::new();
    for (key, code) in [("\x03", 130), ("half\x03", 130), ("\x04", 5)] {
        let mut terminal = home.quiver_as(&server, "Ron", ["status"]).start_at_terminal();
        terminal.wait_for_end("Password:");
        terminal.type_text(key);
        assert_eq!(terminal.wait_for_exit().exit_code(), code, "{key:?}: {}", terminal.contents());
        let screen = terminal.contents();
        assert!(screen.starts_with("Password:\n") && screen.contains("\nerror: "), "{screen}");
    }
    let quiver = home.quiver([""; 0]).server(server.address(), &server.certificate());
    for (key, code) in [("\x03", 130), ("\x04", 2)] {
        let mut terminal = quiver.start_at_terminal();
        terminal.wait_for_end("Enter your client name:");
        terminal.type_text(key);
        assert_eq!(terminal.wait_for_exit().exit_code(), code, "{key:?}: {}", terminal.contents());
    }
}

#[tokio::test]
async fn the_client_exits_after_three_wrong_passwords() {
    let server = server().await;
    let home = Home::new();
    let mut terminal = home.quiver_as(&server, "Ron", [""; 0]).start_at_terminal();
    for count in 1..=3 {
        terminal.wait_until("the question", |screen| {
            screen.matches("Password:").count() == count && screen.ends_with("Password:")
        });
        terminal.type_line("wrong");
    }
    assert_eq!(terminal.wait_for_exit().exit_code(), 5);
    assert_eq!(terminal.contents().matches("error: cannot sign in as Ron: ").count(), 3);
}

#[tokio::test]
async fn off_a_terminal_the_client_uses_the_login_name() {
    let login = Command::new("id").arg("-un").output().unwrap();
    let login = String::from_utf8(login.stdout).unwrap();
    let server = Server::start().await;
    let home = Home::new();
    let quiver = home.quiver(["status"]).server(server.address(), &server.certificate());
    let finished = quiver.run().await;
    let row = format!("Client 1: {} - Start: ", login.trim());
    assert!(finished.expect(0).stdout.starts_with(&row), "{}", finished.stdout);
}

#[tokio::test]
async fn off_a_terminal_a_taken_name_is_an_error() {
    let server = Server::start().await;
    let homes = [(); 2].map(|()| Home::new());
    let mut ron = PromptUser::sign_in(&homes[0], &server, "Ron");
    let finished = homes[1].quiver_as(&server, "ron", ["status"]).run().await;
    finished.expect(5);
    assert!(
        finished.stderr.ends_with("\nhint: choose another name with --name\n"),
        "{}",
        finished.stderr
    );
    // The client that holds the name can connect a second time.
    let second = homes[0].quiver_as(&server, "Ron", ["list"]).run().await;
    second.expect(0);
    ron.exit();
}
