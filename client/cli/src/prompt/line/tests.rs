//! Which lines are commands, and which are messages.

use super::*;

fn message(line: &str) -> String {
    match ParsedLine::parse(line).unwrap() {
        ParsedLine::Message(text) => text,
        other => panic!("{line:?} is {other:?}"),
    }
}

#[test]
fn a_first_word_in_any_case_selects_the_command() {
    assert!(matches!(
        ParsedLine::parse(" STATUS ").unwrap(),
        ParsedLine::Command(CommandArgs::Status(_))
    ));
    assert!(matches!(ParsedLine::parse("Exit").unwrap(), ParsedLine::Exit));
    assert!(matches!(ParsedLine::parse("quit").unwrap(), ParsedLine::Exit));
    assert!(matches!(ParsedLine::parse("/help").unwrap(), ParsedLine::Help));
    assert!(
        matches!(ParsedLine::parse("/List notes").unwrap(), ParsedLine::Command(CommandArgs::List(list)) if list.path == "notes")
    );
    assert!(
        matches!(ParsedLine::parse("list").unwrap(), ParsedLine::Command(CommandArgs::List(list)) if list.path.is_empty())
    );
    assert!(matches!(ParsedLine::parse(" \t ").unwrap(), ParsedLine::Blank));
    let ParsedLine::Command(CommandArgs::Get(get)) =
        ParsedLine::parse(r#"Get "with space.txt" -- -rf"#).unwrap()
    else {
        panic!()
    };
    assert_eq!(get.paths, ["with space.txt", "-rf"]);
    let ParsedLine::Command(CommandArgs::Put(put)) =
        ParsedLine::parse(r#"put "with space.txt" --to notes"#).unwrap()
    else {
        panic!()
    };
    assert_eq!(put.files, [std::path::Path::new("with space.txt")]);
    assert_eq!(put.to, "notes");
    assert!(
        matches!(ParsedLine::parse("RM a b").unwrap(), ParsedLine::Command(CommandArgs::Rm(rm)) if rm.paths.len() == 2)
    );
    assert!(
        matches!(ParsedLine::parse("mv a b/").unwrap(), ParsedLine::Command(CommandArgs::Mv(mv)) if mv.to == "b/")
    );
    assert!(
        matches!(ParsedLine::parse("mkdir -p a").unwrap(), ParsedLine::Command(CommandArgs::Mkdir(made)) if made.parents)
    );
}

fn tell(line: &str) -> (bool, Vec<String>) {
    match ParsedLine::parse(line).unwrap() {
        ParsedLine::Command(CommandArgs::Tell(tell)) => (tell.all, tell.words),
        other => panic!("{line:?} is {other:?}"),
    }
}

#[test]
fn a_line_that_begins_with_a_name_is_a_message_to_that_client() {
    assert_eq!(tell("@Ron hi"), (false, vec!["Ron".to_owned(), "hi".to_owned()]));
    let text = "it's  a \"test\"".to_owned();
    assert_eq!(tell(" @Ron  it's  a \"test\" "), (false, vec!["Ron".to_owned(), text]));
    assert_eq!(tell("@all hi you"), (true, vec!["hi you".to_owned()]));
    assert_eq!(tell("@ALL hi"), (true, vec!["hi".to_owned()]));
    assert_eq!(tell("/tell all hi"), (false, vec!["all".to_owned(), "hi".to_owned()]));
    for line in ["@", "@ hi", "@Ron", "@Ron  ", "@all"] {
        let failure = ParsedLine::parse(line).unwrap_err();
        assert_eq!(failure.exit(), crate::failure::Exit::Usage, "{line}");
    }
    assert_eq!(message("mail me at ron@example.org"), "mail me at ron@example.org");
}

#[test]
fn commands_between_clients_need_a_slash() {
    for line in [
        "accept my thanks",
        "send Ron my regards",
        "tell me",
        "offers welcome",
        "peers",
        "path",
        "verify this",
        "contacts",
        "decline",
        "receive",
    ] {
        assert_eq!(message(line), line);
    }
    assert!(matches!(
        ParsedLine::parse("/accept 1").unwrap(),
        ParsedLine::Command(CommandArgs::Accept(accept)) if accept.number.0 == 1
    ));
    assert!(matches!(
        ParsedLine::parse("/Send Ron \"a b\" c --wait").unwrap(),
        ParsedLine::Command(CommandArgs::Send(send)) if send.paths.len() == 2 && send.wait
    ));
    assert!(matches!(
        ParsedLine::parse("/send --cancel 3").unwrap(),
        ParsedLine::Command(CommandArgs::Send(send)) if send.cancel.is_some()
    ));
    assert!(matches!(
        ParsedLine::parse("/contacts forget Ron").unwrap(),
        ParsedLine::Command(CommandArgs::Contacts(_))
    ));
    for line in ["/accept", "/accept my thanks", "/accept 0", "/receive", "/send Ron"] {
        assert!(ParsedLine::parse(line).is_err(), "{line}");
    }
}

#[test]
fn transfers_are_steered_by_their_numbers_and_talk_stays_talk() {
    for line in ["pause 3", "Cancel 3", "resume 17:3", "transfers", "/pause 3", "transfers --json"]
    {
        let parsed = ParsedLine::parse(line).unwrap();
        assert!(matches!(parsed, ParsedLine::Command(_)), "{line}");
        assert!(!parsed.needs_connection(), "{line}");
    }
    for line in [
        "pause for a moment",
        "cancel my order",
        "resume",
        "resume later",
        "help me",
        "quit smoking",
        "bye Ron",
        "message me when you are done",
        "transfers are slow",
        "pause",
        "cancel it's 3",
    ] {
        assert_eq!(message(line), line);
    }
    for line in ["/pause", "/cancel my order", "/transfers now"] {
        assert!(ParsedLine::parse(line).is_err(), "{line}");
    }
}

#[test]
fn every_other_line_is_a_message() {
    for line in ["Hello", "getting there", "it's fine", "status? no", "say hello", "\"get\" x"] {
        assert_eq!(message(line), line);
    }
    assert_eq!(message("/say get well soon "), "get well soon");
    assert_eq!(message("/SAY  exit"), "exit");
    assert_eq!(message("/say put it there"), "put it there");
}

#[test]
fn a_usage_failure_says_how_to_send_the_line_as_a_message() {
    for line in [
        "exit now",
        "/help me",
        "status of the nation",
        "list a b",
        "get",
        "get -x",
        "/dance",
        "get \"a",
        "list o'clock",
        "put",
        "mv away",
        "status --verbose",
    ] {
        let failure = ParsedLine::parse(line).unwrap_err();
        let hint = failure.hint().unwrap();
        assert_eq!(hint, format!("/say {line} sends it as a message"), "{failure}");
        assert!(!failure.to_string().contains('\n'), "{failure}");
    }
    assert!(ParsedLine::parse("/say").is_err());
}

#[test]
fn words_of_a_shell_are_aliases_where_the_whole_line_parses() {
    for line in ["ls", "dir notes", "LS -l notes", "/ls"] {
        let parsed = ParsedLine::parse(line).unwrap();
        assert!(matches!(parsed, ParsedLine::Command(CommandArgs::List(_))), "{line}");
    }
    for line in ["bye", "QUIT", "/bye"] {
        assert!(matches!(ParsedLine::parse(line).unwrap(), ParsedLine::Exit), "{line}");
    }
    for line in ["help", "?", "/?", "help list", "help /send"] {
        assert!(matches!(ParsedLine::parse(line).unwrap(), ParsedLine::Help), "{line}");
    }
    assert!(matches!(
        ParsedLine::parse("message \"hi there\"").unwrap(),
        ParsedLine::Command(CommandArgs::Message(message)) if message.text == "hi there"
    ));
    for line in ["ls my files please", "dir it is", "? why", "cd player", "pwd of mine"] {
        assert_eq!(message(line), line);
    }
    for line in ["cd", "PWD", "cd ..", "cd /notes", "cd notes/"] {
        let failure = ParsedLine::parse(line).unwrap_err().to_string();
        assert_eq!(failure, "there are no working folders on the server", "{line}");
    }
}

#[test]
fn a_line_that_is_almost_a_command_is_not_taken_for_talk() {
    for (line, command) in [
        ("mesage hi", "message"),
        ("stauts", "status"),
        ("lsit notes", "list"),
        ("Lisst -l", "list"),
        ("gett a.txt", "get"),
        ("puase 3", "pause"),
        ("eixt", "exit"),
        ("mkdri a b", "mkdir"),
    ] {
        let ParsedLine::NearMiss(near) = ParsedLine::parse(line).unwrap() else { panic!("{line}") };
        assert_eq!((near.command, near.line.as_str()), (command, line));
    }
    for line in [
        // Too short, too different, more than arguments, or other characters than letters.
        "lis notes",
        "gte a",
        "staatuss",
        "lost in thought",
        "mesage hi there",
        "exist now",
        "pauses 3 times",
        "status?",
        "list1",
    ] {
        assert_eq!(message(line), line);
    }
    let failure = ParsedLine::parse("lsit notes").unwrap();
    let ParsedLine::NearMiss(near) = failure else { panic!() };
    let failure = near.into_failure();
    assert_eq!(failure.to_string(), "lsit looks like the command list");
    let hint = "list notes runs it; /say lsit notes sends it as a message";
    assert_eq!(failure.hint().unwrap(), hint);
    let unknown = ParsedLine::parse("/ofers").unwrap_err();
    assert!(unknown.hint().unwrap().starts_with("/offers is a command; "));
}
