//! What `exit` ends, and what those who leave may still hold.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs::File;

use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::wire::{Dialer, RawFrame};
use quiver_e2e::{Client, MetricsResponse, Server, TIMEOUT, wait_within};
use serde_json::json;

const MIB: u64 = 1024 * 1024;

/// Connections that said goodbye and are not closed yet, at most (docs/operations.md).
const LEAVING: f64 = 16.0;

/// A server with one slot.
async fn server() -> Server {
    let server = Server::options().argument("--metrics=0").max_clients(1).start().await;
    File::create(server.files().join("big")).unwrap().set_len(64 * MIB).unwrap();
    server
}

fn exit() -> Vec<u8> {
    RawFrame::request(&json!({"command": "exit"})).encode()
}

#[tokio::test]
async fn exit_ends_what_the_client_began_before_its_slot_is_free() {
    let server = server().await;
    let client = Client::member(&server, "Ron").await;
    let mut downloads = Vec::new();
    for _ in 0..16 {
        let mut download = client.get("big").await.unwrap();
        download.read_at_least(1).await;
        downloads.push(download);
    }
    let running = r#"quiver_transfers_running{direction="get"}"#;
    assert_eq!(MetricsResponse::read(server.metrics_address().await).await.number(running), 16.0);
    assert_eq!(client.exchange(&exit()).await.reply()["reply"], "goodbye");
    // No wait: the goodbye comes after the end of all that.
    let page = MetricsResponse::read(server.metrics_address().await).await;
    assert_eq!((page.number(running), page.number("quiver_members")), (0.0, 0.0));
    let other = Client::member(&server, "Ben").await;
    other.assert_alive().await;
    for download in downloads {
        assert!(download.try_finish().await.is_err(), "a get went on after exit");
    }
}

#[tokio::test]
async fn clients_that_leave_and_acknowledge_nothing_do_not_pile_up() {
    const ROUNDS: usize = 40;
    let server = server().await;
    let mut gone = Vec::new();
    for round in 0..ROUNDS {
        let path = UdpRelay::start(server.address()).await;
        let client = Dialer::new(&server).via(path.address()).sign_in("Ron").await;
        let mut download = client.get("big").await.unwrap();
        download.read_at_least(1).await;
        // The exit passes, and nothing that the client says after it.
        let mut stream = client.open().await.unwrap();
        stream.write(&exit()).await.unwrap();
        server.log().wait_for_nth("has disconnected", round + 1).await;
        path.cut();
        let page = MetricsResponse::read(server.metrics_address().await).await;
        assert_eq!(page.number("quiver_members"), 0.0, "in round {round}");
        assert!(page.number("quiver_leaving") <= LEAVING, "in round {round}");
        gone.push((client, download, stream, path));
    }
    let all_closed = async {
        while MetricsResponse::read(server.metrics_address().await).await.number("quiver_leaving")
            > 0.0
        {}
    };
    wait_within(TIMEOUT, "the end of all connections", all_closed).await;
    Client::member(&server, "Ben").await.assert_alive().await;
}
