//! Offers of a client that breaks the rules: refused, shown without control characters, bounded, and without effect on
//! the disk.

use quiver_e2e::wire::{RawFrame, kind};
use quiver_e2e::{Home, PeerProgram, RawPeer, Server, TIMEOUT, wait_within};
use serde_json::{Value, json};

/// An offer of one file, with an id that ends with `number`.
fn offer(number: usize, name: &str) -> Value {
    json!({
        "command": "offer", "offer": format!("{number:032x}"), "count": 1, "files": 1, "bytes": 5,
        "entries": [{"name": name, "kind": "file", "size": 5}],
    })
}

#[tokio::test]
async fn offers_that_break_a_rule_are_refused_and_touch_no_disk() {
    let server = Server::start().await;
    let home = Home::new();
    let mut ron = PeerProgram::receive(&server, &home, "Ron", &[]).await;
    let mallory = RawPeer::sign_in(&server, "Mallory").await;
    let connection = mallory.connect("Ron").await;
    let mut cases = Vec::new();
    let long = "x".repeat(256);
    for name in [
        "..",
        ".",
        "",
        "/etc/passwd",
        "../x",
        "a/b",
        "a\\b",
        ".bashrc",
        ".",
        "a\u{0}",
        "a\u{1b}[2J",
        "a\n",
        "COM1",
        "aux.txt",
        "a.",
        "a ",
        long.as_str(),
    ] {
        cases.push((offer(1, name), "bad_path"));
    }
    let entry = |number: usize| json!({"name": format!("f{number}"), "kind": "file", "size": 1});
    let with = |field: &str, value: Value| {
        let mut changed = offer(1, "a.txt");
        changed[field] = value;
        changed
    };
    let mut seventeen = with("count", json!(17));
    seventeen["entries"] = (0..17).map(entry).collect();
    cases.push((seventeen, "too_large"));
    cases.push((with("entries", json!([])), "bad_request"));
    cases.push((with("count", json!(0)), "bad_request"));
    cases.push((with("bytes", json!(1.8e19)), "bad_request"));
    cases.push((with("files", json!(-1)), "bad_request"));
    cases.push((with("offer", json!("00")), "bad_request"));
    cases.push((with("entries", json!([{"name": "a", "kind": "device"}])), "bad_request"));
    cases.push((with("padding", json!("x".repeat(17_000))), "too_large"));
    let (count, mut reported) = (cases.len(), 0);
    for (request, code) in cases {
        let response = connection.request(request.clone()).await;
        assert_eq!(response.code(), code, "{request}");
        // An oversized request is not read.
        if code != "too_large" || request["padding"].is_null() {
            let refused = ron.next_event("offer_refused").await;
            assert_eq!(refused["from"], "Mallory");
            reported += 1;
        }
    }
    assert_eq!(reported, count - 1);
    for payload in [&b"{"[..], b"", b"null", b"{\"command\":\"offer\"}", b"\xff\xfe"] {
        let mut stream = connection.open_stream().await;
        stream.write_frame(&RawFrame::new(kind::REQUEST, payload)).await.unwrap();
        stream.finish();
        let response = wait_within(TIMEOUT, "a refusal", stream.read_response()).await.unwrap();
        assert_eq!(response.code(), "bad_request", "{payload:?}");
    }
    let offers = home.quiver(["offers", "--all"]).run().await;
    assert_eq!(offers.expect(0).stdout, "");
    assert!(ron.events_called("offer").is_empty());
    assert_eq!(home.names(), [""; 0]);
}

