//! Golden files of payloads, one JSON object each: requests, replies, events, Eof and Received.

use std::fmt::Debug;

use quiver_protocol::command::Hello;
use quiver_protocol::reply::{
    AvailableSpace, ClientRow, EntryKind, FileHeader, FolderEntry, ResumePoint, ServerLimits,
    Welcome,
};
use quiver_protocol::{
    ClientName, ClientRef, ContentHash, ContentPrefix, FilePath, Fingerprint, FolderPath,
    Introduction, IntroductionId, ObservedAddresses, PutRequest, Reply, Request, Secret, Timestamp,
};

use crate::golden::{self, check};

/// Encodes and decodes the payloads of a table, and decodes those of its `foreign-*` file.
pub(crate) fn check_payloads<T: PartialEq + Debug>(
    topic: &str,
    table: &[(&str, T)],
    encode: fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Option<T>,
) {
    let encoded = table.iter().map(|(name, value)| {
        let payload = String::from_utf8(encode(value)).expect("a payload is UTF-8");
        ((*name).to_owned(), payload)
    });
    check(&format!("{topic}.txt"), encoded);
    let value_of = |name: &str| {
        let row = table.iter().find(|(known, _)| *known == name);
        &row.unwrap_or_else(|| panic!("no row has the name {name}")).1
    };
    let foreign = golden::lines(&format!("foreign-{topic}.txt"));
    for (name, payload) in golden::lines(&format!("{topic}.txt")).iter().chain(&foreign) {
        assert_eq!(decode(payload.as_bytes()).as_ref(), Some(value_of(name)), "{payload}");
        let with_spaces = format!(" \r\n\t{}\n", payload.replacen('{', "{\n  ", 1));
        let decoded = decode(with_spaces.as_bytes());
        assert_eq!(decoded.as_ref(), Some(value_of(name)), "{with_spaces}");
    }
}

pub(crate) fn name(text: &str) -> ClientName {
    ClientName::parse(text).unwrap()
}

pub(crate) fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

fn timestamp(seconds: i64, nanoseconds: u32) -> Timestamp {
    Timestamp(chrono::DateTime::from_timestamp(seconds, nanoseconds).unwrap())
}

/// The hash of the example file, of 12 bytes.
pub(crate) fn file_hash() -> ContentHash {
    ContentHash(*blake3::hash(b"Hello Quiver").as_bytes())
}

/// The first 5 bytes of the example file.
pub(crate) fn file_prefix() -> ContentPrefix {
    ContentPrefix { size: 5, blake3: ContentHash(*blake3::hash(b"Hello").as_bytes()) }
}

pub(crate) fn introduction_id() -> IntroductionId {
    IntroductionId(*b"an introduction!")
}

