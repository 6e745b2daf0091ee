//! A server with accounts: sign-ins, refusals, reloads of the password file, and limits on
//! failures.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use quiver_e2e::process::{self, ProgramOutput};
use quiver_e2e::server::{ServerOptions, add_account};
use quiver_e2e::wire::{CloseReason, Dialer};
use quiver_e2e::{Client, Key, Server, binary};
use serde_json::json;

fn options_with_ron() -> ServerOptions {
    Server::options().account("Ron", "tomato & \"basil\"")
}

/// Runs `quiver-server user` with the server's password file.
fn run_user_command(server: &Server, arguments: &[&str]) -> ProgramOutput {
    let mut command = Command::new(binary::server());
    command.arg("user").args(arguments).arg("--passwords").arg(server.password_file());
    process::run(&mut command, b"")
}

/// Replaces a file in one step, so that a server never reads half of it.
fn replace(path: &Path, content: &[u8], mode: u32) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(mode)).unwrap();
    fs::rename(new, path).unwrap();
}

#[tokio::test]
async fn a_client_signs_in_with_the_right_password_only() {
    let server = options_with_ron().start().await;
    let client = Client::guest(&server).await;
    let refused = client.hello("Ron").await;
    assert_eq!(refused.code(), "sign_in_required");
    assert_eq!(client.sign_in("Ron", "tomato").await.code(), "sign_in_failed");
    let welcome = client.sign_in("Ron", "tomato & \"basil\"").await;
    assert_eq!(welcome.reply()["reply"], "welcome");
    assert_eq!(welcome.reply()["client"], 1);
    client.assert_alive().await;
}

#[tokio::test]
async fn a_client_gets_the_spelling_of_its_account_name() {
    let server = options_with_ron().start().await;
    let client = Client::guest(&server).await;
    let welcome = client.sign_in("rON", "tomato & \"basil\"").await;
    assert_eq!(welcome.reply()["name"], "Ron");
    assert_eq!(client.status().await[0]["name"], "Ron");
}

#[tokio::test]
async fn connections_of_one_account_are_one_client_with_any_keys() {
    let server = options_with_ron().account("Ben", "basil").max_clients(1).start().await;
    let first = Dialer::new(&server).key(&Key::new()).connect().await.unwrap();
    assert_eq!(first.sign_in("Ron", "tomato & \"basil\"").await.reply()["client"], 1);
    let second = Dialer::new(&server).without_certificate().connect().await.unwrap();
    assert_eq!(second.sign_in("ron", "tomato & \"basil\"").await.reply()["client"], 1);
    assert_eq!(first.status().await.len(), 1);
    // The account has the only slot.
    let ben = Client::guest(&server).await;
    assert_eq!(ben.sign_in("Ben", "basil").await.code(), "busy");
    first.request(json!({"command": "exit"})).await.eof();
    let ben = Client::guest(&server).await;
    assert_eq!(ben.sign_in("Ben", "basil").await.code(), "busy");
    second.request(json!({"command": "exit"})).await.eof();
    let ben = Client::guest(&server).await;
    assert_eq!(ben.sign_in("Ben", "basil").await.reply()["name"], "Ben");
}

#[tokio::test]
async fn the_server_closes_a_connection_after_its_third_failed_sign_in() {
    let server = options_with_ron().start().await;
    let client = Client::guest(&server).await;
    for password in ["tomato", "", "Tomato & \"basil\""] {
        assert_eq!(client.sign_in("Ron", password).await.code(), "sign_in_failed");
    }
    assert_eq!(client.wait_for_close().await, CloseReason::Code(2));

    let client = Client::guest(&server).await;
    for _ in 0..3 {
        assert_eq!(client.hello("Ron").await.code(), "sign_in_required");
    }
    assert_eq!(client.wait_for_close().await, CloseReason::Code(2));
}

