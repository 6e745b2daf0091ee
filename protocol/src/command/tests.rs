//! Encoding and decoding of requests, and the codes of refused ones.

use proptest::prelude::*;

use super::*;

fn refusal_code(payload: &[u8]) -> RefusalCode {
    Request::decode(payload).unwrap_err().code
}

#[test]
fn requests_are_read_back_unchanged() {
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
        Request::Space { path: FolderPath::ROOT },
        Request::Space { path: FolderPath::parse("a/b").unwrap() },
    ] {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
}

#[test]
fn unknown_fields_are_ignored() {
    let request = br#"{"new":[1,{"deep":null}],"command":"get","path":"a","haves":{"size":1}}"#;
    let path = FilePath::parse("a").unwrap();
    assert_eq!(Request::decode(request), Ok(Request::Get { path, have: None }));
}

#[test]
fn a_payload_other_than_one_complete_json_object_is_a_bad_request() {
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
        assert_eq!(refusal_code(payload), RefusalCode::BadRequest, "{}", payload.escape_ascii());
    }
}

#[test]
fn a_refusal_has_the_code_of_the_broken_rule() {
    assert_eq!(refusal_code(br#"{"command":"fly"}"#), RefusalCode::UnknownCommand);
    assert_eq!(
        refusal_code(br#"{"command":"hello","version":2}"#),
        RefusalCode::UnsupportedVersion
    );
    assert_eq!(
        refusal_code(br#"{"command":"hello","version":1,"name":"a b"}"#),
        RefusalCode::BadName
    );
    assert_eq!(refusal_code(br#"{"command":"get","path":""}"#), RefusalCode::BadPath);
    assert_eq!(refusal_code(br#"{"command":"list","path":".."}"#), RefusalCode::BadPath);
}

#[test]
fn each_command_has_its_own_size_limit() {
    let with_length = |command: &str, field: &str, length: usize| {
        let empty = format!(r#"{{"command":"{command}","{field}":""}}"#);
        let filler = "a".repeat(length - empty.len());
        format!(r#"{{"command":"{command}","{field}":"{filler}"}}"#).into_bytes()
    };
    assert!(Request::decode(&with_length("message", "text", limits::MESSAGE)).is_ok());
    let too_long = with_length("message", "text", limits::MESSAGE + 1);
    assert_eq!(refusal_code(&too_long), RefusalCode::TooLarge);
    assert!(Request::decode(&with_length("status", "x", limits::REQUEST)).is_ok());
    let too_long = with_length("status", "x", limits::REQUEST + 1);
    assert_eq!(refusal_code(&too_long), RefusalCode::TooLarge);
    let too_long = with_length("hello", "x", limits::HELLO + 1);
    assert_eq!(refusal_code(&too_long), RefusalCode::TooLarge);
}

#[test]
fn a_request_can_hold_the_longest_path_but_for_one_of_quotation_marks() {
    let longest = |part: &str| {
        let part = part.repeat(limits::PATH_PART / part.len());
        let mut path = vec![part; 16].join("/");
        while FilePath::parse(&format!("{path}/a")).is_ok() {
            path.push_str("/a");
        }
        FilePath::parse(&path).unwrap()
    };
    // Characters of one, two, three and four bytes in UTF-8, and a quarter of quotation marks.
    for part in ["x", "é", "漢", "🏹", "x\"yz"] {
        let request = Request::Get { path: longest(part), have: None };
        assert_eq!(Request::decode(&request.encode()), Ok(request), "{part}");
    }
    let quotes = Request::Get { path: longest("\""), have: None };
    assert_eq!(refusal_code(&quotes.encode()), RefusalCode::TooLarge);
}

#[test]
fn the_response_to_the_longest_message_fits_a_frame() {
    // The worst case: every character takes six bytes of JSON, in the request as in the reply.
    for text in ["\u{1}".repeat(limits::MESSAGE / 6), "x".repeat(limits::MESSAGE)] {
        let reply = crate::Reply::Text { text: format!("{text} ACK") };
        assert!(reply.encode().len() <= limits::FRAME);
    }
}

proptest! {
    #[test]
    fn any_payload_is_decoded_or_refused_without_panicking(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Request::decode(&payload);
    }

    #[test]
    fn any_message_text_is_read_back_unchanged(text in any::<String>()) {
        let request = Request::Message { text };
        prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
}

#[test]
fn invalid_utf_8_is_refused_in_unknown_fields_too() {
    for payload in [
        &b"{\"command\":\"status\",\"x\":\"\xff\"}"[..],
        b"{\"command\":\"status\",\"\xc0\xaf\":0}",
    ] {
        assert_eq!(refusal_code(payload), RefusalCode::BadRequest);
    }
}
