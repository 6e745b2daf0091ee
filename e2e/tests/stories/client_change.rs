//! `quiver rm`, `mv` and `mkdir` with a real server.

use std::fs;

use quiver_e2e::process::ProgramOutput;
use quiver_e2e::quiver::names;
use quiver_e2e::{Home, PromptUser, Server};
use serde_json::{Value, json};

async fn server() -> Server {
    Server::options().argument("--allow-upload").start().await
}

async fn quiver(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", arguments).run().await
}

#[tokio::test]
async fn rm_removes_files_and_empty_folders() {
    let server = server().await;
    for path in ["a", "b", "notes/c"] {
        server.add_file(path, "content");
    }
    fs::create_dir(server.files().join("empty")).unwrap();
    let home = Home::new();
    let refused = quiver(&home, &server, &["rm", "a"]).await;
    assert!(refused.expect(2).stderr.contains("hint: --yes"), "{}", refused.stderr);
    let removed = quiver(&home, &server, &["rm", "a", "empty/", "--yes"]).await;
    assert_eq!(removed.expect(0).stderr, "a: removed\nempty: removed\nRemoved 2 paths.\n");
    let partly = quiver(&home, &server, &["rm", "b", "notes", "missing", "--yes", "--json"]).await;
    let object: Value = serde_json::from_str(&partly.expect(10).stdout).unwrap();
    assert_eq!(object, json!({"removed": "b"}));
    let hint = "remove its files and folders first";
    assert!(partly.stderr.contains(hint), "{}", partly.stderr);
    assert!(partly.stderr.contains("2 of 3 paths were not removed"), "{}", partly.stderr);
    assert_eq!(names(&server.files()), ["notes"]);
}

#[tokio::test]
async fn mv_renames_files_and_folders() {
    let server = server().await;
    for path in ["a", "b", "notes/c"] {
        server.add_file(path, path);
    }
    let home = Home::new();
    let moved = quiver(&home, &server, &["mv", "a", "d", "--json"]).await;
    let object: Value = serde_json::from_str(&moved.expect(0).stdout).unwrap();
    assert_eq!(object, json!({"from": "a", "to": "d"}));
    let refused = quiver(&home, &server, &["mv", "d", "b"]).await;
    assert!(refused.expect(1).stderr.contains("hint: --overwrite"), "{}", refused.stderr);
    quiver(&home, &server, &["mv", "d", "b", "--overwrite"]).await.expect(0);
    // Into an existing folder, without a slash and with one.
    let into = quiver(&home, &server, &["mv", "b", "notes"]).await;
    assert_eq!(into.expect(0).stderr, "b is now notes/b\n");
    quiver(&home, &server, &["mv", "notes/b", "notes/old"]).await.expect(0);
    quiver(&home, &server, &["mkdir", "other"]).await.expect(0);
    quiver(&home, &server, &["mv", "notes/", "other/"]).await.expect(0);
    assert_eq!(fs::read_to_string(server.files().join("other/notes/old")).unwrap(), "a");
    assert_eq!(quiver(&home, &server, &["mv", "missing", "x"]).await.code(), 7);
    assert_eq!(names(&server.files()), ["other"]);
}

#[tokio::test]
async fn mkdir_creates_a_folder_and_its_parents() {
    let server = server().await;
    let home = Home::new();
    let made = quiver(&home, &server, &["mkdir", "a/b/c", "d"]).await;
    assert_eq!(made.expect(0).stderr, "a/b/c: made\nd: made\nMade 2 folders.\n");
    assert!(server.files().join("a/b/c").is_dir());
    let again = quiver(&home, &server, &["mkdir", "d"]).await;
    assert!(again.expect(1).stderr.contains("it already exists"), "{}", again.stderr);
    let parents = quiver(&home, &server, &["mkdir", "-p", "d", "--json"]).await;
    let object: Value = serde_json::from_str(&parents.expect(0).stdout).unwrap();
    assert_eq!(object, json!({"path": "d", "created": false}));
}

#[tokio::test]
async fn the_prompt_asks_before_it_removes_a_file() {
    let server = server().await;
    server.add_file("a.txt", "content");
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    for (answer, expected) in [("n", "Nothing was removed."), ("y", "a.txt: removed")] {
        ron.terminal.type_line("rm a.txt");
        ron.terminal.wait_for_end("Remove a.txt from the server? [y/N]");
        ron.press(&format!("{answer}\r"));
        ron.terminal.wait_for(expected);
        assert_eq!(server.files().join("a.txt").exists(), answer == "n");
    }
    assert!(names(&server.files()).is_empty());
    assert_eq!(ron.enter("mkdir notes"), "notes: made");
    assert_eq!(ron.enter("mv notes old"), "notes is now old");
    ron.exit();
    // Commands from a pipe are refused without --yes, because the client cannot ask.
    server.add_file("b", "content");
    let batch = home.quiver_as(&server, "Ron", [""; 0]);
    batch.run_with_input("rm b\n").await.expect(2);
    batch.run_with_input("rm b --yes\nmkdir c\n").await.expect(0);
    assert_eq!(names(&server.files()), ["c", "old"]);
}
