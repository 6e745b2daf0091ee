//! A client that listens stays reachable: after refusals that end, and beside another client that asks for much at once.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quiver_client::request::{OfferRequest, UploadContent};
use quiver_client::settings::PathPolicy;
use quiver_e2e::fake_server::Step;
use quiver_e2e::raw_peer::{PeerConnection, PeerSide};
use quiver_e2e::wire::{RawFrame, RawStream, kind};
use quiver_e2e::{
    FakeServer, Home, LibraryClient, PeerProgram, RawPeer, Server, TIMEOUT, wait_until, wait_within,
};
use quiver_protocol::ClientName;
use serde_json::{Value, json};

#[tokio::test]
async fn a_client_listens_again_after_each_refusal_once_it_has_listened() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let server = FakeServer::start(move |request| {
        let listening = || Step::reply(&json!({"reply": "listening"}));
        (request["command"] == "listen").then(|| match counted.fetch_add(1, Ordering::SeqCst) {
            // It stops while a command of this client runs.
            0 => vec![listening(), Step::eof(&json!({})), Step::Finish],
            1 => vec![Step::error("shutting_down", "the server stops"), Step::Finish],
            // It has not noticed the end of the first stream.
            2 => vec![Step::error("bad_request", "this connection listens already"), Step::Finish],
            _ => vec![listening()],
        })
    });
    let home = Home::new();
    let receive = home.quiver(["receive", "--json", "--name", "Ron"]);
    let ron = PeerProgram::start(&receive.server(server.address(), &server.certificate()));
    wait_until("the last attempt", || count.load(Ordering::SeqCst) == 4).await;
    ron.interrupt().await;
}

#[tokio::test]
async fn an_offer_that_the_recipient_cannot_take_yet_is_announced_again_on_the_same_link() {
    let server = Server::start().await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::RelayOnly).await;
    let ron = RawPeer::sign_in(&server, "Ron").await;
    let mut listening = ron.client.listen().await;
    fs::write(ben.home.file("a.txt"), "Hello").unwrap();
    let content = UploadContent::Paths(vec![ben.home.file("a.txt")]);
    let to = ClientName::parse("Ron").unwrap();
    let request = OfferRequest { to: to.clone(), content, offered_as: None };
    let offer = ben.client.offer(request).await.unwrap();
    let connect = ben.client.connect_peer(&to);
    let both = async { tokio::join!(connect, ron.accept(&mut listening)) };
    let (_, connection) = wait_within(TIMEOUT, "a link", both).await;
    let refused = json!({"code": "rate_limited", "message": "there are 16 open offers already"});
    for _ in 0..2 {
        let (request, mut stream) = connection.next_request().await;
        assert_eq!(
            (&request["command"], &request["offer"]),
            (&json!("offer"), &json!(offer.id.to_string()))
        );
        stream.write_frame(&RawFrame::json(kind::ERROR, &refused)).await.unwrap();
        stream.finish();
    }
    ben.client.shut_down().await;
}

/// Sends `dial` for a round on a stream of its own.
async fn start_round(connection: &PeerConnection, introduction: &Value, round: u32) -> RawStream {
    let request = json!({
        "command": "dial", "introduction": introduction, "round": round, "addresses": ["127.0.0.1:9999"],
    });
    let mut stream = connection.open_stream().await;
    stream.write_frame(&RawFrame::request(&request)).await.unwrap();
    stream
}

#[tokio::test]
async fn a_client_runs_one_round_of_dials_at_a_time() {
    let server = Server::start().await;
    let ron = LibraryClient::connect(&server, "Ron", PathPolicy::Any).await;
    let mallory = RawPeer::sign_in(&server, "Mallory").await;
    let introduced = mallory.client.request(json!({"command": "introduce", "name": "Ron"})).await;
    let (id, key) = (&introduced.reply()["id"], &introduced.reply()["key"]);
    let stream = mallory.relay(id).await;
    let (identity, side) = (&mallory.key.identity, PeerSide::Requester);
    let connection = PeerConnection::open(stream, identity, side, key).await.unwrap();
    // Ron knows the connection once it has answered, and accepts Mallory with a message.
    let hello = json!({"command": "tell", "id": format!("{:032x}", 1), "text": "Hello"});
    connection.request(hello).await.eof();
    let to = ClientName::parse("Mallory").unwrap();
    let tell = ron.client.tell(&to, "Hello");
    let confirm = async {
        let (request, mut stream) = connection.next_request().await;
        assert_eq!(request["command"], "tell");
        stream.write_frame(&RawFrame::json(kind::EOF, &json!({}))).await.unwrap();
        stream.finish();
    };
    let (told, ()) = wait_within(TIMEOUT, "a message", async { tokio::join!(tell, confirm) }).await;
    told.unwrap();
    let agreed = mallory.client.start_request(json!({"command": "agreed", "id": id})).await;
    let mut first = start_round(&connection, id, 0).await;
    assert_eq!(first.next_reply().await["reply"], "addresses");
    let mut others = Vec::new();
    for round in [1, 2] {
        others.push(start_round(&connection, id, round).await);
    }
    let start = RawFrame::json(kind::REPLY, &json!({"reply": "start"}));
    first.write_frame(&start).await.unwrap();
    let [second, third] = &mut others[..] else { unreachable!() };
    let end = wait_within(TIMEOUT, "the end of the first round", async {
        tokio::select! {
            biased;
            end = first.next_frame() => end,
            early = second.next_frame() => panic!("beside the first round: {early:?}"),
            early = third.next_frame() => panic!("beside the first round: {early:?}"),
        }
    });
    assert_eq!(end.await.kind, kind::EOF);
    // The streams may have been read in either order.
    let next = async {
        tokio::select! {
            reply = second.next_reply() => reply,
            reply = third.next_reply() => reply,
        }
    };
    let next = wait_within(TIMEOUT, "another round", next).await;
    assert_eq!(next["reply"], "addresses");
    drop(agreed);
    ron.client.shut_down().await;
}
