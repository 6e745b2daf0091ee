//! The server's files on the page: lists, changes, and transfers by path.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;

use quiver_e2e::{Home, PageProgram, PageSocket, Server};
use serde_json::{Value, json};

/// Opens a page that has signed in as Ann.
async fn open(home: &Home, server: &Server) -> (PageProgram, PageSocket) {
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let mut socket = page.open().await;
    let request = json!({
        "do": "connect",
        "server": server.address().to_string(),
        "name": "Ann",
        "certificate": server.certificate(),
    });
    socket.request(request).await.unwrap();
    (page, socket)
}

fn names(reply: &Value) -> Vec<&str> {
    reply["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect()
}

/// Waits until a transfer has this state.
async fn wait_for_transfer(socket: &mut PageSocket, transfer: &Value, state: &str) -> Value {
    let find = |event: &Value| {
        let transfers = event["transfers"].as_array().unwrap();
        let is_found = |view: &&Value| view["transfer"] == *transfer && view["state"] == state;
        transfers.iter().find(is_found).cloned()
    };
    let event = socket.wait_for_event("transfers", |event| find(event).is_some()).await;
    find(&event).unwrap()
}

#[tokio::test]
async fn a_folder_is_listed_in_pages() {
    let server = Server::start().await;
    for name in ["a.txt", "b.txt", "c.txt", "notes/d.txt", "not\\served"] {
        server.add_file(name, "content");
    }
    let home = Home::new();
    let (_page, mut socket) = open(&home, &server).await;
    let first = socket.request(json!({"do": "list", "folder": "", "limit": 2})).await.unwrap();
    assert_eq!((names(&first), &first["more"]), (vec!["a.txt", "b.txt"], &json!(true)));
    let rest = json!({"do": "list", "folder": "", "after": "b.txt", "limit": 2});
    let rest = socket.request(rest).await.unwrap();
    assert_eq!((names(&rest), &rest["more"]), (vec!["c.txt", "notes"], &json!(false)));
    assert_eq!(rest["entries"][1]["kind"], "folder");
    assert_eq!(rest["entries"][0]["size"], 7);
    assert!(rest["partial_note"].as_str().unwrap().starts_with("1 entry"), "{rest}");
    let below = socket.request(json!({"do": "list", "folder": "notes", "limit": 9})).await.unwrap();
    assert_eq!(below["entries"][0]["path"], "notes/d.txt");
    let none = json!({"do": "list", "folder": "none", "limit": 9});
    assert_eq!(socket.request(none).await.unwrap_err()["code"], "not_found");
    let invalid = json!({"do": "list", "folder": "../etc", "limit": 9});
    assert!(socket.request(invalid).await.is_err());
}

#[tokio::test]
async fn files_of_this_computer_are_listed_below_the_home_folder_only() {
    let server = Server::start().await;
    let home = Home::new();
    let (_page, mut socket) = open(&home, &server).await;
    fs::create_dir_all(home.file("docs/deep")).unwrap();
    fs::write(home.file("docs/b.txt"), "content").unwrap();
    let top = socket.request(json!({"do": "list_local", "folder": "", "limit": 99})).await.unwrap();
    assert!(names(&top).contains(&"work"), "{top}");
    assert_eq!(top["parent"], Value::Null);
    let docs = home.file("docs");
    let below = json!({"do": "list_local", "folder": docs, "limit": 1});
    let below = socket.request(below).await.unwrap();
    assert_eq!((names(&below), &below["more"]), (vec!["b.txt"], &json!(true)));
    let entry = &below["entries"][0];
    assert_eq!((&entry["size"], &entry["kind"]), (&json!(7), &json!("file")));
    assert_eq!(below["parent"], top["entries"].as_array().unwrap().last().unwrap()["path"]);
    let rest = json!({"do": "list_local", "folder": docs, "after": "b.txt", "limit": 1});
    assert_eq!(names(&socket.request(rest).await.unwrap()), ["deep"]);
    for (folder, code) in [("/", "invalid_request"), ("docs", "invalid_request")] {
        let refused = json!({"do": "list_local", "folder": folder, "limit": 1});
        assert_eq!(socket.request(refused).await.unwrap_err()["code"], code);
    }
    let missing = json!({"do": "list_local", "folder": home.file("none"), "limit": 1});
    assert_eq!(socket.request(missing).await.unwrap_err()["code"], "not_found");
}

#[tokio::test]
async fn files_are_fetched_by_path_and_only_below_the_home_folder() {
    let server = Server::start().await;
    server.add_file("notes/a.txt", "content");
    let home = Home::new();
    let (_page, mut socket) = open(&home, &server).await;
    let folder = home.folder();
    let get = |folder: &str| json!({"do": "get", "paths": ["notes"], "folder": folder, "on_conflict": "ask"});
    for outside in ["/tmp", "work", &format!("{}/../x", folder.display())] {
        let error = socket.request(get(outside)).await.unwrap_err();
        assert_eq!(error["code"], "invalid_request", "{outside}");
    }
    let started = socket.request(get(folder.to_str().unwrap())).await.unwrap();
    let transfer = &started["transfer"];
    let done = wait_for_transfer(&mut socket, transfer, "done").await;
    assert_eq!(fs::read_to_string(home.file("notes/a.txt")).unwrap(), "content");
    assert_eq!((&done["verified"], &done["files_done"]), (&json!(7), &json!(1)));
    assert_eq!((&done["direction"], &done["path"]), (&json!("download"), &json!("server")));
    let command = done["command"].as_str().unwrap();
    assert!(command.ends_with(&format!("--output {} -- notes", folder.display())), "{command}");
    let files = json!({"do": "transfer_files", "transfer": transfer, "after": 0, "limit": 10});
    let files = socket.request(files).await.unwrap();
    let files = files["files"].as_array().unwrap();
    let file = files.iter().find(|file| file["source"] == "notes/a.txt").unwrap();
    assert_eq!((&file["state"], &file["size"]), (&json!("done"), &json!(7)));
    socket.request(json!({"do": "remove_transfer", "transfer": transfer})).await.unwrap();
    let is_gone = |event: &Value| event["gone"][0] == *transfer;
    socket.wait_for_event("transfers", is_gone).await;
    let cancel = json!({"do": "cancel", "transfer": transfer});
    assert_eq!(socket.request(cancel).await.unwrap_err()["code"], "not_found");
    let other = json!({"do": "pause", "transfer": "1:1"});
    assert_eq!(socket.request(other).await.unwrap_err()["code"], "not_found");
}

#[tokio::test]
async fn the_command_of_a_transfer_does_the_same() {
    let server = Server::start().await;
    server.add_file("it's here.txt", "content");
    let home = Home::new();
    let (_page, mut socket) = open(&home, &server).await;
    let get = json!({
        "do": "get", "paths": ["it's here.txt"], "folder": home.folder(), "on_conflict": "replace",
    });
    let started = socket.request(get).await.unwrap();
    let done = wait_for_transfer(&mut socket, &started["transfer"], "done").await;
    let stored = home.file("it's here.txt");
    fs::remove_file(&stored).unwrap();
    socket.request(json!({"do": "disconnect"})).await.unwrap();
    let command = done["command"].as_str().unwrap();
    let mut shell = home.quiver([""; 0]).command();
    let quiver = shell.get_program().to_owned();
    let arguments = command.strip_prefix("quiver ").unwrap();
    shell = {
        let mut wrapped = std::process::Command::new("sh");
        wrapped.arg("-c").arg(format!("\"$QUIVER\" {arguments}")).env("QUIVER", quiver);
        for (name, value) in shell.get_envs() {
            if let Some(value) = value {
                wrapped.env(name, value);
            }
        }
        wrapped
    };
    let output = quiver_e2e::quiver::finish(quiver_e2e::process::Process::start(&mut shell)).await;
    output.expect(0);
    assert_eq!(fs::read_to_string(&stored).unwrap(), "content");
}

#[tokio::test]
async fn files_are_stored_changed_and_removed_where_that_is_allowed() {
    let server = Server::options().argument("--allow-upload").start().await;
    let home = Home::new();
    fs::write(home.file("a.txt"), "content").unwrap();
    let (_page, mut socket) = open(&home, &server).await;
    let make = json!({"do": "make_folder", "path": "notes"});
    assert_eq!(socket.request(make.clone()).await, Ok(json!({})));
    assert_eq!(socket.request(make).await.unwrap_err()["code"], "exists");
    let put = json!({
        "do": "put", "paths": [home.file("a.txt")], "to": "notes", "on_conflict": "ask",
    });
    let started = socket.request(put).await.unwrap();
    let is_notes = |event: &Value| event["folder"] == "notes";
    socket.wait_for_event("folder_changed", is_notes).await;
    wait_for_transfer(&mut socket, &started["transfer"], "done").await;
    let rename = json!({"do": "rename", "from": "notes/a.txt", "to": "notes/b.txt"});
    socket.request(rename).await.unwrap();
    let remove = json!({"do": "remove", "paths": ["notes/b.txt", "none", "notes"]});
    let removed = socket.request(remove).await.unwrap();
    assert_eq!(removed["removed"], 2);
    assert_eq!(removed["failed"][0]["code"], "not_found");
    assert!(server.stored_names().is_empty());
}

#[tokio::test]
async fn changes_of_a_read_only_server_are_refused_with_their_own_code() {
    let server = Server::start().await;
    server.add_file("a.txt", "content");
    let home = Home::new();
    fs::write(home.file("b.txt"), "content").unwrap();
    let (_page, mut socket) = open(&home, &server).await;
    for request in [
        json!({"do": "make_folder", "path": "notes"}),
        json!({"do": "rename", "from": "a.txt", "to": "b.txt"}),
        json!({"do": "remove", "paths": ["a.txt"]}),
        json!({"do": "put", "paths": [home.file("b.txt")], "to": "", "on_conflict": "ask"}),
    ] {
        assert_eq!(
            socket.request(request.clone()).await.unwrap_err()["code"],
            "read_only",
            "{request}"
        );
    }
}

#[tokio::test]
async fn a_conflict_is_a_question_that_any_page_answers() {
    let server = Server::start().await;
    server.add_file("a.txt", "new content");
    let home = Home::new();
    fs::write(home.file("a.txt"), "old").unwrap();
    let (_page, mut socket) = open(&home, &server).await;
    let get = json!({
        "do": "get", "paths": ["a.txt"], "folder": home.folder(), "on_conflict": "ask",
    });
    let id = socket.start_request(get).await;
    let question = socket.wait_for_event("question", |_| true).await["question"].take();
    assert_eq!(question["kind"], "conflict");
    let answer = json!({
        "do": "answer",
        "question": question["question"],
        "answer": {"decision": "keep_both", "for_all": false},
    });
    socket.request(answer).await.unwrap();
    let is_settled = |event: &Value| event["question"] == question["question"];
    socket.wait_for_event("question_settled", is_settled).await;
    let started = socket.wait_for_reply(id).await.unwrap();
    wait_for_transfer(&mut socket, &started["transfer"], "done").await;
    assert_eq!(fs::read_to_string(home.file("a.txt")).unwrap(), "old");
    assert_eq!(fs::read_to_string(home.file("a (2).txt")).unwrap(), "new content");
}
