//! Sessions: hellos, names, slots, client numbers, and several connections of one client.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::future::ready;
use std::pin::pin;

use quiver_e2e::wire::{CloseReason, Dialer, RawFrame, RawStream, kind};
use quiver_e2e::{Client, Key, Server, TIMEOUT, wait_within};
use serde_json::{Value, json};

/// Sends hello, and returns the client number of the welcome.
async fn hello_number(client: &Client, name: &str) -> u64 {
    client.hello(name).await.reply()["client"].as_u64().unwrap()
}

/// Names of clients and whether they are connected, in the order of their numbers.
async fn clients(client: &Client) -> Vec<(String, bool)> {
    let row = |row: &Value| (row["name"].as_str().unwrap().to_owned(), row["end"].is_null());
    client.status().await.iter().map(row).collect()
}

#[tokio::test]
async fn a_guest_may_send_three_hellos() {
    let server = Server::start().await;
    let _ron = Client::member(&server, "Ron").await;

    let ben = Client::guest(&server).await;
    assert_eq!(ben.hello("Ron").await.code(), "name_taken");
    assert_eq!(ben.hello("not a name").await.code(), "bad_name");
    assert_eq!(ben.hello("Ben").await.reply()["client"], 2, "refused hellos use up no number");

    let pete = Client::guest(&server).await;
    for name in ["Ron", "ron", "RON"] {
        assert_eq!(pete.hello(name).await.code(), "name_taken", "{name}");
    }
    assert_eq!(pete.wait_for_close().await, CloseReason::Code(2));
}

#[tokio::test]
async fn the_third_malformed_hello_closes_the_connection() {
    let server = Server::start().await;
    let guest = Client::guest(&server).await;
    assert_eq!(
        guest.exchange(&RawFrame::new(kind::REQUEST, "hello").encode()).await.code(),
        "bad_request"
    );
    let future = json!({"command": "hello", "version": 2, "names": ["Ron"]});
    let response = guest.request(future).await;
    assert_eq!(response.code(), "unsupported_version");
    assert!(response.message().contains("version 1"), "{}", response.message());
    assert_eq!(guest.exchange(&RawFrame::new(7, "{}").encode()).await.code(), "bad_request");
    assert_eq!(guest.wait_for_close().await, CloseReason::Code(3));
}

#[tokio::test]
async fn client_names_consist_of_letters_digits_and_three_marks() {
    let server = Server::start().await;
    let long = "x".repeat(33);
    let bad = ["", " ", ".a", "-a", "_a", "a b", "a/b", "é", "a\n", "a\u{202e}", "../a", &long];
    for names in bad.chunks(3) {
        let guest = Client::guest(&server).await;
        for name in names {
            assert_eq!(guest.hello(name).await.code(), "bad_name", "{name:?}");
        }
        assert_eq!(guest.wait_for_close().await, CloseReason::Code(2));
    }
    for name in ["7", "a.b-c_d", &long[..32]] {
        assert_eq!(Client::guest(&server).await.hello(name).await.reply()["name"], *name);
    }
}

#[tokio::test]
async fn a_client_without_a_slot_is_refused_as_busy_and_uses_up_a_number() {
    let server = Server::start().await;
    let members = [
        Client::member(&server, "A").await,
        Client::member(&server, "B").await,
        Client::member(&server, "C").await,
    ];

    let fourth = Client::guest(&server).await;
    let response = fourth.hello("D").await;
    assert_eq!(response.code(), "busy");
    let expected = "Server is busy: 3 of 3 clients are connected. Try again later.";
    assert_eq!(response.message(), expected);
    assert_eq!(fourth.wait_for_close().await, CloseReason::Code(1));
    // The status does not contain refused clients.
    assert_eq!(clients(&members[0]).await.len(), 3);

    let [a, ..] = members;
    a.request(json!({"command": "exit"})).await.eof();
    assert_eq!(hello_number(&Client::guest(&server).await, "D").await, 5);
}

#[tokio::test]
async fn the_server_frees_a_slot_before_it_answers_an_exit() {
    let server = Server::options().max_clients(1).start().await;
    for round in 1..=20 {
        let client = Client::guest(&server).await;
        assert_eq!(hello_number(&client, "Ron").await, round, "the same name, with a new key");
        client.request(json!({"command": "exit"})).await.eof();
    }
}

#[tokio::test]
async fn the_server_frees_a_slot_when_its_connection_closes() {
    let server = Server::options().max_clients(1).start().await;
    for round in 1..=20 {
        let client = Client::guest(&server).await;
        assert_eq!(hello_number(&client, "Ron").await, round);
        if round % 2 == 0 {
            client.close().await;
        } else {
            // Dropping the last handle closes the connection too.
            drop(client);
        }
        server.log().wait_for(&format!("Client {round}: Ron has disconnected")).await;
    }
}

