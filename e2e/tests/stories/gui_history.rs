//! Conversations that the page keeps on this computer: over restarts, of one name on one server, off, and cleared.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;

use quiver_client::settings::PathPolicy;
use quiver_e2e::process::Signal;
use quiver_e2e::{Home, LibraryClient, PageProgram, PageSocket, Server, TIMEOUT, wait_within};
use quiver_protocol::ClientName;
use serde_json::{Value, json};

/// Opens a page that has signed in, and that other clients can reach.
async fn open(home: &Home, server: &Server, name: &str) -> (PageProgram, PageSocket) {
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let mut socket = page.open().await;
    sign_in(&mut socket, server, name).await;
    (page, socket)
}

async fn sign_in(socket: &mut PageSocket, server: &Server, name: &str) {
    let request = json!({
        "do": "connect",
        "server": server.address().to_string(),
        "name": name,
        "certificate": server.certificate(),
    });
    let id = socket.start_request(request).await;
    let is_listening = |event: &Value| event["connection"]["listening"] == true;
    socket.wait_for_event("connection", is_listening).await;
    socket.wait_for_reply(id).await.unwrap();
}

/// Ends the process at once, as after a loss of power.
async fn kill(mut page: PageProgram) {
    page.process.signal(Signal::KILL);
    page.process.wait_for_exit(TIMEOUT).await;
}

async fn say(socket: &mut PageSocket, to: &str, text: &str) -> Value {
    let said = socket.request(json!({"do": "say", "to": to, "text": text})).await.unwrap();
    said["message"].clone()
}

/// Number, text and state of the messages of a conversation.
async fn messages(socket: &mut PageSocket, with: &str) -> Vec<(u64, String, Value)> {
    let request = json!({"do": "messages", "with": with, "limit": 100});
    let page = socket.request(request).await.unwrap();
    assert_eq!(page["more"], false);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let messages = page["messages"].as_array().unwrap().iter();
    messages
        .map(|message| {
            (message["number"].as_u64().unwrap(), text(&message["text"]), message["state"].clone())
        })
        .collect()
}

/// The unread messages of each conversation, in the next snapshot.
async fn unread(socket: &mut PageSocket) -> Vec<(String, u64)> {
    let snapshot = socket.snapshot().await;
    let conversations = snapshot["conversations"].as_array().unwrap().iter();
    conversations
        .map(|view| (view["with"].as_str().unwrap().to_owned(), view["unread"].as_u64().unwrap()))
        .collect()
}

/// Sends a message, again while the connection with a killed process is not known to be lost.
async fn tell(from: &LibraryClient, to: &str, text: &str) {
    let to = ClientName::parse(to).unwrap();
    let told = async { while from.client.tell(&to, text).await.is_err() {} };
    wait_within(TIMEOUT, "a delivered message", told).await;
}

async fn wait_for_text(socket: &mut PageSocket, text: &str) -> Value {
    let has_text =
        |event: &Value| event["message"]["text"] == text && event["message"]["state"] != "sending";
    socket.wait_for_event("message", has_text).await["message"].take()
}

