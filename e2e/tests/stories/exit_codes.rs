//! The same cause has the same exit code in every command.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::process::Stdio;

use quiver_e2e::process::Process;
use quiver_e2e::quiver::{Home, QuiverCommand, finish};
use quiver_e2e::server::Server;
use quiver_e2e::wire::Client;

/// Commands that connect, each with valid arguments.
const CONNECTING: [&[&str]; 13] = [
    &["message", "hello"],
    &["status"],
    &["list"],
    &["get", "file"],
    &["put", "a.txt"],
    &["rm", "file", "--yes"],
    &["mv", "file", "other"],
    &["mkdir", "new"],
    &["tell", "Ben", "hello"],
    &["send", "Ben", "a.txt"],
    &["receive", "--once"],
    &["peers"],
    &["path", "Ben"],
];

/// Commands that do their work, or part of it, without a server, and `verify`, which needs a terminal.
const LOCAL: [&str; 14] = [
    "resume",
    "transfers",
    "pause",
    "cancel",
    "offers",
    "accept",
    "decline",
    "contacts",
    "trust",
    "verify",
    "gui",
    "completions",
    "man",
    "help",
];

/// With a file and a folder.
fn home() -> Home {
    let home = Home::new();
    fs::write(home.file("a.txt"), "content").unwrap();
    fs::create_dir(home.file("local")).unwrap();
    home
}

async fn server() -> Server {
    let server =
        Server::options().argument("--allow-upload").argument("--keep-free=0").start().await;
    server.add_file("file", "content");
    server.add_file("a.txt", "another");
    server.add_file("folder/inner", "content");
    server
}

/// Runs a command as Ron, and checks its exit code and the form of its error.
async fn expect(code: i32, quiver: QuiverCommand, arguments: &[&str]) {
    let output = quiver.arguments(arguments).run().await;
    assert_eq!(output.code(), code, "{arguments:?}: {}", output.stderr);
    let is_error = output.stderr.contains("error: ") || output.stderr.starts_with("Server is busy");
    assert!(is_error, "{arguments:?}: {}", output.stderr);
}

#[tokio::test]
async fn the_tables_of_this_file_have_every_command() {
    let help = home().quiver(["--help"]).run().await;
    let commands = help.expect(0).stdout.split("Commands:\n").nth(1).unwrap();
    let rows = commands.lines().take_while(|row| row.starts_with(' '));
    // Continued lines are indented further.
    let rows = rows.filter(|row| !row.starts_with("    "));
    let listed: BTreeSet<_> = rows.map(|row| row.split_whitespace().next().unwrap()).collect();
    let tested: BTreeSet<_> = CONNECTING.iter().map(|words| words[0]).chain(LOCAL).collect();
    assert_eq!(listed, tested);
}

#[tokio::test]
async fn wrong_usage_is_2() {
    let home = home();
    let commands = CONNECTING.iter().map(|words| words[0]).chain(LOCAL);
    for command in commands.filter(|command| *command != "help") {
        expect(2, home.quiver([""; 0]), &[command, "--no-such-flag"]).await;
    }
}

