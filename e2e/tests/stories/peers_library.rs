//! Two clients, as a library, with a real server between them: messages, offers, paths.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;

use quiver_client::error::PeerError;
use quiver_client::peer_event::PeerEvent;
use quiver_client::peer_path::PeerPath;
use quiver_client::peer_store::{IncomingState, OfferNumber};
use quiver_client::request::{AcceptRequest, OfferRequest, UploadContent};
use quiver_client::settings::PathPolicy;
use quiver_client::{ClientError, ErrorCode, TransferEnd};
use quiver_e2e::deadline::{TIMEOUT, wait_within};
use quiver_e2e::{LibraryClient, Server};
use quiver_protocol::ClientName;

fn name(text: &str) -> ClientName {
    ClientName::parse(text).unwrap()
}

#[tokio::test]
async fn a_message_is_delivered_and_shown_once() {
    let server = Server::start().await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::RelayOnly).await;
    let mut ron = LibraryClient::connect(&server, "Ron", PathPolicy::RelayOnly).await;
    let to = name("ron");
    let told = ben.client.tell(&to, "Hello \u{1b}[2J");
    wait_within(TIMEOUT, "a confirmation", told).await.unwrap();
    let (from, text) = ron
        .wait_for("a message", |event| match event {
            PeerEvent::Message { from, text, .. } => Some((from.clone(), text.clone())),
            _ => None,
        })
        .await;
    assert_eq!((from.as_str(), text.as_str()), ("Ben", "Hello \u{1b}[2J"));
    let status = &ron.client.peer_statuses()[0];
    assert!(matches!(status.path, PeerPath::Relayed { .. }), "{status:?}");
    ben.client.shut_down().await;
    ron.client.shut_down().await;
}

#[tokio::test]
async fn an_accepted_offer_is_stored_and_confirmed() {
    let server = Server::start().await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::RelayOnly).await;
    let mut ron = LibraryClient::connect(&server, "Ron", PathPolicy::RelayOnly).await;
    let (source, target) = (ben.home.folder().join("out"), ron.home.folder().join("in"));
    fs::create_dir_all(source.join("photos/deep")).unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(source.join("a.txt"), "Hello").unwrap();
    fs::write(source.join("photos/b.bin"), vec![7; 3_000_000]).unwrap();
    fs::write(source.join("photos/deep/c"), "").unwrap();
    let paths = ["a.txt", "photos"].map(|name| source.join(name)).into();
    let content = UploadContent::Paths(paths);
    let request = OfferRequest { to: name("Ron"), content, offered_as: None };
    let offer = ben.client.offer(request).await.unwrap();
    assert_eq!((offer.counts.count, offer.counts.files), (2, 3));
    let deliver = ben.client.deliver(offer.number, false);
    let receive = async {
        let offer = ron.next_offer().await;
        assert_eq!(offer.counts.bytes, Some(3_000_005));
        let request = AcceptRequest { folder: target.clone(), ..AcceptRequest::default() };
        let mut running = ron.client.accept_offer(offer.number, request).await.unwrap();
        let end = running.wait().await;
        assert!(matches!(end, TransferEnd::Done), "{end:?}");
    };
    let (delivered, ()) =
        wait_within(TIMEOUT, "the delivery", async { tokio::join!(deliver, receive) }).await;
    delivered.unwrap();
    assert_eq!(fs::read(target.join("a.txt")).unwrap(), b"Hello");
    assert_eq!(fs::read(target.join("photos/b.bin")).unwrap(), vec![7; 3_000_000]);
    assert_eq!(fs::read(target.join("photos/deep/c")).unwrap(), b"");
    ben.client.shut_down().await;
    ron.client.shut_down().await;
}

/// Ben offers a large file, and Ron cancels its transfer at once. Returns the offer's number at each of them, and
/// Ron's target.
async fn cancel_transfer(
    ben: &LibraryClient,
    ron: &mut LibraryClient,
) -> ([OfferNumber; 2], AcceptRequest) {
    let (source, target) = (ben.home.file("big"), ron.home.file("in"));
    fs::File::create(&source).unwrap().set_len(256 * 1024 * 1024).unwrap();
    fs::create_dir(&target).unwrap();
    let content = UploadContent::Paths(vec![source]);
    let request = OfferRequest { to: name("Ron"), content, offered_as: None };
    let offer = ben.client.offer(request).await.unwrap();
    wait_within(TIMEOUT, "a link", ben.client.connect_peer(&name("Ron"))).await.unwrap();
    let received = ron.next_offer().await;
    let request = AcceptRequest { folder: target, ..AcceptRequest::default() };
    let mut running = ron.client.accept_offer(received.number, request.clone()).await.unwrap();
    ron.client.cancel(running.id).unwrap();
    let end = wait_within(TIMEOUT, "the end", running.wait()).await;
    assert!(matches!(end, TransferEnd::Cancelled), "{end:?}");
    ([offer.number, received.number], request)
}