#[tokio::test]
async fn connections_with_one_key_and_one_name_are_one_client() {
    let server = Server::options().max_clients(2).start().await;
    let watcher = Client::member(&server, "Watcher").await;
    let key = Key::new();
    let first = Dialer::new(&server).key(&key).connect().await.unwrap();
    assert_eq!(hello_number(&first, "Ron").await, 2);
    let mut ron = vec![first];
    // No slot is free, but further connections use their client's slot.
    for _ in 2..=8 {
        let one_more = Dialer::new(&server).key(&key).connect().await.unwrap();
        let welcome = one_more.hello("rOn").await;
        assert_eq!(welcome.reply()["client"], 2);
        assert_eq!(welcome.reply()["name"], "Ron", "the spelling of the first hello");
        ron.push(one_more);
    }
    let both = [("Watcher".to_owned(), true), ("Ron".to_owned(), true)];
    assert_eq!(clients(&watcher).await, both);

    let ninth = Dialer::new(&server).key(&key).connect().await.unwrap();
    assert_eq!(ninth.hello("Ron").await.code(), "busy");
    assert_eq!(ninth.wait_for_close().await, CloseReason::Code(1));

    // The client is connected until its last connection ends.
    let last = ron.pop().unwrap();
    for one in ron {
        one.request(json!({"command": "exit"})).await.eof();
        assert_eq!(clients(&watcher).await, both);
    }
    last.request(json!({"command": "exit"})).await.eof();
    assert_eq!(clients(&watcher).await[1], ("Ron".to_owned(), false));
    server.log().wait_for("Client 2: Ron has disconnected").await;
    assert_eq!(server.log().count("has disconnected"), 1);
    // The ninth connection has used up no number.
    assert_eq!(hello_number(&Client::guest(&server).await, "Ben").await, 3);
}

#[tokio::test]
async fn one_key_with_two_names_is_two_clients() {
    let server = Server::start().await;
    let key = Key::new();
    let ron = Dialer::new(&server).key(&key).connect().await.unwrap();
    let ben = Dialer::new(&server).key(&key).connect().await.unwrap();
    assert_eq!((hello_number(&ron, "Ron").await, hello_number(&ben, "Ben").await), (1, 2));
}

#[tokio::test]
async fn without_a_certificate_each_connection_is_a_client_of_its_own() {
    let server = Server::start().await;
    let ron = Dialer::new(&server).without_certificate().sign_in("Ron").await;
    let second = Dialer::new(&server).without_certificate().connect().await.unwrap();
    assert_eq!(second.hello("Ron").await.code(), "name_taken");
    assert_eq!(hello_number(&second, "Ben").await, 2);
    ron.assert_alive().await;
}

#[tokio::test]
async fn a_member_that_sends_hello_again_is_refused_and_stays_connected() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    for _ in 0..5 {
        assert_eq!(client.hello("Ron").await.code(), "bad_request");
        assert_eq!(client.hello("not a name").await.code(), "bad_name");
    }
    client.assert_alive().await;
}

#[tokio::test]
async fn a_guest_that_sends_a_command_is_disconnected() {
    let server = Server::start().await;
    server.add_file("secret.txt", "secret");
    let requests = [
        json!({"command": "message", "text": "Hello"}),
        json!({"command": "status"}),
        json!({"command": "list", "path": ""}),
        json!({"command": "get", "path": "secret.txt"}),
        json!({"command": "exit"}),
    ];
    for request in requests {
        let guest = Client::guest(&server).await;
        let response = guest.request(request.clone()).await;
        assert_eq!(response.code(), "bad_request", "{request}");
        assert!(response.replies.is_empty());
        assert_eq!(guest.wait_for_close().await, CloseReason::Code(3), "{request}");
    }
}

/// Opens a stream; `None` if the limit does not allow it now.
async fn open_now(client: &Client) -> Option<RawStream> {
    tokio::select! {
        biased;
        stream = client.connection().open_bi() => Some(stream.unwrap().into()),
        () = ready(()) => None,
    }
}

#[tokio::test]
async fn a_guest_may_open_one_stream() {
    let server = Server::start().await;
    let guest = Client::guest(&server).await;
    let _stream = guest.open().await.unwrap();
    assert!(open_now(&guest).await.is_none());
    let is_one_way_open = tokio::select! {
        biased;
        stream = guest.connection().open_uni() => stream.is_ok(),
        () = ready(()) => false,
    };
    assert!(!is_one_way_open);
}

#[tokio::test]
async fn a_stream_over_the_limit_opens_when_another_ends() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    client.assert_alive().await;
    let mut streams = Vec::new();
    while let Some(stream) = open_now(&client).await {
        streams.push(stream);
    }
    // QUIC reports ended streams in groups, so the limit may lack the last few of the 64.
    assert!((56..=64).contains(&streams.len()), "{}", streams.len());
    let message = RawFrame::request(&json!({"command": "message", "text": "Hello"}));
    let exchange = async |mut stream: RawStream| {
        stream.write_frame(&message).await.unwrap();
        stream.finish();
        let response = wait_within(TIMEOUT, "a response", stream.read_response()).await.unwrap();
        assert_eq!(response.reply()["text"], "Hello ACK");
    };
    let mut waiting = pin!(client.open());
    for stream in streams {
        tokio::select! {
            biased;
            opened = &mut waiting => return exchange(opened.unwrap()).await,
            () = exchange(stream) => {}
        }
    }
    exchange(waiting.await.unwrap()).await;
}
