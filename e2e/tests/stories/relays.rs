//! Relays: packets between two clients, in both directions, within limits, and without harm to others.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::time::{Duration, Instant};

use quiver_e2e::process::Signal;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::wire::{RawFrame, RawStream, kind};
use quiver_e2e::{Client, MetricsResponse, Server, TIMEOUT, wait_within};
use serde_json::{Value, json};

/// The payload of most packets in these tests.
const PACKET: [u8; 1200] = [7; 1200];

/// KiB in a MiB.
const MIB: u64 = 1024;

/// Less than the grace period of running commands, and far more than a stop without any takes.
const PROMPT: Duration = Duration::from_secs(6);

/// A server, two clients that it has introduced, and the id.
struct Introduced {
    server: Server,
    ben: Client,
    ron: Client,
    listening: RawStream,
    id: Value,
}

impl Introduced {
    async fn start(options: ServerOptions) -> Self {
        let server = options.argument("--metrics=0").start().await;
        let ben = Client::member(&server, "Ben").await;
        let ron = Client::member(&server, "Ron").await;
        let mut listening = ron.listen().await;
        let id = ben.introduce("Ron", &ron, &mut listening).await;
        Self { server, ben, ron, listening, id }
    }

    async fn relay(&self) -> [RawStream; 2] {
        self.ben.relay_with(&self.ron, &self.id).await
    }

    async fn metric(&self, name: &str) -> f64 {
        MetricsResponse::read(self.server.metrics_address().await).await.number(name)
    }

    async fn wait_for_metric(&self, name: &str, number: u64) {
        MetricsResponse::wait_for(self.server.metrics_address().await, name, number).await;
    }
}

/// The code with which the server ends a stream; `""` for an Eof. Skips packets.
async fn end_code(stream: &mut RawStream) -> String {
    loop {
        let frame = stream.next_frame().await;
        match frame.kind {
            kind::PACKET => {}
            kind::EOF => return String::new(),
            kind::ERROR => return frame.value()["code"].as_str().unwrap().to_owned(),
            _ => panic!("{frame:?}"),
        }
    }
}

fn dropped(reason: &str) -> String {
    format!("quiver_relay_packets_dropped_total{{reason=\"{reason}\"}}")
}

#[tokio::test]
async fn packets_pass_unchanged_and_in_order_in_both_directions() {
    let test = Introduced::start(Server::options()).await;
    let mut ends = test.relay().await;
    test.wait_for_metric("quiver_relays_running", 1).await;
    let lengths = [1, 2, 1200, 1452, 8192, 16_384, 3];
    for sender in 0..2 {
        for (number, length) in lengths.into_iter().enumerate() {
            ends[sender].send_packet(&vec![number as u8; length]).await;
        }
        for (number, length) in lengths.into_iter().enumerate() {
            assert_eq!(ends[1 - sender].next_packet().await, vec![number as u8; length]);
        }
    }
    let relayed = 2 * lengths.iter().sum::<usize>();
    test.wait_for_metric("quiver_relayed_bytes_total", relayed as u64).await;
    let [mut ben_end, mut ron_end] = ends;
    ron_end.send_packet(&PACKET).await;
    ron_end.finish();
    // What waits is still delivered.
    assert_eq!(ben_end.next_packet().await, PACKET);
    assert_eq!(end_code(&mut ben_end).await, "");
    assert_eq!(end_code(&mut ron_end).await, "");
    test.wait_for_metric("quiver_relays_running", 0).await;
}

#[tokio::test]
async fn a_relay_ends_with_either_side() {
    let mut test = Introduced::start(Server::options()).await;
    // A stream that is reset, one that is not read any more, and then once more.
    let [ben_end, mut ron_end] = test.relay().await;
    ben_end.abandon();
    assert_eq!(end_code(&mut ron_end).await, "");
    let [mut ben_end, mut ron_end] = test.relay().await;
    ron_end.recv.stop(0_u32.into()).unwrap();
    assert_eq!(end_code(&mut ben_end).await, "");
    let [mut ben_end, _ron_end] = test.relay().await;
    // A lost connection.
    test.ron.close().await;
    assert_eq!(end_code(&mut ben_end).await, "");
    let relay = json!({"command": "relay", "id": test.id});
    let refused = async { while test.ben.request(relay.clone()).await.code() != "not_found" {} };
    wait_within(TIMEOUT, "the end of the introduction", refused).await;
    let left = wait_within(TIMEOUT, "the end", test.listening.read_frame()).await;
    assert!(left.is_err(), "Ron's connection has ended");
}

