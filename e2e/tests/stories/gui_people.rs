//! Other clients on the page: who is there, messages in both directions, and offers.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;

use quiver_client::settings::PathPolicy;
use quiver_e2e::{Home, LibraryClient, PageProgram, PageSocket, Server};
use quiver_protocol::ClientName;
use serde_json::{Value, json};

/// Opens a page that has signed in, and that other clients can reach.
async fn open(home: &Home, server: &Server, name: &str) -> (PageProgram, PageSocket) {
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let mut socket = page.open().await;
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
    (page, socket)
}

/// Waits until the list of people has a person whom `wanted` accepts.
async fn wait_for_person(
    socket: &mut PageSocket,
    name: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let find = |event: &Value| {
        let people = event["people"].as_array().unwrap();
        people.iter().find(|person| person["name"] == name && wanted(person)).cloned()
    };
    let event = socket.wait_for_event("people", |event| find(event).is_some()).await;
    find(&event).unwrap()
}

#[tokio::test]
async fn people_come_and_leave_without_being_asked_for() {
    let server = Server::start().await;
    let home = Home::new();
    let (_page, mut socket) = open(&home, &server, "Ann").await;
    wait_for_person(&mut socket, "Ann", |person| person["is_self"] == true).await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::Any).await;
    let seen = wait_for_person(&mut socket, "Ben", |person| person["reachable"] == true).await;
    assert_eq!((&seen["here"], &seen["key"]), (&json!(true), &json!("new")));
    ben.client.disconnect().await;
    let left = wait_for_person(&mut socket, "Ben", |person| person["here"] == false).await;
    assert_ne!(left["until"], Value::Null);
}

#[tokio::test]
async fn messages_go_both_ways_and_count_as_unread() {
    let server = Server::start().await;
    let home = Home::new();
    let (_page, mut socket) = open(&home, &server, "Ann").await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::Any).await;
    let say = |text: &str, to: &str| json!({"do": "say", "to": to, "text": text});
    let said = socket.request(say("<b>Hello</b>", "Ben")).await.unwrap();
    assert_eq!(said["message"]["state"], "delivered");
    assert_eq!(said["message"]["with"], "Ben");
    let said = socket.request(say("Hello", "server")).await.unwrap();
    assert_eq!(said["message"]["state"], "acknowledged");
    assert_eq!(said["message"]["answer"], "Hello ACK");
    let said = socket.request(say("Hello", "Zoe")).await.unwrap();
    assert_eq!(said["message"]["state"], "not_delivered");
    assert_ne!(said["message"]["why"], Value::Null);
    let limit = 16 * 1024 - 128;
    let longest = socket.request(say(&"a".repeat(limit), "server")).await.unwrap();
    assert_eq!(longest["message"]["state"], "acknowledged");
    let long = socket.request(say(&"a".repeat(limit + 1), "server")).await.unwrap_err();
    assert_eq!(long["code"], "invalid_request");
    ben.client.tell(&ClientName::parse("Ann").unwrap(), "Hi").await.unwrap();
    let is_hi = |event: &Value| event["message"]["text"] == "Hi";
    let received = socket.wait_for_event("message", is_hi).await["message"].take();
    assert_eq!((&received["mine"], &received["number"]), (&json!(false), &json!(2)));
    let has_unread = |event: &Value| event["conversation"]["unread"] == 1;
    socket.wait_for_event("conversation", has_unread).await;
    socket.request(json!({"do": "mark_read", "with": "Ben"})).await.unwrap();
    let is_read = |event: &Value| event["conversation"]["unread"] == 0;
    socket.wait_for_event("conversation", is_read).await;
    let messages = json!({"do": "messages", "with": "ben", "limit": 1});
    let page = socket.request(messages).await.unwrap();
    assert_eq!((&page["messages"][0]["text"], &page["more"]), (&json!("Hi"), &json!(true)));
    socket.request(json!({"do": "clear_history", "with": "Ben"})).await.unwrap();
    let page = socket.request(json!({"do": "messages", "with": "Ben", "limit": 9})).await.unwrap();
    assert_eq!(page, json!({"messages": [], "more": false}));
}