#[tokio::test]
async fn the_server_refuses_missing_malformed_and_long_passwords() {
    let server = options_with_ron().start().await;
    let hello = |password: serde_json::Value| json!({"command": "hello", "version": 1, "name": "Ron", "password": password});
    let client = Client::guest(&server).await;
    assert_eq!(client.request(hello(json!(null))).await.code(), "sign_in_required");
    assert_eq!(client.request(hello(json!(7))).await.code(), "bad_request");
    assert_eq!(client.request(hello(json!("x".repeat(1025)))).await.code(), "too_large");
    let client = Client::guest(&server).await;
    assert_eq!(client.request(hello(json!("x".repeat(1024)))).await.code(), "sign_in_failed");
}

#[tokio::test]
async fn the_server_logs_no_passwords() {
    let server = options_with_ron().environment("RUST_LOG", "trace").start().await;
    let client = Client::guest(&server).await;
    client.sign_in("Ron", "a-wrong-secret").await;
    client.request(json!({"command": "hello", "version": 1, "name": "Ron", "password": ["a-listed-secret"]})).await;
    client.sign_in("Ron", "tomato & \"basil\"").await.eof();
    client.assert_alive().await;
    server.log().wait_for("Client connected as Client 1: Ron").await;
    for entry in server.log().entries() {
        let line = entry.fields.to_string();
        for secret in ["a-wrong-secret", "a-listed-secret", "tomato", "basil", "argon2id"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
    assert_eq!(server.log().count("sign-in as Ron from 127.0.0.1"), 1);
}

#[tokio::test]
async fn the_server_reloads_changed_accounts_while_it_runs() {
    let server = options_with_ron().start().await;
    let client = Client::guest(&server).await;
    assert_eq!(client.sign_in("Ben", "basil").await.code(), "sign_in_failed");

    let added = add_account(&server.password_file(), "Ben", "basil");
    assert!(added.status.success(), "{}", added.stderr);
    assert_eq!(added.stdout, "Ben added\n");
    assert_eq!(run_user_command(&server, &["list"]).stdout, "Ron\nBen\n");
    server.log().wait_for_nth_within(Duration::from_secs(10), "password file reloaded", 1).await;
    client.sign_in("Ben", "basil").await.eof();

    let changed = add_account(&server.password_file(), "Ron", "oregano");
    assert_eq!(changed.stdout, "Ron has a new password\n");
    server.log().wait_for_nth("password file reloaded", 2).await;
    let ron = Client::guest(&server).await;
    assert_eq!(ron.sign_in("Ron", "tomato & \"basil\"").await.code(), "sign_in_failed");
    ron.sign_in("Ron", "oregano").await.eof();

    assert!(run_user_command(&server, &["remove", "Ben"]).status.success());
    server.log().wait_for_nth("password file reloaded", 3).await;
    // Ben's connection stays; a new one is refused.
    client.assert_alive().await;
    let ben = Client::guest(&server).await;
    assert_eq!(ben.sign_in("Ben", "basil").await.code(), "sign_in_failed");
}

#[tokio::test]
async fn the_server_does_not_reload_an_invalid_password_file() {
    let server = options_with_ron().start().await;
    let path = server.password_file();
    let good = fs::read(&path).unwrap();
    let warning = "password file not reloaded: the accounts stay as they were";

    // The same password for another name: valid, if it were not for the last line.
    let renamed = String::from_utf8(good).unwrap().replace("Ron:", "Pete:");
    let assert_unchanged = async || {
        let client = Client::guest(&server).await;
        assert_eq!(client.sign_in("Pete", "tomato & \"basil\"").await.code(), "sign_in_failed");
        client.sign_in("Ron", "tomato & \"basil\"").await.eof();
    };
    replace(&path, format!("{renamed}Ben:hunter2\n").as_bytes(), 0o600);
    let entry = server.log().wait_for_nth(warning, 1).await;
    let line = entry.fields.to_string();
    assert!(line.contains("line 2") && !line.contains("hunter2"), "{line}");
    assert_unchanged().await;

    // Valid, but readable by others.
    replace(&path, renamed.as_bytes(), 0o644);
    server.log().wait_for_nth(warning, 2).await;
    assert_unchanged().await;
}

#[tokio::test]
async fn a_server_refuses_to_start_with_a_password_file_that_others_can_read() {
    for mode in [0o644, 0o640, 0o606] {
        let refused = options_with_ron().expect_start_failure(|folder| {
            let path = folder.join("passwords");
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        });
        let refused = refused.await;
        assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains("error: "), "{}", refused.stderr);
        assert!(refused.stderr.contains("chmod 600"), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn the_server_limits_sign_ins_from_an_address_with_many_failures() {
    let server = options_with_ron().start().await;
    let early = Client::guest(&server).await;
    early.sign_in("Ron", "tomato & \"basil\"").await.eof();
    // The first failure of each name has no delay.
    let mut failures = 0;
    while failures < 60 {
        let client = Client::guest(&server).await;
        for _ in 0..3 {
            let name = format!("unknown-{failures}");
            assert_eq!(client.sign_in(&name, "guess").await.code(), "sign_in_failed", "{name}");
            failures += 1;
        }
        assert_eq!(client.wait_for_close().await, CloseReason::Code(2));
    }
    let client = Client::guest(&server).await;
    assert_eq!(client.sign_in("unknown", "guess").await.code(), "rate_limited");
    // The server refuses right and wrong passwords alike.
    assert_eq!(client.sign_in("Ron", "tomato & \"basil\"").await.code(), "rate_limited");
    assert_eq!(client.sign_in("Ron", "guess").await.code(), "rate_limited");
    assert_eq!(client.wait_for_close().await, CloseReason::Code(2));
    early.assert_alive().await;
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_get_the_same_response_after_the_same_time() {
    const ROUNDS: usize = 9;
    let mut options = Server::options();
    for number in 0..ROUNDS {
        options = options.account(&format!("known-{number}"), "secret");
    }
    let server = options.start().await;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..ROUNDS {
        // Each attempt has its own name, so that no earlier failure delays it.
        for (kind, durations) in [("known", &mut known), ("other", &mut unknown)] {
            let client = Client::guest(&server).await;
            let started = Instant::now();
            let response = client.sign_in(&format!("{kind}-{number}"), "guess").await;
            durations.push(started.elapsed());
            let message = "sign-in failed: unknown name or wrong password";
            assert_eq!((response.code(), response.message()), ("sign_in_failed", message));
        }
    }
    let median = |durations: &mut Vec<Duration>| {
        durations.sort_unstable();
        durations[ROUNDS / 2].as_secs_f64()
    };
    let (known, unknown) = (median(&mut known), median(&mut unknown));
    // If the server did not hash the password for unknown names, their response would take a
    // hundredth of the time.
    let ratio = known / unknown;
    assert!((0.2..5.0).contains(&ratio), "known {known} s, unknown {unknown} s");
}

#[tokio::test]
async fn each_failed_sign_in_delays_the_next_one_of_its_account() {
    let server = options_with_ron().account("Ben", "basil").start().await;
    let client = Client::guest(&server).await;
    let started = Instant::now();
    for _ in 0..3 {
        client.sign_in("Ron", "guess").await;
    }
    // The delays are 0, 250 and 500 ms.
    assert!(started.elapsed() >= Duration::from_millis(750), "{:?}", started.elapsed());
    // Ron's next sign-in waits for a second; Ben's does not wait.
    let (ron, ben) = (Client::guest(&server).await, Client::guest(&server).await);
    let ron = ron.sign_in("Ron", "tomato & \"basil\"");
    let ben = ben.sign_in("Ben", "basil");
    tokio::select! {
        biased;
        response = ron => panic!("Ron did not wait: {response:?}"),
        response = ben => assert!(response.code().is_empty()),
    }
}