#[tokio::test]
async fn a_side_that_does_not_follow_is_not_reachable() {
    let test = Introduced::start(Server::options()).await;
    let relay = json!({"command": "relay", "id": test.id});
    let mut waiting = test.ben.start_request(relay.clone()).await;
    let mut second = test.ben.start_request(relay.clone()).await;
    let [first, second] = [&mut waiting, &mut second].map(end_code);
    let (first, second) = tokio::join!(first, second);
    let mut codes = [first, second];
    codes.sort();
    assert_eq!(codes, ["bad_request", "not_reachable"]);
    // It keeps nothing: both may relay now.
    test.relay().await;
}

#[tokio::test]
async fn anything_but_packets_ends_a_relay() {
    let test = Introduced::start(Server::options()).await;
    let too_long = RawFrame::new(kind::PACKET, vec![0; 16_385]).encode();
    let frames = [
        (RawFrame::new(kind::DATA, "x").encode(), "bad_request"),
        (RawFrame::new(kind::PACKET, "").encode(), "bad_request"),
        (RawFrame::new(77, "x").encode(), "bad_request"),
        (RawFrame::request(&json!({"command": "status"})).encode(), "bad_request"),
        (too_long[..3].to_vec(), "too_large"),
    ];
    for (frame, code) in frames {
        let [mut ben_end, mut ron_end] = test.relay().await;
        ben_end.write(&frame).await.unwrap();
        assert_eq!(end_code(&mut ben_end).await, code, "{frame:?}");
        assert_eq!(end_code(&mut ron_end).await, "");
    }
    // Half a frame.
    let [mut ben_end, mut ron_end] = test.relay().await;
    ben_end.write(&too_long[..2]).await.unwrap();
    ben_end.finish();
    assert_eq!(end_code(&mut ben_end).await, "bad_request");
    assert_eq!(end_code(&mut ron_end).await, "");
    // A packet before the reply.
    let mut early = test.ben.start_request(json!({"command": "relay", "id": test.id})).await;
    early.send_packet(&PACKET).await;
    assert_eq!(end_code(&mut early).await, "bad_request");
    test.ben.assert_alive().await;
}

#[tokio::test]
async fn packets_for_a_client_that_does_not_read_are_dropped_and_take_no_memory() {
    let mut test = Introduced::start(Server::options()).await;
    let [mut ben_end, mut ron_end] = test.relay().await;
    let other = Client::member(&test.server, "Pete").await;
    other.assert_alive().await;
    let before = test.server.memory().peak;
    let packets = RawFrame::new(kind::PACKET, PACKET).encode().repeat(100);
    // Until the server has given the receiver up, which takes some seconds.
    let flood = async {
        while test.metric(&dropped("not_read")).await == 0.0 {
            for _ in 0..50 {
                ben_end.write(&packets).await.unwrap();
            }
            other.assert_alive().await;
            test.ron.assert_alive().await;
        }
    };
    wait_within(TIMEOUT, "dropped packets", flood).await;
    assert!(test.metric(&dropped("queue_full")).await > 0.0);
    // The queue, what QUIC has not sent yet, and what it received.
    let peak = test.server.memory().peak;
    assert!(peak < before + 8 * MIB, "{before} KiB before, {peak} KiB at the peak");
    // Once the receiver reads, new packets pass again.
    let passes = async {
        loop {
            ben_end.send_packet(b"the last one").await;
            while let Ok(frame) =
                tokio::time::timeout(Duration::from_millis(100), ron_end.read_frame()).await
            {
                if frame.unwrap().unwrap().payload == b"the last one" {
                    return;
                }
            }
        }
    };
    wait_within(TIMEOUT, "a packet", passes).await;
    // Neither such a receiver delays a stop.
    for _ in 0..50 {
        ben_end.write(&packets).await.unwrap();
    }
    let start = Instant::now();
    test.server.signal(Signal::TERM);
    assert!(test.server.wait_for_exit(TIMEOUT).await.success());
    assert!(start.elapsed() < PROMPT, "the stop took {:?}", start.elapsed());
}

