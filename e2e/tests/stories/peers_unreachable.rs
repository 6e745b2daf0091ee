//! Servers that do not introduce clients to each other: the person learns that others cannot reach them.

use std::sync::atomic::{AtomicU32, Ordering};

use quiver_e2e::fake_server::Step;
use quiver_e2e::terminal::Terminal;
use quiver_e2e::{FakeServer, Home, PromptUser};
use serde_json::json;

const NOTE: &str = "note: other clients cannot reach you: introductions are off";

fn refusal() -> Vec<Step> {
    vec![Step::error("forbidden", "introductions are off"), Step::Finish]
}

fn prompt(home: &Home, server: &FakeServer) -> Terminal {
    let quiver = home.quiver(["--name", "Ron"]).server(server.address(), &server.certificate());
    quiver.start_at_terminal()
}

#[tokio::test]
async fn a_server_that_refuses_listeners_is_reported_at_the_prompt_and_by_send() {
    let server = FakeServer::start(|request| (request["command"] == "listen").then(refusal));
    let home = Home::new();
    let terminal = prompt(&home, &server);
    terminal.wait_for(NOTE);
    terminal.wait_for_end("\nRon:");
    drop(terminal);

    std::fs::write(home.file("a.txt"), "a").unwrap();
    let quiver = |arguments: &[&str]| {
        let quiver = home.quiver(["--name", "Ron"]);
        quiver.server(server.address(), &server.certificate()).arguments(arguments)
    };
    let send = quiver(&["--quiet", "send", "Ben", "a.txt"]).run().await;
    assert!(send.expect(1).stderr.starts_with(NOTE), "{}", send.stderr);
    let receive = quiver(&["receive"]).run().await;
    let error = "error: other clients cannot reach you: introductions are off\n";
    assert!(receive.expect(1).stderr.starts_with(error), "{}", receive.stderr);
}

#[tokio::test]
async fn a_server_that_knows_no_listeners_is_reported_once_a_command_needs_other_clients() {
    let server = FakeServer::start(|_| None);
    let home = Home::new();
    let mut ron = PromptUser::at_terminal(prompt(&home, &server), "Ron");
    let answer = ron.enter("@Ben Hello");
    let hint = "hint: ask the server's operator to install a newer version";
    assert_eq!(answer, format!("error: cannot reach Ben: unknown command\n{hint}"));
    assert!(!ron.terminal.contents().contains("note:"), "{}", ron.terminal.contents());
    ron.exit();
}

#[tokio::test]
async fn a_server_that_takes_no_listener_after_a_reconnection_is_reported() {
    let listeners = AtomicU32::new(0);
    let server = FakeServer::start(move |request| match request["command"].as_str() {
        Some("listen") if listeners.fetch_add(1, Ordering::Relaxed) == 0 => {
            Some(vec![Step::reply(&json!({"reply": "listening"}))])
        }
        Some("listen") => Some(refusal()),
        // Shutting down.
        Some("message") if request["text"] == "stop" => Some(vec![Step::Close(4)]),
        _ => None,
    });
    let home = Home::new();
    let mut ron = PromptUser::at_terminal(prompt(&home, &server), "Ron");
    ron.terminal.type_line("stop");
    ron.terminal.wait_for(NOTE);
    ron.exit();
}
