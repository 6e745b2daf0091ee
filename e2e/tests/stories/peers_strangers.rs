//! Strangers who take as much of a client as they get: links, introductions and questions. Others still reach it, and so do
//! contacts.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use quiver_client::peer_event::PeerEvent;
use quiver_client::settings::PathPolicy;
use quiver_e2e::wire::{RawFrame, RawStream, kind};
use quiver_e2e::{
    Home, LibraryClient, PeerConnection, PeerProgram, RawPeer, Server, TIMEOUT, wait_until,
    wait_within,
};
use quiver_protocol::ClientName;
use serde_json::{Value, json};

/// The context of the commitment to a nonce, in docs/protocol.md.
const COMMITMENT_CONTEXT: &str = "quiver-peer/1 2026-11-29 commitment";

/// Links of one client, and of all that are not contacts.
const LINKS_OF_KEY: usize = 8;
const LINKS_OF_STRANGERS: usize = 16;

fn introduce(name: &str) -> Value {
    json!({"command": "introduce", "name": name})
}

async fn introduce_code(peer: &RawPeer, name: &str) -> String {
    peer.client.request(introduce(name)).await.code().to_owned()
}

async fn open_links(peer: &RawPeer, count: usize) -> Vec<PeerConnection> {
    let mut links = Vec::new();
    for _ in 0..count {
        links.push(peer.connect("Ron").await);
    }
    links
}

#[tokio::test]
async fn one_stranger_leaves_links_to_the_others() {
    let server = Server::start().await;
    let home = Home::new();
    let mut ron = PeerProgram::receive(&server, &home, "Ron", &[]).await;
    let mallory = RawPeer::sign_in(&server, "Mallory").await;
    let mut links = open_links(&mallory, LINKS_OF_KEY).await;
    assert_eq!(introduce_code(&mallory, "Ron").await, "not_reachable");
    // A link that ends makes room for another one.
    links.pop();
    let reconnected = async {
        while introduce_code(&mallory, "Ron").await == "not_reachable" {
            tokio::task::yield_now().await;
        }
    };
    wait_within(TIMEOUT, "room for a link", reconnected).await;
    let ben = Home::new();
    ben.quiver_as(&server, "Ben", ["tell", "Ron", "Hello"]).run().await.expect(0);
    assert_eq!(ron.next_event("message").await["from"], "Ben");
    drop(links);
}

#[tokio::test]
async fn introductions_whose_relay_is_never_opened_take_links_too() {
    let server = Server::start().await;
    let home = Home::new();
    let mut ron = PeerProgram::receive(&server, &home, "Ron", &[]).await;
    let mallory = RawPeer::sign_in(&server, "Mallory").await;
    let mut streams = Vec::new();
    for _ in 0..2 * LINKS_OF_STRANGERS {
        streams.push(mallory.client.start_request(introduce("Ron")).await);
    }
    let mut accepted = 0;
    for mut stream in streams {
        stream.finish();
        let answer = wait_within(TIMEOUT, "an answer", stream.read_response()).await.unwrap();
        accepted += usize::from(answer.code().is_empty());
    }
    assert_eq!(accepted, LINKS_OF_KEY);
    let ben = Home::new();
    ben.quiver_as(&server, "Ben", ["tell", "Ron", "Hello"]).run().await.expect(0);
    assert_eq!(ron.next_event("message").await["from"], "Ben");
}

#[tokio::test]
async fn strangers_with_several_keys_leave_links_to_contacts() {
    let server = Server::options().max_clients(6).start().await;
    let [ben, ron_home] = [(); 2].map(|()| Home::new());
    let mut ben_listens = PeerProgram::receive(&server, &ben, "Ben", &[]).await;
    let mut ron = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    // Ron accepts Ben as a contact.
    ron_home.quiver_as(&server, "Ron", ["tell", "Ben", "Hello"]).run().await.expect(0);
    ben_listens.next_event("message").await;
    let mut links = Vec::new();
    for name in ["Mallory", "Trudy"] {
        let stranger = RawPeer::sign_in(&server, name).await;
        links.push((open_links(&stranger, LINKS_OF_STRANGERS / 2).await, stranger));
    }
    let another = RawPeer::sign_in(&server, "Eve").await;
    assert_eq!(introduce_code(&another, "Ron").await, "not_reachable");
    ben.quiver_as(&server, "Ben", ["tell", "Ron", "Hello"]).run().await.expect(0);
    assert_eq!(ron.next_event("message").await["from"], "Ben");
    drop(links);
}

