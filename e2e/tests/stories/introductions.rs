//! Introductions: which connection is asked, what each side learns, and who may use the id.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use quiver_e2e::wire::{Dialer, RawResponse, RawStream, kind};
use quiver_e2e::{Client, Key, Server, TIMEOUT, wait_within};
use serde_json::{Value, json};

/// The server's timeout for an answer (docs/protocol.md, 15).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks for an introduction, and returns the response.
async fn introduce(client: &Client, name: &str) -> RawResponse {
    client.request(json!({"command": "introduce", "name": name})).await
}

/// Ben and Ron, who listens.
async fn two_clients(server: &Server) -> (Client, Client, RawStream) {
    let ben = Client::member(server, "Ben").await;
    let ron = Client::member(server, "Ron").await;
    let listening = ron.listen().await;
    (ben, ron, listening)
}

#[tokio::test]
async fn each_side_learns_the_others_name_and_key_and_the_same_id() {
    let server = Server::start().await;
    let (ben_key, ron_key) = (Key::new(), Key::new());
    let ben = Dialer::new(&server).key(&ben_key).sign_in("Ben").await;
    let ron = Dialer::new(&server).key(&ron_key).sign_in("Ron").await;
    let mut listening = ron.listen().await;
    let (introduced, introduction) =
        tokio::join!(introduce(&ben, "ron"), ron.answer_next(&mut listening, true));
    let id = introduction["id"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|digit| b"0123456789abcdef".contains(&digit)), "{id}");
    let expected = json!({
        "reply": "introduction", "id": id, "client": 1, "name": "Ben",
        "key": ben_key.fingerprint(), "relay": true
    });
    assert_eq!(introduction, expected);
    let expected = json!({
        "reply": "introduced", "id": id, "client": 2, "name": "Ron",
        "key": ron_key.fingerprint(), "relay": true
    });
    assert_eq!(introduced.reply(), &expected);
}

#[tokio::test]
async fn with_accounts_each_side_learns_the_key_of_the_introduced_connection() {
    let options = Server::options().account("Ben", "one").account("Ron", "two");
    let server = options.start().await;
    let keys = [Key::new(), Key::new()];
    let ben = Dialer::new(&server).connect().await.unwrap();
    ben.sign_in("Ben", "one").await.eof();
    // Two machines of one account.
    let mut machines = Vec::new();
    for key in &keys {
        let ron = Dialer::new(&server).key(key).connect().await.unwrap();
        ron.sign_in("ron", "two").await.eof();
        let listening = ron.listen().await;
        machines.push((ron, listening));
    }
    for (key, (ron, listening)) in keys.iter().zip(&mut machines).rev() {
        let (introduced, introduction) =
            tokio::join!(introduce(&ben, "RON"), ron.answer_next(listening, true));
        assert_eq!(introduced.reply()["key"], key.fingerprint());
        assert_eq!(introduced.reply()["name"], "Ron");
        assert_eq!([&introduced.reply()["account"], &introduction["account"]], [true, true]);
        listening.recv.stop(0_u32.into()).unwrap();
    }
}

#[tokio::test]
async fn machines_of_one_account_are_introduced_to_each_other() {
    let server = Server::options().account("Ben", "one").account("Ron", "two").start().await;
    let key = Key::new();
    let laptop = Dialer::new(&server).key(&key).connect().await.unwrap();
    let phone = Dialer::new(&server).connect().await.unwrap();
    for machine in [&laptop, &phone] {
        machine.sign_in("Ron", "two").await.eof();
    }
    let mut on_phone = phone.listen().await;
    // The newest listening connection has the key of the one that asks.
    let prompt = Dialer::new(&server).key(&key).connect().await.unwrap();
    prompt.sign_in("Ron", "two").await.eof();
    let mut on_laptop = prompt.listen().await;
    let (introduced, introduction) =
        tokio::join!(introduce(&laptop, "Ron"), phone.answer_next(&mut on_phone, true));
    assert_eq!(introduced.reply()["id"], introduction["id"]);
    assert_eq!(introduction["key"], key.fingerprint());
    let ben = Dialer::new(&server).connect().await.unwrap();
    ben.sign_in("Ben", "one").await.eof();
    assert_eq!(on_laptop.next_reply().await["reply"], "joined", "the laptop was asked");
}

