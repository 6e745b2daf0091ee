//! Introductions: which client is asked, what each side learns, and who may use the id.

use quiver_e2e::wire::Dialer;
use quiver_e2e::{Client, Key, Server};
use serde_json::json;

/// Asks for an introduction, and returns the response.
async fn introduce(client: &Client, name: &str) -> quiver_e2e::wire::RawResponse {
    client.request(json!({"command": "introduce", "name": name})).await
}

#[tokio::test]
async fn two_clients_are_introduced_and_relay_packets() {
    let server = Server::start().await;
    let (ben_key, ron_key) = (Key::new(), Key::new());
    let ben = Dialer::new(&server).key(&ben_key).sign_in("Ben").await;
    let ron = Dialer::new(&server).key(&ron_key).sign_in("Ron").await;
    let mut listening = ron.listen().await;
    let (introduced, introduction) =
        tokio::join!(introduce(&ben, "ron"), ron.answer_next(&mut listening, true));
    let id = &introduction["id"];
    let expected = json!({
        "reply": "introduction", "id": id, "client": 1, "name": "Ben",
        "key": ben_key.fingerprint(), "relay": true
    });
    assert_eq!(introduction, expected);
    let expected = json!({
        "reply": "introduced", "id": id, "client": 2, "name": "Ron",
        "key": ron_key.fingerprint(), "relay": true
    });
    assert_eq!(introduced.reply(), &expected);
    let [mut ben_end, mut ron_end] = ben.relay_with(&ron, id).await;
    for length in [1, 1200, 16_384] {
        ben_end.send_packet(&vec![7; length]).await;
        assert_eq!(ron_end.next_packet().await, vec![7; length]);
        ron_end.send_packet(&vec![8; length]).await;
        assert_eq!(ben_end.next_packet().await, vec![8; length]);
    }
    ben_end.finish();
    assert!(ron_end.read_response().await.unwrap().eof().is_object());
    assert!(ben_end.read_response().await.unwrap().eof().is_object());
}
