//! The payloads of all frames but Data: one JSON object each.

use std::fmt::Debug;

use quiver_protocol::command::Hello;
use quiver_protocol::reply::{
    ClientRow, EntryKind, FileHead, FolderEntry, Limits, Ready, Space, Welcome,
};
use quiver_protocol::{
    Bottleneck, ClientName, ContentEnd, ContentHash, ContentPrefix, EofPayload, Event, FilePath,
    FolderPath, ListEnd, MadeFolder, PlainEnd, PutRequest, Received, Refusal, RefusalCode, Reply,
    Request, Secret, Timestamp,
};

use crate::lines::{self, check};

/// Checks payloads in both directions, and other spellings of them where there is such a file.
fn check_payloads<T: PartialEq + Debug>(
    topic: &str,
    table: &[(&str, T)],
    encode: fn(&T) -> Vec<u8>,
    decode: impl Fn(&[u8]) -> Option<T>,
) {
    let written = table.iter().map(|(name, value)| {
        let payload = String::from_utf8(encode(value)).expect("a payload is UTF-8");
        ((*name).to_owned(), payload)
    });
    check(&format!("{topic}.txt"), written);
    let meant = |name: &str| {
        let row = table.iter().find(|(known, _)| *known == name);
        &row.unwrap_or_else(|| panic!("no value is called {name}")).1
    };
    let foreign = lines::golden(&format!("foreign-{topic}.txt"));
    for (name, payload) in lines::golden(&format!("{topic}.txt")).iter().chain(&foreign) {
        assert_eq!(decode(payload.as_bytes()).as_ref(), Some(meant(name)), "{payload}");
        let spread = format!(" \r\n\t{}\n", payload.replacen('{', "{\n  ", 1));
        assert_eq!(decode(spread.as_bytes()).as_ref(), Some(meant(name)), "{spread}");
    }
}

fn name(text: &str) -> ClientName {
    ClientName::parse(text).unwrap()
}

fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

fn moment(seconds: i64, nanoseconds: u32) -> Timestamp {
    Timestamp(chrono::DateTime::from_timestamp(seconds, nanoseconds).unwrap())
}

/// The hash of a file of 12 bytes.
fn digest() -> ContentHash {
    ContentHash(*blake3::hash(b"Hello Quiver").as_bytes())
}

/// The first 5 bytes of that file.
fn beginning() -> ContentPrefix {
    ContentPrefix { size: 5, blake3: ContentHash(*blake3::hash(b"Hello").as_bytes()) }
}

#[test]
fn requests_keep_their_bytes() {
    let hello = |name_: &str, password: Option<&str>| {
        let password = password.map(|text| Secret::new(text.to_owned()));
        Request::Hello(Hello::new(name(name_), password))
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
        ("get-rest", Request::Get { path: path("secret.txt"), have: Some(beginning()) }),
        ("exit", Request::Exit),
        ("put", {
            let modified = Some(moment(1_729_359_947, 0));
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
            let modified = Some(moment(1_729_359_947, 0));
            Request::MakeFolder { path: path("notes/2024"), modified }
        }),
        ("space", Request::Space),
        ("kept", Request::Kept { path: path("secret.txt") }),
    ];
    for (name, request) in &table {
        // A new command does not compile here: give it rows above.
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
            Request::Space => "space",
            Request::Kept { .. } => "kept",
        };
        assert!(name.starts_with(command), "{name} is a {command}");
    }
    check_payloads("requests", &table, Request::encode, |payload| Request::decode(payload).ok());
}

#[test]
fn refused_requests_keep_their_codes() {
    for (code, payload) in lines::golden("refused.txt") {
        let refusal = Request::decode(payload.as_bytes()).expect_err(&payload);
        assert_eq!(serde_json::to_value(refusal.code).unwrap(), code, "{payload}");
    }
}

