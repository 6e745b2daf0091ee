//! A server that asks for passwords: who gets in, what the others learn, and how often they may try.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

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

fn with_ron() -> ServerOptions {
    Server::options().account("Ron", "tomato & \"basil\"")
}

fn user(server: &Server, arguments: &[&str]) -> ProgramOutput {
    let mut command = Command::new(binary::server());
    command.arg("user").args(arguments).arg("--passwords").arg(server.password_file());
    process::run(&mut command, b"")
}

/// Puts another file in a file's place, in one step: a server must not see half of it.
fn replace(path: &Path, content: &[u8], mode: u32) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(mode)).unwrap();
    fs::rename(new, path).unwrap();
}

#[tokio::test]
async fn the_right_password_opens_the_door() {
    let server = with_ron().start().await;
    let client = Client::guest(&server).await;
    let asked = client.hello("Ron").await;
    assert_eq!(asked.code(), "sign_in_required");
    assert_eq!(client.sign_in("Ron", "tomato").await.code(), "sign_in_failed");
    let welcome = client.sign_in("Ron", "tomato & \"basil\"").await;
    assert_eq!(welcome.reply()["reply"], "welcome");
    assert_eq!(welcome.reply()["client"], 1);
    client.assert_alive().await;
}

#[tokio::test]
async fn a_name_is_spelled_as_its_account_is() {
    let server = with_ron().start().await;
    let client = Client::guest(&server).await;
    let welcome = client.sign_in("rON", "tomato & \"basil\"").await;
    assert_eq!(welcome.reply()["name"], "Ron");
    assert_eq!(client.status().await[0]["name"], "Ron");
}