/// Whether the database of this user contains a text.
fn database_contains(home: &Home, text: &str) -> bool {
    let content = fs::read(home.root().join("state/quiver/peers.db")).unwrap();
    content.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn conversations_and_unread_marks_survive_a_killed_process() {
    let server = Server::start().await;
    let home = Home::new();
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::Any).await;
    let (page, mut socket) = open(&home, &server, "Ann").await;
    assert_eq!(say(&mut socket, "server", "Hello").await["answer"], "Hello ACK");
    assert_eq!(say(&mut socket, "Ben", "first").await["state"], "delivered");
    assert_eq!(say(&mut socket, "Zoe", "nobody").await["state"], "not_delivered");
    for (number, text) in [(2, "second"), (3, "third")] {
        tell(&ben, "Ann", text).await;
        assert_eq!(wait_for_text(&mut socket, text).await["number"], number);
    }
    kill(page).await;
    let (page, mut socket) = open(&home, &server, "Ann").await;
    let first = [
        (1, "first".to_owned(), json!("delivered")),
        (2, "second".to_owned(), Value::Null),
        (3, "third".to_owned(), Value::Null),
    ];
    assert_eq!(messages(&mut socket, "ben").await, first);
    let hello = (1, "Hello".to_owned(), json!("acknowledged"));
    assert_eq!(messages(&mut socket, "server").await, [hello]);
    let nobody = (1, "nobody".to_owned(), json!("not_delivered"));
    assert_eq!(messages(&mut socket, "Zoe").await, [nobody]);
    // Numbers go on, and the unread ones count with those of before.
    tell(&ben, "Ann", "fourth").await;
    assert_eq!(wait_for_text(&mut socket, "fourth").await["number"], 4);
    let is_unread = |event: &Value| event["conversation"]["unread"] == 3;
    socket.wait_for_event("conversation", is_unread).await;
    socket.request(json!({"do": "mark_read", "with": "Ben"})).await.unwrap();
    kill(page).await;
    let (_page, mut socket) = open(&home, &server, "Ann").await;
    tell(&ben, "Ann", "fifth").await;
    let is_ben = |event: &Value| event["conversation"]["with"] == "Ben";
    let event = socket.wait_for_event("conversation", is_ben).await;
    assert_eq!(event["conversation"]["unread"], 1);
    let older = json!({"do": "messages", "with": "Ben", "before": 4, "limit": 2});
    let older = socket.request(older).await.unwrap();
    assert_eq!((&older["messages"][0]["text"], &older["more"]), (&json!("second"), &json!(true)));
}

#[tokio::test]
async fn a_page_gets_the_kept_conversations_with_the_snapshot_after_the_sign_in() {
    let server = Server::start().await;
    let home = Home::new();
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::Any).await;
    let (page, mut socket) = open(&home, &server, "Ann").await;
    tell(&ben, "Ann", "unread").await;
    wait_for_text(&mut socket, "unread").await;
    kill(page).await;
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let mut socket = page.open().await;
    assert_eq!(unread(&mut socket).await, []);
    let request = json!({
        "do": "connect",
        "server": server.address().to_string(),
        "name": "Ann",
        "certificate": server.certificate(),
    });
    let id = socket.start_request(request).await;
    assert_eq!(unread(&mut socket).await, [("Ben".to_owned(), 1)]);
    socket.wait_for_reply(id).await.unwrap();
}

#[tokio::test]
async fn another_name_has_conversations_of_its_own() {
    let server = Server::options().max_clients(4).start().await;
    let home = Home::new();
    let (_page, mut socket) = open(&home, &server, "Ann").await;
    say(&mut socket, "server", "as Ann").await;
    socket.request(json!({"do": "disconnect"})).await.unwrap();
    // Still there to be read.
    assert_eq!(messages(&mut socket, "server").await.len(), 1);
    sign_in(&mut socket, &server, "Amy").await;
    assert_eq!(messages(&mut socket, "server").await, []);
    assert_eq!(say(&mut socket, "server", "as Amy").await["number"], 1);
    socket.request(json!({"do": "disconnect"})).await.unwrap();
    sign_in(&mut socket, &server, "Ann").await;
    assert_eq!(messages(&mut socket, "server").await[0].1, "as Ann");
}