#[tokio::test]
async fn refusals_and_offers_are_shown_without_control_characters() {
    let server = Server::start().await;
    let home = Home::new();
    let ron = home.quiver_as(&server, "Ron", ["receive"]).start();
    let waits = ron.stderr.wait(|line| line.contains("Waiting for offers").then_some(()));
    wait_within(TIMEOUT, "a listener", waits).await.unwrap();
    let mallory = RawPeer::sign_in(&server, "Mallory").await;
    let connection = mallory.connect("Ron").await;
    let code = connection.request(offer(1, "\u{1b}[2J\u{202e}..")).await;
    assert_eq!(code.code(), "bad_path");
    let mut kept = connection.start_request(offer(2, "gpj.\u{202e}exe")).await;
    assert_eq!(kept.next_reply().await, json!({"reply": "pending"}));
    let told =
        json!({"command": "tell", "id": "01".repeat(16), "text": "\u{1b}]0;x\u{7}\r\n[Ben] hi"});
    connection.request(told).await.eof();
    let shown = ron.stdout.wait(|line| line.starts_with("[Mallory]").then(|| line.to_owned()));
    let shown = wait_within(TIMEOUT, "the message", shown).await.unwrap();
    assert_eq!(shown, "[Mallory] \\u{1b}]0;x\\u{7}\\r\\n[Ben] hi");
    let lines = ron.stderr.lines();
    assert!(
        lines.iter().any(|line| line.starts_with("Refused an offer from Mallory: ")),
        "{lines:?}"
    );
    let offered = "Mallory offers 1 file (5 B): gpj.\\u{202e}exe (5 B). quiver accept 1 or ";
    assert!(lines.iter().any(|line| line.starts_with(offered)), "{lines:?}");
    for line in lines.iter().chain(&ron.stdout.lines()) {
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
}

#[tokio::test]
async fn an_offer_of_absurd_size_is_shown_bounded_and_stored_nowhere() {
    let server = Server::start().await;
    let home = Home::new();
    let mut ron = PeerProgram::receive(&server, &home, "Ron", &[]).await;
    let mallory = RawPeer::sign_in(&server, "Mallory").await;
    let connection = mallory.connect("Ron").await;
    for (number, bytes) in [(1, 1_u64 << 63), (2, u64::MAX)] {
        let mut request = offer(number, "a.txt");
        for (field, value) in [("count", 1_000_000_000), ("files", u64::MAX), ("bytes", bytes)] {
            request[field] = json!(value);
        }
        request["entries"][0]["size"] = json!(bytes);
        let mut stream = connection.start_request(request).await;
        assert_eq!(stream.next_reply().await["reply"], "pending");
        let offer = ron.next_event("offer").await;
        assert_eq!([&offer["bytes"], &offer["entries"][0]["size"]], [bytes, bytes]);
        assert_eq!(offer["count"], 1_000_000_000);
    }
    let offers = home.quiver(["offers"]).run().await;
    assert!(offers.expect(0).stdout.contains("a.txt (18.4 EB) and 999999999 more"), "{offers:?}");
    let peak = ron.process.memory().peak;
    assert!(peak < 64 * 1024, "{peak} KiB");
    assert_eq!(home.names(), [""; 0]);
}

#[tokio::test]
async fn at_most_sixteen_offers_of_a_contact_and_sixty_four_of_all_are_open() {
    let server = Server::options().max_clients(8).start().await;
    let home = Home::new();
    let _ron = PeerProgram::receive(&server, &home, "Ron", &[]).await;
    let mut peers = Vec::new();
    for name in ["Ann", "Bob", "Cid", "Dan"] {
        let peer = RawPeer::sign_in(&server, name).await;
        let connection = peer.connect("Ron").await;
        let mut open = Vec::new();
        for number in 0..16 {
            let mut stream = connection.start_request(offer(number, "a.txt")).await;
            assert_eq!(stream.next_reply().await["reply"], "pending", "{name} {number}");
            open.push(stream);
        }
        let one_more = connection.request(offer(16, "a.txt")).await;
        assert_eq!(one_more.code(), "rate_limited", "{name}");
        peers.push((peer, connection, open));
    }
    let eve = RawPeer::sign_in(&server, "Eve").await;
    let connection = eve.connect("Ron").await;
    assert_eq!(connection.request(offer(0, "a.txt")).await.code(), "rate_limited");
    // A repeated offer is none more, and one that is withdrawn makes space.
    let (_, first, open) = &mut peers[0];
    let mut again = first.start_request(offer(3, "a.txt")).await;
    assert_eq!(again.next_reply().await["reply"], "pending");
    let withdraw = json!({"command": "withdraw", "offer": format!("{:032x}", 3)});
    first.request(withdraw).await.eof();
    let ended = wait_within(TIMEOUT, "its end", open[3].read_response()).await.unwrap();
    assert_eq!(ended.code(), "declined");
    let mut space = connection.start_request(offer(0, "a.txt")).await;
    assert_eq!(space.next_reply().await["reply"], "pending");
}
