//! Two hundred offers that are begun and cancelled before they are accepted: tasks, descriptors, memory and introductions
//! of both clients and of the server are back at what they were.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::path::PathBuf;

use quiver_client::peer_event::PeerEvent;
use quiver_client::request::{OfferRequest, UploadContent};
use quiver_client::settings::PathPolicy;
use quiver_e2e::{LibraryClient, MetricsResponse, Server, TIMEOUT, wait_until, wait_within};
use quiver_protocol::ClientName;
use tokio::runtime::Handle;

/// Cancelled offers of each kind.
const ROUNDS: usize = 67;

/// More than a process's own counting fluctuates by, in KiB.
const MEMORY_MARGIN: u64 = 8 * 1024;

/// What this process uses for both clients.
#[derive(Debug)]
struct Usage {
    tasks: usize,
    descriptors: usize,
}

impl Usage {
    fn now() -> Self {
        Self {
            tasks: Handle::current().metrics().num_alive_tasks(),
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
        }
    }
}

/// Resident memory of this process in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How an offer ends.
#[derive(Debug, Clone, Copy)]
enum Cancellation {
    /// Its sender withdraws it at once.
    AtOnce,
    /// Its sender withdraws it once its recipient is asked.
    WhileOpen,
    /// Its recipient declines.
    Declined,
}

const CANCELLATIONS: [Cancellation; 3] =
    [Cancellation::AtOnce, Cancellation::WhileOpen, Cancellation::Declined];

/// Begins an offer of Ben to Ron, and cancels it.
async fn cancel(ben: &LibraryClient, ron: &mut LibraryClient, how: Cancellation, source: PathBuf) {
    let to = ClientName::parse("Ron").unwrap();
    let content = UploadContent::Paths(vec![source]);
    let offer = ben.client.offer(OfferRequest { to, content, offered_as: None }).await.unwrap();
    let number = offer.number;
    if matches!(how, Cancellation::AtOnce) {
        return ben.client.withdraw_offer(number).await.unwrap();
    }
    let deliver = ben.client.deliver(number, false);
    let cancel = async {
        let received = ron
            .wait_for("this offer", |event| match event {
                PeerEvent::OfferReceived(received) if received.id == offer.id => {
                    Some(received.number)
                }
                _ => None,
            })
            .await;
        match how {
            Cancellation::AtOnce | Cancellation::WhileOpen => {
                ben.client.withdraw_offer(number).await.unwrap();
            }
            Cancellation::Declined => drop(ron.client.decline_offer(received).await.unwrap()),
        }
    };
    let (delivered, ()) = wait_within(TIMEOUT, &format!("an offer that ends {how:?}"), async {
        tokio::join!(deliver, cancel)
    })
    .await;
    assert!(delivered.is_err(), "{how:?}");
}

#[tokio::test]
async fn two_hundred_cancelled_offers_leave_nothing_at_both_clients_and_the_server() {
    let server = Server::options().argument("--metrics=0").start().await;
    let metrics = server.metrics_address().await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::RelayOnly).await;
    let mut ron = LibraryClient::connect(&server, "Ron", PathPolicy::RelayOnly).await;
    let source = ben.home.folder().join("offered.bin");
    fs::write(&source, "Hello").unwrap();
    // The first of each kind opens the link and the records.
    for how in CANCELLATIONS {
        cancel(&ben, &mut ron, how, source.clone()).await;
    }
    let quiet = Usage::now();
    let (own_before, server_before) = (memory(), server.memory().resident);
    let server_descriptors = server.descriptors();
    for _ in 0..ROUNDS {
        for how in CANCELLATIONS {
            cancel(&ben, &mut ron, how, source.clone()).await;
        }
    }
    wait_until("the tasks and descriptors of before", || {
        let usage = Usage::now();
        usage.tasks <= quiet.tasks && usage.descriptors <= quiet.descriptors
    })
    .await;
    wait_until("the descriptors of the server", || server.descriptors() <= server_descriptors)
        .await;
    let (own, of_server) = (memory(), server.memory().resident);
    assert!(own < own_before + MEMORY_MARGIN, "{own_before} KiB before, {own} KiB now");
    let server_limit = server_before + MEMORY_MARGIN;
    assert!(of_server < server_limit, "{server_before} KiB before, {of_server} KiB now");
    // The link that both still use.
    MetricsResponse::wait_for(metrics, "quiver_introductions_open", 1).await;
    MetricsResponse::wait_for(metrics, "quiver_relays_running", 1).await;
    for client in [&ben, &ron] {
        assert_eq!(client.client.peer_statuses().len(), 1);
        let (incoming, outgoing) = client.client.offers().await.unwrap();
        assert!(incoming.iter().all(|offer| offer.state.is_settled()), "{incoming:?}");
        assert!(outgoing.iter().all(|offer| offer.state.is_settled()), "{outgoing:?}");
    }
    for client in [ben.client, ron.client] {
        client.disconnect().await;
        client.shut_down().await;
    }
    MetricsResponse::wait_for(metrics, "quiver_introductions_open", 0).await;
    MetricsResponse::wait_for(metrics, "quiver_relays_running", 0).await;
}