#[tokio::test]
async fn conversations_that_are_not_kept_end_with_the_process_and_kept_ones_stay() {
    let server = Server::start().await;
    let home = Home::new();
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::Any).await;
    let (page, mut socket) = open(&home, &server, "Ann").await;
    say(&mut socket, "Ben", "kept one").await;
    let off = json!({"do": "settings", "change": {"history": false}});
    socket.request(off).await.unwrap();
    let says_so = |event: &Value| event["text"].as_str().unwrap().contains("stay on this computer");
    socket.wait_for_event("notice", says_so).await;
    assert_eq!(say(&mut socket, "Ben", "secret one").await["number"], 2);
    tell(&ben, "Ann", "secret two").await;
    assert_eq!(wait_for_text(&mut socket, "secret two").await["number"], 3);
    let texts: Vec<_> =
        messages(&mut socket, "Ben").await.into_iter().map(|(_, text, _)| text).collect();
    assert_eq!(texts, ["kept one", "secret one", "secret two"]);
    let on = json!({"do": "settings", "change": {"history": true}});
    socket.request(on).await.unwrap();
    assert_eq!(say(&mut socket, "Ben", "kept two").await["number"], 4);
    tell(&ben, "Ann", "kept three").await;
    assert_eq!(wait_for_text(&mut socket, "kept three").await["number"], 5);
    assert!(!database_contains(&home, "secret") && database_contains(&home, "kept"));
    socket.request(json!({"do": "settings", "change": {"history": false}})).await.unwrap();
    kill(page).await;
    let (_page, mut socket) = open(&home, &server, "Ann").await;
    let numbers: Vec<_> =
        messages(&mut socket, "Ben").await.into_iter().map(|(number, ..)| number).collect();
    assert_eq!(numbers, [1, 4, 5]);
    // The setting is kept, too.
    say(&mut socket, "Ben", "secret three").await;
    assert!(!database_contains(&home, "secret"));
}

#[tokio::test]
async fn cleared_conversations_are_gone_from_the_disk() {
    let server = Server::start().await;
    let home = Home::new();
    let _ben = LibraryClient::connect(&server, "Ben", PathPolicy::Any).await;
    let (page, mut socket) = open(&home, &server, "Ann").await;
    say(&mut socket, "Ben", "to Ben only").await;
    say(&mut socket, "server", "to the server").await;
    assert!(database_contains(&home, "to Ben only") && database_contains(&home, "to the server"));
    socket.request(json!({"do": "clear_history", "with": "Ben"})).await.unwrap();
    let cleared = socket.wait_for_event("history_cleared", |_| true).await;
    assert_eq!(cleared["with"], "Ben");
    assert!(!database_contains(&home, "to Ben only") && database_contains(&home, "to the server"));
    assert_eq!(messages(&mut socket, "Ben").await, []);
    assert_eq!(messages(&mut socket, "server").await.len(), 1);
    // Without a client, too.
    kill(page).await;
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let mut socket = page.open().await;
    socket.request(json!({"do": "clear_history"})).await.unwrap();
    assert!(!database_contains(&home, "to the server"));
    sign_in(&mut socket, &server, "Ann").await;
    assert_eq!(messages(&mut socket, "server").await, []);
}

#[tokio::test]
async fn other_programs_of_the_same_person_use_the_database_meanwhile() {
    let server = Server::options().max_clients(4).start().await;
    let home = Home::new();
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::Any).await;
    let (_page, mut socket) = open(&home, &server, "Ann").await;
    let certificate = server.certificate();
    let tell_as_amy = async {
        for number in 0..3 {
            let address = server.address().to_string();
            let text = format!("from a command {number}");
            let arguments = ["--server", &address, "--cert", certificate.to_str().unwrap()];
            let command =
                home.quiver(arguments.iter().chain(&["--name", "Amy", "tell", "Ben", &text]));
            let told = quiver_e2e::quiver::finish(command.start()).await;
            told.expect(0);
        }
    };
    let write = async {
        for number in 0..10 {
            assert_eq!(say(&mut socket, "Ben", &number.to_string()).await["state"], "delivered");
            tell(&ben, "Ann", &format!("re {number}")).await;
        }
    };
    tokio::join!(tell_as_amy, write);
    wait_for_text(&mut socket, "re 9").await;
    let numbers: Vec<_> =
        messages(&mut socket, "Ben").await.into_iter().map(|(number, ..)| number).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    // Only what the page itself has sent and received.
    assert!(!database_contains(&home, "from a command"));
}
