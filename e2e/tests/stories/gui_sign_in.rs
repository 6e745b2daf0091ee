//! The page signs in and out: first use, changed keys, passwords, busy servers, lost connections, several tabs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use quiver_client::settings::PathPolicy;
use quiver_e2e::{Home, LibraryClient, PageProgram, PageSocket, Server};
use serde_json::{Value, json};

/// Starts the program, and opens its page. The snapshot is read.
async fn open(home: &Home) -> (PageProgram, PageSocket) {
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let mut socket = page.open().await;
    let snapshot = socket.snapshot().await;
    assert_eq!(snapshot["connection"]["state"], "signed_out");
    (page, socket)
}

fn connect(server: &Server, name: &str) -> Value {
    json!({
        "do": "connect",
        "server": server.address().to_string(),
        "name": name,
        "certificate": server.certificate(),
    })
}

async fn wait_for_state(socket: &mut PageSocket, state: &str) -> Value {
    let mut event =
        socket.wait_for_event("connection", |event| event["connection"]["state"] == state).await;
    event["connection"].take()
}

#[tokio::test]
async fn a_page_signs_in_and_out_and_remembers_the_server() {
    let server = Server::start().await;
    let home = Home::new();
    let (_page, mut socket) = open(&home).await;
    assert_eq!(socket.request(connect(&server, "Ann")).await, Ok(json!({})));
    let connection = wait_for_state(&mut socket, "connected").await;
    assert_eq!(connection["name"], "Ann");
    assert_eq!(connection["number"], 1);
    assert_eq!(connection["fingerprint"], server.fingerprint());
    let is_listening = |event: &Value| event["connection"]["listening"] == true;
    socket.wait_for_event("connection", is_listening).await;
    let error = socket.request(connect(&server, "Ben")).await.unwrap_err();
    assert_eq!(error["code"], "invalid_request");
    assert_eq!(socket.request(json!({"do": "disconnect"})).await, Ok(json!({})));
    let snapshot = socket.snapshot().await;
    assert_eq!(snapshot["connection"]["state"], "signed_out");
    assert_eq!(snapshot["recent"][0]["server"], server.address().to_string());
    assert_eq!(snapshot["recent"][0]["name"], "Ann");
    let saved = home.root().join("state/quiver/page.json");
    assert_eq!(fs::metadata(saved).unwrap().permissions().mode() & 0o777, 0o600);
    // The slot is free again, and the same process can sign in again.
    assert_eq!(socket.request(connect(&server, "Ann")).await, Ok(json!({})));
}

#[tokio::test]
async fn who_signs_out_stays_signed_out() {
    let server = Server::start().await;
    let home = Home::new();
    let (_page, mut socket) = open(&home).await;
    for _ in 0..8 {
        socket.request(connect(&server, "Ann")).await.unwrap();
        socket.request(json!({"do": "disconnect"})).await.unwrap();
        socket.snapshot().await;
        let error = socket.request(json!({"do": "disconnect"})).await.unwrap_err();
        assert_eq!(error["code"], "invalid_request");
        // The connection is lost too, which is no reason to connect again.
        while let Some(event) = socket.received_event() {
            assert_ne!(event["kind"], "connection", "{event}");
        }
    }
}

#[tokio::test]
async fn a_new_tab_gets_a_snapshot_and_all_tabs_the_same_events() {
    let server = Server::start().await;
    let home = Home::new();
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let secret = page.secret().await;
    let mut first = PageSocket::open(page.address(), &secret).await;
    first.request(connect(&server, "Ann")).await.unwrap();
    let mut second = PageSocket::open(page.address(), &secret).await;
    let event = second.next_event().await;
    assert_eq!(event["kind"], "snapshot");
    assert_eq!(event["snapshot"]["connection"]["state"], "connected");
    let last = event["event"].as_u64().unwrap();
    second.request(json!({"do": "settings", "change": {"announce": false}})).await.unwrap();
    for socket in [&mut first, &mut second] {
        let event = socket.wait_for_event("settings", |_| true).await;
        assert_eq!(event["settings"]["announce"], false);
    }
    // A page that was cut off.
    drop(second);
    first.request(json!({"do": "say", "to": "server", "text": "Hello"})).await.unwrap();
    let mut again = PageSocket::connect(page.address()).await;
    again.send(&json!({"secret": secret, "after": last})).await;
    let event = again.next_event().await;
    assert_eq!(event["kind"], "snapshot");
    assert!(event["event"].as_u64().unwrap() > last, "{event}");
    let conversations = &event["snapshot"]["conversations"];
    assert_eq!(conversations[0]["last"]["answer"], "Hello ACK");
    // The next event has the next number.
    let number = event["event"].as_u64().unwrap();
    first.request(json!({"do": "settings", "change": {"announce": true}})).await.unwrap();
    assert_eq!(again.next_event().await["event"], number + 1);
}