#[tokio::test]
async fn the_connection_that_listens_since_the_shortest_time_is_asked() {
    let server = Server::start().await;
    let (ben, key) = (Client::member(&server, "Ben").await, Key::new());
    // The order of connections does not matter, only that of the listening streams.
    let receive = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let prompt = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let mut at_prompt = prompt.listen().await;
    let mut at_receive = receive.listen().await;
    for _ in 0..3 {
        ben.introduce("Ron", &receive, &mut at_receive).await;
    }
    at_receive.recv.stop(0_u32.into()).unwrap();
    ben.introduce("Ron", &prompt, &mut at_prompt).await;
}

#[tokio::test]
async fn the_next_connection_is_asked_if_one_does_not_answer_within_two_seconds() {
    let server = Server::start().await;
    let (ben, key) = (Client::member(&server, "Ben").await, Key::new());
    let [first, second] = [(); 2].map(|()| Dialer::new(&server).key(&key));
    let (first, second) = (first.sign_in("Ron").await, second.sign_in("Ron").await);
    let (mut at_first, mut at_second) = (first.listen().await, second.listen().await);
    let start = Instant::now();
    let (introduced, (missed, introduction)) = tokio::join!(introduce(&ben, "Ron"), async {
        (at_second.next_introduction().await, first.answer_next(&mut at_first, true).await)
    });
    assert!(start.elapsed() >= ANSWER_TIMEOUT);
    assert_eq!(introduced.reply()["id"], introduction["id"]);
    assert_ne!(missed["id"], introduction["id"]);
    assert_eq!(second.answer(&missed["id"], true).await.code(), "not_found");
}

#[tokio::test]
async fn at_most_four_connections_are_asked_and_one_that_ends_is_not_waited_for() {
    let server = Server::start().await;
    let (ben, key) = (Client::member(&server, "Ben").await, Key::new());
    let mut listening = Vec::new();
    for _ in 0..5 {
        let ron = Dialer::new(&server).key(&key).sign_in("Ron").await;
        let stream = ron.listen().await;
        listening.push((ron, stream));
    }
    let (_, mut oldest) = listening.remove(0);
    let end_when_asked = async {
        while let Some((ron, mut stream)) = listening.pop() {
            stream.next_introduction().await;
            ron.close().await;
        }
    };
    let (introduced, ()) = tokio::join!(introduce(&ben, "Ron"), end_when_asked);
    assert_eq!(introduced.code(), "not_reachable");
    // The server would have written an introduction before this reply.
    let pete = Client::member(&server, "Pete").await;
    assert_eq!(oldest.next_reply().await["reply"], "joined");
    pete.close().await;
}

#[tokio::test]
async fn the_same_connections_can_be_introduced_again() {
    let server = Server::start().await;
    let (ben, key) = (Client::member(&server, "Ben").await, Key::new());
    let [first, second] = [(); 2].map(|()| Dialer::new(&server).key(&key));
    let (first, second) = (first.sign_in("Ron").await, second.sign_in("Ron").await);
    let mut at_first = first.listen().await;
    let id = ben.introduce("Ron", &first, &mut at_first).await;
    // Another connection of Ron is the newest one now.
    let _at_second = second.listen().await;
    let again = json!({"command": "introduce", "name": "Ron", "again": id});
    let (introduced, introduction) =
        tokio::join!(ben.request(again.clone()), first.answer_next(&mut at_first, true));
    assert_ne!(introduction["id"], id);
    assert_eq!([&introduced.reply()["again"], &introduction["again"]], [&id, &id]);
    assert_eq!(introduced.reply()["id"], introduction["id"]);
    // The other side may ask too, if the requester listens.
    let from_ron = json!({"command": "introduce", "name": "Ben", "again": id});
    assert_eq!(first.request(from_ron.clone()).await.code(), "not_reachable");
    let mut at_ben = ben.listen().await;
    let (introduced, _) = tokio::join!(first.request(from_ron), ben.answer_next(&mut at_ben, true));
    assert_eq!(introduced.reply()["again"], id);
    // Foreign and ended introductions cannot be repeated.
    assert_eq!(
        second.request(json!({"command": "introduce", "name": "Ben", "again": id})).await.code(),
        "not_found"
    );
    first.close().await;
    let ended = async { while ben.request(again.clone()).await.code() != "not_found" {} };
    wait_within(TIMEOUT, "the end of the introduction", ended).await;
}

