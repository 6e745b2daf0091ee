//! The objects of commands about running and unfinished transfers.

use quiver_e2e::process::Signal;
use quiver_e2e::quiver::finish;
use quiver_e2e::{Home, Server, TransferWatch};

use super::Checker;

pub(super) async fn check(checker: &mut Checker) {
    let (server, home) = (Server::start().await, Home::new());
    server.add_file("big", vec![7; 48 * 1024 * 1024]);
    let big = ["get", "big", "--limit", "1MB", "--json"];
    let mut watch = TransferWatch::start(home.quiver([""; 0]));
    let get = home.quiver_as(&server, "Ann", big).start();
    let is_moving = |view: &serde_json::Value| view["received"].as_u64() > Some(1_000_000);
    watch.wait_for("the transfer", is_moving).await;
    checker.run(0, home.quiver(["transfers"]), &["Running transfer"]).await;
    checker.run(0, home.quiver(["pause", "1"]), &["Steered transfer"]).await;
    checker.run(0, home.quiver(["resume", "1"]), &["Steered transfer"]).await;
    let steered = checker.run(0, home.quiver(["cancel", "1"]), &["Steered transfer"]).await;
    assert_eq!((&steered[0]["done"], &steered[0]["number"]), (&"cancel".into(), &1.into()));
    checker.check_output(130, &finish(get).await, &[]);

    let unfinished = ["Unfinished transfer"];
    let listed = checker.run(0, home.quiver(["transfers"]), &unfinished).await;
    assert!(listed[0]["stored"].as_u64() > Some(0), "{listed:?}");
    checker.run(0, home.quiver(["transfers", "--clean"]), &["Cleaned transfer"]).await;

    watch.process.signal(Signal::INT);
    let watched = checker.check_output(130, &finish(watch.process).await, &["Changed transfers"]);
    let views = watched.iter().flat_map(|change| change["transfers"].as_array().unwrap());
    let views: Vec<_> = views.map(|view| format!("{view}\n")).collect();
    checker.check(&views.concat(), &["Running transfer"]);
}
