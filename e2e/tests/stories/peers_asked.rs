//! Who is asked about an offer: the newest process that listens, and of several that answer, one.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;

use quiver_e2e::process::Signal;
use quiver_e2e::quiver::finish;
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
    prompt.terminal.wait_for("Ben offers 1 file (5 B): a.txt (5 B). /accept 1 or /decline 1");
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
async fn an_offer_that_is_accepted_at_three_places_at_once_is_fetched_once() {
    let server = Server::start().await;
    let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
    let mut prompt = PromptUser::sign_in(&ron_home, &server, "Ron");
    let quiver = |arguments: &[&str]| ron_home.quiver_as(&server, "Ron", arguments);
    let mut receive = quiver(&["receive"]).start_at_terminal();
    receive.wait_for("Waiting for offers");
    let mut ben = send(&server, &ben_home, &[]);
    receive.wait_for_end("Accept? [y/N]");
    assert!(!prompt.terminal.contents().contains("offers"), "{}", prompt.terminal.contents());
    prompt.terminal.type_text("/accept 1");
    let accept = quiver(&["accept", "1"]).start();
    receive.type_text("y\r");
    prompt.terminal.type_text("\r");

    let accept = finish(accept).await;
    let (stored, refused) = ("received and verified", "error: offer 1 was ");
    let has_ended = |screen: &str| screen.contains(stored) || screen.contains(refused);
    receive.wait_until("the end of receiving", has_ended);
    prompt.terminal.wait_until("the end of accepting", has_ended);
    ben.expect_exit(0).await;
    let outputs = [accept.stderr.clone(), receive.contents(), prompt.terminal.contents()];
    let losers = outputs.iter().filter(|output| output.contains(refused)).count();
    assert_eq!((losers, ron_home.names()), (2, vec!["a.txt".to_owned()]), "{outputs:#?}");
    assert!(outputs.iter().all(|output| !output.contains(refused) || output.contains(" already")));
    assert_eq!(accept.code(), i32::from(accept.stderr.contains(refused)), "{accept:?}");
    prompt.exit();
}

#[tokio::test]
async fn an_offer_to_a_client_that_is_absent_waits_for_it() {
    let server = Server::start().await;
    let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
    let mut ben = send(&server, &ben_home, &["--wait"]);
    let waiting = ben.next_event("waiting").await;
    assert_eq!((&waiting["to"], &waiting["error"]), (&"Ron".into(), &"not_found".into()));
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let number = receive.next_event("offer").await["number"].to_string();
    ron_home.quiver_as(&server, "Ron", ["accept", &number]).run().await.expect(0);
    ben.expect_exit(0).await;
    assert_eq!(ben.events_called("stored").len(), 1);
    assert_eq!(fs::read_to_string(ron_home.file("a.txt")).unwrap(), "Hello");
}

#[tokio::test]
async fn an_offer_that_waits_for_an_absent_client_stays_open_after_ctrl_c() {
    let server = Server::start().await;
    let home = Home::new();
    let mut ben = send(&server, &home, &["--wait"]);
    ben.next_event("waiting").await;
    ben.process.signal(Signal::INT);
    ben.expect_exit(130).await;
    let hint = ben.wait_for_text("hint").await;
    assert!(hint.contains("offer 1 stays open") && hint.contains("--cancel 1"), "{hint}");
    let offers = home.quiver(["offers", "--json"]).run().await;
    assert_eq!(offers.expect(0).stdout.lines().count(), 1, "{offers:?}");
    let cancel = home.quiver_as(&server, "Ben", ["send", "--cancel", "1"]).run().await;
    assert_eq!(cancel.expect(0).stderr, "Offer 1 to Ron is withdrawn.\n");
    let again = home.quiver_as(&server, "Ben", ["send", "--cancel", "1"]).run().await;
    assert!(again.expect(1).stderr.starts_with("error: offer 1 was withdrawn already\n"));
}

#[tokio::test]
async fn an_offer_is_answered_once_and_each_later_answer_says_how() {
    let server = Server::start().await;
    let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let quiver = |arguments: &[&str]| ron_home.quiver_as(&server, "Ron", arguments);
    let refused = async |arguments: &[&str], code: i32, error: &str| {
        let output = quiver(arguments).run().await;
        let expected = format!("error: {error}\n");
        assert!(output.expect(code).stderr.starts_with(&expected), "{}", output.stderr);
    };
    let mut ben = send(&server, &ben_home, &[]);
    receive.next_event("offer").await;
    quiver(&["accept", "1"]).run().await.expect(0);
    ben.expect_exit(0).await;
    refused(&["accept", "1"], 1, "offer 1 was stored already").await;
    refused(&["decline", "1"], 1, "offer 1 was stored already").await;
    let mut ben = send(&server, &ben_home, &[]);
    receive.next_event("offer").await;
    quiver(&["decline", "2"]).run().await.expect(0);
    ben.expect_exit(11).await;
    refused(&["accept", "2"], 1, "offer 2 was declined already").await;
    refused(&["accept", "99"], 7, "there is no offer 99").await;
    refused(&["decline", "99"], 7, "there is no offer 99").await;
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
    let own = ben_home.quiver_as(&server, "Ben", ["tell", "ben", "Hello"]).run().await;
    assert!(own.expect(3).stderr.contains("ben is your own name"), "{}", own.stderr);
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
