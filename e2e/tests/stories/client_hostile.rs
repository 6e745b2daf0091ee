//! A server that sends invalid or malicious responses: the client exits with the documented code in bounded time,
//! stores nothing under the final name or outside the folder, and prints no control characters.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::time::{Duration, Instant};

use quiver_e2e::fake_server::{ClientRecord, Step, welcome};
use quiver_e2e::process::ProgramOutput;
use quiver_e2e::quiver::names;
use quiver_e2e::wire::kind;
use quiver_e2e::{FakeServer, Home, PromptUser};
use serde_json::{Value, json};

/// The path of every get.
const PATH: &str = "notes/a.txt";

/// The maximum run time of a client with a timeout of two seconds.
const MAX_RUN_TIME: Duration = Duration::from_secs(15);

/// A description of an invalid response, the client's exit code, and the response.
type HostileResponse = (&'static str, i32, Vec<Step>);

fn file_reply(size: impl Into<Value>) -> Step {
    changed_file_reply("size", size.into())
}

fn changed_file_reply(field: &str, value: Value) -> Step {
    let mut reply = json!({"reply": "file", "path": PATH, "size": 4,
        "modified": "2024-10-19T17:45:47Z", "offset": 0});
    reply[field] = value;
    Step::reply(&reply)
}

/// The valid Eof of this content.
fn eof(content: &[u8]) -> Step {
    let hash = blake3::hash(content).to_hex().to_string();
    Step::eof(&json!({"size": content.len(), "blake3": hash}))
}

fn data_frames(content: &[u8]) -> Vec<Step> {
    content.chunks(1024).map(Step::data).collect()
}

/// A valid response to a get.
fn valid_response(content: &[u8]) -> Vec<Step> {
    let end = vec![eof(content), Step::Finish];
    [vec![file_reply(content.len())], data_frames(content), end].concat()
}

/// A server that performs these steps for every get.
fn fake_server(steps: Vec<Step>) -> FakeServer {
    FakeServer::start(move |request| (request["command"] == "get").then(|| steps.clone()))
}

/// Runs `quiver` as Ron with a timeout of two seconds.
async fn run(home: &Home, server: &FakeServer, arguments: &[&str]) -> ProgramOutput {
    let start = Instant::now();
    let quiver = home.quiver(["--name", "Ron", "--timeout", "2"]).arguments(arguments);
    let output = quiver.server(server.address(), &server.certificate()).run().await;
    assert!(start.elapsed() < MAX_RUN_TIME, "{:?}", start.elapsed());
    assert_harmless(&output.stdout);
    assert_harmless(&output.stderr);
    output
}

/// Checks that a terminal shows this text unchanged: it has no control characters and no text direction marks.
fn assert_harmless(text: &str) {
    let is_harmful = |character: char| {
        (character.is_control() && character != '\n')
            || ('\u{202a}'..='\u{202e}').contains(&character)
    };
    assert!(!text.contains(is_harmful), "{text:?}");
}

/// Checks that the client refuses each response, with an empty folder and with a file to replace.
async fn assert_refused(responses: Vec<HostileResponse>) {
    for (what, code, steps) in responses {
        let server = fake_server(steps);
        for existing in [None, Some("old")] {
            let home = Home::new();
            if let Some(content) = existing {
                fs::write(home.file("a.txt"), content).unwrap();
            }
            let names_before = names(home.root());
            let output =
                run(&home, &server, &["get", PATH, "--overwrite", "--retry-timeout", "0"]).await;
            assert_eq!(output.code(), code, "{what}: {}", output.stderr);
            assert!(output.stderr.starts_with("error: "), "{what}: {}", output.stderr);
            assert_eq!(names(home.root()), names_before, "{what}");
            match existing {
                None => assert!(home.names().is_empty(), "{what}: {:?}", home.names()),
                Some(content) => {
                    assert_eq!(home.names(), ["a.txt"], "{what}");
                    assert_eq!(fs::read_to_string(home.file("a.txt")).unwrap(), content, "{what}");
                }
            }
        }
        let received = received_text(&server.closed_clients(2).await);
        assert!(!received.contains("blake3"), "{what} was acknowledged: {received}");
    }
}

/// Everything that these clients sent, as text.
fn received_text(clients: &[ClientRecord]) -> String {
    clients.iter().map(|client| String::from_utf8_lossy(&client.received).into_owned()).collect()
}

#[tokio::test]
async fn the_client_stores_and_acknowledges_valid_content() {
    let content = [7; 3000];
    let server = fake_server(valid_response(&content));
    let home = Home::new();
    run(&home, &server, &["get", PATH]).await.expect(0);
    assert_eq!(fs::read(home.file("a.txt")).unwrap(), content);
    assert_eq!(home.names(), ["a.txt"]);
    let received = received_text(&server.closed_clients(1).await);
    assert!(received.contains(blake3::hash(&content).to_hex().as_str()), "{received}");
}

#[tokio::test]
async fn the_client_refuses_another_file_than_the_requested_one() {
    let outside = tempfile::tempdir().unwrap();
    let absolute = outside.path().join("evil");
    let other = |field: &str, value: Value| {
        vec![changed_file_reply(field, value), Step::data(b"evil"), eof(b"evil"), Step::Finish]
    };
    assert_refused(vec![
        ("another path", 1, other("path", json!("notes/b.txt"))),
        ("a path outside", 1, other("path", json!("../.bashrc"))),
        ("an absolute path", 1, other("path", json!(absolute))),
        ("a path in other letters", 1, other("path", json!("Notes/A.txt"))),
        ("an offset", 1, other("offset", json!(4))),
        ("a negative size", 1, other("size", json!(-1))),
        ("a size that is text", 1, other("size", json!("4"))),
        ("a size beyond 64 bits", 1, other("size", json!(18_446_744_073_709_551_616.0))),
        ("no time", 1, other("modified", json!(null))),
        ("another reply", 1, other("reply", json!("goodbye"))),
        ("an unknown reply", 1, other("reply", json!("exec"))),
    ])
    .await;
    assert!(names(outside.path()).is_empty());
}

#[tokio::test]
async fn the_client_discards_content_that_does_not_match_its_size_or_hash() {
    let content = [7_u8; 2500];
    let (mut flipped, hash) = (content, blake3::hash(&content).to_hex().to_string());
    flipped[2048] ^= 1;
    let response = |size: u64, sent: &[u8], end: Step| {
        [vec![file_reply(size)], data_frames(sent), vec![end, Step::Finish]].concat()
    };
    let end = |size: u64, hash: &str| Step::eof(&json!({"size": size, "blake3": hash}));
    assert_refused(vec![
        ("flipped bits", 9, response(2500, &flipped, end(2500, &hash))),
        ("another hash", 9, response(2500, &content, end(2500, &"0".repeat(64)))),
        ("a wrong size in the Eof", 9, response(2500, &content, end(2501, &hash))),
        ("an early Eof", 9, response(2500, &content[..1024], end(2500, &hash))),
        ("a short Eof with its hash", 9, response(2500, &content[..1024], eof(&content[..1024]))),
        ("an Eof at once", 9, response(2500, &[], eof(&[]))),
        ("2^63 bytes that are not sent", 9, response(1_u64 << 63, &content, eof(&content))),
        ("u64::MAX bytes", 9, response(u64::MAX, &content, eof(&content))),
        ("too much", 1, response(2000, &content, eof(&content))),
        ("content of an empty file", 1, response(0, &content, eof(&content))),
        ("an Eof without a hash", 1, response(2500, &content, Step::eof(&json!({"size": 2500})))),
        ("a short hash", 1, response(2500, &content, end(2500, "00"))),
        ("an empty Eof", 1, response(2500, &content, Step::eof(&json!({})))),
    ])
    .await;
}

#[tokio::test]
async fn the_client_refuses_invalid_frames() {
    let raw = |bytes: &[u8]| Step::Send(bytes.to_vec());
    let with = |size: usize, steps: Vec<Step>| {
        [vec![file_reply(size)], steps, vec![Step::Finish]].concat()
    };
    let short_first = [vec![7; 1000], vec![7; 1024]].concat();
    assert_refused(vec![
        ("a chunk of 1025 bytes", 1, with(1025, vec![Step::data(&[7; 1025]), eof(&[7; 1025])])),
        ("a chunk of 65535 bytes", 1, with(65_535, vec![Step::data(&[7; 65_535])])),
        ("an empty chunk", 1, with(4, vec![Step::data(b"four"), Step::data(b""), eof(b"four")])),
        (
            "a short chunk first",
            1,
            with(2024, vec![Step::data(&[7; 1000]), Step::data(&[7; 1024]), eof(&short_first)]),
        ),
        ("Data first", 1, vec![Step::data(b"four"), file_reply(4), eof(b"four"), Step::Finish]),
        ("an Eof alone", 1, vec![eof(b""), Step::Finish]),
        ("nothing", 1, vec![Step::Finish]),
        ("two File replies", 1, with(4, vec![file_reply(4), Step::data(b"four"), eof(b"four")])),
        ("two Eofs", 1, with(4, vec![Step::data(b"four"), eof(b"four"), eof(b"four")])),
        ("bytes after the Eof", 1, with(4, vec![Step::data(b"four"), eof(b"four"), raw(b"x")])),
        ("a Request", 1, with(4, vec![Step::json(kind::REQUEST, &json!({"command": "exit"}))])),
        ("a Received", 1, with(4, vec![Step::json(kind::RECEIVED, &json!({"blake3": ""}))])),
        ("an unknown kind", 1, with(4, vec![raw(&[200, 0, 1, 0])])),
        ("garbage", 1, vec![raw(&[0xff; 4096]), Step::Finish]),
        ("a reply that is not UTF-8", 1, vec![raw(&[kind::REPLY, 0, 4, 0xff, 0xfe, b'{', 0])]),
        ("a reply that is an array", 1, vec![raw(b"\x01\x00\x02[]"), Step::Finish]),
        ("half a header", 1, with(4, vec![raw(&[kind::DATA, 0])])),
        ("half a chunk", 1, with(4, vec![raw(&[kind::DATA, 0, 4, b'f'])])),
        ("no Eof", 1, with(4, vec![Step::data(b"four")])),
        ("an Error without a code", 1, with(4, vec![raw(b"\x04\x00\x02{}")])),
    ])
    .await;
}

#[tokio::test]
async fn the_client_gives_up_on_responses_that_do_not_end() {
    let beginning = || vec![file_reply(1 << 20), Step::data(&[7; 1024]), Step::data(&[7; 1024])];
    let with = |last: Step| [beginning(), vec![last]].concat();
    assert_refused(vec![
        ("silence", 3, vec![]),
        ("silence after half a header", 3, vec![Step::Send(vec![kind::REPLY])]),
        ("silence in the middle", 3, beginning()),
        ("silence of 2^63 bytes", 3, vec![file_reply(1_u64 << 63), Step::data(&[7; 1024])]),
        ("no end after the Eof", 3, vec![file_reply(4), Step::data(b"four"), eof(b"four")]),
        ("a reset", 1, with(Step::Reset)),
        ("a closed connection", 3, with(Step::Close(0))),
        ("a closed connection without reason", 3, with(Step::Close(77))),
    ])
    .await;
}

#[tokio::test]
async fn an_error_in_the_middle_of_content_sets_the_exit_code() {
    let codes = [
        ("changed", 9),
        ("not_found", 7),
        ("internal", 1),
        ("shutting_down", 1),
        ("declined", 11),
        ("no_such_code", 1),
    ];
    let response = |(code, exit)| {
        let error = Step::error(code, "\u{1b}[2J because\nerror: of \u{202e}me");
        (code, exit, vec![file_reply(2048), Step::data(&[7; 1024]), error, Step::Finish])
    };
    assert_refused(codes.into_iter().map(response).collect()).await;
}

#[tokio::test]
async fn the_client_warns_about_streamed_content_with_a_wrong_hash() {
    let content = [b'x'; 2048];
    let wrong = Step::eof(&json!({"size": 2048, "blake3": "0".repeat(64)}));
    let end = vec![wrong, Step::Finish];
    let steps = [vec![file_reply(2048)], data_frames(&content), end].concat();
    let server = fake_server(steps);
    let home = Home::new();
    let output = run(&home, &server, &["get", PATH, "-o", "-"]).await;
    output.expect(9);
    assert!(output.stderr.contains("do not use the output"), "{}", output.stderr);
    assert!(home.names().is_empty());
}

#[tokio::test]
async fn the_client_refuses_lists_with_invalid_paths() {
    let entry = |path: &str| {
        json!({"reply": "entry", "path": path, "kind": "file", "size": 1,
        "modified": "2024-10-19T17:45:47Z"})
    };
    let listing = |path: &str| {
        let entry = entry(path);
        FakeServer::start(move |request| {
            let end = Step::eof(&json!({"entries": 1, "not_served": 0}));
            (request["command"] == "list").then(|| vec![Step::reply(&entry), end, Step::Finish])
        })
    };
    let home = Home::new();
    for path in [
        "../x",
        "/etc/passwd",
        "a/../../x",
        "",
        ".",
        "a\\b",
        "\u{1b}]0;x\u{7}",
        "a\nb",
        "notes/inside",
        "nul",
    ] {
        let output = run(&home, &listing(path), &["list"]).await;
        output.expect(1);
        assert_eq!(output.stdout, "", "{path:?}");
    }
    // A valid path with a text direction mark is shown with an escape.
    let output = run(&home, &listing("a\u{202e}gpj.exe"), &["list"]).await;
    assert_eq!(output.expect(0).stdout, "a\\u{202e}gpj.exe\n");
}

#[tokio::test]
async fn the_client_escapes_control_characters_of_the_server() {
    const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\nServer: yes\u{9b}1m\u{202e}";
    let shown = "\\u{1b}[2J\\u{1b}]0;owned\\u{7}\\r\\nServer: yes\\u{9b}1m\\u{202e}";
    let server = FakeServer::start(|request| match request["command"].as_str() {
        Some("message") => Some(Step::response(&json!({"reply": "text", "text": HOSTILE}))),
        Some("status" | "get" | "list") => {
            Some(vec![Step::error("not_found", HOSTILE), Step::Finish])
        }
        _ => None,
    });
    let home = Home::new();
    let message = run(&home, &server, &["message", "Hello"]).await;
    assert_eq!(message.expect(0).stdout, format!("{shown}\n"));
    for arguments in [&["status"][..], &["list"], &["get", "a"]] {
        let output = run(&home, &server, arguments).await;
        assert!(output.expect(7).stderr.contains(shown), "{}", output.stderr);
    }
    let quiver = home.quiver(["--name", "Ron"]);
    let quiver = quiver.server(server.address(), &server.certificate());
    let mut ron = PromptUser::at_terminal(quiver.start_at_terminal(), "Ron");
    assert_eq!(ron.enter("Hello"), format!("Server: {shown}"));
    assert!(ron.enter("list").contains(shown));
    ron.exit();
    let raw = String::from_utf8_lossy(&ron.terminal.raw_output()).into_owned();
    assert!(!raw.contains("\u{1b}[2J") && !raw.contains("\u{7}") && !raw.contains('\u{202e}'));
}

#[tokio::test]
async fn the_client_refuses_an_invalid_welcome() {
    let with = |field: &str, value: Value| {
        let mut object = welcome(&json!("Ron"));
        object[field] = value;
        Step::response(&object)
    };
    let responses = [
        with("client", json!("one")),
        with("client", json!(-1)),
        with("name", json!("\u{1b}[2J")),
        with("name", json!({})),
        with("limits", json!([])),
        with("reply", json!("goodbye")),
        vec![Step::Send(b"\x01\x00\x04null".to_vec()), Step::Finish],
        vec![Step::reply(&welcome(&json!("Ron"))), Step::Finish],
        [vec![Step::reply(&welcome(&json!("Ron")))], Step::response(&welcome(&json!("Ron")))]
            .concat(),
        vec![Step::Send([&b"\x01\xff\xff"[..], &[b'['; 65_535]].concat()), Step::Finish],
        vec![Step::data(b"Ron"), Step::Finish],
        vec![Step::Reset],
    ];
    // After a welcome that the client accepts, the status succeeds.
    let accepting_server = |steps: Vec<Step>| {
        FakeServer::start(move |request| match request["command"].as_str() {
            Some("hello") => Some(steps.clone()),
            Some("status") => Some(vec![Step::eof(&json!({})), Step::Finish]),
            _ => None,
        })
    };
    let home = Home::new();
    let accepted = accepting_server(Step::response(&welcome(&json!("Ron"))));
    run(&home, &accepted, &["status"]).await.expect(0);
    for steps in responses {
        let shown = format!("{steps:?}");
        let server = accepting_server(steps);
        let output = run(&home, &server, &["status"]).await;
        assert_eq!(output.code(), 1, "{shown:.300}: {}", output.stderr);
        let received = received_text(&server.closed_clients(1).await);
        assert!(!received.contains("status"), "{shown:.300}: {received}");
    }
}

#[tokio::test]
async fn a_refused_hello_sets_the_exit_code() {
    let home = Home::new();
    for (code, exit) in [
        ("busy", 6),
        ("name_taken", 5),
        ("bad_name", 5),
        ("sign_in_required", 5),
        ("sign_in_failed", 5),
        ("unsupported_version", 1),
        ("rate_limited", 1),
        ("forbidden", 1),
    ] {
        let server = FakeServer::start(move |request| {
            let refusal = || vec![Step::error(code, "\u{1b}[31mno"), Step::Finish];
            (request["command"] == "hello").then(refusal)
        });
        let output = run(&home, &server, &["status"]).await;
        assert_eq!(output.code(), exit, "{code}: {}", output.stderr);
        assert!(output.stderr.contains("\\u{1b}[31mno"), "{code}: {}", output.stderr);
    }
}

#[tokio::test]
async fn the_client_gives_up_on_a_hello_without_a_response() {
    let home = Home::new();
    let server = FakeServer::start(|_| Some(Vec::new()));
    run(&home, &server, &["status"]).await.expect(3);
    let server = FakeServer::start(|_| Some(vec![Step::Close(1)]));
    run(&home, &server, &["status"]).await.expect(6);
    let server = FakeServer::start(|_| Some(vec![Step::Close(3)]));
    run(&home, &server, &["status"]).await.expect(3);
}
