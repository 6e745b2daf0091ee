//! Who may connect directly: what each side learns of the other one, and which introductions and rounds are refused.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::net::SocketAddr;

use quiver_client::event::{ClientEvent, EventKind};
use quiver_client::peer_event::PeerEvent;
use quiver_client::peer_path::{NotDirect, PeerPath};
use quiver_client::peer_store::OutgoingState;
use quiver_client::question::{Answer, Question};
use quiver_client::request::{OfferRequest, UploadContent};
use quiver_client::settings::PathPolicy;
use quiver_e2e::raw_peer::PeerSide;
use quiver_e2e::wire::{RawFrame, RawStream, kind};
use quiver_e2e::{
    LibraryClient, PeerConnection, RawPeer, Server, TIMEOUT, wait_until, wait_within,
};
use quiver_protocol::{ClientName, Fingerprint, IntroductionId};
use quiver_transport::{DialId, Endpoint, EndpointSettings};
use serde_json::{Value, json};

fn name(text: &str) -> ClientName {
    ClientName::parse(text).unwrap()
}

/// Sends a message, and so accepts the other client.
async fn tell(from: &LibraryClient, to: &str) {
    wait_within(TIMEOUT, "a message", from.client.tell(&name(to), "Hello")).await.unwrap();
}

/// The paths of all links of a client.
fn paths(peer: &LibraryClient) -> Vec<PeerPath> {
    peer.client.peer_statuses().into_iter().map(|status| status.path).collect()
}

/// Waits until the only link of a client is relayed for this reason.
async fn wait_for_reason(peer: &LibraryClient, why: NotDirect) {
    let what = format!("{why:?}");
    wait_until(&what, || paths(peer) == [PeerPath::Relayed { why }]).await;
}

#[tokio::test]
async fn each_side_knows_which_one_has_not_accepted() {
    let server = Server::start().await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::Any).await;
    let ron = LibraryClient::connect(&server, "Ron", PathPolicy::Any).await;
    wait_within(TIMEOUT, "a link", ben.client.connect_peer(&name("Ron"))).await.unwrap();
    for peer in [&ben, &ron] {
        wait_for_reason(peer, NotDirect::NotAccepted).await;
    }
    tell(&ben, "Ron").await;
    wait_for_reason(&ben, NotDirect::NotAcceptedRemotely).await;
    wait_for_reason(&ron, NotDirect::NotAcceptedLocally).await;
    tell(&ron, "Ben").await;
    for peer in [&ben, &ron] {
        let is_direct = || matches!(paths(peer)[..], [PeerPath::Direct { .. }]);
        wait_until("a direct path", is_direct).await;
    }
    ben.client.shut_down().await;
    ron.client.shut_down().await;
}

#[tokio::test]
async fn the_side_that_did_not_ask_learns_that_the_other_one_has_not_accepted() {
    let server = Server::start().await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::Any).await;
    let ron = LibraryClient::connect(&server, "Ron", PathPolicy::Any).await;
    // Ron has accepted Ben before, on a link for which he asked.
    tell(&ron, "Ben").await;
    ron.client.shut_down().await;
    wait_until("the end of the link", || paths(&ben).is_empty()).await;
    let ron = ron.reconnect(&server, "Ron", PathPolicy::Any).await;
    wait_within(TIMEOUT, "a link", ben.client.connect_peer(&name("Ron"))).await.unwrap();
    wait_for_reason(&ron, NotDirect::NotAcceptedRemotely).await;
    wait_for_reason(&ben, NotDirect::NotAcceptedLocally).await;
    ben.client.shut_down().await;
    ron.client.shut_down().await;
}

#[tokio::test]
async fn a_client_that_uses_the_relay_only_is_not_taken_for_one_that_has_not_accepted() {
    let server = Server::start().await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::Any).await;
    let ron = LibraryClient::connect(&server, "Ron", PathPolicy::RelayOnly).await;
    tell(&ben, "Ron").await;
    wait_for_reason(&ben, NotDirect::Declined).await;
    tell(&ron, "Ben").await;
    wait_for_reason(&ben, NotDirect::Declined).await;
    wait_for_reason(&ron, NotDirect::RelayOnly).await;
    ben.client.shut_down().await;
    ron.client.shut_down().await;
}

