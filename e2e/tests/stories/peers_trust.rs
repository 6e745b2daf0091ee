//! Keys that have changed: a client refuses them, says so with all fingerprints, and takes nothing from their owner.

use quiver_e2e::{Home, PeerProgram, Server};
use serde_json::json;

/// Sends a message from Ben to Ron, and checks the exit code. Returns the output.
async fn tell(server: &Server, home: &Home, code: i32) -> String {
    let output = home.quiver_as(server, "Ben", ["tell", "Ron", "Hello"]).run().await;
    output.expect(code);
    output.stdout + &output.stderr
}

#[tokio::test]
async fn a_changed_key_of_the_sender_is_refused_and_shown_until_it_is_forgotten() {
    let server = Server::start().await;
    let [ben_home, other_home, ron_home] = [(); 3].map(|()| Home::new());
    let mut ron = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    tell(&server, &ben_home, 0).await;
    ron.next_event("message").await;
    let output = tell(&server, &other_home, 3).await;
    assert!(output.contains("Ron takes no introduction from this client"), "{output}");
    let refused = ron.next_event("key_refused").await;
    let expected = json!({
        "event": "key_refused", "name": "Ben", "presented": other_home.client_fingerprint(),
        "known": [ben_home.client_fingerprint()],
    });
    assert_eq!(refused, expected);
    // The known key still works, the other one only after the contact is forgotten.
    tell(&server, &ben_home, 0).await;
    ron.next_event("message").await;
    let forget = ron_home.quiver_as(&server, "Ron", ["contacts", "forget", "ben"]).run().await;
    forget.expect(0);
    tell(&server, &other_home, 0).await;
    assert_eq!(ron.next_event("message").await["text"], "Hello");
    assert_eq!(ron.events_called("message").len(), 3);
    assert_eq!(ron.events_called("key_refused").len(), 1);
}

#[tokio::test]
async fn a_changed_key_of_the_recipient_is_refused_with_exit_code_4_until_it_is_forgotten() {
    let server = Server::start().await;
    let [ben_home, ron_home, other_home] = [(); 3].map(|()| Home::new());
    let ron = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    tell(&server, &ben_home, 0).await;
    ron.interrupt().await;
    server.log().wait_for("Client 1: Ron has disconnected").await;
    let mut other = PeerProgram::receive(&server, &other_home, "Ron", &[]).await;
    let keys = [ron_home.client_fingerprint(), other_home.client_fingerprint()];
    for arguments in [&["tell", "Ron", "Secret"][..], &["path", "Ron"]] {
        let refused = ben_home.quiver_as(&server, "Ben", arguments).run().await;
        refused.expect(4);
        assert!(keys.iter().all(|key| refused.stderr.contains(key)), "{}", refused.stderr);
    }
    std::fs::write(ben_home.file("a.txt"), "Secret").unwrap();
    let refused = ben_home.quiver_as(&server, "Ben", ["send", "Ron", "a.txt"]).run().await;
    refused.expect(4);
    assert!(other.events().is_empty(), "{:?}", other.events());
    ben_home.quiver_as(&server, "Ben", ["contacts", "forget", "Ron"]).run().await.expect(0);
    tell(&server, &ben_home, 0).await;
    assert_eq!(other.next_event("message").await["text"], "Hello");
    assert_eq!(other.events().len(), 1);
}