#[tokio::test]
async fn an_account_is_one_client_whatever_its_keys() {
    let server = with_ron().account("Ben", "basil").max_clients(1).start().await;
    let first = Dialer::new(&server).key(&Key::new()).connect().await.unwrap();
    assert_eq!(first.sign_in("Ron", "tomato & \"basil\"").await.reply()["client"], 1);
    let second = Dialer::new(&server).without_certificate().connect().await.unwrap();
    assert_eq!(second.sign_in("ron", "tomato & \"basil\"").await.reply()["client"], 1);
    assert_eq!(first.status().await.len(), 1);
    // The slot is the account's, and there is no other.
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
async fn the_third_failure_closes_the_connection() {
    let server = with_ron().start().await;
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
async fn passwords_that_are_none_are_refused() {
    let server = with_ron().start().await;
    let hello = |password: serde_json::Value| json!({"command": "hello", "version": 1, "name": "Ron", "password": password});
    let client = Client::guest(&server).await;
    assert_eq!(client.request(hello(json!(null))).await.code(), "sign_in_required");
    assert_eq!(client.request(hello(json!(7))).await.code(), "bad_request");
    assert_eq!(client.request(hello(json!("x".repeat(1025)))).await.code(), "too_large");
    let client = Client::guest(&server).await;
    assert_eq!(client.request(hello(json!("x".repeat(1024)))).await.code(), "sign_in_failed");
}

#[tokio::test]
async fn passwords_are_in_no_log() {
    let server = with_ron().environment("RUST_LOG", "trace").start().await;
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
async fn accounts_change_while_the_server_runs() {
    let server = with_ron().start().await;
    let client = Client::guest(&server).await;
    assert_eq!(client.sign_in("Ben", "basil").await.code(), "sign_in_failed");

    let added = add_account(&server.password_file(), "Ben", "basil");
    assert!(added.status.success(), "{}", added.stderr);
    assert_eq!(added.stdout, "Ben added\n");
    assert_eq!(user(&server, &["list"]).stdout, "Ron\nBen\n");
    server.log().wait_for_nth_within(Duration::from_secs(10), "password file reloaded", 1).await;
    client.sign_in("Ben", "basil").await.eof();

    let changed = add_account(&server.password_file(), "Ron", "oregano");
    assert_eq!(changed.stdout, "Ron has a new password\n");
    server.log().wait_for_nth("password file reloaded", 2).await;
    let ron = Client::guest(&server).await;
    assert_eq!(ron.sign_in("Ron", "tomato & \"basil\"").await.code(), "sign_in_failed");
    ron.sign_in("Ron", "oregano").await.eof();

    assert!(user(&server, &["remove", "Ben"]).status.success());
    server.log().wait_for_nth("password file reloaded", 3).await;
    // Who is here stays; who is gone stays out.
    client.assert_alive().await;
    let ben = Client::guest(&server).await;
    assert_eq!(ben.sign_in("Ben", "basil").await.code(), "sign_in_failed");
}

#[tokio::test]
async fn a_password_file_that_is_wrong_is_not_taken_over() {
    let server = with_ron().start().await;
    let path = server.password_file();
    let good = fs::read(&path).unwrap();
    let word = "password file not reloaded: the accounts stay as they were";

    replace(&path, &[&good[..], b"Ben:hunter2\n"].concat(), 0o600);
    let warning = server.log().wait_for_nth(word, 1).await;
    let line = warning.fields.to_string();
    assert!(line.contains("line 2") && !line.contains("hunter2"), "{line}");
    Client::guest(&server).await.sign_in("Ron", "tomato & \"basil\"").await.eof();

    replace(&path, &good, 0o644);
    server.log().wait_for_nth(word, 2).await;
    Client::guest(&server).await.sign_in("Ron", "tomato & \"basil\"").await.eof();
}

#[tokio::test]
async fn a_password_file_that_others_can_read_is_refused_at_the_start() {
    for mode in [0o644, 0o640, 0o606] {
        let refused = with_ron().expect_start_failure(|folder| {
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
async fn too_many_failures_of_one_source_are_not_even_looked_at() {
    let server = with_ron().start().await;
    let early = Client::guest(&server).await;
    early.sign_in("Ron", "tomato & \"basil\"").await.eof();
    // Each name's first failure has no delay.
    let mut failures = 0;
    while failures < 60 {
        let client = Client::guest(&server).await;
        for _ in 0..3 {
            let name = format!("nobody-{failures}");
            assert_eq!(client.sign_in(&name, "guess").await.code(), "sign_in_failed", "{name}");
            failures += 1;
        }
        assert_eq!(client.wait_for_close().await, CloseReason::Code(2));
    }
    let client = Client::guest(&server).await;
    assert_eq!(client.sign_in("nobody", "guess").await.code(), "rate_limited");
    // Whether the password was right is not said.
    assert_eq!(client.sign_in("Ron", "tomato & \"basil\"").await.code(), "rate_limited");
    assert_eq!(client.sign_in("Ron", "guess").await.code(), "rate_limited");
    assert_eq!(client.wait_for_close().await, CloseReason::Code(2));
    early.assert_alive().await;
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_are_told_alike() {
    const ROUNDS: usize = 9;
    let mut options = Server::options();
    for number in 0..ROUNDS {
        options = options.account(&format!("known-{number}"), "secret");
    }
    let server = options.start().await;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..ROUNDS {
        // Names of their own, so that none is slowed down for an earlier failure.
        for (kind, times) in [("known", &mut known), ("other", &mut unknown)] {
            let client = Client::guest(&server).await;
            let began = Instant::now();
            let answer = client.sign_in(&format!("{kind}-{number}"), "guess").await;
            times.push(began.elapsed());
            let words = "sign-in failed: unknown name or wrong password";
            assert_eq!((answer.code(), answer.message()), ("sign_in_failed", words));
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[ROUNDS / 2].as_secs_f64()
    };
    let (known, unknown) = (median(&mut known), median(&mut unknown));
    // Without the work of hashing, one would be some hundred times as fast.
    let ratio = known / unknown;
    assert!((0.2..5.0).contains(&ratio), "known {known} s, unknown {unknown} s");
}

#[tokio::test]
async fn failures_on_one_account_take_longer_and_longer() {
    let server = with_ron().account("Ben", "basil").start().await;
    let client = Client::guest(&server).await;
    let began = Instant::now();
    for _ in 0..3 {
        client.sign_in("Ron", "guess").await;
    }
    // 0, 250 and 500 ms.
    assert!(began.elapsed() >= Duration::from_millis(750), "{:?}", began.elapsed());
    // The next waits a second; another account does not, meanwhile.
    let (ron, ben) = (Client::guest(&server).await, Client::guest(&server).await);
    let ron = ron.sign_in("Ron", "tomato & \"basil\"");
    let ben = ben.sign_in("Ben", "basil");
    tokio::select! {
        biased;
        answer = ron => panic!("Ron was faster: {answer:?}"),
        answer = ben => assert!(answer.code().is_empty()),
    }
}