#[tokio::test]
async fn a_person_who_refuses_a_direct_connection_does_not_let_the_other_one_wait() {
    let options = Server::options().argument("--no-relay");
    let server = options.environment("RUST_LOG", "quiver_server=debug").start().await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::DirectOnly).await;
    let mut ron = LibraryClient::connect(&server, "Ron", PathPolicy::DirectOnly).await;
    let _attendant = ron.client.questions().register_interface();
    let refuse = async {
        loop {
            let ClientEvent { kind, .. } = ron.events.next().await.unwrap();
            if let EventKind::Question(id, question) = kind {
                let Question::ConnectDirectly { name, .. } = &*question else {
                    panic!("{question:?}")
                };
                assert_eq!(name.as_str(), "Ben");
                server.log().wait_for("Ben agrees to a direct connection").await;
                return ron.client.questions().answer(id, Answer::Confirm(false)).unwrap();
            }
        }
    };
    let (ben_client, ron_name) = (&ben.client, name("Ron"));
    let told = ben_client.tell(&ron_name, "Hello");
    let (told, ()) =
        wait_within(TIMEOUT, "the refusal", async { tokio::join!(told, refuse) }).await;
    let error = told.unwrap_err().to_string();
    let expected = "cannot reach Ron: the other person does not agree to a direct connection";
    assert_eq!(error, expected);
    ben.client.shut_down().await;
    ron.client.shut_down().await;
}

/// A client that breaks rules, on a link for which it has asked, with another one that has accepted it before.
struct AcceptedPeer {
    peer: RawPeer,
    connection: PeerConnection,
    /// The id of the link's introduction, and the other client's key.
    introduction: Value,
    key: Value,
    /// The id of an introduction that is over.
    over: Value,
}

impl AcceptedPeer {
    /// Connects Mallory with `ron`, who has accepted her.
    async fn connect(server: &Server, ron: &LibraryClient) -> Self {
        let peer = RawPeer::sign_in(server, "Mallory").await;
        let mut listening = peer.client.listen().await;
        let accept = async {
            let first = peer.accept(&mut listening).await;
            let (request, mut stream) = first.next_request().await;
            assert_eq!(request["command"], "tell");
            end(&mut stream).await;
            // The end has arrived.
            wait_within(TIMEOUT, "an acknowledgement", stream.send.stopped()).await.unwrap();
            first.connection.close(0_u32.into(), b"");
            first.wait_idle().await;
        };
        tokio::join!(tell(ron, "Mallory"), accept);
        wait_until("the end of the first link", || paths(ron).is_empty()).await;
        let request = json!({"command": "introduce", "name": "Ron"});
        let over = peer.client.request(request.clone()).await.reply()["id"].clone();
        let introduced = peer.client.request(request).await;
        let (introduction, key) =
            (introduced.reply()["id"].clone(), introduced.reply()["key"].clone());
        let stream = peer.relay(&introduction).await;
        let identity = &peer.key.identity;
        let connection =
            PeerConnection::open(stream, identity, PeerSide::Requester, &key).await.unwrap();
        Self { peer, connection, introduction, key, over }
    }

    /// Asks for a round of direct dials.
    async fn dial(&self, introduction: &Value, round: u32) -> RawStream {
        let request = json!({
            "command": "dial", "introduction": introduction, "round": round, "addresses": [],
        });
        let mut stream = self.connection.open_stream().await;
        stream.write_frame(&RawFrame::request(&request)).await.unwrap();
        stream
    }

    /// The code with which a round is refused.
    async fn refusal(&self, introduction: &Value, round: u32) -> String {
        let mut stream = self.dial(introduction, round).await;
        let response = wait_within(TIMEOUT, "a refusal", stream.read_response()).await.unwrap();
        response.code().to_owned()
    }

    /// Waits until no round runs, and expects that this one is refused as unknown.
    async fn expect_unknown(&self, introduction: &Value, round: u32) {
        let code = async {
            loop {
                let code = self.refusal(introduction, round).await;
                if code != "busy" {
                    break code;
                }
            }
        };
        let code = wait_within(TIMEOUT, "the end of a round", code).await;
        assert_eq!(code, "not_found", "{introduction} {round}");
    }

    /// Asks for a round, up to the other client's addresses. Returns the one that the server sees.
    async fn ask_for_round(&self, round: u32) -> (Value, RawStream) {
        let agreed = json!({"command": "agreed", "id": self.introduction});
        let (mut stream, observed) =
            tokio::join!(self.dial(&self.introduction, round), self.peer.client.request(agreed));
        assert_eq!(stream.next_reply().await["reply"], "addresses");
        (observed.reply()["other"].clone(), stream)
    }
}

