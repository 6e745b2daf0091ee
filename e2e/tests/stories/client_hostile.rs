//! A server that lies and breaks every rule: each time the documented exit code in bounded time, nothing
//! under the final name, nothing outside the folder, and nothing that drives a terminal.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::time::{Duration, Instant};

use quiver_e2e::fake_server::{Step, welcome};
use quiver_e2e::process::ProgramOutput;
use quiver_e2e::quiver::names;
use quiver_e2e::wire::kind;
use quiver_e2e::{FakeServer, Home, PromptUser};
use serde_json::{Value, json};

/// What every get asks for.
const PATH: &str = "notes/a.txt";

/// How long a client may take that is told to wait for two seconds.
const BOUNDED: Duration = Duration::from_secs(15);

/// One lie, and the exit code it leads to.
type Lie = (&'static str, i32, Vec<Step>);

fn head(size: impl Into<Value>) -> Step {
    changed_head("size", size.into())
}

fn changed_head(field: &str, value: Value) -> Step {
    let mut head = json!({"reply": "file", "path": PATH, "size": 4,
        "modified": "2024-10-19T17:45:47Z", "offset": 0});
    head[field] = value;
    Step::reply(&head)
}

/// The honest end of content.
fn eof(content: &[u8]) -> Step {
    let hash = blake3::hash(content).to_hex().to_string();
    Step::eof(&json!({"size": content.len(), "blake3": hash}))
}

fn chunks(content: &[u8]) -> Vec<Step> {
    content.chunks(1024).map(Step::data).collect()
}

/// An honest answer.
fn honest(content: &[u8]) -> Vec<Step> {
    let end = vec![eof(content), Step::Finish];
    [vec![head(content.len())], chunks(content), end].concat()
}

/// Answers every get with these acts.
fn answering(acts: Vec<Step>) -> FakeServer {
    FakeServer::start(move |request| (request["command"] == "get").then(|| acts.clone()))
}

/// `quiver` as Ron, with two seconds of patience.
async fn run(home: &Home, impostor: &FakeServer, arguments: &[&str]) -> ProgramOutput {
    let began = Instant::now();
    let quiver = home.quiver(["--name", "Ron", "--timeout", "2"]).arguments(arguments);
    let finished = quiver.server(impostor.address(), &impostor.certificate()).run().await;
    assert!(began.elapsed() < BOUNDED, "{:?}", began.elapsed());
    harmless(&finished.stdout);
    harmless(&finished.stderr);
    finished
}

/// Nothing in it drives a terminal.
fn harmless(said: &str) {
    let drives = |character: char| {
        (character.is_control() && character != '\n')
            || ('\u{202a}'..='\u{202e}').contains(&character)
    };
    assert!(!said.contains(drives), "{said:?}");
}

/// Gets with every lie, once into an empty folder and once over a file that is to be replaced.
async fn see_through(lies: Vec<Lie>) {
    for (what, code, acts) in lies {
        let impostor = answering(acts);
        for older in [None, Some("old")] {
            let home = Home::new();
            if let Some(content) = older {
                fs::write(home.file("a.txt"), content).unwrap();
            }
            let around = names(home.root());
            let finished =
                run(&home, &impostor, &["get", PATH, "--overwrite", "--retry-timeout", "0"]).await;
            assert_eq!(finished.code(), code, "{what}: {}", finished.stderr);
            assert!(finished.stderr.starts_with("error: "), "{what}: {}", finished.stderr);
            assert_eq!(names(home.root()), around, "{what}");
            match older {
                None => assert!(home.names().is_empty(), "{what}: {:?}", home.names()),
                Some(content) => {
                    assert_eq!(home.names(), ["a.txt"], "{what}");
                    assert_eq!(fs::read_to_string(home.file("a.txt")).unwrap(), content, "{what}");
                }
            }
        }
        let heard = impostor.closed_clients(2).await.concat_heard();
        assert!(!heard.contains("blake3"), "{what} was acknowledged: {heard}");
    }
}

trait Heard {
    fn concat_heard(&self) -> String;
}

impl Heard for Vec<quiver_e2e::fake_server::ClientRecord> {
    fn concat_heard(&self) -> String {
        self.iter().map(|met| String::from_utf8_lossy(&met.received).into_owned()).collect()
    }
}

#[tokio::test]
async fn honest_content_arrives() {
    let content = [7; 3000];
    let impostor = answering(honest(&content));
    let home = Home::new();
    run(&home, &impostor, &["get", PATH]).await.expect(0);
    assert_eq!(fs::read(home.file("a.txt")).unwrap(), content);
    assert_eq!(home.names(), ["a.txt"]);
    let heard = impostor.closed_clients(1).await.concat_heard();
    assert!(heard.contains(blake3::hash(&content).to_hex().as_str()), "{heard}");
}

#[tokio::test]
async fn another_file_is_not_taken() {
    let outside = tempfile::tempdir().unwrap();
    let absolute = outside.path().join("evil");
    let other = |field: &str, value: Value| {
        vec![changed_head(field, value), Step::data(b"evil"), eof(b"evil"), Step::Finish]
    };
    see_through(vec![
        ("another path", 1, other("path", json!("notes/b.txt"))),
        ("a path outside", 1, other("path", json!("../.bashrc"))),
        ("an absolute path", 1, other("path", json!(absolute))),
        ("a path in other letters", 1, other("path", json!("Notes/A.txt"))),
        ("an offset", 1, other("offset", json!(4))),
        ("a negative size", 1, other("size", json!(-1))),
        ("a size that is text", 1, other("size", json!("4"))),
        ("a size beyond numbers", 1, other("size", json!(18_446_744_073_709_551_616.0))),
        ("no time", 1, other("modified", json!(null))),
        ("another reply", 1, other("reply", json!("goodbye"))),
        ("an unknown reply", 1, other("reply", json!("exec"))),
    ])
    .await;
    assert!(names(outside.path()).is_empty());
}

#[tokio::test]
async fn content_that_is_not_what_was_announced_is_thrown_away() {
    let content = [7_u8; 2500];
    let (mut flipped, hash) = (content, blake3::hash(&content).to_hex().to_string());
    flipped[2048] ^= 1;
    let said = |head: Step, sent: &[u8], end: Step| {
        [vec![head], chunks(sent), vec![end, Step::Finish]].concat()
    };
    let end = |size: u64, hash: &str| Step::eof(&json!({"size": size, "blake3": hash}));
    see_through(vec![
        ("flipped bits", 9, said(head(2500), &flipped, end(2500, &hash))),
        ("another hash", 9, said(head(2500), &content, end(2500, &"0".repeat(64)))),
        ("a wrong size in the Eof", 9, said(head(2500), &content, end(2501, &hash))),
        ("an early Eof", 9, said(head(2500), &content[..1024], end(2500, &hash))),
        ("an honest but short Eof", 9, said(head(2500), &content[..1024], eof(&content[..1024]))),
        ("an Eof at once", 9, said(head(2500), &[], eof(&[]))),
        ("2^63 bytes that do not come", 9, said(head(1_u64 << 63), &content, eof(&content))),
        ("u64::MAX bytes", 9, said(head(u64::MAX), &content, eof(&content))),
        ("too much", 1, said(head(2000), &content, eof(&content))),
        ("content of an empty file", 1, said(head(0), &content, eof(&content))),
        ("an Eof without a hash", 1, said(head(2500), &content, Step::eof(&json!({"size": 2500})))),
        ("a short hash", 1, said(head(2500), &content, end(2500, "00"))),
        ("an empty Eof", 1, said(head(2500), &content, Step::eof(&json!({})))),
    ])
    .await;
}

#[tokio::test]
async fn frames_that_break_the_rules_are_not_taken() {
    let text = |bytes: &[u8]| Step::Send(bytes.to_vec());
    let with = |size: usize, acts: Vec<Step>| [vec![head(size)], acts, vec![Step::Finish]].concat();
    let short_first = [vec![7; 1000], vec![7; 1024]].concat();
    see_through(vec![
        ("a chunk of 1025 bytes", 1, with(1025, vec![Step::data(&[7; 1025]), eof(&[7; 1025])])),
        ("a chunk of 65535 bytes", 1, with(65_535, vec![Step::data(&[7; 65_535])])),
        ("an empty chunk", 1, with(4, vec![Step::data(b"four"), Step::data(b""), eof(b"four")])),
        (
            "a short chunk first",
            1,
            with(2024, vec![Step::data(&[7; 1000]), Step::data(&[7; 1024]), eof(&short_first)]),
        ),
        ("Data first", 1, vec![Step::data(b"four"), head(4), eof(b"four"), Step::Finish]),
        ("an Eof alone", 1, vec![eof(b""), Step::Finish]),
        ("nothing", 1, vec![Step::Finish]),
        ("two heads", 1, with(4, vec![head(4), Step::data(b"four"), eof(b"four")])),
        ("two Eofs", 1, with(4, vec![Step::data(b"four"), eof(b"four"), eof(b"four")])),
        ("bytes after the Eof", 1, with(4, vec![Step::data(b"four"), eof(b"four"), text(b"x")])),
        ("a Request", 1, with(4, vec![Step::json(kind::REQUEST, &json!({"command": "exit"}))])),
        ("a Received", 1, with(4, vec![Step::json(kind::RECEIVED, &json!({"blake3": ""}))])),
        ("an unknown kind", 1, with(4, vec![text(&[200, 0, 1, 0])])),
        ("garbage", 1, vec![text(&[0xff; 4096]), Step::Finish]),
        ("garbage for JSON", 1, vec![text(&[kind::REPLY, 0, 4, 0xff, 0xfe, b'{', 0])]),
        ("an array for an object", 1, vec![text(b"\x01\x00\x02[]"), Step::Finish]),
        ("half a header", 1, with(4, vec![text(&[kind::DATA, 0])])),
        ("half a chunk", 1, with(4, vec![text(&[kind::DATA, 0, 4, b'f'])])),
        ("an end without an Eof", 1, with(4, vec![Step::data(b"four")])),
        ("an Error that is none", 1, with(4, vec![text(b"\x04\x00\x02{}")])),
    ])
    .await;
}

#[tokio::test]
async fn answers_that_break_off_or_do_not_end_are_given_up() {
    let begun = || vec![head(1 << 20), Step::data(&[7; 1024]), Step::data(&[7; 1024])];
    let with = |act: Step| [begun(), vec![act]].concat();
    see_through(vec![
        ("silence", 3, vec![]),
        ("silence after half a header", 3, vec![Step::Send(vec![kind::REPLY])]),
        ("silence in the middle", 3, begun()),
        ("silence of 2^63 bytes", 3, vec![head(1_u64 << 63), Step::data(&[7; 1024])]),
        ("no end after the Eof", 3, vec![head(4), Step::data(b"four"), eof(b"four")]),
        ("a reset", 1, with(Step::Reset)),
        ("a closed connection", 3, with(Step::Close(0))),
        ("a closed connection without reason", 3, with(Step::Close(77))),
    ])
    .await;
}

#[tokio::test]
async fn an_error_in_the_middle_of_content_has_its_exit_code() {
    let codes = [
        ("changed", 9),
        ("not_found", 7),
        ("internal", 1),
        ("shutting_down", 1),
        ("declined", 11),
        ("no_such_code", 1),
    ];
    let lie = |(code, exit)| {
        let error = Step::error(code, "\u{1b}[2J because\nerror: of \u{202e}me");
        (code, exit, vec![head(2048), Step::data(&[7; 1024]), error, Step::Finish])
    };
    see_through(codes.into_iter().map(lie).collect()).await;
}

#[tokio::test]
async fn what_goes_to_standard_output_unverified_is_disowned() {
    let content = [b'x'; 2048];
    let wrong = Step::eof(&json!({"size": 2048, "blake3": "0".repeat(64)}));
    let end = vec![wrong, Step::Finish];
    let acts = [vec![head(2048)], chunks(&content), end].concat();
    let impostor = answering(acts);
    let home = Home::new();
    let finished = run(&home, &impostor, &["get", PATH, "-o", "-"]).await;
    finished.expect(9);
    assert!(finished.stderr.contains("do not use the output"), "{}", finished.stderr);
    assert!(home.names().is_empty());
}

#[tokio::test]
async fn lists_of_names_that_are_none_are_refused() {
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
        let finished = run(&home, &listing(path), &["list"]).await;
        finished.expect(1);
        assert_eq!(finished.stdout, "", "{path:?}");
    }
    // Legal, and yet not to be shown as it is.
    let finished = run(&home, &listing("a\u{202e}gpj.exe"), &["list"]).await;
    assert_eq!(finished.expect(0).stdout, "a\\u{202e}gpj.exe\n");
}