#[tokio::test]
async fn two_pages_send_and_accept_an_offer() {
    let server = Server::start().await;
    let (ann, ben) = (Home::new(), Home::new());
    fs::create_dir(ann.file("holiday")).unwrap();
    fs::write(ann.file("holiday/a.txt"), "content").unwrap();
    let (_first, mut sender) = open(&ann, &server, "Ann").await;
    let (_second, mut receiver) = open(&ben, &server, "Ben").await;
    let send = json!({"do": "send", "name": "Ben", "paths": [ann.file("holiday")]});
    let sent = sender.request(send).await.unwrap();
    let is_open = |event: &Value| event["offer"]["state"] == "open";
    let offer = receiver.wait_for_event("incoming_offer", is_open).await["offer"].take();
    assert_eq!((&offer["from"], &offer["files"]), (&json!("Ann"), &json!(1)));
    assert_eq!(offer["names"], json!([{"name": "holiday", "kind": "folder"}]));
    let accept = json!({"do": "accept", "offer": offer["number"], "folder": ben.folder()});
    let accepted = receiver.request(accept).await.unwrap();
    let is_stored = |event: &Value| event["offer"]["state"] == "stored";
    let stored = receiver.wait_for_event("incoming_offer", is_stored).await["offer"].take();
    assert_eq!(stored["transfer"], accepted["transfer"]);
    assert_eq!(fs::read_to_string(ben.file("holiday/a.txt")).unwrap(), "content");
    let is_delivered = |event: &Value| {
        event["offer"]["number"] == sent["offer"] && event["offer"]["state"] == "delivered"
    };
    let delivered = sender.wait_for_event("outgoing_offer", is_delivered).await;
    assert_eq!(delivered["offer"]["names"], json!([{"name": "holiday", "kind": "folder"}]));
    let transfers = receiver.request(json!({"do": "transfers"})).await.unwrap();
    assert_eq!(transfers["transfers"][0]["direction"], "receive");
    assert_eq!(transfers["transfers"][0]["with"], "@Ann");
}

#[tokio::test]
async fn offers_are_declined_and_withdrawn() {
    let server = Server::start().await;
    let (ann, ben) = (Home::new(), Home::new());
    fs::write(ann.file("a.txt"), "content").unwrap();
    let (_first, mut sender) = open(&ann, &server, "Ann").await;
    let (_second, mut receiver) = open(&ben, &server, "Ben").await;
    let outside = json!({"do": "send", "name": "Ben", "paths": ["/etc/hostname"]});
    assert_eq!(sender.request(outside).await.unwrap_err()["code"], "invalid_request");
    for (answer, at_sender, at_receiver) in
        [("decline", "declined", "declined"), ("withdraw", "withdrawn", "withdrawn")]
    {
        let send = json!({"do": "send", "name": "Ben", "paths": [ann.file("a.txt")]});
        let sent = sender.request(send).await.unwrap();
        let is_open = |event: &Value| event["offer"]["state"] == "open";
        let offer = receiver.wait_for_event("incoming_offer", is_open).await["offer"].take();
        match answer {
            "decline" => receiver.request(json!({"do": "decline", "offer": offer["number"]})).await,
            _ => sender.request(json!({"do": "withdraw", "offer": sent["offer"]})).await,
        }
        .unwrap();
        let has_state = |state: &'static str, number: Value| {
            move |event: &Value| {
                event["offer"]["number"] == number && event["offer"]["state"] == state
            }
        };
        let number = sent["offer"].clone();
        sender.wait_for_event("outgoing_offer", has_state(at_sender, number)).await;
        let number = offer["number"].clone();
        receiver.wait_for_event("incoming_offer", has_state(at_receiver, number)).await;
    }
}

#[tokio::test]
async fn two_people_compare_keys_on_their_pages() {
    let server = Server::start().await;
    let (ann, ben) = (Home::new(), Home::new());
    let (_first, mut one) = open(&ann, &server, "Ann").await;
    let (_second, mut other) = open(&ben, &server, "Ben").await;
    let id = one.start_request(json!({"do": "verify", "name": "Ben"})).await;
    let mut digits = Vec::new();
    for socket in [&mut one, &mut other] {
        let question = socket.wait_for_event("question", |_| true).await["question"].take();
        assert_eq!(question["kind"], "compare_digits");
        digits.push(question["digits"].clone());
        let (number, answer) = (&question["question"], json!({"confirm": true}));
        socket
            .request(json!({"do": "answer", "question": number, "answer": answer}))
            .await
            .unwrap();
    }
    assert_eq!(digits[0], digits[1]);
    assert_eq!(one.wait_for_reply(id).await, Ok(json!({"verified": true})));
    wait_for_person(&mut one, "Ben", |person| person["key"] == "verified").await;
    wait_for_person(&mut other, "Ann", |person| person["key"] == "verified").await;
    let path = one.request(json!({"do": "path", "name": "Ben"})).await.unwrap();
    assert_ne!(path["path"]["path"], "closed");
    one.request(json!({"do": "block", "name": "Ben", "blocked": true})).await.unwrap();
    wait_for_person(&mut one, "Ben", |person| person["blocked"] == true).await;
}