/// Ends a response without data.
async fn end(stream: &mut RawStream) {
    let frame = RawFrame::json(kind::EOF, &json!({}));
    stream.write_frame(&frame).await.unwrap();
    stream.finish();
}

#[tokio::test]
async fn rounds_of_foreign_and_ended_introductions_and_repeated_rounds_are_refused() {
    let server = Server::start().await;
    let ron = LibraryClient::connect(&server, "Ron", PathPolicy::Any).await;
    let mallory = AcceptedPeer::connect(&server, &ron).await;
    let unknown = json!("00".repeat(16));
    for id in [&unknown, &mallory.over] {
        mallory.expect_unknown(id, 0).await;
    }
    let (_, first) = mallory.ask_for_round(0).await;
    first.abandon();
    mallory.expect_unknown(&mallory.introduction, 0).await;
    let (_, third) = mallory.ask_for_round(2).await;
    third.abandon();
    for round in [0, 1, 2, 3, u32::MAX] {
        mallory.expect_unknown(&mallory.introduction, round).await;
    }
    // A nomination belongs on a connection of a round.
    let nominate = json!({"command": "nominate", "introduction": mallory.introduction});
    assert_eq!(mallory.connection.request(nominate).await.code(), "bad_request");
    ron.client.shut_down().await;
}

#[tokio::test]
async fn a_client_that_met_a_busy_one_asks_again() {
    let server = Server::start().await;
    let ron = LibraryClient::connect(&server, "Ron", PathPolicy::Any).await;
    let peer = RawPeer::sign_in(&server, "Mallory").await;
    let introduced = peer.client.request(json!({"command": "introduce", "name": "Ron"})).await;
    let (id, key) = (&introduced.reply()["id"], &introduced.reply()["key"]);
    let stream = peer.relay(id).await;
    let identity = &peer.key.identity;
    let connection =
        PeerConnection::open(stream, identity, PeerSide::Requester, key).await.unwrap();
    // Mallory's request comes before Ron has accepted, and is declined.
    let early = json!({"command": "dial", "introduction": id, "round": 0, "addresses": []});
    assert_eq!(connection.request(early).await.code(), "declined");
    let accept = async {
        let mut refused = 0;
        loop {
            let (request, mut stream) = connection.next_request_or_dial().await;
            if request["command"] == "tell" {
                end(&mut stream).await;
                continue;
            }
            assert_eq!((&request["command"], &request["round"]), (&json!("dial"), &json!(0)));
            if refused == 2 {
                return;
            }
            refused += 1;
            let busy = json!({"code": "busy", "message": "this side dials already"});
            stream.write_frame(&RawFrame::json(kind::ERROR, &busy)).await.unwrap();
            stream.finish();
        }
    };
    let ask_again = async { tokio::join!(tell(&ron, "Mallory"), accept) };
    wait_within(TIMEOUT, "another request for the round", ask_again).await;
    ron.client.shut_down().await;
}

/// Dials of a client that breaks rules.
struct Dials<'a> {
    mallory: &'a AcceptedPeer,
    address: SocketAddr,
    endpoint: Endpoint,
    /// Holds the round open.
    _round: RawStream,
}

impl<'a> Dials<'a> {
    /// Starts the first round of a link.
    async fn start(mallory: &'a AcceptedPeer) -> Self {
        let (address, mut round) = mallory.ask_for_round(0).await;
        let start = RawFrame::json(kind::REPLY, &json!({"reply": "start"}));
        round.write_frame(&start).await.unwrap();
        let address = address.as_str().unwrap().parse().unwrap();
        let endpoint = Endpoint::dialler(EndpointSettings::default()).unwrap();
        Self { mallory, address, endpoint, _round: round }
    }

    async fn dial(&self, number: u32) -> quinn::Connection {
        let identity = &self.mallory.peer.key.identity;
        let introduction: IntroductionId =
            serde_json::from_value(self.mallory.introduction.clone()).unwrap();
        let key = self.mallory.key.as_str().and_then(Fingerprint::parse).unwrap();
        let id = DialId::derive(introduction, identity.fingerprint(), number);
        self.endpoint.dial_peer(self.address, identity, key, id).await.unwrap()
    }
}

