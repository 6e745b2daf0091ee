//! Requests as bytes: what is read back, what is refused and with which words.

use proptest::prelude::*;

use super::*;

fn code(payload: &[u8]) -> RefusalCode {
    Request::decode(payload).unwrap_err().code
}

#[test]
fn requests_survive_the_wire() {
    let name = ClientName::parse("Ron").unwrap();
    for request in [
        Request::Hello(Hello::new(name.clone(), None)),
        Request::Hello(Hello::new(name, Some(Secret::new("päss".to_owned())))),
        Request::Message { text: "Hello\n\u{1b}".to_owned() },
        Request::Status,
        Request::List { path: FolderPath::ROOT },
        Request::List { path: FolderPath::parse("a/b").unwrap() },
        Request::Get { path: FilePath::parse("secret.txt").unwrap(), have: None },
        Request::Exit,
        Request::Space,
    ] {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
}

#[test]
fn fields_nobody_knows_are_ignored() {
    let request = br#"{"new":[1,{"deep":null}],"command":"get","path":"a","haves":{"size":1}}"#;
    let path = FilePath::parse("a").unwrap();
    assert_eq!(Request::decode(request), Ok(Request::Get { path, have: None }));
}

#[test]
fn whatever_is_not_one_json_object_is_a_bad_request() {
    for payload in [
        &b""[..],
        b"null",
        b"[]",
        b"[\"status\"]",
        b"{}",
        b"{\"command\":7}",
        b"{\"command\":\"status\"",
        b"{\"command\":\"status\"} x",
        b"{\"command\":\"status\"}{}",
        b"{\"command\":\"get\"}",
        b"{\"command\":\"get\",\"path\":null}",
        b"{\"command\":\"get\",\"path\":\"\xff\"}",
        b"{\"command\":\"message\"}",
        b"{\"command\":\"hello\",\"name\":\"Ron\"}",
        b"{\"command\":\"hello\",\"version\":-1,\"name\":\"Ron\"}",
    ] {
        assert_eq!(code(payload), RefusalCode::BadRequest, "{}", payload.escape_ascii());
    }
}

#[test]
fn refusals_say_what_was_wrong() {
    assert_eq!(code(br#"{"command":"fly"}"#), RefusalCode::UnknownCommand);
    assert_eq!(code(br#"{"command":"hello","version":2}"#), RefusalCode::UnsupportedVersion);
    assert_eq!(code(br#"{"command":"hello","version":1,"name":"a b"}"#), RefusalCode::BadName);
    assert_eq!(code(br#"{"command":"get","path":""}"#), RefusalCode::BadPath);
    assert_eq!(code(br#"{"command":"list","path":".."}"#), RefusalCode::BadPath);
}

#[test]
fn each_command_has_its_limit() {
    let with_length = |command: &str, field: &str, length: usize| {
        let empty = format!(r#"{{"command":"{command}","{field}":""}}"#);
        let filler = "a".repeat(length - empty.len());
        format!(r#"{{"command":"{command}","{field}":"{filler}"}}"#).into_bytes()
    };
    assert!(Request::decode(&with_length("message", "text", limits::MESSAGE)).is_ok());
    assert_eq!(code(&with_length("message", "text", limits::MESSAGE + 1)), RefusalCode::TooLarge);
    assert!(Request::decode(&with_length("status", "x", limits::REQUEST)).is_ok());
    assert_eq!(code(&with_length("status", "x", limits::REQUEST + 1)), RefusalCode::TooLarge);
    assert_eq!(code(&with_length("hello", "x", limits::HELLO + 1)), RefusalCode::TooLarge);
}

#[test]
fn the_longest_path_fits_a_request() {
    let longest = |part: &str| {
        let part = part.repeat(limits::PATH_PART / part.len());
        let mut path = vec![part; 16].join("/");
        while FilePath::parse(&format!("{path}/a")).is_ok() {
            path.push_str("/a");
        }
        FilePath::parse(&path).unwrap()
    };
    // One, two, three and four bytes of UTF-8; a quarter quotation marks.
    for part in ["x", "é", "漢", "🏹", "x\"yz"] {
        let request = Request::Get { path: longest(part), have: None };
        assert_eq!(Request::decode(&request.encode()), Ok(request), "{part}");
    }
    let quotes = Request::Get { path: longest("\""), have: None };
    assert_eq!(code(&quotes.encode()), RefusalCode::TooLarge);
}

#[test]
fn the_answer_to_the_longest_message_fits_a_frame() {
    // The worst text: every character needs six bytes of JSON, as it did when it came in.
    for text in ["\u{1}".repeat(limits::MESSAGE / 6), "x".repeat(limits::MESSAGE)] {
        let reply = crate::Reply::Text { text: format!("{text} ACK") };
        assert!(reply.encode().len() <= limits::FRAME);
    }
}

proptest! {
    #[test]
    fn any_payload_is_a_request_or_a_refusal(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Request::decode(&payload);
    }

    #[test]
    fn any_text_survives(text in any::<String>()) {
        let request = Request::Message { text };
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_in_fields_nobody_knows_too() {
    for payload in [
        &b"{\"command\":\"status\",\"x\":\"\xff\"}"[..],
        b"{\"command\":\"status\",\"\xc0\xaf\":0}",
    ] {
        assert_eq!(code(payload), RefusalCode::BadRequest);
    }
}
