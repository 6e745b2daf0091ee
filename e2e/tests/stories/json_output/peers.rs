//! The objects and events of commands about other clients.

use std::fs;

use quiver_e2e::process::Signal;
use quiver_e2e::quiver::finish;
use quiver_e2e::{Home, PeerProgram, PromptUser, Server};

use super::Checker;

pub(super) async fn check(checker: &mut Checker) {
    let server = Server::options().max_clients(6).start().await;
    let homes = [Home::new(), Home::new()];
    fs::write(homes[1].file("a.txt"), "a").unwrap();
    let ron = |words: &[&str]| homes[0].quiver_as(&server, "Ron", words);
    let ben = |words: &[&str]| homes[1].quiver_as(&server, "Ben", words);
    let mut receiving = PeerProgram::receive(&server, &homes[0], "Ron", &[]).await;

    checker.run(0, ben(&["peers"]), &["Peer"]).await;
    checker.run(0, ben(&["tell", "Ron", "hi"]), &["told"]).await;
    checker.run(0, ben(&["path", "Ron"]), &["Path"]).await;
    receiving.next_event("message").await;

    let send = ben(&["send", "Ron", "a.txt"]);
    let accept = async {
        let number = receiving.next_event("offer").await["number"].to_string();
        let offers = ron(&["offers", "--json"]).run().await;
        let accepted = ron(&["accept", &number, "--json"]).run().await;
        (offers, accepted)
    };
    let sending = send.arguments(["--json"]);
    let (sent, (offers, accepted)) = tokio::join!(sending.run(), accept);
    checker.check_output(0, &offers, &["Listed offer"]);
    checker.check_output(0, &accepted, &["accepted", "file", "stored"]);
    receiving.next_event("offer_settled").await;
    checker.check_output(0, &sent, &["offering", "pending", "accepted", "stored", "path"]);

    let send = ben(&["send", "Ron", "a.txt"]);
    let decline = async {
        let number = receiving.next_event("offer").await["number"].to_string();
        ron(&["decline", &number, "--json"]).run().await
    };
    let sending = send.arguments(["--json"]);
    let (sent, declined) = tokio::join!(sending.run(), decline);
    checker.check_output(0, &declined, &["declined"]);
    checker.check_output(11, &sent, &["offering"]);

    check_contacts(checker, &homes).await;
    receiving.process.signal(Signal::INT);
    let received = finish(receiving.process).await;
    checker.check_output(130, &received, &["listening", "message", "offer"]);
    check_waiting(checker, &server, &homes[1]).await;
    check_comparison(checker, &server, &homes).await;
}

async fn check_contacts(checker: &mut Checker, homes: &[Home; 2]) {
    checker.run(0, homes[1].quiver(["contacts"]), &["Contact"]).await;
}

/// An offer whose recipient is not there, and which is withdrawn.
async fn check_waiting(checker: &mut Checker, server: &Server, home: &Home) {
    let waiting = home.quiver_as(server, "Ben", ["send", "Ron", "a.txt", "--wait", "--json"]);
    let mut waiting = PeerProgram::start(&waiting);
    let number = waiting.next_event("offering").await["number"].to_string();
    waiting.next_event("waiting").await;
    let cancel = home.quiver_as(server, "Ben", ["send", "--cancel", &number]);
    checker.run(0, cancel, &["withdrawn"]).await;
    waiting.process.signal(Signal::INT);
    let output = finish(waiting.process).await;
    checker.check_output(output.code(), &output, &["waiting"]);
}

/// The digits are shown at the terminal all the same.
async fn check_comparison(checker: &mut Checker, server: &Server, homes: &[Home; 2]) {
    let mut ron = PromptUser::sign_in(&homes[0], server, "Ron");
    let verify = homes[1].quiver_as(server, "Ben", ["verify", "Ron", "--json"]);
    let mut ben = verify.start_at_terminal();
    ben.wait_for_end("Does Ron see the same digits? [y/N]");
    ron.terminal.wait_for("Ben wants to compare keys. Press Enter to answer.");
    ron.terminal.type_line("");
    ron.terminal.wait_for_end("Does Ben see the same digits? [y/N]");
    ben.type_line("y");
    ron.terminal.type_line("y");
    assert_eq!(ben.wait_for_exit().exit_code(), 0, "{}", ben.contents());
    let screen = ben.contents();
    let line = screen.lines().find(|line| line.starts_with('{'));
    let line = line.unwrap_or_else(|| panic!("{screen}"));
    let verified = checker.check(line, &["Verification"]);
    assert_eq!(verified[0]["verified"], true);
    ron.exit();
    for change in ["block", "unblock", "forget"] {
        let command = homes[1].quiver_as(server, "Ben", ["contacts", change, "Ron"]);
        checker.run(0, command, &["Changed contact"]).await;
    }
}
