//! The limits of introductions: rate, number, memory, and what is left of them.

use std::time::{Duration, Instant};

use quiver_e2e::process::Signal;
use quiver_e2e::wire::Dialer;
use quiver_e2e::{Client, Key, MetricsResponse, Server, TIMEOUT, wait_until, wait_within};
use serde_json::json;

/// Less than the grace period of running commands, and far more than a stop without any takes.
const PROMPT: Duration = Duration::from_secs(6);

async fn introduce_code(client: &Client, name: &str) -> String {
    client.request(json!({"command": "introduce", "name": name})).await.code().to_owned()
}

#[tokio::test]
async fn a_client_has_32_open_introductions_over_all_its_connections() {
    let server = Server::options().argument("--metrics=0").start().await;
    let metrics = server.metrics_address().await;
    let key = Key::new();
    let [first, second] = [(); 2].map(|()| Dialer::new(&server).key(&key));
    let (first, second) = (first.sign_in("Ben").await, second.sign_in("Ben").await);
    let ron = Client::member(&server, "Ron").await;
    let mut listening = ron.listen().await;
    for _ in 0..16 {
        for client in [&first, &second] {
            client.introduce("Ron", &ron, &mut listening).await;
        }
    }
    assert_eq!(introduce_code(&first, "Ron").await, "rate_limited");
    assert_eq!(introduce_code(&second, "Ron").await, "rate_limited");
    MetricsResponse::wait_for(metrics, "quiver_introductions_open", 32).await;
    // Those for which Ben asked do not count for Ron.
    let mut at_ben = first.listen().await;
    ron.introduce("Ben", &first, &mut at_ben).await;
    // They end with the connection.
    second.close().await;
    MetricsResponse::wait_for(metrics, "quiver_introductions_open", 17).await;
    first.introduce("Ron", &ron, &mut listening).await;
    ron.close().await;
    MetricsResponse::wait_for(metrics, "quiver_introductions_open", 0).await;
    MetricsResponse::wait_for(metrics, "quiver_listeners", 1).await;
}

#[tokio::test]
async fn a_client_asks_for_60_introductions_a_minute() {
    let server = Server::start().await;
    let key = Key::new();
    let [first, second] = [(); 2].map(|()| Dialer::new(&server).key(&key));
    let (first, second) = (first.sign_in("Ben").await, second.sign_in("Ben").await);
    for _ in 0..30 {
        for client in [&first, &second] {
            assert_eq!(introduce_code(client, "Ron").await, "no_such_client");
        }
    }
    for client in [&first, &second] {
        assert_eq!(introduce_code(client, "Ron").await, "rate_limited");
    }
    let other = Client::member(&server, "Pete").await;
    assert_eq!(introduce_code(&other, "Ron").await, "no_such_client");
}

#[tokio::test]
async fn abandoned_introductions_leave_nothing() {
    let server = Server::options().argument("--metrics=0").max_clients(8).start().await;
    let metrics = server.metrics_address().await;
    let ron = Client::member(&server, "Ron").await;
    let mut listening = ron.listen().await;
    let mut requesters = Vec::new();
    for number in 0..5 {
        requesters.push(Client::member(&server, &format!("requester-{number}")).await);
    }
    let before = server.descriptors();
    for client in &requesters {
        for round in 0..40 {
            let request = json!({"command": "introduce", "name": "Ron"});
            let mut stream = client.start_request(request).await;
            let id = listening.next_introduction().await["id"].clone();
            match round % 3 {
                // Abandoned before the answer, after it, and with streams that wait.
                0 => stream.abandon(),
                1 => {
                    ron.answer(&id, true).await;
                    stream.abandon();
                }
                _ => {
                    ron.answer(&id, true).await;
                    assert_eq!(stream.next_reply().await["reply"], "introduced");
                    for command in ["agreed", "relay"] {
                        let waiting = json!({"command": command, "id": id});
                        client.start_request(waiting).await.abandon();
                    }
                    ron.start_request(json!({"command": "relay", "id": id})).await.abandon();
                }
            }
        }
    }
    for client in requesters {
        client.request(json!({"command": "exit"})).await.eof();
    }
    for (name, number) in [
        ("quiver_introductions_open", 0),
        ("quiver_relays_running", 0),
        ("quiver_listeners", 1),
        ("quiver_clients", 1),
        ("quiver_members", 1),
        ("quiver_failures_total", 0),
    ] {
        MetricsResponse::wait_for(metrics, name, number).await;
    }
    wait_until("the file descriptors to be closed", || server.descriptors() <= before).await;
    ron.assert_alive().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_listening_stream() {
    let server = Server::options().max_clients(4).start().await;
    let dialer = Dialer::new(&server).transport(|settings| {
        settings.stream_receive_window(1024_u32.into());
    });
    let ron = dialer.sign_in("Ron").await;
    let mut listening = ron.listen().await;
    let ben = Client::member(&server, "Ben").await;
    // Two replies each: more than the window, the buffer of the stream and the queue hold.
    for number in 0..200 {
        let guest = Dialer::new(&server).endpoint(ben.endpoint());
        let guest = guest.sign_in(&format!("a-client-with-a-long-name-{number}")).await;
        guest.request(json!({"command": "exit"})).await.eof();
    }
    let reset = wait_within(TIMEOUT, "the reset", listening.recv.received_reset()).await.unwrap();
    assert!(reset.is_some(), "the server finished the stream");
    let rows = ben.status().await;
    assert!(rows.iter().all(|row| row.get("reachable").is_none()));
    ron.listen().await;
}

#[tokio::test]
async fn listening_and_relaying_clients_do_not_delay_a_stop() {
    let mut server = Server::start().await;
    let ben = Client::member(&server, "Ben").await;
    let ron = Client::member(&server, "Ron").await;
    let mut listening = ron.listen().await;
    let id = ben.introduce("Ron", &ron, &mut listening).await;
    let [mut ben_end, mut ron_end] = ben.relay_with(&ron, &id).await;
    // Commands that wait for the other side.
    let id = ben.introduce("Ron", &ron, &mut listening).await;
    let mut agreed = ben.start_request(json!({"command": "agreed", "id": id})).await;
    let mut relay = ben.start_request(json!({"command": "relay", "id": id})).await;
    let mut unanswered = ben.start_request(json!({"command": "introduce", "name": "Ron"})).await;
    listening.next_introduction().await;
    ben.assert_alive().await;
    let start = Instant::now();
    server.signal(Signal::TERM);
    for stream in [&mut listening, &mut ben_end, &mut ron_end] {
        let response = wait_within(TIMEOUT, "the Eof", stream.read_response()).await.unwrap();
        assert_eq!((response.replies.len(), response.eof()), (0, &json!({})));
    }
    for stream in [&mut agreed, &mut relay, &mut unanswered] {
        let response = wait_within(TIMEOUT, "a refusal", stream.read_response()).await.unwrap();
        assert_eq!(response.code(), "shutting_down");
    }
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    assert!(start.elapsed() < PROMPT, "the stop took {:?}", start.elapsed());
}