#[tokio::test]
async fn a_declined_introduction_is_not_tried_elsewhere() {
    let server = Server::start().await;
    let (ben, key) = (Client::member(&server, "Ben").await, Key::new());
    let [first, second] = [(); 2].map(|()| Dialer::new(&server).key(&key));
    let (first, second) = (first.sign_in("Ron").await, second.sign_in("Ron").await);
    let (mut at_first, mut at_second) = (first.listen().await, second.listen().await);
    let (introduced, introduction) =
        tokio::join!(introduce(&ben, "Ron"), second.answer_next(&mut at_second, false));
    assert_eq!(introduced.code(), "not_reachable");
    assert_eq!(second.answer(&introduction["id"], true).await.code(), "not_found");
    let _pete = Client::member(&server, "Pete").await;
    assert_eq!(at_first.next_reply().await["reply"], "joined");
}

#[tokio::test]
async fn a_side_that_declines_after_it_has_accepted_ends_the_introduction() {
    let server = Server::start().await;
    let (ben, ron, mut listening) = two_clients(&server).await;
    let pete = Client::member(&server, "Pete").await;
    let id = ben.introduce("Ron", &ron, &mut listening).await;
    let mut waiting = Vec::new();
    for command in ["agreed", "relay"] {
        let mut stream = ben.start_request(json!({"command": command, "id": id})).await;
        if command == "agreed" {
            stream.finish();
        }
        waiting.push(stream);
    }
    ben.assert_alive().await;
    for client in [&ben, &pete] {
        assert_eq!(client.answer(&id, false).await.code(), "not_found");
    }
    ron.answer(&id, false).await.eof();
    for stream in &mut waiting {
        let response = wait_within(TIMEOUT, "a refusal", stream.read_response()).await.unwrap();
        assert_eq!(
            (response.code(), response.message()),
            ("declined", "the other client has declined")
        );
    }
    for client in [&ben, &ron] {
        for command in ["agreed", "relay"] {
            let response = client.request(json!({"command": command, "id": id})).await;
            assert_eq!(response.code(), "not_found");
        }
        assert_eq!(client.answer(&id, false).await.code(), "not_found");
    }
}

#[tokio::test]
async fn clients_that_are_absent_or_do_not_listen_are_not_introduced() {
    let server = Server::start().await;
    let ben = Client::member(&server, "Ben").await;
    assert_eq!(introduce(&ben, "Ron").await.code(), "no_such_client");
    let ron = Client::member(&server, "Ron").await;
    assert_eq!(introduce(&ben, "Ron").await.code(), "not_reachable");
    let reachable = |rows: &[Value]| rows.iter().map(|row| row["reachable"] == true).collect();
    let expect = async |expected: [bool; 2]| {
        let rows: Vec<bool> = reachable(&ben.status().await);
        assert_eq!(rows, expected);
    };
    expect([false, false]).await;
    let mut listening = ron.listen().await;
    expect([false, true]).await;
    ben.introduce("Ron", &ron, &mut listening).await;
    ron.close().await;
    let gone = async { while introduce(&ben, "Ron").await.code() != "no_such_client" {} };
    wait_within(TIMEOUT, "the end of Ron's connection", gone).await;
    expect([false, false]).await;
}

#[tokio::test]
async fn introductions_need_a_certificate() {
    let server = Server::start().await;
    let (_ben, _ron, _listening) = two_clients(&server).await;
    let pete = Dialer::new(&server).without_certificate().sign_in("Pete").await;
    for request in [json!({"command": "listen"}), json!({"command": "introduce", "name": "Ron"})] {
        assert_eq!(pete.request(request).await.code(), "forbidden");
    }
}

#[tokio::test]
async fn a_connection_listens_once_at_a_time() {
    let server = Server::start().await;
    let (_ben, ron, mut listening) = two_clients(&server).await;
    let again = ron.request(json!({"command": "listen"})).await;
    assert_eq!(again.code(), "bad_request");
    listening.recv.stop(0_u32.into()).unwrap();
    let listens = async {
        loop {
            let mut stream = ron.start_request(json!({"command": "listen"})).await;
            if stream.next_frame().await.kind == kind::REPLY {
                break;
            }
        }
    };
    wait_within(TIMEOUT, "the end of the first stream", listens).await;
}

