//! A server that sends invalid responses to uploads: the client exits with the documented code in bounded time, never
//! reports the file as stored, and prints no control characters.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::time::{Duration, Instant};

use quiver_e2e::fake_server::{Step, welcome};
use quiver_e2e::process::ProgramOutput;
use quiver_e2e::wire::kind;
use quiver_e2e::{FakeServer, Home};
use serde_json::{Value, json};

/// The maximum run time of a client with a timeout of two seconds.
const MAX_RUN_TIME: Duration = Duration::from_secs(15);

const CONTENT: &[u8] = b"what is stored";

fn hash(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}

fn ready_reply() -> Step {
    Step::reply(&json!({"reply": "ready", "path": "a.txt"}))
}

fn resuming_reply(size: u64, blake3: &str) -> Step {
    let have = json!({"size": size, "blake3": blake3});
    Step::reply(&json!({"reply": "ready", "path": "a.txt", "have": have}))
}

fn progress_reply(received: u64, stored: u64) -> Step {
    Step::reply(&json!({"reply": "progress", "received": received, "stored": stored}))
}

fn received_frame(hash: &str) -> Step {
    Step::json(kind::RECEIVED, &json!({"blake3": hash}))
}

/// The payloads of the Data frames among the frames that a client sent.
fn sent_content(received: &[u8]) -> Vec<u8> {
    let (mut content, mut frames) = (Vec::new(), received);
    while let [frame_kind, high, low, rest @ ..] = frames {
        let (payload, rest) = rest.split_at(u16::from_be_bytes([*high, *low]).into());
        if *frame_kind == kind::DATA {
            content.extend(payload);
        }
        frames = rest;
    }
    content
}

fn eof() -> Step {
    Step::eof(&json!({}))
}

/// The steps of a server that stores the file, with two progress replies.
fn valid_response(progress: [Step; 2]) -> Vec<Step> {
    let [first, second] = progress;
    vec![
        ready_reply(),
        Step::ReadUntil(kind::EOF),
        first,
        second,
        received_frame(&hash(CONTENT)),
        eof(),
        Step::Finish,
    ]
}

fn listing(entries: &[&str]) -> Vec<Step> {
    let entry = |path: &&str| {
        Step::reply(&json!({"reply": "entry", "path": path, "kind": "file", "size": 1,
            "modified": "2024-10-19T17:45:47Z"}))
    };
    let end = Step::eof(&json!({"entries": entries.len(), "not_served": 0}));
    entries.iter().map(entry).chain([end, Step::Finish]).collect()
}

/// A server that allows uploads, and performs the steps of `script` for each request but a hello.
fn uploading_server(
    script: impl Fn(&Value) -> Option<Vec<Step>> + Send + Sync + 'static,
) -> FakeServer {
    FakeServer::start(move |request| {
        if request["command"] == "hello" {
            let mut welcome = welcome(&request["name"]);
            welcome["upload"] = json!(true);
            return Some(Step::response(&welcome));
        }
        script(request)
    })
}

/// A server that allows uploads, and performs these steps for one command.
fn server_for(command: &'static str, steps: Vec<Step>) -> FakeServer {
    uploading_server(move |request| (request["command"] == command).then(|| steps.clone()))
}

/// Runs `quiver` as Ron with a timeout of two seconds.
async fn run(home: &Home, server: &FakeServer, arguments: &[&str]) -> ProgramOutput {
    let start = Instant::now();
    let quiver = home.quiver(["--name", "Ron", "--timeout", "2"]).arguments(arguments);
    let output = quiver.server(server.address(), &server.certificate()).run().await;
    assert!(start.elapsed() < MAX_RUN_TIME, "{:?}", start.elapsed());
    let is_harmful = |character: char| character.is_control() && character != '\n';
    assert!(!output.stderr.contains(is_harmful), "{:?}", output.stderr);
    output
}

fn home() -> Home {
    let home = Home::new();
    fs::write(home.file("a.txt"), CONTENT).unwrap();
    home
}