#[tokio::test]
async fn a_cancelled_offer_is_open_again_and_can_be_declined() {
    let server = Server::start().await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::RelayOnly).await;
    let mut ron = LibraryClient::connect(&server, "Ron", PathPolicy::RelayOnly).await;
    let ([sent, received], _) = cancel_transfer(&ben, &mut ron).await;
    let (incoming, _) = ron.client.offers().await.unwrap();
    assert_eq!(incoming[0].state, IncomingState::Open);
    let deliver = ben.client.deliver(sent, false);
    let decline = ron.client.decline_offer(received);
    let (delivered, declined) =
        wait_within(TIMEOUT, "the answer", async { tokio::join!(deliver, decline) }).await;
    declined.unwrap();
    let error = delivered.unwrap_err();
    assert!(matches!(error, ClientError::Peer(PeerError::Declined(_))), "{error}");
    ben.client.shut_down().await;
    ron.client.shut_down().await;
}

#[tokio::test]
async fn a_cancelled_offer_continues_only_when_it_is_accepted_again() {
    let server = Server::start().await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::RelayOnly).await;
    let mut ron = LibraryClient::connect(&server, "Ron", PathPolicy::RelayOnly).await;
    let ([_, received], request) = cancel_transfer(&ben, &mut ron).await;
    let mut running = ron.client.accept_offer(received, request.clone()).await.unwrap();
    let end = wait_within(TIMEOUT, "the file", running.wait()).await;
    assert!(matches!(end, TransferEnd::Done), "{end:?}");
    assert_eq!(quiver_e2e::quiver::names(&request.folder), ["big"]);
    ben.client.shut_down().await;
    ron.client.shut_down().await;
}

#[tokio::test]
async fn the_sender_of_a_declined_offer_knows_it_before_the_client_ends() {
    let server = Server::start().await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::RelayOnly).await;
    let mut ron = LibraryClient::connect(&server, "Ron", PathPolicy::RelayOnly).await;
    let file = ben.home.folder().join("a.txt");
    fs::write(&file, "Hello").unwrap();
    let content = UploadContent::Paths([file].into());
    let request = OfferRequest { to: name("Ron"), content, offered_as: None };
    let offer = ben.client.offer(request).await.unwrap();
    let deliver = ben.client.deliver(offer.number, false);
    let decline = async {
        let offer = ron.next_offer().await;
        ron.client.decline_offer(offer.number).await.unwrap();
        ron.client.shut_down().await;
    };
    let (delivered, ()) =
        wait_within(TIMEOUT, "the answer", async { tokio::join!(deliver, decline) }).await;
    assert_eq!(delivered.unwrap_err().code(), ErrorCode::Declined);
    ben.client.shut_down().await;
}

#[tokio::test]
async fn clients_that_accepted_each_other_connect_directly() {
    let server = Server::start().await;
    let mut ben = LibraryClient::connect(&server, "Ben", PathPolicy::Any).await;
    let mut ron = LibraryClient::connect(&server, "Ron", PathPolicy::Any).await;
    wait_within(TIMEOUT, "a message", ben.client.tell(&name("Ron"), "Hello")).await.unwrap();
    wait_within(TIMEOUT, "a message", ron.client.tell(&name("Ben"), "Hi")).await.unwrap();
    for peer in [&mut ben, &mut ron] {
        peer.wait_for("a direct path", |event| {
            matches!(event, PeerEvent::PathChanged { path: PeerPath::Direct { .. }, .. })
                .then_some(())
        })
        .await;
    }
    wait_within(TIMEOUT, "a message", ben.client.tell(&name("Ron"), "Directly")).await.unwrap();
    ben.client.shut_down().await;
    ron.client.shut_down().await;
}
