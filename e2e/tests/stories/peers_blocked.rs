//! Contacts that are blocked or forgotten while they are connected, also by another process: nothing more is taken from
//! them, and nothing given.

use std::fs;

use quiver_client::peer_event::PeerEvent;
use quiver_client::question::{Answer, Question};
use quiver_client::settings::PathPolicy;
use quiver_e2e::wire::{RawFrame, RawStream, RawStreamError, kind};
use quiver_e2e::{
    Home, LibraryClient, PeerConnection, PeerProgram, RawPeer, Server, TIMEOUT, wait_until,
    wait_within,
};
use quiver_protocol::ClientName;
use serde_json::{Value, json};

fn tell(number: usize) -> Value {
    json!({"command": "tell", "id": format!("{number:032x}"), "text": "Hello"})
}

/// Sends a request, and checks that it is refused, or that the connection ends first. Then waits for that.
async fn expect_refusal(connection: &PeerConnection, request: Value) {
    let response = async {
        let opened = connection.connection.open_bi().await;
        let mut stream = RawStream::from(opened.map_err(RawStreamError::Connection)?);
        stream.write_frame(&RawFrame::request(&request)).await?;
        stream.finish();
        stream.read_response().await
    };
    if let Ok(response) = wait_within(TIMEOUT, "a response", response).await {
        assert_eq!(response.code(), "declined", "{request}");
    }
    wait_within(TIMEOUT, "the end of the connection", connection.connection.closed()).await;
}

#[tokio::test]
async fn a_contact_that_another_process_blocks_or_forgets_sends_nothing_more() {
    let server = Server::start().await;
    for command in ["block", "forget"] {
        let home = Home::new();
        let mut ron = PeerProgram::receive(&server, &home, "Ron", &[]).await;
        let mallory = RawPeer::sign_in(&server, "Mallory").await;
        let connection = mallory.connect("Ron").await;
        connection.request(tell(1)).await.eof();
        ron.next_event("message").await;
        let contacts = ["contacts", command, "mallory"];
        home.quiver_as(&server, "Ron", contacts).run().await.expect(0);
        expect_refusal(&connection, tell(2)).await;
        assert_eq!(ron.events_called("message").len(), 1, "{command}");
        let listed = home.quiver(["contacts", "--json"]).run().await;
        let is_listed = listed.expect(0).stdout.contains("Mallory");
        // A message makes no contact of somebody who was forgotten.
        assert_eq!(is_listed, command == "block", "{}", listed.stdout);
        mallory.client.close().await;
        ron.interrupt().await;
        server.log().wait_for("Ron has disconnected").await;
    }
}

#[tokio::test]
async fn a_running_transfer_ends_when_another_process_blocks_its_recipient() {
    let server = Server::start().await;
    let home = Home::new();
    fs::write(home.file("big"), vec![7; 64 * 1024 * 1024]).unwrap();
    let mallory = RawPeer::sign_in(&server, "Mallory").await;
    let mut listening = mallory.client.listen().await;
    let command = home.quiver_as(&server, "Ben", ["send", "Mallory", "big", "--json"]);
    let mut ben = PeerProgram::start(&command);
    let connection = mallory.accept(&mut listening).await;
    let (offered, mut answer) = connection.next_request().await;
    let accepted = RawFrame::json(kind::REPLY, &json!({"reply": "accepted"}));
    answer.write_frame(&accepted).await.unwrap();
    ben.next_event("accepted").await;
    let id = offered["offer"].as_str().unwrap();
    let get = json!({"command": "get", "path": format!("{id}/big")});
    let mut content = connection.start_request(get).await;
    assert_eq!(content.next_reply().await["size"], 64 * 1024 * 1024);
    home.quiver_as(&server, "Ben", ["contacts", "block", "Mallory"]).run().await.expect(0);
    expect_refusal(&connection, json!({"command": "list", "path": id})).await;
    // The sender does not connect with a blocked contact again.
    ben.expect_exit(1).await;
    let errors = ben.process.stderr.lines();
    assert!(errors.iter().any(|line| line.contains("Mallory is blocked")), "{errors:?}");
}

#[tokio::test]
async fn a_contact_that_is_forgotten_while_it_is_connected_is_verified_as_a_new_one() {
    let server = Server::start().await;
    let ben = LibraryClient::connect(&server, "Ben", PathPolicy::RelayOnly).await;
    let mut ron = LibraryClient::connect(&server, "Ron", PathPolicy::RelayOnly).await;
    let (to, from) = (ClientName::parse("Ron").unwrap(), ClientName::parse("Ben").unwrap());
    ben.client.tell(&to, "Hello").await.unwrap();
    ben.client.forget_contact(&to).await.unwrap();
    let interfaces = [&ben, &ron].map(|side| side.client.questions().register_interface());
    let say_yes = async {
        for side in [&ben, &ron] {
            let questions = side.client.questions();
            wait_until("digits to compare", || !questions.open().is_empty()).await;
            let (id, question) = questions.open().remove(0);
            assert!(matches!(*question, Question::CompareDigits { .. }), "{question:?}");
            questions.answer(id, Answer::Confirm(true)).unwrap();
        }
    };
    let verify = async { tokio::join!(ben.client.verify(&to), say_yes).0 };
    assert!(wait_within(TIMEOUT, "the comparison", verify).await.unwrap());
    let compared = |event: &PeerEvent| match event {
        PeerEvent::Compared { is_verified, .. } => Some(*is_verified),
        _ => None,
    };
    assert!(ron.wait_for("the result", compared).await);
    // What is reported is also recorded.
    for (side, other) in [(&ben, &to), (&ron, &from)] {
        let contact = side.client.contact(other).await.unwrap();
        assert!(contact.is_accepted && contact.keys[0].verified.is_some(), "{contact:?}");
    }
    drop(interfaces);
    ben.client.shut_down().await;
    ron.client.shut_down().await;
}