#[tokio::test]
async fn packets_over_the_rate_limit_are_dropped() {
    let test = Introduced::start(Server::options().argument("--relay-limit=100kB/s")).await;
    let [mut ben_end, mut ron_end] = test.relay().await;
    let start = Instant::now();
    for _ in 0..2000 {
        ben_end.send_packet(&PACKET).await;
    }
    ben_end.finish();
    let mut received = 0;
    while ron_end.next_frame().await.kind == kind::PACKET {
        received += PACKET.len();
    }
    let allowed = 64 * 1024 + (start.elapsed().as_secs_f64() * 100_000.0) as usize;
    assert!(received <= allowed, "{received} bytes, {allowed} are allowed");
    assert!(received >= 60_000, "{received} bytes at once");
    let dropped = test.metric(&dropped("rate_limit")).await as usize;
    assert_eq!(received + dropped * PACKET.len(), 2000 * PACKET.len());
}

#[tokio::test]
async fn a_used_up_budget_ends_the_relays_of_a_client() {
    let mut test = Introduced::start(Server::options().argument("--relay-budget=100kB")).await;
    let [mut ben_end, mut ron_end] = test.relay().await;
    // Each side has a budget of its own.
    for _ in 0..80 {
        ben_end.send_packet(&PACKET).await;
        assert_eq!(ron_end.next_packet().await, PACKET);
        ron_end.send_packet(&PACKET).await;
        assert_eq!(ben_end.next_packet().await, PACKET);
    }
    for _ in 0..10 {
        ben_end.send_packet(&PACKET).await;
    }
    assert_eq!(end_code(&mut ben_end).await, "no_relay");
    assert_eq!(end_code(&mut ron_end).await, "no_relay");
    test.server.log().wait_for("Client 1: Ben has used up its budget for relayed data").await;
    let relay = json!({"command": "relay", "id": test.id});
    assert_eq!(test.ben.request(relay).await.code(), "no_relay");
    // Each side learns that the server no longer relays for the two.
    let (introduced, introduction) = tokio::join!(
        test.ben.request(json!({"command": "introduce", "name": "Ron"})),
        test.ron.answer_next(&mut test.listening, true)
    );
    for side in [introduced.reply(), &introduction] {
        assert_eq!(side.get("relay"), None);
    }
}

#[tokio::test]
async fn an_introduction_without_relay_relays_nothing() {
    let mut test = Introduced::start(Server::options()).await;
    let request = json!({"command": "introduce", "name": "Ron", "relay": false});
    let (introduced, introduction) =
        tokio::join!(test.ben.request(request), test.ron.answer_next(&mut test.listening, true));
    for side in [introduced.reply(), &introduction] {
        assert_eq!(side.get("relay"), None);
    }
    for client in [&test.ben, &test.ron] {
        let relay = json!({"command": "relay", "id": introduction["id"]});
        assert_eq!(client.request(relay).await.code(), "no_relay");
    }
    test.relay().await;
}

#[tokio::test]
async fn a_server_can_be_told_not_to_relay() {
    let test = Introduced::start(Server::options().argument("--no-relay")).await;
    let mut relay = test.ben.start_request(json!({"command": "relay", "id": test.id})).await;
    assert_eq!(end_code(&mut relay).await, "no_relay");
    let agreed = json!({"command": "agreed", "id": test.id});
    let (ben, ron) = tokio::join!(test.ben.request(agreed.clone()), test.ron.request(agreed));
    assert_eq!(ben.reply()["own"], ron.reply()["other"]);
}