#[tokio::test]
async fn what_a_server_says_drives_no_terminal() {
    const EVIL: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\nServer: yes\u{9b}1m\u{202e}";
    let shown = "\\u{1b}[2J\\u{1b}]0;owned\\u{7}\\r\\nServer: yes\\u{9b}1m\\u{202e}";
    let impostor = FakeServer::start(|request| match request["command"].as_str() {
        Some("message") => Some(Step::response(&json!({"reply": "text", "text": EVIL}))),
        Some("status" | "get" | "list") => Some(vec![Step::error("not_found", EVIL), Step::Finish]),
        _ => None,
    });
    let home = Home::new();
    let message = run(&home, &impostor, &["message", "Hello"]).await;
    assert_eq!(message.expect(0).stdout, format!("{shown}\n"));
    for arguments in [&["status"][..], &["list"], &["get", "a"]] {
        let finished = run(&home, &impostor, arguments).await;
        assert!(finished.expect(7).stderr.contains(shown), "{}", finished.stderr);
    }
    let quiver = home.quiver(["--name", "Ron"]);
    let quiver = quiver.server(impostor.address(), &impostor.certificate());
    let mut ron = PromptUser::at_terminal(quiver.start_at_terminal(), "Ron");
    assert_eq!(ron.enter("Hello"), format!("Server: {shown}"));
    assert!(ron.enter("list").contains(shown));
    ron.exit();
    let raw = String::from_utf8_lossy(&ron.terminal.raw_output()).into_owned();
    assert!(!raw.contains("\u{1b}[2J") && !raw.contains("\u{7}") && !raw.contains('\u{202e}'));
}

