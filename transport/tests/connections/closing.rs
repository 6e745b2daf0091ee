//! Closing a connection while its congestion window is full.

use std::sync::atomic::Ordering;
use std::time::Duration;

use quiver_protocol::CloseCode;
use quiver_transport::{ConnectionEnd, Protocol, close};
use tokio::time::timeout;

use crate::network::{ConnectedPair, connect_pair};

/// Sends without acknowledgements until the congestion window is full.
async fn fill_congestion_window(pair: &ConnectedPair) {
    pair.relay.drops_from_client.store(true, Ordering::Relaxed);
    let server = &pair.accepted.connection;
    let (mut send, _recv) = server.open_bi().await.unwrap();
    while timeout(Duration::from_millis(300), send.write_all(&[0; 65_536])).await.is_ok() {}
    assert!(server.stats().path.cwnd < 512 * 1024);
}

/// How the connection ends at the client, within less than its idle timeout.
async fn end_at_client(pair: &ConnectedPair) -> ConnectionEnd {
    timeout(Duration::from_secs(6), pair.dialled.closed()).await.unwrap().into()
}

/// A client and a server that has promoted it to a member.
async fn connect_member() -> ConnectedPair {
    let pair = connect_pair(Protocol::QUIVER_1).await;
    pair.accepted.protocol.accepted_role().apply_to(&pair.accepted.connection);
    pair
}

#[tokio::test]
async fn a_full_congestion_window_does_not_delay_the_close_of_a_connection() {
    let pair = connect_member().await;
    fill_congestion_window(&pair).await;
    close(&pair.accepted.connection, CloseCode::ShuttingDown);
    assert_eq!(end_at_client(&pair).await, ConnectionEnd::ClosedByPeer(CloseCode::ShuttingDown));
}

#[tokio::test]
async fn a_full_congestion_window_does_not_delay_the_close_of_an_endpoint() {
    let pair = connect_member().await;
    fill_congestion_window(&pair).await;
    pair.accepting.close(CloseCode::ShuttingDown);
    pair.accepting.wait_idle(Duration::from_secs(6)).await;
    assert_eq!(end_at_client(&pair).await, ConnectionEnd::ClosedByPeer(CloseCode::ShuttingDown));
}