#[tokio::test]
async fn an_unknown_server_is_trusted_once_and_a_changed_key_is_refused() {
    let mut server = Server::start().await;
    let home = Home::new();
    let (_page, mut socket) = open(&home).await;
    let request = json!({"do": "connect", "server": server.address().to_string(), "name": "Ann"});
    let id = socket.start_request(request.clone()).await;
    let question = socket.wait_for_event("question", |_| true).await["question"].take();
    assert_eq!(question["kind"], "trust");
    assert_eq!(question["fingerprint"], server.fingerprint());
    let answer = |trust| json!({"do": "answer", "question": question["question"], "answer": trust});
    let wrong = socket.request(answer(json!({"password": "a"}))).await.unwrap_err();
    assert_eq!(wrong["code"], "invalid_request");
    socket.request(answer(json!({"trust": true}))).await.unwrap();
    assert_eq!(socket.wait_for_reply(id).await, Ok(json!({})));
    socket.request(json!({"do": "disconnect"})).await.unwrap();
    fs::remove_dir_all(server.root().join("certs")).unwrap();
    server.restart().await;
    let error = socket.request(request).await.unwrap_err();
    assert_eq!(error["code"], "untrusted");
    assert_eq!(error["presented"], server.fingerprint());
    assert_ne!(error["known"][0], error["presented"]);
    let place = format!("{}:1", home.known_servers().display());
    assert_eq!(error["remembered_in"], place);
    let expired = socket.request(answer(json!({"trust": true}))).await.unwrap_err();
    assert_eq!(expired["code"], "expired");
}

#[tokio::test]
async fn a_wrong_password_is_asked_for_again() {
    let server = Server::options().account("Ann", "opensesame").start().await;
    let home = Home::new();
    let (page, mut socket) = open(&home).await;
    let id = socket.start_request(connect(&server, "Ann")).await;
    let mut last = 0;
    for password in ["wrong", "opensesame"] {
        let is_new = |event: &Value| event["question"]["question"].as_u64() > Some(last);
        let question = socket.wait_for_event("question", is_new).await["question"].take();
        assert_eq!(question["kind"], "password");
        let (number, answer) = (&question["question"], json!({"password": password}));
        last = number.as_u64().unwrap();
        let answer = json!({"do": "answer", "question": number, "answer": answer});
        socket.request(answer).await.unwrap();
    }
    assert_eq!(socket.wait_for_reply(id).await, Ok(json!({})));
    let log = page.process.stderr.lines().join("\n");
    assert!(!log.contains("opensesame"), "{log}");
}

#[tokio::test]
async fn a_page_enters_a_busy_server_when_a_slot_is_free() {
    let server = Server::options().max_clients(1).start().await;
    let other = LibraryClient::connect(&server, "Ben", PathPolicy::Any).await;
    let home = Home::new();
    let (_page, mut socket) = open(&home).await;
    let error = socket.request(connect(&server, "Ann")).await.unwrap_err();
    assert_eq!(error["code"], "busy");
    socket.request(json!({"do": "settings", "change": {"wait_for_slot": true}})).await.unwrap();
    let id = socket.start_request(connect(&server, "Ann")).await;
    let is_waiting = |event: &Value| {
        event["connection"]["state"] == "connecting"
            && event["connection"]["failure"]["code"] == "busy"
    };
    socket.wait_for_event("connection", is_waiting).await;
    other.client.disconnect().await;
    other.client.shut_down().await;
    assert_eq!(socket.wait_for_reply(id).await, Ok(json!({})));
}

#[tokio::test]
async fn waiting_for_a_slot_can_be_given_up() {
    let server = Server::options().max_clients(1).start().await;
    let _other = LibraryClient::connect(&server, "Ben", PathPolicy::Any).await;
    let home = Home::new();
    let (_page, mut socket) = open(&home).await;
    socket.request(json!({"do": "settings", "change": {"wait_for_slot": true}})).await.unwrap();
    let id = socket.start_request(connect(&server, "Ann")).await;
    let is_busy = |event: &Value| event["connection"]["failure"]["code"] == "busy";
    socket.wait_for_event("connection", is_busy).await;
    socket.request(json!({"do": "disconnect"})).await.unwrap();
    assert_eq!(socket.wait_for_reply(id).await.unwrap_err()["code"], "interrupted");
}

#[tokio::test]
async fn a_page_reconnects_by_itself_when_the_server_is_back() {
    let mut server = Server::start().await;
    let home = Home::new();
    let (_page, mut socket) = open(&home).await;
    socket.request(connect(&server, "Ann")).await.unwrap();
    wait_for_state(&mut socket, "connected").await;
    server.restart().await;
    let lost = wait_for_state(&mut socket, "reconnecting").await;
    assert_eq!(lost["failure"]["code"], "connection");
    let connected = wait_for_state(&mut socket, "connected").await;
    assert_eq!(connected["failure"], Value::Null);
    let say = json!({"do": "say", "to": "server", "text": "Hello"});
    assert_eq!(socket.request(say).await.unwrap()["message"]["answer"], "Hello ACK");
}

#[tokio::test]
async fn what_cannot_be_an_address_or_a_name_is_refused_at_once() {
    let server = Server::start().await;
    let home = Home::new();
    let (_page, mut socket) = open(&home).await;
    let valid = server.address().to_string();
    for (address, name) in [("", "Ann"), ("a b", "Ann"), (valid.as_str(), "a b")] {
        let request = json!({"do": "connect", "server": address, "name": name});
        let error = socket.request(request).await.unwrap_err();
        assert_eq!(error["code"], "invalid_request", "{error}");
    }
}
