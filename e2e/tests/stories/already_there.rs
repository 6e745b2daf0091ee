//! Files that have the same content on both sides: every command says that they are already there, moves nothing, and
//! succeeds.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use quiver_e2e::deadline::{TIMEOUT, wait_until};
use quiver_e2e::process::{ProgramOutput, Signal};
use quiver_e2e::{Home, PromptUser, Server};
use serde_json::Value;

async fn start_server() -> Server {
    Server::options().argument("--allow-upload").start().await
}

/// A server and a client with the same `same`, and with a `differs` of equal size; `new` exists on one side.
async fn prepare(new_on_server: bool) -> (Server, Home) {
    let (server, home) = (start_server().await, Home::new());
    server.add_file("same", "the same content");
    server.add_file("differs", "the server's content");
    fs::write(home.file("same"), "the same content").unwrap();
    fs::write(home.file("differs"), "the client's content").unwrap();
    if new_on_server {
        server.add_file("new", "new");
    } else {
        fs::write(home.file("new"), "new").unwrap();
    }
    (server, home)
}

async fn run(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", arguments).run().await
}

/// The file and the moment of its last change, which a replacement changes.
fn identity(path: &Path) -> (u64, i64, i64) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

fn parse_lines(output: &ProgramOutput) -> Vec<Value> {
    output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const OPTIONS: [&[&str]; 6] =
    [&[], &["--overwrite"], &["--keep-both"], &["--skip"], &["-r"], &["-r", "--overwrite"]];

#[tokio::test]
async fn a_file_with_the_same_content_is_already_there_whatever_the_options() {
    let (server, home) = prepare(true).await;
    let both = [home.file("same"), server.files().join("same")];
    let before = both.each_ref().map(|path| identity(path));
    for command in ["get", "put"] {
        for options in OPTIONS {
            let arguments = [&[command, "same"], options].concat();
            let output = run(&home, &server, &arguments).await;
            let stderr = &output.expect(0).stderr;
            assert!(stderr.starts_with("same: already there\n"), "{arguments:?}: {stderr}");
            assert_eq!(output.stdout, "", "{arguments:?}");
            let lines = parse_lines(
                run(&home, &server, &[&arguments[..], &["--json"]].concat()).await.expect(0),
            );
            let line = &lines[0];
            assert_eq!(line["already_there"], true, "{arguments:?}: {line}");
            assert_eq!((&line["path"], &line["size"]), (&"same".into(), &16.into()), "{line}");
            let moved = if command == "get" { &line["received"] } else { &line["sent"] };
            assert_eq!(*moved, 0, "{line}");
            let hash = blake3::hash(b"the same content").to_hex();
            assert_eq!(line["blake3"], hash.as_str(), "{line}");
        }
    }
    let pattern = run(&home, &server, &["get", "sam*"]).await;
    let expected = "same: already there\n0 files received, 1 already there\n";
    assert_eq!(pattern.expect(0).stderr, expected);
    assert_eq!(both.each_ref().map(|path| identity(path)), before);
    assert_eq!(home.names(), ["differs", "same"]);
    assert_eq!(server.stored_names(), ["differs", "new", "same"]);
}

#[tokio::test]
async fn an_empty_file_is_already_there_too() {
    let (server, home) = (start_server().await, Home::new());
    server.add_file("empty", "");
    fs::write(home.file("empty"), "").unwrap();
    for command in ["get", "put"] {
        for options in OPTIONS {
            let arguments = [&[command, "empty"], options].concat();
            let output = run(&home, &server, &arguments).await;
            let stderr = &output.expect(0).stderr;
            assert!(stderr.starts_with("empty: already there\n"), "{arguments:?}: {stderr}");
        }
    }
}

#[tokio::test]
async fn of_several_files_only_the_one_that_differs_fails() {
    for (command, exists, is_get) in [
        ("get", "error: differs exists already\n", true),
        ("put", "error: cannot put differs: ", false),
    ] {
        let (server, home) = prepare(is_get).await;
        let arguments = [command, "same", "differs", "new"];
        let output = run(&home, &server, &arguments).await;
        let stderr = &output.expect(10).stderr;
        assert!(stderr.contains(exists), "{stderr}");
        assert!(stderr.contains("same: already there\n"), "{stderr}");
        assert!(stderr.contains("new: 3 B "), "{stderr}");
        assert!(stderr.contains("error: 1 of 3 files were not "), "{stderr}");
        assert_eq!(fs::read(home.file("differs")).unwrap(), b"the client's content");
        assert_eq!(fs::read(server.files().join("differs")).unwrap(), b"the server's content");
        assert!(home.file("new").exists() && server.files().join("new").exists());
        // With --overwrite only that one is moved.
        let json =
            run(&home, &server, &[&arguments[..], &["--overwrite", "--json"]].concat()).await;
        let mut lines = parse_lines(json.expect(0));
        lines.sort_by_key(|line| line["path"].as_str().unwrap().to_owned());
        let there: Vec<_> = lines.iter().map(|line| line["already_there"].clone()).collect();
        assert_eq!(there, [false, true, true], "{lines:?}");
        // One file that differs is an error of its own kind.
        fs::write(home.file("differs"), "of another size").unwrap();
        run(&home, &server, &[command, "differs"]).await.expect(1);
        assert_eq!(fs::read(home.file("differs")).unwrap(), b"of another size");
    }
}

#[tokio::test]
async fn a_person_is_asked_only_about_the_file_that_differs() {
    for (command, is_get, question) in [
        ("get", true, "differs exists already. Replace it? [y/N]"),
        ("put", false, "differs exists on the server already. Replace it? [y/N]"),
    ] {
        for (answer, code) in [("n", 10), ("y", 0)] {
            let (server, home) = prepare(is_get).await;
            let arguments = [command, "same", "differs", "new"];
            let mut terminal = home.quiver_as(&server, "Ron", arguments).start_at_terminal();
            terminal.wait_for_end(question);
            assert_eq!(terminal.contents().matches("[y/N]").count(), 1);
            terminal.type_line(answer);
            let exit = terminal.wait_for_exit().exit_code();
            assert_eq!(exit, code, "{command} {answer}: {}", terminal.contents());
            let [local, remote] = [home.file("differs"), server.files().join("differs")]
                .map(|path| fs::read(path).unwrap());
            assert_eq!(local == remote, answer == "y", "{command} {answer}");
            assert!(home.file("new").exists() && server.files().join("new").exists());
        }
    }
}

#[tokio::test]
async fn the_prompt_and_piped_commands_say_that_a_file_is_already_there() {
    let (server, home) = prepare(true).await;
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    for line in ["get same", "put same", "get same --overwrite", "put same --overwrite"] {
        assert_eq!(ron.enter(line), "same: already there", "{line}");
    }
    assert_eq!(ron.enter("get new"), "File received successfully.");
    ron.exit();
    let piped = home.quiver_as(&server, "Ben", Vec::<&str>::new());
    let output = piped.run_with_input("get same\nput same\n").await;
    assert_eq!(output.expect(0).stderr.matches("same: already there\n").count(), 2);
}

#[tokio::test]
async fn a_file_that_is_already_there_is_no_unfinished_transfer() {
    let (server, home) = (start_server().await, Home::new());
    let content = vec![7; 3_000_000];
    server.add_file("big", &content);
    let mut get = home.quiver_as(&server, "Ron", ["get", "big", "--limit", "500KB/s"]).start();
    wait_until("a partial file", || home.partial_length() > 0).await;
    get.signal(Signal::KILL);
    get.wait_for_exit(TIMEOUT).await;
    assert_eq!(home.journal().len(), 1);
    fs::write(home.file("big"), &content).unwrap();
    let output = run(&home, &server, &["resume"]).await;
    assert!(output.expect(0).stderr.contains("big: already there\n"), "{}", output.stderr);
    assert_eq!((home.names(), home.journal().len()), (vec!["big".to_owned()], 0));
}