#[test]
fn requests_are_encoded_as_pinned() {
    let hello = |client: &str, password: Option<&str>| {
        let password = password.map(|text| Secret::new(text.to_owned()));
        Request::Hello(Hello::new(name(client), password))
    };
    let message = |text: &str| Request::Message { text: text.to_owned() };
    let list = |text| Request::List { path: FolderPath::parse(text).unwrap() };
    let get = |text| Request::Get { path: path(text), have: None };
    let put = |text, size| PutRequest {
        path: path(text),
        size,
        modified: None,
        executable: false,
        replace: false,
    };
    let rename = |from, to, replace| Request::Rename { path: path(from), to: path(to), replace };
    let table = [
        ("hello", hello("Ron", None)),
        ("hello-password", hello("Ron", Some("tomato & \"basil\""))),
        ("hello-empty-password", hello("Ron", Some(""))),
        ("hello-longest-name", hello("7.a-name_of_32_characters.An.End", None)),
        ("message", message("Hello")),
        ("message-empty", message("")),
        ("message-escapes", message("\"\\/\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}")),
        ("message-unicode", message("naïve שלום 🏹 \u{2028}")),
        ("status", Request::Status),
        ("list-root", list("")),
        ("list-folder", list("notes/2024")),
        ("get", get("secret.txt")),
        ("get-in-folder", get("notes/2024/with space & \"quotes\".txt")),
        ("get-unicode", get("日本/🏹.txt")),
        ("get-rest", Request::Get { path: path("secret.txt"), have: Some(file_prefix()) }),
        ("exit", Request::Exit),
        ("put", {
            let modified = Some(timestamp(1_729_359_947, 0));
            Request::Put(PutRequest { modified, ..put("secret.txt", Some(12)) })
        }),
        ("put-program", {
            let put = put("tools/with space", Some(u64::MAX));
            Request::Put(PutRequest { executable: true, replace: true, ..put })
        }),
        ("put-pipe", Request::Put(put("backup.tar", None))),
        ("remove", Request::Remove { path: path("secret.txt") }),
        ("rename", rename("secret.txt", "notes/2024/old.txt", false)),
        ("rename-replace", rename("new", "old", true)),
        ("make_folder", Request::MakeFolder { path: path("notes/2024"), modified: None }),
        ("make_folder-dated", {
            let modified = Some(timestamp(1_729_359_947, 0));
            Request::MakeFolder { path: path("notes/2024"), modified }
        }),
        ("space", Request::Space { path: FolderPath::ROOT }),
        ("space-in-folder", {
            let path = FolderPath::parse("notes/2024").unwrap();
            Request::Space { path }
        }),
        ("kept", Request::Kept { path: path("secret.txt") }),
        ("listen", Request::Listen),
        ("introduce", Request::Introduce { name: name("Ron"), relay: true, again: None }),
        ("introduce-direct", Request::Introduce { name: name("Ron"), relay: false, again: None }),
        ("introduce-again", {
            let again = Some(introduction_id());
            Request::Introduce { name: name("Ron"), relay: true, again }
        }),
        ("answer", Request::Answer { id: introduction_id(), accept: true }),
        ("answer-no", Request::Answer { id: introduction_id(), accept: false }),
        ("agreed", Request::Agreed { id: introduction_id() }),
        ("relay", Request::Relay { id: introduction_id() }),
        (
            "hello-one-shot",
            Request::Hello(Hello { one_shot: true, ..Hello::new(name("Ron"), None) }),
        ),
    ];
    for (name, request) in &table {
        // A new command fails to compile here: add rows for it above.
        let command = match request {
            Request::Hello(_) => "hello",
            Request::Message { .. } => "message",
            Request::Status => "status",
            Request::List { .. } => "list",
            Request::Get { .. } => "get",
            Request::Exit => "exit",
            Request::Put(_) => "put",
            Request::Remove { .. } => "remove",
            Request::Rename { .. } => "rename",
            Request::MakeFolder { .. } => "make_folder",
            Request::Space { .. } => "space",
            Request::Kept { .. } => "kept",
            Request::Listen => "listen",
            Request::Introduce { .. } => "introduce",
            Request::Answer { .. } => "answer",
            Request::Agreed { .. } => "agreed",
            Request::Relay { .. } => "relay",
        };
        assert!(name.starts_with(command), "{name} is a {command}");
    }
    check_payloads("requests", &table, Request::encode, |payload| Request::decode(payload).ok());
}

