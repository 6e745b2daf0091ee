//! `status` lists sessions, and does not drown in commands that ended long ago.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use quiver_e2e::{Client, Home, PromptUser, Server};
use serde_json::Value;

/// Runs a command with `--json`, and returns its objects.
async fn objects(home: &Home, server: &Server, name: &str, arguments: &[&str]) -> Vec<Value> {
    let finished = home.quiver_as(server, name, arguments).arguments(["--json"]).run().await;
    let lines = finished.expect(0).stdout.lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Number, name and kind of each row.
fn rows(objects: &[Value]) -> Vec<(u64, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let row =
        |row: &Value| (row["number"].as_u64().unwrap(), text(&row["name"]), text(&row["kind"]));
    objects.iter().map(row).collect()
}

fn row(number: u64, name: &str, kind: &str) -> (u64, String, String) {
    (number, name.to_owned(), kind.to_owned())
}

#[tokio::test]
async fn of_ended_commands_only_the_latest_of_each_client_is_listed() {
    let server = Server::options().max_clients(5).start().await;
    let (home, prompt_home) = (Home::new(), Home::new());
    let mut pete = PromptUser::sign_in(&prompt_home, &server, "Pete");
    for name in ["Ron", "Ben", "Ron", "Ron"] {
        home.quiver_as(&server, name, ["message", "Hi"]).run().await.expect(0);
    }
    // A program of another author, which is a session.
    Client::member(&server, "Ginny").await.close().await;
    server.log().wait_for("Ginny has disconnected").await;
    let sessions = [row(1, "Pete", "session"), row(6, "Ginny", "session")];
    let commands = [row(3, "Ben", "command"), row(5, "Ron", "command")];
    let listed = rows(&objects(&home, &server, "Luna", &["status"]).await);
    let mut expected: Vec<_> = sessions.into_iter().chain(commands).collect();
    expected.push(row(7, "Luna", "command"));
    expected.sort();
    assert_eq!(listed, expected);

    let here = objects(&home, &server, "Luna", &["status", "--here"]).await;
    assert_eq!(rows(&here), [row(1, "Pete", "session"), row(8, "Luna", "command")]);
    assert!(here.iter().all(|row| row["end"].is_null()), "{here:?}");
    let last = rows(&objects(&home, &server, "Luna", &["status", "--last", "2"]).await);
    assert_eq!(last.iter().map(|row| row.0).collect::<Vec<_>>(), [8, 9]);
    let one = objects(&home, &server, "Luna", &["status", "--here", "--last", "1"]).await;
    assert_eq!(rows(&one), [row(10, "Luna", "command")]);
    home.quiver_as(&server, "Luna", ["status", "--last", "0"]).run().await.expect(2);

    let text = pete.enter("status --here");
    assert!(text.starts_with("Server: Client 1: Pete - Start: 2"), "{text}");
    assert!(text.ends_with(", End: Still Connected") && text.lines().count() == 1, "{text}");
    pete.exit();
}

#[tokio::test]
async fn piped_lines_and_waiting_for_offers_are_sessions() {
    let server = Server::start().await;
    let home = Home::new();
    for _ in 0..2 {
        let piped = home.quiver_as(&server, "Ron", [""; 0]).run_with_input("Hello\n").await;
        assert_eq!(piped.expect(0).stdout, "Hello ACK\n");
    }
    let receiving = home.quiver_as(&server, "Ben", ["receive"]).start();
    server.log().wait_for("Client connected as Client 3: Ben").await;
    let listed = rows(&objects(&home, &server, "Luna", &["status"]).await);
    let sessions = [row(1, "Ron", "session"), row(2, "Ron", "session"), row(3, "Ben", "session")];
    assert_eq!(listed[..3], sessions);
    drop(receiving);
}
