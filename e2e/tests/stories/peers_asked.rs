//! Who is asked about an offer: the newest process that listens, and of several that answer, one.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;

use quiver_e2e::process::Signal;
use quiver_e2e::{Client, Home, PeerProgram, PromptUser, RawPeer, Server};

/// Starts `send Ron a.txt --json` as Ben, whose home has such a file.
fn send(server: &Server, home: &Home, arguments: &[&str]) -> PeerProgram {
    fs::write(home.file("a.txt"), "Hello").unwrap();
    let command = home.quiver_as(server, "Ben", ["send", "Ron", "a.txt", "--json"]);
    PeerProgram::start(&command.arguments(arguments))
}

#[tokio::test]
async fn receive_beside_a_prompt_gets_the_offers_and_the_prompt_those_after_it() {
    let server = Server::start().await;
    let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
    let mut prompt = PromptUser::sign_in(&ron_home, &server, "Ron");
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let mut ben = send(&server, &ben_home, &[]);
    let offer = receive.next_event("offer").await;
    assert_eq!(offer["entries"][0]["name"], "a.txt");
    ben.next_event("pending").await;
    assert!(!prompt.terminal.contents().contains("offers"), "{}", prompt.terminal.contents());
    receive.interrupt().await;
    // The offer is announced to the prompt, where it is answered.
    prompt
        .terminal
        .wait_for("Ben offers 1 file (5 bytes): a.txt (5 bytes). /accept 1 or /decline 1");
    prompt.terminal.type_line("/accept 1");
    ben.expect_exit(0).await;
    assert_eq!(fs::read_to_string(ron_home.file("a.txt")).unwrap(), "Hello");
    assert_eq!(ron_home.names(), ["a.txt"]);
    prompt.exit();
}

#[tokio::test]
async fn one_of_two_processes_that_accept_an_offer_at_once_fetches_it() {
    let server = Server::start().await;
    let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let mut ben = send(&server, &ben_home, &[]);
    receive.next_event("offer").await;
    let accept = || ron_home.quiver_as(&server, "Ron", ["accept", "1"]);
    let (first, second) = (accept(), accept());
    let (first, second) = tokio::join!(first.run(), second.run());
    let mut codes = [first.code(), second.code()];
    codes.sort_unstable();
    assert_eq!(codes, [0, 1], "{first:?} {second:?}");
    let failed = if first.code() == 1 { first } else { second };
    assert!(failed.stderr.starts_with("error: offer 1 was "), "{}", failed.stderr);
    ben.expect_exit(0).await;
    assert_eq!(ron_home.names(), ["a.txt"]);
    let again = accept().run().await;
    again.expect(1);
}

#[tokio::test]
async fn clients_that_never_listen_absent_ones_and_those_that_decline_have_codes_of_their_own() {
    let server = Server::start().await;
    let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
    send(&server, &ben_home, &[]).expect_exit(7).await;
    let tell = ["tell", "Ron", "Hello"];
    ben_home.quiver_as(&server, "Ben", tell).run().await.expect(7);
    let old = Client::member(&server, "Ron").await;
    send(&server, &ben_home, &[]).expect_exit(3).await;
    ben_home.quiver_as(&server, "Ben", tell).run().await.expect(3);
    old.close().await;
    server.log().wait_for("Ron has disconnected").await;
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let mut ben = send(&server, &ben_home, &[]);
    let number = receive.next_event("offer").await["number"].to_string();
    ron_home.quiver(["decline", &number]).run().await.expect(0);
    ben.expect_exit(11).await;
    // Offers that their recipient never saw are withdrawn.
    assert_eq!(receive.events_called("offer").len(), 1);
    let offers = ben_home.quiver(["offers"]).run().await;
    assert_eq!(offers.expect(0).stdout, "");
}

#[tokio::test]
async fn a_withdrawn_offer_disappears_at_its_recipient() {
    let server = Server::start().await;
    let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    // Withdrawn while `send` runs, and after it.
    for _ in 0..2 {
        let mut ben = send(&server, &ben_home, &[]);
        let number = ben.next_event("offering").await["number"].to_string();
        ben.next_event("pending").await;
        let offers = ron_home.quiver(["offers"]).run().await;
        assert_eq!(offers.expect(0).stdout.lines().count(), 1, "{}", offers.stdout);
        let cancel = ["send", "--cancel", number.as_str()];
        if number == "1" {
            ben_home.quiver_as(&server, "Ben", cancel).run().await.expect(0);
            ben.expect_exit(1).await;
        } else {
            ben.process.signal(Signal::INT);
            ben.expect_exit(130).await;
            ben_home.quiver_as(&server, "Ben", cancel).run().await.expect(0);
        }
        assert_eq!(receive.next_event("offer_settled").await["state"], "withdrawn");
        let offers = ron_home.quiver(["offers"]).run().await;
        assert_eq!(offers.expect(0).stdout, "");
    }
    ron_home.quiver_as(&server, "Ron", ["accept", "1"]).run().await.expect(1);
    assert_eq!(ron_home.names(), [""; 0]);
}

#[tokio::test]
async fn an_accepted_offer_is_asked_for_again_after_its_recipient_was_killed() {
    let server = Server::start().await;
    let ron_home = Home::new();
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let ben = RawPeer::sign_in(&server, "Ben").await;
    let mut listening = ben.client.listen().await;
    let connection = ben.connect("Ron").await;
    let offer = serde_json::json!({
        "command": "offer", "offer": "0a".repeat(16), "count": 1, "files": 1, "bytes": 5,
        "entries": [{"name": "a.txt", "kind": "file", "size": 5}],
    });
    let mut stream = connection.start_request(offer.clone()).await;
    assert_eq!(stream.next_reply().await["reply"], "pending");
    receive.next_event("offer").await;
    let accept = PeerProgram::start(&ron_home.quiver_as(&server, "Ron", ["accept", "1"]));
    // It is recorded as accepted, and asks for the list: killed then, its sender knows of nothing.
    let to_accept = ben.accept(&mut listening).await;
    assert_eq!(to_accept.next_request().await.0["command"], "list");
    drop((accept, receive, stream, connection, to_accept));
    let _receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let connection = ben.connect("Ron").await;
    let mut stream = connection.start_request(offer).await;
    assert_eq!(stream.next_reply().await["reply"], "accepted");
    assert_eq!(connection.next_request().await.0["command"], "list");
}