#[test]
fn replies_are_encoded_as_pinned() {
    let text = |text: &str| Reply::Text { text: text.to_owned() };
    let welcome = |client, max_clients| {
        Reply::Welcome(Welcome {
            client,
            name: name("Ron"),
            message: "Connected to the server successfully.".to_owned(),
            max_clients,
            limits: ServerLimits::CURRENT,
            upload: false,
        })
    };
    let client_row = |number, client: &str, start, end| ClientRow {
        number,
        name: name(client),
        start,
        end,
        reachable: false,
        one_shot: false,
    };
    let client =
        |number, client: &str, start, end| Reply::Client(client_row(number, client, start, end));
    let introduction = |account, relay| Introduction {
        id: introduction_id(),
        client: 2,
        name: name("Ron"),
        key: Fingerprint([0xab; 32]),
        account,
        relay,
        again: None,
    };
    let client_ref = |client, text: &str| ClientRef { client, name: name(text) };
    let entry = |text: &str, kind, size, modified| {
        Reply::Entry(FolderEntry { path: path(text), kind, size, modified })
    };
    let file = |text: &str, size, modified, offset| {
        let path = path(text);
        Reply::File(FileHeader { path, size, modified, offset, executable: false })
    };
    let resume_point = |have| ResumePoint { path: path("secret.txt"), have };
    let space =
        AvailableSpace { available: 1_000_000_000, max_file_size: u64::MAX, kept_free: None };
    let start = timestamp(1_729_359_947, 0);
    let table = [
        ("welcome", welcome(2, 3)),
        ("welcome-upload", {
            let Reply::Welcome(welcome) = welcome(2, 3) else { unreachable!() };
            Reply::Welcome(Welcome { upload: true, ..welcome })
        }),
        ("text", text("Hello ACK")),
        ("text-escapes", text("\"\\\u{1b}[2J ACK")),
        ("client-gone", client(1, "Ben", start, Some(timestamp(1_729_359_980, 250_000_000)))),
        ("client-here", client(2, "Ron", timestamp(1_729_359_954, 0), None)),
        ("entry-file", entry("secret.txt", EntryKind::File, 12, start)),
        ("entry-folder", entry("notes/2024", EntryKind::Folder, 0, timestamp(0, 1))),
        ("entry-oldest", entry("a", EntryKind::File, 0, timestamp(-62_167_219_200, 0))),
        ("entry-newest", entry("a", EntryKind::File, 0, timestamp(253_402_300_799, 999_999_999))),
        ("file", file("secret.txt", 12, start, 0)),
        ("file-largest", file("notes/big", u64::MAX, timestamp(-1, 999_999_000), u64::MAX)),
        ("file-rest", file("secret.txt", 12, start, 5)),
        ("file-program", {
            let path = path("tools/run");
            let executable = true;
            Reply::File(FileHeader { path, size: 0, modified: start, offset: 0, executable })
        }),
        ("goodbye", Reply::Goodbye),
        ("ready", Reply::Ready(resume_point(None))),
        ("ready-rest", Reply::Ready(resume_point(Some(file_prefix())))),
        ("content", Reply::Content { offset: 5 }),
        ("progress", Reply::Progress { received: 12, stored: 5 }),
        ("space", Reply::Space(space)),
        ("space-kept", {
            let kept_free = Some(1_073_741_824);
            Reply::Space(AvailableSpace { available: 0, kept_free, ..space })
        }),
        ("kept-nothing", Reply::Kept(resume_point(None))),
        ("kept", Reply::Kept(resume_point(Some(file_prefix())))),
        ("client-reachable", {
            let start = timestamp(1_729_359_958, 0);
            Reply::Client(ClientRow { reachable: true, ..client_row(3, "Pete", start, None) })
        }),
        ("listening", Reply::Listening),
        ("introduction", {
            let (client, name) = (1, name("Ben"));
            Reply::Introduction(Introduction { client, name, ..introduction(false, true) })
        }),
        ("introduction-again", {
            let (client, name, again) = (1, name("Ben"), Some(introduction_id()));
            Reply::Introduction(Introduction { client, name, again, ..introduction(false, true) })
        }),
        ("introduced", Reply::Introduced(introduction(false, true))),
        ("introduced-account", Reply::Introduced(introduction(true, false))),
        ("joined", Reply::Joined(client_ref(3, "Pete"))),
        ("left", Reply::Left(client_ref(3, "Pete"))),
        ("addresses", {
            let own = "198.51.100.7:50000".parse().unwrap();
            let other = "[2001:db8::7]:4433".parse().unwrap();
            Reply::Addresses(ObservedAddresses { own, other })
        }),
        ("relaying", Reply::Relaying),
        ("client-one-shot", {
            let end = Some(timestamp(1_729_359_959, 0));
            let row = client_row(4, "Ginny", timestamp(1_729_359_959, 0), end);
            Reply::Client(ClientRow { one_shot: true, ..row })
        }),
    ];
    for (name, reply) in &table {
        // A new reply fails to compile here: add rows for it above.
        let kind = match reply {
            Reply::Welcome(_) => "welcome",
            Reply::Text { .. } => "text",
            Reply::Client(_) => "client",
            Reply::Entry(_) => "entry",
            Reply::File(_) => "file",
            Reply::Goodbye => "goodbye",
            Reply::Ready(_) => "ready",
            Reply::Content { .. } => "content",
            Reply::Progress { .. } => "progress",
            Reply::Space(_) => "space",
            Reply::Kept(_) => "kept",
            Reply::Listening => "listening",
            Reply::Introduction(_) => "introduction",
            Reply::Introduced(_) => "introduced",
            Reply::Joined(_) => "joined",
            Reply::Left(_) => "left",
            Reply::Addresses(_) => "addresses",
            Reply::Relaying => "relaying",
        };
        assert!(name.starts_with(kind), "{name} is a {kind}");
    }
    check_payloads("replies", &table, Reply::encode, |payload| Reply::decode(payload).ok());
}
