//! A hundred thousand mutated frames on live streams: each ends its own stream, and affects nothing else.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use quiver_e2e::random::Random;
use quiver_e2e::wire::{RawFrame, RawStream, RawStreamError, kind};
use quiver_e2e::{Client, Server, TIMEOUT, wait_within};
use serde_json::json;
use tokio::task::JoinSet;

/// Mutated frames on a member's streams.
const FRAMES: u64 = 100_000;

/// Streams that are used at once.
const STREAMS: u64 = 32;

/// Guests with three mutated hellos each.
const GUESTS: u64 = 200;

/// The server's allowed memory growth after the first fifth of the work, in KiB.
const MAX_GROWTH: u64 = 16 * 1024;

/// A random seed, or that of `QUIVER_SEED`.
fn seed() -> u64 {
    match std::env::var("QUIVER_SEED") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => RandomState::new().hash_one(()),
    }
}

/// The frames that are mutated. Without exit, which would end the connection.
fn originals() -> Vec<Vec<u8>> {
    let requests = [
        json!({"command": "hello", "version": 1, "name": "Ron", "password": "tomato"}),
        json!({"command": "message", "text": "Hello 🏹 \u{0} \" \\ é"}),
        json!({"command": "message", "text": "x".repeat(3000)}),
        json!({"command": "status"}),
        json!({"command": "list", "path": ""}),
        json!({"command": "list", "path": "folder/below"}),
        json!({"command": "get", "path": "small"}),
        json!({"command": "get", "path": "folder/below/file with a name.txt"}),
        json!({"command": "get", "path": "none", "have": {"size": 7, "blake3": "0".repeat(64)}}),
    ];
    let mut originals: Vec<_> =
        requests.iter().map(|request| RawFrame::request(request).encode()).collect();
    originals.push(RawFrame::json(kind::RECEIVED, &json!({"blake3": "0".repeat(64)})).encode());
    originals.push(RawFrame::new(kind::DATA, vec![7; 1024]).encode());
    originals.push(RawFrame::new(kind::EOF, "{}").encode());
    originals.push(RawFrame::new(kind::ERROR, r#"{"code":"busy","message":"later"}"#).encode());
    originals
}

/// Makes one to three mutations. The length is mostly corrected afterwards, so that the server decodes the payload.
fn mutate(random: &mut Random, originals: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.choose(originals).clone();
    for _ in 0..1 + random.below(3) {
        let length = bytes.len();
        let position = random.below(length + 1);
        let piece = position + random.below(length + 1 - position).min(40);
        match random.below(8) {
            0 if position < length => bytes[position] ^= 1 << random.below(8),
            1 if position < length => bytes[position] = random.number() as u8,
            2 => bytes.insert(position, random.number() as u8),
            3 => drop(bytes.drain(position..piece)),
            4 => bytes.truncate(position),
            5 => {
                let again = bytes[position..piece].to_vec();
                bytes.splice(position..position, again);
            }
            6 => {
                let other = random.choose(originals);
                let cut = random.below(other.len());
                bytes.splice(position.., other[cut..].iter().copied());
            }
            7 if length > 2 => bytes[1..3].copy_from_slice(&(random.number() as u16).to_be_bytes()),
            _ => {}
        }
    }
    if bytes.len() > 3 && random.below(3) > 0 {
        let right = (bytes.len() - 3) as u16;
        bytes[1..3].copy_from_slice(&right.to_be_bytes());
    }
    bytes
}

/// Sends the bytes on a new stream in a random way, and reads the response: the code of a refusal, `eof`, or
/// `abandoned`.
async fn send(client: &Client, random: &mut Random, bytes: &[u8]) -> String {
    let mut stream = client.open().await.unwrap();
    let cut = random.below(bytes.len() + 1);
    let choice = random.below(20);
    for piece in [&bytes[..cut], &bytes[cut..]] {
        match stream.write(piece).await {
            Ok(()) | Err(RawStreamError::Stopped(_)) => {}
            Err(broken) => panic!("{broken:?}"),
        }
        if choice == 0 {
            // In two packets.
            tokio::task::yield_now().await;
        }
    }
    match choice {
        1 | 2 => {
            stream.abandon();
            return "abandoned".to_owned();
        }
        _ => stream.finish(),
    }
    let frames = wait_within(TIMEOUT, "the end of a stream", read_response(&mut stream)).await;
    let ends = frames.iter().filter(|frame| [kind::EOF, kind::ERROR].contains(&frame.kind)).count();
    assert_eq!(ends, 1, "{:?} was answered with {frames:?}", String::from_utf8_lossy(bytes));
    let last = frames.last().unwrap();
    assert!([kind::EOF, kind::ERROR].contains(&last.kind), "{frames:?}");
    let code = last.value()["code"].as_str().unwrap_or("eof").to_owned();
    assert_ne!(code, "internal", "{frames:?}");
    code
}

async fn read_response(stream: &mut RawStream) -> Vec<RawFrame> {
    stream.read_frames().await.unwrap()
}

fn add_files(server: &Server) {
    server.add_file("small", "content");
    server.add_file("folder/below/file with a name.txt", vec![7; 5000]);
}

#[tokio::test]
async fn a_hundred_thousand_mutated_frames_end_only_their_streams() {
    let seed = seed();
    eprintln!("QUIVER_SEED={seed} repeats this");
    let server = Server::start().await;
    add_files(&server);
    let client = Client::member(&server, "Ron").await;
    let other = Client::member(&server, "Ben").await;
    let originals = Arc::new(originals());
    let (mut settled, mut outcomes) = (None, BTreeMap::<String, u64>::new());
    for fifth in 0..5 {
        let mut streams = JoinSet::new();
        for number in 0..STREAMS {
            let (client, originals) = (client.clone(), originals.clone());
            let mut random =
                Random::new(seed ^ (fifth * STREAMS + number).wrapping_mul(0x0123_4567_89ab_cdef));
            streams.spawn(async move {
                let mut outcomes = Vec::new();
                for _ in 0..FRAMES / 5 / STREAMS {
                    let bytes = mutate(&mut random, &originals);
                    outcomes.push(send(&client, &mut random, &bytes).await);
                }
                outcomes
            });
        }
        for outcome in streams.join_all().await.into_iter().flatten() {
            *outcomes.entry(outcome).or_default() += 1;
        }
        client.assert_alive().await;
        other.assert_alive().await;
        let memory = server.memory().resident;
        let settled = *settled.get_or_insert(memory);
        assert!(memory < settled + MAX_GROWTH, "{settled} KiB became {memory} KiB");
    }
    assert_eq!(client.get_code("small").await, "");
    assert!(server.memory().peak < 64 * 1024, "{:?}", server.memory());
    // The mutations reach several kinds of failures, and some leave the frame valid.
    eprintln!("{outcomes:?}");
    for outcome in ["bad_request", "too_large", "unknown_command", "bad_path", "not_found", "eof"] {
        assert!(outcomes.get(outcome).is_some_and(|&count| count > 5), "{outcome}: {outcomes:?}");
    }
}

#[tokio::test]
async fn mutated_hellos_end_only_their_connections() {
    let seed = seed();
    eprintln!("QUIVER_SEED={seed} repeats this");
    let server = Server::options().max_clients(1000).start().await;
    let member = Client::member(&server, "Ron").await;
    let originals = originals();
    let mut random = Random::new(seed);
    for _ in 0..GUESTS {
        let guest = Client::guest(&server).await;
        for _ in 0..3 {
            let bytes = mutate(&mut random, &originals);
            match guest.try_exchange(&bytes).await {
                Ok(answer) if answer.code().is_empty() => break,
                Ok(answer) => assert_ne!(answer.code(), "internal"),
                // The server closes the connection for a command before the hello.
                Err(_) => break,
            }
        }
    }
    member.assert_alive().await;
    Client::member(&server, "Ben").await.assert_alive().await;
    assert!(server.memory().peak < 64 * 1024, "{:?}", server.memory());
}
