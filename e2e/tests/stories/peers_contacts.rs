//! Contacts that are listed and changed without a connection: only the key of their server has to be known.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use quiver_e2e::process::{ProgramOutput, Signal};
use quiver_e2e::{Home, PeerProgram, PromptUser, Server, TIMEOUT};
use serde_json::Value;

/// A server that has stopped, and the homes of Ben, who has sent a message, and of Ron, who has received it.
async fn after_a_message() -> (Server, Home, Home) {
    let mut server = Server::start().await;
    let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
    let mut ron = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let tell = ["tell", "Ron", "Hello"];
    ben_home.quiver_as(&server, "Ben", tell).run().await.expect(0);
    ron.next_event("message").await;
    ron.interrupt().await;
    server.signal(Signal::TERM);
    server.wait_for_exit(TIMEOUT).await;
    (server, ben_home, ron_home)
}

/// Runs `contacts` without a name and without a server that runs.
async fn contacts(server: &Server, home: &Home, arguments: &[&str]) -> ProgramOutput {
    let quiver = home.quiver(["contacts"]).server(server.address(), &server.certificate());
    quiver.arguments(arguments).run().await
}

/// The only contact.
async fn contact(server: &Server, home: &Home) -> Value {
    let listed = contacts(server, home, &["list", "--json"]).await;
    serde_json::from_str(&listed.expect(0).stdout).unwrap()
}

#[tokio::test]
async fn contacts_are_blocked_and_forgotten_without_a_server() {
    let (server, ben_home, ron_home) = after_a_message().await;
    let known = contact(&server, &ron_home).await;
    assert_eq!((&known["name"], &known["blocked"]), (&"Ben".into(), &false.into()));
    assert_eq!(known["keys"][0]["key"], ben_home.client_fingerprint());

    let blocked = contacts(&server, &ron_home, &["block", "ben", "--json"]).await;
    assert_eq!(blocked.expect(0).stdout, "{\"name\":\"ben\",\"result\":\"blocked\"}\n");
    assert_eq!(contact(&server, &ron_home).await["blocked"], true);
    let unblocked = contacts(&server, &ron_home, &["unblock", "Ben"]).await;
    assert_eq!(unblocked.expect(0).stderr, "Ben: unblocked\n");
    assert_eq!(contact(&server, &ron_home).await["blocked"], false);

    contacts(&server, &ron_home, &["forget", "Ben"]).await.expect(0);
    let listed = contacts(&server, &ron_home, &[]).await;
    assert_eq!(listed.expect(0).stderr, "no contacts\n");
    for change in ["forget", "unblock"] {
        let again = contacts(&server, &ron_home, &[change, "Ben"]).await;
        assert!(again.expect(7).stderr.starts_with("error: there is no contact called Ben\n"));
    }
}

#[tokio::test]
async fn contacts_of_a_server_that_was_never_trusted_are_not_guessed() {
    let (server, _ben_home, ron_home) = after_a_message().await;
    let address = server.address();
    let block = ron_home.quiver(["contacts", "block", "Ben"]).server_address(address).run().await;
    let error = format!("error: the key of {address} is not known\n");
    assert!(block.expect(4).stderr.starts_with(&error), "{}", block.stderr);
    assert_eq!(contact(&server, &ron_home).await["blocked"], false);
}

#[tokio::test]
async fn the_prompt_lists_contacts_and_offers_while_the_server_is_gone() {
    let mut server = Server::start().await;
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    assert_eq!(ron.enter("/contacts block Ben"), "Ben: blocked");
    server.signal(Signal::TERM);
    server.wait_for_exit(TIMEOUT).await;
    ron.terminal.wait_for("Connection lost");
    assert_eq!(ron.enter("/contacts unblock Ben"), "Ben: unblocked");
    assert_eq!(ron.enter("/offers"), "no open offers");
    let declined = ron.enter("/decline 1");
    assert!(declined.starts_with("error: there is no offer 1\n"), "{declined}");
    ron.exit();
}