#[tokio::test]
async fn a_path_that_breaks_the_rules_is_2() {
    let (server, home) = (server().await, home());
    for arguments in [
        &["list", "../x"][..],
        &["get", "../x"],
        &["get", "-r", "../x"],
        &["get", "../*"],
        &["put", "a.txt", "--to", "../x"],
        &["put", "a.txt", "--as", ".."],
        &["rm", "../x", "--yes"],
        &["mv", "../x", "y"],
        &["mv", "file", "../y"],
        &["mkdir", "../x"],
        &["mkdir", "con"],
        &["send", "Ben", "a.txt", "--as", "../x"],
    ] {
        expect(2, home.quiver_as(&server, "Ron", [""; 0]), arguments).await;
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_3() {
    // Bound, so that no other program gets the port, and connected elsewhere, so that nothing is received.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect("127.0.0.1:9").unwrap();
    let (server, home) = (server().await, home());
    for arguments in CONNECTING {
        let quiver = home
            .quiver(["--name", "Ron", "--timeout", "1"])
            .server(socket.local_addr().unwrap(), &server.certificate());
        expect(3, quiver, arguments).await;
    }
}

#[tokio::test]
async fn a_wrong_certificate_is_4() {
    let (server, other, home) = (server().await, Server::start().await, home());
    for arguments in CONNECTING {
        let quiver = home.quiver(["--name", "Ron"]).server(server.address(), &other.certificate());
        expect(4, quiver, arguments).await;
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_5() {
    let (server, home) = (server().await, home());
    let _ron = Client::member(&server, "Ron").await;
    for arguments in CONNECTING {
        expect(5, home.quiver_as(&server, "Ron", [""; 0]), arguments).await;
    }
}

#[tokio::test]
async fn a_full_server_is_6() {
    let server = Server::options().max_clients(1).argument("--allow-upload").start().await;
    let home = home();
    let _ann = Client::member(&server, "Ann").await;
    for arguments in CONNECTING {
        expect(6, home.quiver_as(&server, "Ron", [""; 0]), arguments).await;
    }
}

#[tokio::test]
async fn what_does_not_exist_or_is_of_another_kind_is_7() {
    let (server, home) = (server().await, home());
    for arguments in [
        &["list", "missing"][..],
        &["list", "file"],
        &["list", "missing*"],
        &["get", "missing"],
        &["get", "folder"],
        &["get", "-r", "missing"],
        &["get", "*.png"],
        &["put", "missing"],
        &["put", "-r", "missing"],
        &["put", "local"],
        &["put", "a.txt", "--to", "missing"],
        &["rm", "missing", "--yes"],
        &["rm", "-r", "missing", "--yes"],
        &["mv", "missing", "x"],
        &["mkdir", "file"],
        &["mkdir", "-p", "file/x"],
        &["tell", "Nobody", "hello"],
        &["send", "Nobody", "a.txt"],
        &["send", "Nobody", "missing"],
        &["path", "Nobody"],
        &["accept", "99"],
        &["decline", "99"],
        &["send", "--cancel", "99"],
        &["contacts", "forget", "Nobody"],
        &["trust", "forget", "nowhere.example"],
        &["pause", "99"],
        &["cancel", "99"],
        &["resume", "99"],
    ] {
        expect(7, home.quiver_as(&server, "Ron", [""; 0]), arguments).await;
    }
}

#[tokio::test]
async fn what_exists_already_is_1() {
    let (server, home) = (server().await, home());
    fs::create_dir(home.file("file")).unwrap();
    for arguments in [
        &["get", "a.txt"][..],
        &["get", "a.txt", "--json"],
        &["get", "file", "--overwrite"],
        &["put", "a.txt"],
        &["put", "a.txt", "--json"],
        &["put", "a.txt", "--as", "folder", "--overwrite"],
        &["mv", "file", "a.txt"],
        &["mkdir", "folder"],
    ] {
        expect(1, home.quiver_as(&server, "Ron", [""; 0]), arguments).await;
    }
}

#[tokio::test]
async fn a_failure_of_the_local_disk_is_8() {
    let (server, home) = (server().await, home());
    for arguments in [
        &["get", "file", "-o", "missing"][..],
        &["get", "-r", "folder", "-o", "missing/too"],
        &["list", "--cert", "missing.pem"],
    ] {
        expect(8, home.quiver_as(&server, "Ron", [""; 0]), arguments).await;
    }
    for arguments in [&["list"][..], &["status"], &["man"], &["get", "file", "-o", "-"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let quiver = home.quiver_as(&server, "Ron", [""; 0]).arguments(arguments);
        assert_eq!(quiver.run_with_output(full).await.code(), 8, "{arguments:?}");
    }
}

#[tokio::test]
async fn failures_of_several_are_10() {
    let (server, home) = (server().await, home());
    for arguments in [
        &["get", "file", "missing"][..],
        &["get", "missing", "too"],
        &["get", "file", "folder", "--overwrite"],
        &["put", "missing", "too"],
        &["put", "a.txt", "missing", "--overwrite"],
        &["rm", "missing", "too", "--yes"],
        &["mkdir", "folder", "file"],
    ] {
        expect(10, home.quiver_as(&server, "Ron", [""; 0]), arguments).await;
    }
}

#[tokio::test]
async fn a_closed_standard_output_is_141_without_an_error() {
    let (server, home) = (server().await, home());
    for arguments in [
        &["message", "hello"][..],
        &["status"],
        &["list"],
        &["list", "-l"],
        &["get", "file", "-o", "-"],
        &["get", "file", "--json", "--overwrite"],
        &["put", "a.txt", "--json", "--overwrite"],
        &["mkdir", "made", "--json"],
        &["peers", "--json"],
        &["contacts", "list"],
        &["trust", "list"],
        &["completions", "bash"],
        &["man"],
        &["man", "get"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = home.quiver_as(&server, "Ron", [""; 0]).arguments(arguments).command();
        command.stdin(Stdio::null()).stdout(writer);
        let process = Process::start_with_stdio(&mut command);
        drop(command);
        let output = finish(process).await;
        let is_empty = matches!(arguments[0], "contacts" | "trust" | "peers");
        // Nothing was written where there is nothing to list.
        let code = if is_empty { 0 } else { 141 };
        assert_eq!(output.code(), code, "{arguments:?}: {}", output.stderr);
        assert!(!output.stderr.contains("error"), "{arguments:?}: {}", output.stderr);
    }
}