#[tokio::test]
async fn a_listening_client_learns_of_others_in_order_and_not_of_itself() {
    let server = Server::options().max_clients(5).start().await;
    let (_ben, _ron, mut listening) = two_clients(&server).await;
    let key = Key::new();
    let pete = Dialer::new(&server).key(&key).sign_in("Pete").await;
    // One more connection of a client is none of its own.
    let again = Dialer::new(&server).key(&key).sign_in("pete").await;
    let tom = Client::member(&server, "Tom").await;
    let exit = json!({"command": "exit"});
    pete.request(exit.clone()).await.eof();
    again.request(exit.clone()).await.eof();
    tom.request(exit).await.eof();
    let (pete, tom) = ((3, "Pete"), (4, "Tom"));
    for (reply, (client, name)) in
        [("joined", pete), ("joined", tom), ("left", pete), ("left", tom)]
    {
        let expected = json!({"reply": reply, "client": client, "name": name});
        assert_eq!(listening.next_reply().await, expected);
    }
}

#[tokio::test]
async fn only_the_two_introduced_connections_may_use_an_id() {
    let server = Server::options().max_clients(5).start().await;
    let ron_key = Key::new();
    let ben = Client::member(&server, "Ben").await;
    let ron = Dialer::new(&server).key(&ron_key).sign_in("Ron").await;
    let mut listening = ron.listen().await;
    let id = ben.introduce("Ron", &ron, &mut listening).await;
    let pete = Client::member(&server, "Pete").await;
    let other_connection = Dialer::new(&server).key(&ron_key).sign_in("Ron").await;
    let unknown = json!("00".repeat(16));
    for (client, id) in [(&pete, &id), (&other_connection, &id), (&ben, &unknown)] {
        for request in [
            json!({"command": "answer", "id": id, "accept": true}),
            json!({"command": "agreed", "id": id}),
            json!({"command": "relay", "id": id}),
        ] {
            let response = client.request(request).await;
            assert_eq!(response.code(), "not_found");
            assert_eq!(response.message(), "no introduction of this connection has this id");
        }
    }
    // Only the side that was asked answers, and only once.
    for client in [&ben, &ron] {
        assert_eq!(client.answer(&id, true).await.code(), "not_found");
    }
}

#[tokio::test]
async fn addresses_are_told_only_after_both_sides_have_agreed() {
    let server = Server::start().await;
    let (ben, ron, mut listening) = two_clients(&server).await;
    let id = ben.introduce("Ron", &ron, &mut listening).await;
    let agreed = json!({"command": "agreed", "id": id});
    // An agreement that was taken back does not count.
    let mut withdrawn = ben.start_request(agreed.clone()).await;
    withdrawn.finish();
    ben.assert_alive().await;
    withdrawn.recv.stop(0_u32.into()).unwrap();
    ben.assert_alive().await;
    let mut first = ron.start_request(agreed.clone()).await;
    first.finish();
    ron.assert_alive().await;
    let waits = tokio::time::timeout(Duration::ZERO, first.read_frame()).await;
    assert!(waits.is_err(), "the addresses were told without Ben's agreement: {waits:?}");
    let response = ben.request(agreed.clone()).await;
    let address = |client: &Client| client.endpoint().local_addr().unwrap().to_string();
    let (ben_address, ron_address) = (address(&ben), address(&ron));
    let expected = json!({"reply": "addresses", "own": ben_address, "other": ron_address});
    assert_eq!(response.reply(), &expected);
    let expected = json!({"reply": "addresses", "own": ron_address, "other": ben_address});
    assert_eq!(first.read_response().await.unwrap().reply(), &expected);
    // Either may ask again, and learns the addresses of that moment.
    assert_eq!(ron.request(agreed.clone()).await.reply(), &expected);
    ben.endpoint().rebind(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let moved = address(&ben);
    assert_ne!(moved, ben_address);
    // The server takes the new address once a packet arrives from it.
    ben.assert_alive().await;
    let expected = json!({"reply": "addresses", "own": ron_address, "other": moved});
    assert_eq!(ron.request(agreed).await.reply(), &expected);
}