/// Asks for a comparison of keys up to the point at which a person is asked. Returns the stream, or the refusal's code.
async fn ask_person(connection: &PeerConnection) -> Result<RawStream, String> {
    let nonce = [7; 32];
    let mut hasher = blake3::Hasher::new_derive_key(COMMITMENT_CONTEXT);
    hasher.update(&nonce);
    let request = json!({"command": "verify", "commitment": hasher.finalize().to_hex().as_str()});
    let mut stream = connection.open_stream().await;
    stream.write_frame(&RawFrame::request(&request)).await.unwrap();
    let frame = stream.next_frame().await;
    if frame.kind == kind::ERROR {
        return Err(frame.value()["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(frame.value()["reply"], "nonce");
    let own = json!({"reply": "nonce", "nonce": "07".repeat(32)});
    stream.write_frame(&RawFrame::json(kind::REPLY, &own)).await.unwrap();
    Ok(stream)
}

#[tokio::test]
async fn a_stranger_asks_one_question_which_ends_with_its_stream() {
    let server = Server::start().await;
    let ron = LibraryClient::connect(&server, "Ron", PathPolicy::RelayOnly).await;
    let _interface = ron.client.questions().register_interface();
    let questions = ron.client.questions();
    let mallory = RawPeer::sign_in(&server, "Mallory").await;
    let connection = mallory.connect("Ron").await;
    // A person who is away is not asked more and more.
    for _ in 0..5 {
        let stream = ask_person(&connection).await.unwrap();
        wait_until("a question", || questions.open().len() == 1).await;
        assert_eq!(ask_person(&connection).await.err().as_deref(), Some("rate_limited"));
        stream.abandon();
        wait_until("no question", || questions.open().is_empty()).await;
    }
    // One that has said yes, and reads no answer.
    let mut stream = ask_person(&connection).await.unwrap();
    let yes = json!({"same": true});
    stream.write_frame(&RawFrame::json(kind::EOF, &yes)).await.unwrap();
    stream.finish();
    wait_until("a question", || questions.open().len() == 1).await;
    drop(stream);
    wait_until("no question", || questions.open().is_empty()).await;
    drop(connection);
    ron.client.shut_down().await;
}

#[tokio::test]
async fn strangers_with_several_keys_leave_a_question_to_contacts() {
    let server = Server::options().max_clients(6).start().await;
    let mut ben_listens = LibraryClient::connect(&server, "Ben", PathPolicy::RelayOnly).await;
    let ron = LibraryClient::connect(&server, "Ron", PathPolicy::RelayOnly).await;
    let _interface = ron.client.questions().register_interface();
    let to_ben = ClientName::parse("Ben").unwrap();
    ron.client.tell(&to_ben, "Hello").await.unwrap();
    let is_message = |event: &PeerEvent| matches!(event, PeerEvent::Message { .. }).then_some(());
    ben_listens.wait_for("a message", is_message).await;
    let mut held = Vec::new();
    for name in ["Mallory", "Trudy", "Eve", "Oscar"] {
        let stranger = RawPeer::sign_in(&server, name).await;
        let connection = stranger.connect("Ron").await;
        let asked = ask_person(&connection).await;
        assert_eq!(
            asked.as_ref().err().map(String::as_str),
            (name == "Oscar").then_some("rate_limited")
        );
        held.push((stranger, connection, asked.ok()));
    }
    wait_until("three questions", || ron.client.questions().open().len() == 3).await;
    let to_ron = ClientName::parse("Ron").unwrap();
    let is_asked = || ron.client.questions().open().len() == 4;
    tokio::select! {
        verified = ben_listens.client.verify(&to_ron) => panic!("{verified:?}"),
        () = wait_until("a question of a contact", is_asked) => {}
    }
    drop(held);
    ben_listens.client.shut_down().await;
    ron.client.shut_down().await;
}