#[tokio::test]
async fn a_strange_welcome_is_none() {
    let with = |field: &str, value: Value| {
        let mut object = welcome(&json!("Ron"));
        object[field] = value;
        Step::response(&object)
    };
    let answers = [
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
    let welcoming = |acts: Vec<Step>| {
        FakeServer::start(move |request| match request["command"].as_str() {
            Some("hello") => Some(acts.clone()),
            Some("status") => Some(vec![Step::eof(&json!({})), Step::Finish]),
            _ => None,
        })
    };
    let home = Home::new();
    let accepted = welcoming(Step::response(&welcome(&json!("Ron"))));
    run(&home, &accepted, &["status"]).await.expect(0);
    for acts in answers {
        let shown = format!("{acts:?}");
        let impostor = welcoming(acts);
        let finished = run(&home, &impostor, &["status"]).await;
        assert_eq!(finished.code(), 1, "{shown:.300}: {}", finished.stderr);
        let received = impostor.closed_clients(1).await.concat_heard();
        assert!(!received.contains("status"), "{shown:.300}: {received}");
    }
}

#[tokio::test]
async fn refused_hellos_have_their_exit_codes() {
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
        let impostor = FakeServer::start(move |request| {
            let refusal = || vec![Step::error(code, "\u{1b}[31mno"), Step::Finish];
            (request["command"] == "hello").then(refusal)
        });
        let finished = run(&home, &impostor, &["status"]).await;
        assert_eq!(finished.code(), exit, "{code}: {}", finished.stderr);
        assert!(finished.stderr.contains("\\u{1b}[31mno"), "{code}: {}", finished.stderr);
    }
}

#[tokio::test]
async fn a_hello_that_is_not_answered_is_given_up() {
    let home = Home::new();
    let impostor = FakeServer::start(|_| Some(Vec::new()));
    run(&home, &impostor, &["status"]).await.expect(3);
    let impostor = FakeServer::start(|_| Some(vec![Step::Close(1)]));
    run(&home, &impostor, &["status"]).await.expect(6);
    let impostor = FakeServer::start(|_| Some(vec![Step::Close(3)]));
    run(&home, &impostor, &["status"]).await.expect(3);
}
