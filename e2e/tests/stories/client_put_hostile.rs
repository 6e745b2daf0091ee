//! A server that lies about what it stores: each time the documented exit code in bounded time, never
//! the word that something is stored, and nothing that drives a terminal.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::time::{Duration, Instant};

use quiver_e2e::fake_server::{Step, welcome};
use quiver_e2e::process::ProgramOutput;
use quiver_e2e::wire::kind;
use quiver_e2e::{FakeServer, Home};
use serde_json::{Value, json};

/// How long a client may take that is told to wait for two seconds.
const BOUNDED: Duration = Duration::from_secs(15);

const CONTENT: &[u8] = b"what is stored";

fn hash(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}

fn ready() -> Step {
    Step::reply(&json!({"reply": "ready", "path": "a.txt"}))
}

fn ready_with(size: u64, blake3: &str) -> Step {
    let have = json!({"size": size, "blake3": blake3});
    Step::reply(&json!({"reply": "ready", "path": "a.txt", "have": have}))
}

fn progress(received: u64, stored: u64) -> Step {
    Step::reply(&json!({"reply": "progress", "received": received, "stored": stored}))
}

fn received(hash: &str) -> Step {
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

fn end() -> Step {
    Step::eof(&json!({}))
}

/// What a server says that stores the file, and how far it is on the way.
fn storing(on_the_way: [Step; 2]) -> Vec<Step> {
    let [one, two] = on_the_way;
    vec![
        ready(),
        Step::ReadUntil(kind::EOF),
        one,
        two,
        received(&hash(CONTENT)),
        end(),
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

/// Takes uploads, and answers every request but a hello with what `script` says.
fn impostor(script: impl Fn(&Value) -> Option<Vec<Step>> + Send + Sync + 'static) -> FakeServer {
    FakeServer::start(move |request| {
        if request["command"] == "hello" {
            let mut welcome = welcome(&request["name"]);
            welcome["upload"] = json!(true);
            return Some(Step::response(&welcome));
        }
        script(request)
    })
}

fn answering(command: &'static str, acts: Vec<Step>) -> FakeServer {
    impostor(move |request| (request["command"] == command).then(|| acts.clone()))
}

/// `quiver` as Ron, with two seconds of patience.
async fn run(home: &Home, impostor: &FakeServer, arguments: &[&str]) -> ProgramOutput {
    let began = Instant::now();
    let quiver = home.quiver(["--name", "Ron", "--timeout", "2"]).arguments(arguments);
    let finished = quiver.server(impostor.address(), &impostor.certificate()).run().await;
    assert!(began.elapsed() < BOUNDED, "{:?}", began.elapsed());
    let drives = |character: char| character.is_control() && character != '\n';
    assert!(!finished.stderr.contains(drives), "{:?}", finished.stderr);
    finished
}

fn home() -> Home {
    let home = Home::new();
    fs::write(home.file("a.txt"), CONTENT).unwrap();
    home
}

#[tokio::test]
async fn an_honest_server_is_believed() {
    let impostor = answering("put", storing([progress(14, 5), progress(14, 14)]));
    let home = home();
    let finished = run(&home, &impostor, &["put", "a.txt"]).await;
    assert_eq!(finished.expect(0).stderr, "a.txt: 14 bytes stored and verified\n");
    let finished = run(&home, &impostor, &["put", "a.txt", "--json", "--quiet"]).await;
    let said: Value = serde_json::from_str(&finished.expect(0).stdout).unwrap();
    for counter in ["size", "sent", "received", "verified"] {
        assert_eq!(said[counter], 14, "{said}");
    }
    assert_eq!((&said["path"], &said["source"]), (&json!("a.txt"), &json!("a.txt")));
    assert_eq!((&said["blake3"], &said["resumed_at"]), (&json!(hash(CONTENT)), &json!(0)));
    let heard: Vec<u8> =
        impostor.closed_clients(2).await.into_iter().flat_map(|met| met.received).collect();
    let heard = String::from_utf8_lossy(&heard).into_owned();
    assert!(heard.contains(r#"{"command":"put","path":"a.txt","size":14,"modified":""#), "{heard}");
    assert!(heard.contains(&hash(CONTENT)), "{heard}");
}

#[tokio::test]
async fn a_kept_part_is_proved_before_it_counts() {
    let home = home();
    let rest = || vec![Step::ReadUntil(kind::EOF), received(&hash(CONTENT)), end(), Step::Finish];
    for (what, have, arguments, offset) in [
        ("its own beginning", ready_with(5, &hash(&CONTENT[..5])), &["put", "a.txt"][..], 5),
        ("all of it", ready_with(14, &hash(CONTENT)), &["put", "a.txt"], 14),
        ("not wanted", ready_with(5, &hash(&CONTENT[..5])), &["put", "a.txt", "--no-resume"], 0),
        ("another beginning", ready_with(5, &hash(b"other")), &["put", "a.txt"], 0),
        ("too much", ready_with(15, &hash(CONTENT)), &["put", "a.txt"], 0),
        ("far too much", ready_with(u64::MAX, &hash(CONTENT)), &["put", "a.txt"], 0),
        ("nothing", ready_with(0, &hash(b"")), &["put", "a.txt"], 0),
    ] {
        let impostor = answering("put", [vec![have], rest()].concat());
        let finished = run(&home, &impostor, arguments).await;
        finished.expect(0);
        let received = impostor.closed_clients(1).await.remove(0).received;
        assert_eq!(sent_content(&received), &CONTENT[offset..], "{what}");
        let heard = String::from_utf8_lossy(&received).into_owned();
        let said = format!(r#"{{"reply":"content","offset":{offset}}}"#);
        assert!(heard.contains(&said), "{what}: {heard}");
        let percent = offset * 100 / CONTENT.len();
        let told = finished.stderr.contains(&format!("a.txt: resuming at {percent} %"));
        assert_eq!(told, offset > 0, "{what}: {}", finished.stderr);
    }
}

#[tokio::test]
async fn what_is_not_confirmed_is_not_stored() {
    let good = hash(CONTENT);
    let heard = |acts: Vec<Step>| [vec![ready(), Step::ReadUntil(kind::EOF)], acts].concat();
    let other = |path: &str| Step::reply(&json!({"reply": "ready", "path": path}));
    let content = Step::reply(&json!({"reply": "content", "offset": 0}));
    for (what, code, acts) in [
        ("another hash", 9, heard(vec![received(&hash(b"x")), end(), Step::Finish])),
        ("a short hash", 1, heard(vec![received("00"), end(), Step::Finish])),
        ("no Received", 1, heard(vec![end(), Step::Finish])),
        ("no Eof", 1, heard(vec![received(&good), Step::Finish])),
        ("an Eof that does not come", 3, heard(vec![received(&good)])),
        ("no end", 3, heard(vec![received(&good), end()])),
        ("more after the end", 1, heard(vec![received(&good), end(), end(), Step::Finish])),
        ("two Received", 1, heard(vec![received(&good), received(&good), end()])),
        (
            "Received before anything was sent",
            1,
            vec![ready(), received(&good), end(), Step::Finish],
        ),
        ("Received without Ready", 1, vec![received(&good), end(), Step::Finish]),
        ("an end alone", 1, vec![end(), Step::Finish]),
        ("nothing", 1, vec![Step::Finish]),
        ("silence", 3, vec![]),
        ("silence when it is ready", 3, vec![ready()]),
        ("silence after progress", 3, heard(vec![progress(14, 14)])),
        (
            "another file",
            1,
            vec![other("b.txt"), Step::ReadUntil(kind::EOF), received(&good), end()],
        ),
        ("a path outside", 1, vec![other("../a.txt")]),
        ("ready twice", 1, vec![ready(), ready()]),
        ("an offset of its own", 1, vec![ready(), content]),
        ("more than there is", 1, heard(vec![progress(15, 14)])),
        ("stored before it came", 1, heard(vec![progress(5, 6)])),
        ("2^64 - 1 bytes", 1, heard(vec![progress(u64::MAX, u64::MAX)])),
        (
            "a negative number",
            1,
            heard(vec![Step::reply(&json!({"reply": "progress", "received": -1, "stored": 0}))]),
        ),
        ("content", 1, heard(vec![Step::data(b"evil")])),
        ("garbage", 1, vec![Step::Send(vec![0xff; 4096]), Step::Finish]),
        ("a reset", 1, vec![ready(), Step::Reset]),
        ("a closed connection", 3, vec![ready(), Step::Close(0)]),
    ] {
        let home = home();
        let impostor = answering("put", acts);
        let finished = run(&home, &impostor, &["put", "a.txt"]).await;
        assert_eq!(finished.code(), code, "{what}: {}", finished.stderr);
        assert!(finished.stderr.starts_with("error: cannot put a.txt: "), "{what}: {finished:?}");
        assert!(!finished.stderr.contains("verified"), "{what}: {finished:?}");
    }
}

#[tokio::test]
async fn progress_that_goes_back_fools_nobody() {
    let impostor = answering("put", storing([progress(14, 14), progress(3, 0)]));
    let finished = run(&home(), &impostor, &["put", "a.txt", "--json"]).await;
    let object: Value = serde_json::from_str(&finished.expect(0).stdout).unwrap();
    for counter in ["size", "sent", "received", "verified"] {
        assert_eq!(object[counter], 14, "{object}");
    }
}

#[tokio::test]
async fn a_refusal_in_the_middle_is_read_and_has_its_exit_code() {
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
        // Far more than fits into what may be on its way.
        fs::File::create(home.file("a.txt")).unwrap().set_len(64 * 1024 * 1024).unwrap();
        for acts in [
            vec![error(), Step::Finish],
            vec![ready(), Step::ReadUntil(kind::DATA), Step::StopReading, error(), Step::Finish],
        ] {
            let arguments = ["put", "a.txt", "--retry-timeout", "0"];
            let finished = run(&home, &answering("put", acts), &arguments).await;
            assert_eq!(finished.code(), exit, "{code}: {}", finished.stderr);
            let said = "error: cannot put a.txt: \\u{1b}[2J the reason";
            assert!(finished.stderr.starts_with(said), "{code}: {}", finished.stderr);
            let shown = finished.stderr.lines().find(|line| line.starts_with("hint: "));
            match hint {
                Some(hint) => assert!(shown.is_some_and(|line| line.starts_with(hint)), "{code}"),
                None => assert_eq!(shown, None, "{code}"),
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_takes_no_uploads_is_not_asked() {
    let impostor = FakeServer::start(|_| None);
    let home = home();
    for arguments in [
        &["put", "a.txt"][..],
        &["rm", "a.txt", "--yes"],
        &["mv", "a.txt", "b.txt"],
        &["mkdir", "new"],
    ] {
        let finished = run(&home, &impostor, arguments).await;
        finished.expect(1);
        assert!(finished.stderr.contains("read-only for you"), "{}", finished.stderr);
        assert!(finished.stderr.contains("hint: "), "{}", finished.stderr);
    }
    for met in impostor.closed_clients(4).await {
        let heard = String::from_utf8_lossy(&met.received).into_owned();
        assert!(!heard.contains("a.txt") && !heard.contains("new"), "{heard}");
    }
}

#[tokio::test]
async fn what_cannot_be_put_is_said_before_anything_is_dialled() {
    let impostor = FakeServer::start(|_| None);
    let home = home();
    fs::create_dir(home.file("folder")).unwrap();
    fs::write(home.file("nul"), "").unwrap();
    for (arguments, code, why) in [
        (&["put", "missing"][..], 8, "cannot read missing: No such file or directory"),
        (&["put", "folder"], 8, "cannot put folder: it is a folder"),
        (&["put", "/dev/null"], 8, "cannot put /dev/null: it is a device"),
        (&["put", "nul"], 7, "reserved device name"),
        (&["put", "a.txt", "--to", "../x"], 7, "not allowed"),
        (&["put", "a.txt", "./a.txt"], 2, "two files would be stored as a.txt"),
        (&["put", "-", "a.txt", "--as", "b"], 2, "cannot be stored by one command"),
        (&["put", "-"], 2, "has no name"),
        (&["put", "a.txt", "--limit", "soon"], 2, "expected a rate"),
        (&["rm", "a.txt"], 2, "rm asks for confirmation"),
        (&["rm", "../a.txt", "--yes"], 7, "not allowed"),
    ] {
        let finished = run(&home, &impostor, arguments).await;
        assert_eq!(finished.code(), code, "{arguments:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(why), "{arguments:?}: {}", finished.stderr);
    }
    assert!(impostor.closed_clients(0).await.is_empty(), "nobody was dialled");
}

#[tokio::test]
async fn strange_answers_to_changes_are_failures() {
    for (command, arguments) in [
        ("remove", &["rm", "a", "--yes"][..]),
        ("rename", &["mv", "a", "b"]),
        ("make_folder", &["mkdir", "a"]),
    ] {
        let home = Home::new();
        for (code, acts) in [
            (1, vec![Step::reply(&json!({"reply": "goodbye"})), end(), Step::Finish]),
            (1, vec![Step::Finish]),
            (1, vec![Step::data(b"evil"), Step::Finish]),
            (3, vec![]),
            (7, vec![Step::error("not_found", "\u{1b}[2J gone"), Step::Finish]),
        ] {
            let finished = run(&home, &answering(command, acts), arguments).await;
            assert_eq!(finished.code(), code, "{command}: {}", finished.stderr);
            assert!(finished.stderr.starts_with("error: cannot "), "{}", finished.stderr);
        }
    }
}

#[tokio::test]
async fn a_name_that_is_taken_by_a_folder_is_where_it_goes() {
    let impostor = impostor(|request| match request["command"].as_str() {
        Some("rename") if request["to"] == "notes" => {
            Some(vec![Step::error("exists", "it is there"), Step::Finish])
        }
        Some("rename") => Some(vec![end(), Step::Finish]),
        Some("list") => Some(listing(&[])),
        _ => None,
    });
    let finished = run(&Home::new(), &impostor, &["mv", "a.txt", "notes"]).await;
    assert_eq!(finished.expect(0).stderr, "a.txt is now notes/a.txt\n");
}
