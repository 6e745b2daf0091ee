//! `--congestion` chooses how each side sends, and what was in force is reported by client and server.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;

use quiver_e2e::peer_program::PeerProgram;
use quiver_e2e::random::Random;
use quiver_e2e::{Home, MetricsResponse, Server};
use serde_json::Value;

const MIB: usize = 1024 * 1024;

/// The congestion control that the client reports of a download with these arguments.
async fn reported_by_client(home: &Home, server: &Server, arguments: &[&str]) -> Value {
    // A file that is there already needs no transfer.
    let _ = std::fs::remove_file(home.file("big"));
    let get = home.quiver_as(server, "Ron", ["get", "big", "--overwrite", "--json"]);
    let finished = get.arguments(arguments).run().await;
    let line: Value = serde_json::from_str(&finished.expect(0).stdout).unwrap();
    line["connection"]["congestion"].clone()
}

#[tokio::test]
async fn each_side_chooses_for_what_it_sends_itself() {
    let options = Server::options().argument("--metrics=0").argument("--congestion=model");
    let server = options.start().await;
    server.add_file("big", Random::new(1).bytes(2 * MIB));
    let home = Home::new();
    assert_eq!(reported_by_client(&home, &server, &[]).await, "cubic", "on loopback");
    let logged = server.log().wait_for("delivered big (2.1 MB) to Client 1: Ron: ").await.message;
    assert!(logged.contains("; round trip "), "{logged}");
    assert!(
        logged.contains(" packets lost, congestion control by a model of the path"),
        "{logged}"
    );
    assert!(logged.contains(" in flight, delivering "), "{logged}");
    assert_eq!(reported_by_client(&home, &server, &["--congestion", "model"]).await, "model");
    let page = MetricsResponse::read(server.metrics_address().await).await;
    for (name, count) in [("model", 2.0), ("cubic", 0.0)] {
        let name = format!("quiver_member_connections_total{{congestion=\"{name}\"}}");
        assert!((page.number(&name) - count).abs() < 0.1, "{name} in {}", page.body);
    }
    // Those of the first transfer are counted: 2 MiB take at least 33 datagrams of the largest size.
    assert!(page.number("quiver_packets_sent_total") >= 33.0, "{}", page.body);
    assert!(page.body.contains("\nquiver_packets_lost_total "), "{}", page.body);
}

#[tokio::test]
async fn a_download_reports_the_connection_that_it_used() {
    let server = Server::start().await;
    server.add_file("a", "content");
    let home = Home::new();
    let get = home.quiver_as(&server, "Ron", ["get", "a", "--json"]);
    let line: Value = serde_json::from_str(&get.run().await.expect(0).stdout).unwrap();
    let connection = &line["connection"];
    assert_eq!(connection["congestion"], "cubic", "{line}");
    assert_eq!(connection["delivery_bytes_per_second"], Value::Null, "{line}");
    let [round_trip, lowest] = ["round_trip_seconds", "lowest_round_trip_seconds"]
        .map(|member| connection[member].as_f64().unwrap());
    assert!(0.0 < lowest && lowest <= round_trip && round_trip < 10.0, "{line}");
    assert!(connection["packets_sent"].as_u64().unwrap() >= 3, "{line}");
    assert!(connection["window_bytes"].as_u64().unwrap() >= 2 * 1200, "{line}");
    // Nothing was transferred the second time.
    let line: Value = serde_json::from_str(&get.run().await.expect(0).stdout).unwrap();
    assert_eq!((&line["already_there"], &line["connection"]), (&true.into(), &Value::Null));
}

#[tokio::test]
async fn the_configuration_file_chooses_where_no_flag_does() {
    let server = Server::start().await;
    server.add_file("a", "content");
    let home = Home::new();
    fs::create_dir_all(home.config().parent().unwrap()).unwrap();
    fs::write(home.config(), "congestion = 'model'\n").unwrap();
    let connected = |arguments: &'static [&'static str]| {
        let quiver = home.quiver_as(&server, "Ron", ["message", "Hello", "--verbose"]);
        let quiver = quiver.arguments(arguments);
        async move { quiver.run().await.expect(0).stderr.clone() }
    };
    let said = connected(&[]).await;
    assert!(said.contains("TLS 1.3 and congestion control by a model of the path."), "{said}");
    let said = connected(&["--congestion", "cubic"]).await;
    assert!(said.contains("TLS 1.3 and congestion control by CUBIC."), "{said}");
    let invalid = home.quiver_as(&server, "Ron", ["message", "Hello", "--congestion", "reno"]);
    let invalid = invalid.run().await;
    assert!(invalid.expect(2).stderr.contains("auto, model, cubic"), "{}", invalid.stderr);
}

/// Nothing is lost inside a relay, so `auto` takes CUBIC there.
#[tokio::test]
async fn the_choice_holds_for_connections_between_clients() {
    for (flag, expected) in [("auto", "cubic"), ("model", "model")] {
        let server = Server::start().await;
        let [ann_home, ron_home] = [(); 2].map(|()| Home::new());
        fs::write(ann_home.file("a"), "content").unwrap();
        let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
        let send = ann_home.quiver_as(&server, "Ann", ["send", "Ron", "a", "--json"]);
        let mut send = PeerProgram::start(&send);
        receive.next_event("offer").await;
        receive.interrupt().await;
        let arguments = ["accept", "1", "--json", "--relay-only", "--congestion", flag];
        let accepted = ron_home.quiver_as(&server, "Ron", arguments).run().await;
        let lines = accepted.expect(0).stdout.lines();
        let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        let file = lines.iter().find(|line| line["path"] == "a").unwrap();
        assert_eq!(file["connection"]["congestion"], expected, "{file}");
        send.expect_exit(0).await;
    }
}
