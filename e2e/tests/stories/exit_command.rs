//! The `exit` command: it ends the client's running transfers, and a client that has sent it holds
//! nothing for long.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs::File;

use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::wire::{Dialer, RawFrame};
use quiver_e2e::{Client, MetricsResponse, Server, TIMEOUT, wait_within};
use serde_json::json;

const MIB: u64 = 1024 * 1024;

/// Maximum number of connections that were answered with goodbye and are not closed yet
/// (docs/operations.md).
const MAX_LEAVING: f64 = 16.0;

/// Starts a server with one slot and a large file.
async fn start_server() -> Server {
    let server = Server::options().argument("--metrics=0").max_clients(1).start().await;
    File::create(server.files().join("big")).unwrap().set_len(64 * MIB).unwrap();
    server
}

/// The frame of an exit request.
fn exit_request() -> Vec<u8> {
    RawFrame::request(&json!({"command": "exit"})).encode()
}

#[tokio::test]
async fn exit_ends_running_downloads_before_it_frees_the_slot() {
    let server = start_server().await;
    let client = Client::member(&server, "Ron").await;
    let mut downloads = Vec::new();
    for _ in 0..16 {
        let mut download = client.get("big").await.unwrap();
        download.read_at_least(1).await;
        downloads.push(download);
    }
    let running = r#"quiver_transfers_running{direction="get"}"#;
    assert_eq!(MetricsResponse::read(server.metrics_address().await).await.number(running), 16.0);
    assert_eq!(client.exchange(&exit_request()).await.reply()["reply"], "goodbye");
    // No wait: the server sends goodbye after it has ended the downloads.
    let page = MetricsResponse::read(server.metrics_address().await).await;
    assert_eq!((page.number(running), page.number("quiver_members")), (0.0, 0.0));
    let other = Client::member(&server, "Ben").await;
    other.assert_alive().await;
    for download in downloads {
        assert!(download.try_finish().await.is_err(), "a get continued after exit");
    }
}

#[tokio::test]
async fn the_server_bounds_connections_that_do_not_acknowledge_their_end() {
    const ROUNDS: usize = 40;
    let server = start_server().await;
    let mut silent_clients = Vec::new();
    for round in 0..ROUNDS {
        let relay = UdpRelay::start(server.address()).await;
        let client = Dialer::new(&server).via(relay.address()).sign_in("Ron").await;
        let mut download = client.get("big").await.unwrap();
        download.read_at_least(1).await;
        // The exit reaches the server; the client's later packets do not.
        let mut stream = client.open().await.unwrap();
        stream.write(&exit_request()).await.unwrap();
        server.log().wait_for_nth("has disconnected", round + 1).await;
        relay.cut();
        let page = MetricsResponse::read(server.metrics_address().await).await;
        assert_eq!(page.number("quiver_members"), 0.0, "in round {round}");
        assert!(page.number("quiver_leaving") <= MAX_LEAVING, "in round {round}");
        silent_clients.push((client, download, stream, relay));
    }
    let all_closed = async {
        while MetricsResponse::read(server.metrics_address().await).await.number("quiver_leaving")
            > 0.0
        {}
    };
    wait_within(TIMEOUT, "the end of all connections", all_closed).await;
    Client::member(&server, "Ben").await.assert_alive().await;
}