#[tokio::test]
async fn the_client_accepts_the_valid_response_of_a_server() {
    let server = server_for("put", valid_response([progress_reply(14, 5), progress_reply(14, 14)]));
    let home = home();
    let output = run(&home, &server, &["put", "a.txt"]).await;
    assert_eq!(output.expect(0).stderr, "a.txt: 14 B stored and verified\n");
    let output = run(&home, &server, &["put", "a.txt", "--json", "--quiet"]).await;
    let object: Value = serde_json::from_str(&output.expect(0).stdout).unwrap();
    for counter in ["size", "sent", "received", "verified"] {
        assert_eq!(object[counter], 14, "{object}");
    }
    assert_eq!((&object["path"], &object["source"]), (&json!("a.txt"), &json!("a.txt")));
    assert_eq!((&object["blake3"], &object["resumed_at"]), (&json!(hash(CONTENT)), &json!(0)));
    let received: Vec<u8> =
        server.closed_clients(2).await.into_iter().flat_map(|client| client.received).collect();
    let received = String::from_utf8_lossy(&received).into_owned();
    assert!(
        received.contains(r#"{"command":"put","path":"a.txt","size":14,"modified":""#),
        "{received}"
    );
    assert!(received.contains(&hash(CONTENT)), "{received}");
}

#[tokio::test]
async fn the_client_resumes_only_if_the_hash_of_the_prefix_matches() {
    let home = home();
    let remaining =
        || vec![Step::ReadUntil(kind::EOF), received_frame(&hash(CONTENT)), eof(), Step::Finish];
    for (what, have, arguments, offset) in [
        ("a prefix of the file", resuming_reply(5, &hash(&CONTENT[..5])), &["put", "a.txt"][..], 5),
        ("the whole file", resuming_reply(14, &hash(CONTENT)), &["put", "a.txt"], 14),
        (
            "a prefix, with --no-resume",
            resuming_reply(5, &hash(&CONTENT[..5])),
            &["put", "a.txt", "--no-resume"],
            0,
        ),
        ("the prefix of another file", resuming_reply(5, &hash(b"other")), &["put", "a.txt"], 0),
        ("more than the file", resuming_reply(15, &hash(CONTENT)), &["put", "a.txt"], 0),
        ("the largest size", resuming_reply(u64::MAX, &hash(CONTENT)), &["put", "a.txt"], 0),
        ("nothing", resuming_reply(0, &hash(b"")), &["put", "a.txt"], 0),
    ] {
        let server = server_for("put", [vec![have], remaining()].concat());
        let output = run(&home, &server, arguments).await;
        output.expect(0);
        let received = server.closed_clients(1).await.remove(0).received;
        assert_eq!(sent_content(&received), &CONTENT[offset..], "{what}");
        let received = String::from_utf8_lossy(&received).into_owned();
        let reply = format!(r#"{{"reply":"content","offset":{offset}}}"#);
        assert!(received.contains(&reply), "{what}: {received}");
        let percent = offset * 100 / CONTENT.len();
        let is_resuming = output.stderr.contains(&format!("a.txt: resuming at {percent} %"));
        assert_eq!(is_resuming, offset > 0, "{what}: {}", output.stderr);
    }
}

#[tokio::test]
async fn the_client_reports_a_failure_without_a_valid_confirmation() {
    let good = hash(CONTENT);
    let after_content =
        |steps: Vec<Step>| [vec![ready_reply(), Step::ReadUntil(kind::EOF)], steps].concat();
    let ready_for = |path: &str| Step::reply(&json!({"reply": "ready", "path": path}));
    let content = Step::reply(&json!({"reply": "content", "offset": 0}));
    for (what, code, steps) in [
        ("another hash", 9, after_content(vec![received_frame(&hash(b"x")), eof(), Step::Finish])),
        ("a short hash", 1, after_content(vec![received_frame("00"), eof(), Step::Finish])),
        ("no Received", 1, after_content(vec![eof(), Step::Finish])),
        ("no Eof", 1, after_content(vec![received_frame(&good), Step::Finish])),
        ("no Eof, and an open stream", 3, after_content(vec![received_frame(&good)])),
        ("no end of the stream", 3, after_content(vec![received_frame(&good), eof()])),
        ("two Eofs", 1, after_content(vec![received_frame(&good), eof(), eof(), Step::Finish])),
        (
            "two Received",
            1,
            after_content(vec![received_frame(&good), received_frame(&good), eof()]),
        ),
        (
            "Received before anything was sent",
            1,
            vec![ready_reply(), received_frame(&good), eof(), Step::Finish],
        ),
        ("Received without Ready", 1, vec![received_frame(&good), eof(), Step::Finish]),
        ("an Eof alone", 1, vec![eof(), Step::Finish]),
        ("nothing", 1, vec![Step::Finish]),
        ("silence", 3, vec![]),
        ("silence after Ready", 3, vec![ready_reply()]),
        ("silence after progress", 3, after_content(vec![progress_reply(14, 14)])),
        (
            "another file",
            1,
            vec![ready_for("b.txt"), Step::ReadUntil(kind::EOF), received_frame(&good), eof()],
        ),
        ("a path outside", 1, vec![ready_for("../a.txt")]),
        ("two Ready", 1, vec![ready_reply(), ready_reply()]),
        ("a Content reply", 1, vec![ready_reply(), content]),
        ("more than the file", 1, after_content(vec![progress_reply(15, 14)])),
        ("more stored than received", 1, after_content(vec![progress_reply(5, 6)])),
        ("2^64 - 1 bytes", 1, after_content(vec![progress_reply(u64::MAX, u64::MAX)])),
        (
            "a negative number",
            1,
            after_content(vec![Step::reply(
                &json!({"reply": "progress", "received": -1, "stored": 0}),
            )]),
        ),
        ("a Data frame", 1, after_content(vec![Step::data(b"evil")])),
        ("garbage", 1, vec![Step::Send(vec![0xff; 4096]), Step::Finish]),
        ("a reset", 1, vec![ready_reply(), Step::Reset]),
        ("a closed connection", 3, vec![ready_reply(), Step::Close(0)]),
    ] {
        let home = home();
        let server = server_for("put", steps);
        let output = run(&home, &server, &["put", "a.txt"]).await;
        assert_eq!(output.code(), code, "{what}: {}", output.stderr);
        assert!(output.stderr.starts_with("error: cannot put a.txt: "), "{what}: {output:?}");
        assert!(!output.stderr.contains("verified"), "{what}: {output:?}");
    }
}

#[tokio::test]
async fn the_client_tolerates_progress_that_decreases() {
    let server = server_for("put", valid_response([progress_reply(14, 14), progress_reply(3, 0)]));
    let output = run(&home(), &server, &["put", "a.txt", "--json"]).await;
    let object: Value = serde_json::from_str(&output.expect(0).stdout).unwrap();
    for counter in ["size", "sent", "received", "verified"] {
        assert_eq!(object[counter], 14, "{object}");
    }
}

#[tokio::test]
async fn a_refusal_of_a_put_sets_the_exit_code_even_in_the_middle() {
    for (code, exit, hint) in [
        ("no_space", 1, Some("hint: free space with rm")),
        ("too_large", 1, None),
        ("forbidden", 1, None),
        ("exists", 1, Some("hint: --overwrite")),
        ("not_found", 7, Some("hint: --to needs an existing folder")),
        ("not_a_folder", 7, Some("hint: --to needs a folder")),
        ("changed", 9, Some("hint: the file was changed during the transfer")),
        ("internal", 1, None),
        ("shutting_down", 1, Some("hint: try again later")),
        ("no_such_code", 1, None),
    ] {
        let error = || Step::error(code, "\u{1b}[2J the reason");
        let home = Home::new();
        // Larger than all buffers between client and server.
        fs::File::create(home.file("a.txt")).unwrap().set_len(64 * 1024 * 1024).unwrap();
        for steps in [
            vec![error(), Step::Finish],
            vec![
                ready_reply(),
                Step::ReadUntil(kind::DATA),
                Step::StopReading,
                error(),
                Step::Finish,
            ],
        ] {
            let arguments = ["put", "a.txt", "--retry-timeout", "0"];
            let output = run(&home, &server_for("put", steps), &arguments).await;
            assert_eq!(output.code(), exit, "{code}: {}", output.stderr);
            let expected = "error: cannot put a.txt: \\u{1b}[2J the reason";
            assert!(output.stderr.starts_with(expected), "{code}: {}", output.stderr);
            let shown = output.stderr.lines().find(|line| line.starts_with("hint: "));
            match hint {
                Some(hint) => assert!(shown.is_some_and(|line| line.starts_with(hint)), "{code}"),
                None => assert_eq!(shown, None, "{code}"),
            }
        }
    }
}

#[tokio::test]
async fn the_client_sends_no_change_to_a_server_without_uploads() {
    let server = FakeServer::start(|_| None);
    let home = home();
    for arguments in [
        &["put", "a.txt"][..],
        &["rm", "a.txt", "--yes"],
        &["mv", "a.txt", "b.txt"],
        &["mkdir", "new"],
    ] {
        let output = run(&home, &server, arguments).await;
        output.expect(1);
        assert!(output.stderr.contains("read-only for you"), "{}", output.stderr);
        assert!(output.stderr.contains("hint: "), "{}", output.stderr);
    }
    for client in server.closed_clients(4).await {
        let received = String::from_utf8_lossy(&client.received).into_owned();
        assert!(!received.contains("a.txt") && !received.contains("new"), "{received}");
    }
}

#[tokio::test]
async fn the_client_refuses_invalid_arguments_before_it_connects() {
    let server = FakeServer::start(|_| None);
    let home = home();
    fs::create_dir(home.file("folder")).unwrap();
    fs::write(home.file("nul"), "").unwrap();
    for (arguments, code, why) in [
        (&["put", "missing"][..], 7, "cannot read missing: No such file or directory"),
        (&["put", "folder"], 7, "cannot put folder: it is a folder"),
        (&["put", "/dev/null"], 7, "cannot put /dev/null: it is a device"),
        (&["put", "nul"], 2, "reserved device name"),
        (&["put", "a.txt", "--to", "../x"], 2, "not allowed"),
        (&["put", "a.txt", "./a.txt"], 2, "two files would be stored as a.txt"),
        (&["put", "-", "a.txt", "--as", "b"], 2, "cannot be stored by one command"),
        (&["put", "-"], 2, "has no name"),
        (&["put", "a.txt", "--limit", "soon"], 2, "expected a rate"),
        (&["rm", "a.txt"], 2, "rm asks for confirmation"),
        (&["rm", "../a.txt", "--yes"], 2, "not allowed"),
        (&["rm", "-r", "../*", "--yes"], 2, "not allowed"),
        (&["rm", "-r", "/", "--yes"], 2, "it is the server's root folder"),
    ] {
        let output = run(&home, &server, arguments).await;
        assert_eq!(output.code(), code, "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(why), "{arguments:?}: {}", output.stderr);
    }
    assert!(server.closed_clients(0).await.is_empty(), "the client connected");
}

#[tokio::test]
async fn an_invalid_response_to_a_change_is_a_failure() {
    for (command, arguments) in [
        ("remove", &["rm", "a", "--yes"][..]),
        ("rename", &["mv", "a", "b"]),
        ("make_folder", &["mkdir", "a"]),
    ] {
        let home = Home::new();
        for (code, steps) in [
            (1, vec![Step::reply(&json!({"reply": "goodbye"})), eof(), Step::Finish]),
            (1, vec![Step::Finish]),
            (1, vec![Step::data(b"evil"), Step::Finish]),
            (3, vec![]),
            (7, vec![Step::error("not_found", "\u{1b}[2J gone"), Step::Finish]),
        ] {
            // A rename may take as long as copying to another disk, so the client waits as long as the server lives.
            if command == "rename" && steps.is_empty() {
                continue;
            }
            let output = run(&home, &server_for(command, steps), arguments).await;
            assert_eq!(output.code(), code, "{command}: {}", output.stderr);
            assert!(output.stderr.starts_with("error: cannot "), "{}", output.stderr);
        }
    }
}

#[tokio::test]
async fn mv_moves_a_file_into_a_folder_of_the_target_name() {
    let server = uploading_server(|request| match request["command"].as_str() {
        Some("rename") if request["to"] == "notes" => {
            Some(vec![Step::error("exists", "it exists"), Step::Finish])
        }
        Some("rename") => Some(vec![eof(), Step::Finish]),
        Some("list") => Some(listing(&[])),
        _ => None,
    });
    let output = run(&Home::new(), &server, &["mv", "a.txt", "notes"]).await;
    assert_eq!(output.expect(0).stderr, "a.txt is now notes/a.txt\n");
}