#[tokio::test]
async fn a_dial_is_accepted_once() {
    let server = Server::start().await;
    let ron = LibraryClient::connect(&server, "Ron", PathPolicy::Any).await;
    let mallory = AcceptedPeer::connect(&server, &ron).await;
    let dials = Dials::start(&mallory).await;
    let first = wait_within(TIMEOUT, "a dial", dials.dial(0)).await;
    first.close(0_u32.into(), b"");
    dials.endpoint.wait_idle(TIMEOUT).await;
    // Later dials with other ids are answered before this one would be.
    let others = async {
        for number in 1..4 {
            wait_within(TIMEOUT, "another dial", dials.dial(number)).await;
        }
    };
    tokio::select! {
        biased;
        repeated = dials.dial(0) => panic!("a repeated dial has an answer: {repeated:?}"),
        () = others => {}
    }
    ron.client.shut_down().await;
}

/// Waits until both sides use a direct connection, whichever chooses it.
async fn nominate(mallory: &AcceptedPeer, direct: &quinn::Connection) {
    let own = Fingerprint::parse(&mallory.peer.key.fingerprint()).unwrap();
    if own < mallory.key.as_str().and_then(Fingerprint::parse).unwrap() {
        let request = json!({"command": "nominate", "introduction": mallory.introduction});
        let mut stream = RawStream::from(direct.open_bi().await.unwrap());
        stream.write_frame(&RawFrame::request(&request)).await.unwrap();
        stream.finish();
        stream.read_response().await.unwrap().eof();
    } else {
        let mut stream = RawStream::from(direct.accept_bi().await.unwrap());
        assert_eq!(stream.next_frame().await.value()["command"], "nominate");
        end(&mut stream).await;
    }
}

/// The answer to an offer comes on the relay, after the offer was repeated on a direct path, which may be lost again.
async fn answer_on_the_relay(is_direct_lost: bool) {
    let server = Server::start().await;
    let mut ron = LibraryClient::connect(&server, "Ron", PathPolicy::Any).await;
    let mallory = AcceptedPeer::connect(&server, &ron).await;
    let file = ron.home.folder().join("a.txt");
    fs::write(&file, "Hello").unwrap();
    let content = UploadContent::Paths(vec![file]);
    let request = OfferRequest { to: name("Mallory"), content, offered_as: None };
    ron.client.offer(request).await.unwrap();
    let (request, mut relayed) = mallory.connection.next_request().await;
    assert_eq!(request["command"], "offer");
    let accepted = RawFrame::json(kind::REPLY, &json!({"reply": "accepted"}));
    relayed.write_frame(&accepted).await.unwrap();

    let dials = Dials::start(&mallory).await;
    let direct = wait_within(TIMEOUT, "a direct connection", dials.dial(0)).await;
    wait_within(TIMEOUT, "a nomination", nominate(&mallory, &direct)).await;
    let repeated = wait_within(TIMEOUT, "the offer again", direct.accept_bi()).await;
    let mut repeated = RawStream::from(repeated.unwrap());
    assert_eq!(repeated.next_frame().await.value(), request);
    if is_direct_lost {
        direct.close(0_u32.into(), b"");
        let is_relayed = || matches!(paths(&ron)[..], [PeerPath::Relayed { .. }]);
        wait_until("the relay", is_relayed).await;
    }
    let declined = json!({"code": "declined", "message": "no"});
    relayed.write_frame(&RawFrame::json(kind::ERROR, &declined)).await.unwrap();
    relayed.finish();
    let state = ron.wait_for("the answer", |event| match event {
        PeerEvent::OfferEnded { state, .. } => Some(state.clone()),
        _ => None,
    });
    assert_eq!(state.await, OutgoingState::Declined);
    if is_direct_lost {
        // The offer was not repeated on the relay, whose conversation about it ran all the time.
        let (told, next) = (tell(&ron, "Mallory"), async {
            let (next, mut stream) = mallory.connection.next_request().await;
            end(&mut stream).await;
            next["command"].clone()
        });
        assert_eq!(tokio::join!(told, next).1, "tell");
    } else {
        wait_within(TIMEOUT, "the end of the other", repeated.send.stopped()).await.unwrap();
    }
    ron.client.shut_down().await;
}

#[tokio::test]
async fn an_answer_on_the_path_before_a_better_one_counts() {
    answer_on_the_relay(false).await;
}

#[tokio::test]
async fn an_offer_is_not_repeated_on_a_path_that_becomes_the_best_again() {
    answer_on_the_relay(true).await;
}