#[test]
fn replies_keep_their_bytes() {
    let text = |text: &str| Reply::Text { text: text.to_owned() };
    let welcome = |client, max_clients| {
        Reply::Welcome(Welcome {
            client,
            name: name("Ron"),
            message: "Connected to the server successfully.".to_owned(),
            max_clients,
            limits: Limits::CURRENT,
            upload: false,
        })
    };
    let client = |number, name_: &str, start, end| {
        Reply::Client(ClientRow { number, name: name(name_), start, end })
    };
    let entry = |path_: &str, kind, size, modified| {
        Reply::Entry(FolderEntry { path: path(path_), kind, size, modified })
    };
    let file = |path_: &str, size, modified, offset| {
        let path = path(path_);
        Reply::File(FileHead { path, size, modified, offset, executable: false })
    };
    let start = moment(1_729_359_947, 0);
    let table = [
        ("welcome", welcome(2, 3)),
        ("welcome-upload", {
            let Reply::Welcome(welcome) = welcome(2, 3) else { unreachable!() };
            Reply::Welcome(Welcome { upload: true, ..welcome })
        }),
        ("text", text("Hello ACK")),
        ("text-escapes", text("\"\\\u{1b}[2J ACK")),
        ("client-gone", client(1, "Ben", start, Some(moment(1_729_359_980, 250_000_000)))),
        ("client-here", client(2, "Ron", moment(1_729_359_954, 0), None)),
        ("entry-file", entry("secret.txt", EntryKind::File, 12, start)),
        ("entry-folder", entry("notes/2024", EntryKind::Folder, 0, moment(0, 1))),
        ("entry-oldest", entry("a", EntryKind::File, 0, moment(-62_167_219_200, 0))),
        ("entry-newest", entry("a", EntryKind::File, 0, moment(253_402_300_799, 999_999_999))),
        ("file", file("secret.txt", 12, start, 0)),
        ("file-largest", file("notes/big", u64::MAX, moment(-1, 999_999_000), u64::MAX)),
        ("file-rest", file("secret.txt", 12, start, 5)),
        ("file-program", {
            let path = path("tools/run");
            let executable = true;
            Reply::File(FileHead { path, size: 0, modified: start, offset: 0, executable })
        }),
        ("goodbye", Reply::Goodbye),
        ("ready", Reply::Ready(Ready { path: path("secret.txt"), have: None })),
        ("ready-rest", {
            Reply::Ready(Ready { path: path("secret.txt"), have: Some(beginning()) })
        }),
        ("content", Reply::Content { offset: 5 }),
        ("progress", Reply::Progress { received: 12, stored: 5 }),
        ("space", Reply::Space(Space { available: 1_000_000_000, max_file_size: u64::MAX })),
        ("kept-nothing", Reply::Kept(Ready { path: path("secret.txt"), have: None })),
        ("kept", { Reply::Kept(Ready { path: path("secret.txt"), have: Some(beginning()) }) }),
    ];
    for (name, reply) in &table {
        // A new reply does not compile here: give it rows above.
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
        };
        assert!(name.starts_with(kind), "{name} is a {kind}");
    }
    check_payloads("replies", &table, Reply::encode, |payload| Reply::decode(payload).ok());
}

/// The objects of Eof and Received frames do not name themselves: their place does.
#[derive(Debug, PartialEq)]
enum AnyEnd {
    Plain(PlainEnd),
    List(ListEnd),
    MadeFolder(MadeFolder),
    Content(ContentEnd),
    Received(Received),
}

#[test]
fn ends_keep_their_bytes() {
    fn encode(end: &AnyEnd) -> Vec<u8> {
        match end {
            AnyEnd::Plain(end) => end.encode(),
            AnyEnd::List(end) => end.encode(),
            AnyEnd::MadeFolder(end) => end.encode(),
            AnyEnd::Content(end) => end.encode(),
            AnyEnd::Received(end) => end.encode(),
        }
    }
    let content = |slowed_by| {
        // A new brake does not compile here: give it a row below.
        if let Some(brake) = slowed_by {
            match brake {
                Bottleneck::Disk
                | Bottleneck::Processor
                | Bottleneck::Pipe
                | Bottleneck::Limit
                | Bottleneck::Network => {}
                Bottleneck::Unknown => panic!("nobody sends an unknown brake"),
            }
        }
        AnyEnd::Content(ContentEnd { size: 12, blake3: digest(), slowed_by })
    };
    let received = |slowed_by| AnyEnd::Received(Received { blake3: digest(), slowed_by });
    let rows = [
        ("eof", AnyEnd::Plain(PlainEnd {})),
        ("eof-list", AnyEnd::List(ListEnd { entries: 1, not_served: 0 })),
        ("eof-make_folder", AnyEnd::MadeFolder(MadeFolder { created: true })),
        ("eof-content", content(None)),
        ("received", received(None)),
        ("eof-content-disk", content(Some(Bottleneck::Disk))),
        ("eof-content-processor", content(Some(Bottleneck::Processor))),
        ("eof-content-pipe", content(Some(Bottleneck::Pipe))),
        ("eof-content-limit", content(Some(Bottleneck::Limit))),
        ("eof-content-network", content(Some(Bottleneck::Network))),
        ("received-disk", received(Some(Bottleneck::Disk))),
    ];
    check(
        "ends.txt",
        rows.iter()
            .map(|(name, end)| ((*name).to_owned(), String::from_utf8(encode(end)).unwrap())),
    );
    for (name, payload) in
        lines::golden("ends.txt").iter().chain(&lines::golden("foreign-ends.txt"))
    {
        let payload = payload.as_bytes();
        let decoded = match name.as_str() {
            "eof" => PlainEnd::decode(payload).map(AnyEnd::Plain),
            "eof-list" => ListEnd::decode(payload).map(AnyEnd::List),
            "eof-make_folder" => MadeFolder::decode(payload).map(AnyEnd::MadeFolder),
            name if name.starts_with("eof-content") => {
                ContentEnd::decode(payload).map(AnyEnd::Content)
            }
            name if name.starts_with("received") => Received::decode(payload).map(AnyEnd::Received),
            unknown => panic!("no end is called {unknown}"),
        };
        let meant = rows.iter().find(|(known, _)| known == name).unwrap();
        assert_eq!(decoded.as_ref(), Ok(&meant.1), "{}", payload.escape_ascii());
    }
}

