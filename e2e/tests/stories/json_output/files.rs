//! The objects of commands about the server and its files, of errors, and of commands that need no server.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::os::unix::fs::symlink;

use quiver_e2e::process::Signal;
use quiver_e2e::quiver::finish;
use quiver_e2e::{Home, PromptUser, Server};

use super::Checker;

const PLAN: [&str; 3] = ["Planned file", "Left out", "Summary of a dry run"];

pub(super) async fn check(checker: &mut Checker) {
    let server =
        Server::options().argument("--allow-upload").argument("--keep-free=0").start().await;
    let home = Home::new();
    fs::write(home.file("a.txt"), "a").unwrap();
    fs::create_dir(home.file("notes")).unwrap();
    fs::write(home.file("notes/b"), "bb").unwrap();
    symlink("b", home.file("notes/link")).unwrap();
    let ron = |words: &[&str]| home.quiver_as(&server, "Ron", words);

    let reply = checker.run(0, ron(&["message", "Hello"]), &["Reply"]).await;
    assert_eq!(reply[0]["reply"], "Hello ACK");
    checker.run(0, ron(&["status"]), &["Client"]).await;
    checker.run(0, ron(&["mkdir", "new"]), &["Made folder"]).await;
    checker.run(0, ron(&["put", "a.txt"]), &["Stored file"]).await;
    checker.run(0, ron(&["put", "-r", "notes", "--dry-run"]), &PLAN).await;
    checker.run(0, ron(&["put", "-r", "notes"]), &["Stored file", "Left out", "Summary"]).await;
    let same = checker.run(0, ron(&["put", "a.txt"]), &["Stored file"]).await;
    assert_eq!(same[0]["already_there"], true);
    checker.run(0, ron(&["list", "-r", "-l", "--sort", "size"]), &["Entry"]).await;
    checker.run(0, ron(&["get", "a.txt", "--as", "c"]), &["Received file"]).await;
    let into = ["get", "-r", "notes", "-o", "new"];
    fs::create_dir(home.file("new")).unwrap();
    checker.run(0, ron(&into).arguments(["--dry-run"]), &PLAN).await;
    checker.run(0, ron(&into), &["Received file", "Summary"]).await;
    checker.run(0, ron(&["mv", "a.txt", "new"]), &["Moved path"]).await;
    checker.run(0, ron(&["rm", "-r", "n*", "--yes"]), &["Removed path"]).await;

    check_errors(checker, &server, &home).await;
    check_piped_commands(checker, &server, &home).await;
    check_local_commands(checker, &server, &home).await;
}

/// Each kind of failure is an object, and one without any other output.
async fn check_errors(checker: &mut Checker, server: &Server, home: &Home) {
    let ron = |words: &[&str]| home.quiver_as(server, "Ron", words);
    server.add_file("file", "content");
    for (code, words) in [
        (7, &["get", "none"][..]),
        (10, &["get", "file", "none", "-o", "new"]),
        (7, &["put", "none"]),
        (2, &["put"]),
        (2, &["get", "--no-such-flag", "x"]),
        (2, &["lst"]),
        (2, &["list", "../x"]),
        (2, &["get", "file", "-o", "-"]),
        (2, &["rm", "file"]),
        (2, &["verify", "Ben"]),
        (2, &["man"]),
        (7, &["tell", "Nobody", "x"]),
        (7, &["accept", "99"]),
        (7, &["pause", "99"]),
    ] {
        checker.run(code, ron(words), &["Received file"]).await;
    }
    let unknown = home.quiver(["--name", "Ron", "list"]).server_address(server.address());
    checker.run(4, unknown, &[]).await;
}

/// One flag is for all lines, and each line may have its own.
async fn check_piped_commands(checker: &mut Checker, server: &Server, home: &Home) {
    let lines = "Hello\nlist\n@Nobody hi\nget none\nlsit\n# none\nget\nlist -l\n";
    let piped = home.quiver_as(server, "Ron", ["--json"]).run_with_input(lines).await;
    let objects = checker.check_piped(7, &piped, &["Reply", "Entry"]);
    assert_eq!(objects[0]["reply"], "Hello ACK");
    let numbers = piped.stderr.lines().map(|line| {
        let error: serde_json::Value = serde_json::from_str(line).unwrap();
        error["line"].as_u64().unwrap()
    });
    assert_eq!(numbers.collect::<Vec<_>>(), [3, 4, 5, 7]);

    let stopping = home.quiver_as(server, "Ron", ["--json", "--fail-fast"]);
    let stopped = stopping.run_with_input("get none\nlist\n").await;
    checker.check_output(7, &stopped, &[]);
    assert_eq!(stopped.stdout, "");

    let mixed = home.quiver_as(server, "Ron", ["--quiet"]);
    let mixed = mixed.run_with_input("list\nlist --json\nget none --json\nget none\n").await;
    let (names, objects) = mixed.expect(7).stdout.split_at("file\n".len());
    assert_eq!(names, "file\n");
    checker.check(objects, &["Entry"]);
    let (object, text) = mixed.stderr.split_once('\n').unwrap();
    checker.check(object, &["Error"]);
    assert!(text.starts_with("error: line 4: cannot get none: "), "{text}");

    let mut pete = PromptUser::sign_in(home, server, "Pete");
    let listed = pete.enter("list --json");
    assert!(listed.starts_with("{\"path\":\"file\","), "{listed}");
    pete.exit();
}

async fn check_local_commands(checker: &mut Checker, server: &Server, home: &Home) {
    // Connecting asks its questions at a terminal all the same.
    let list = home.quiver(["list", "--json"]).server_address(server.address());
    let mut terminal = list.start_at_terminal();
    terminal.wait_for_end("[yes/no]");
    terminal.type_line("yes");
    terminal.wait_for_end("Enter your client name:");
    terminal.type_line("Ron");
    assert_eq!(terminal.wait_for_exit().exit_code(), 0, "{}", terminal.contents());
    checker.run(0, home.quiver(["trust"]), &["Known server"]).await;
    let address = server.address().to_string();
    checker.run(0, home.quiver(["trust", "forget", &address]), &["Forgotten server"]).await;
    checker.run(0, home.quiver(["resume"]), &[]).await;

    let gui = home.quiver(["gui", "--no-open", "--json"]).start();
    gui.stdout.wait(|_| Some(())).await.unwrap();
    gui.signal(Signal::INT);
    checker.check_output(130, &finish(gui).await, &["Link"]);
}