#[test]
fn brakes_of_a_newer_program_are_unknown() {
    let hash = digest();
    let end = format!(r#"{{"size":12,"blake3":"{hash}","slowed_by":"moon_phase"}}"#);
    let slowed_by = Some(Bottleneck::Unknown);
    let meant = ContentEnd { size: 12, blake3: hash, slowed_by };
    assert_eq!(ContentEnd::decode(end.as_bytes()), Ok(meant));
    let received = format!(r#"{{"blake3":"{hash}","slowed_by":"moon_phase"}}"#);
    assert_eq!(Received::decode(received.as_bytes()), Ok(Received { blake3: hash, slowed_by }));
}

#[test]
fn events_keep_their_bytes() {
    let table =
        [("stopping", Event::Stopping { grace_seconds: 8 }), ("still_there", Event::StillThere)];
    for (name, event) in &table {
        // A new event does not compile here: give it a row above.
        let kind = match event {
            Event::Stopping { .. } => "stopping",
            Event::StillThere => "still_there",
            Event::Unknown => panic!("nobody sends an unknown event"),
        };
        assert_eq!(*name, kind);
    }
    check_payloads("events", &table, Event::encode, |payload| Event::decode(payload).ok());
}

#[test]
fn events_of_a_newer_server_are_unknown() {
    for newer in [
        r#"{"event":"introduction","peer":"Ben","candidates":[{"address":"192.0.2.7:4433"}]}"#,
        r#"{"peer":"Ben","event":"introduction"}"#,
        r#"{"event":""}"#,
    ] {
        assert_eq!(Event::decode(newer.as_bytes()), Ok(Event::Unknown), "{newer}");
    }
}

#[test]
fn refusals_keep_their_bytes() {
    use RefusalCode as Code;
    let table = [
        (Code::BadRequest, "malformed request: missing field `path` at line 1 column 17"),
        (Code::UnknownCommand, "no command has this name"),
        (Code::UnsupportedVersion, "this server speaks version 1, not 2"),
        (Code::Busy, "3 of 3 clients are connected"),
        (Code::NameTaken, "another client is called Ron"),
        (Code::BadName, "a name has 1 to 32 characters"),
        (Code::SignInFailed, "wrong name or password"),
        (Code::SignInRequired, "this server wants a password"),
        (Code::NotFound, "nothing is called secret.txt"),
        (Code::NotAFile, "notes is a folder"),
        (Code::NotAFolder, "secret.txt is a file"),
        (Code::BadPath, "the parts . and .. are not allowed"),
        (Code::Forbidden, "the server may not read it"),
        (Code::Changed, "secret.txt changed while it was sent"),
        (Code::TooLarge, "a payload of 8193 bytes where at most 8192 are allowed"),
        (Code::NoSpace, "the server's disk is full"),
        (Code::RateLimited, "too many attempts: try again later"),
        (Code::NoSuchClient, "nobody here is called Pete"),
        (Code::Declined, "Pete declined"),
        (Code::ShuttingDown, "the server is stopping"),
        (Code::Internal, "the server failed; its log has the details under 5f2c9a01"),
        (Code::Exists, "secret.txt is there already"),
        (Code::NotEmpty, "notes is not empty"),
    ]
    .map(|(code, message)| (code_name(code), Refusal::new(code, message)));
    check_payloads("refusals", &table, Refusal::encode, |payload| Refusal::decode(payload).ok());
}

fn code_name(code: RefusalCode) -> &'static str {
    use RefusalCode as Code;
    // A new code does not compile here: give it a row above.
    match code {
        Code::BadRequest => "bad_request",
        Code::UnknownCommand => "unknown_command",
        Code::UnsupportedVersion => "unsupported_version",
        Code::Busy => "busy",
        Code::NameTaken => "name_taken",
        Code::BadName => "bad_name",
        Code::SignInFailed => "sign_in_failed",
        Code::SignInRequired => "sign_in_required",
        Code::NotFound => "not_found",
        Code::NotAFile => "not_a_file",
        Code::NotAFolder => "not_a_folder",
        Code::BadPath => "bad_path",
        Code::Forbidden => "forbidden",
        Code::Changed => "changed",
        Code::TooLarge => "too_large",
        Code::NoSpace => "no_space",
        Code::RateLimited => "rate_limited",
        Code::NoSuchClient => "no_such_client",
        Code::Declined => "declined",
        Code::ShuttingDown => "shutting_down",
        Code::Internal => "internal",
        Code::Exists => "exists",
        Code::NotEmpty => "not_empty",
        Code::Unknown => panic!("nobody sends an unknown code"),
    }
}

#[test]
fn codes_of_a_newer_server_are_unknown() {
    let newer = br#"{"code":"out_of_tea","message":"no tea","retry_seconds":60}"#;
    assert_eq!(Refusal::decode(newer), Ok(Refusal::new(RefusalCode::Unknown, "no tea")));
}
