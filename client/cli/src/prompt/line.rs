//! Parses a line of the prompt: a command if its first word is one, in any case; otherwise a message.

use clap::{FromArgMatches as _, Subcommand as _};

use super::words;
use crate::cli::{CommandArgs, TellArgs};
use crate::command::{self, PROMPT_COMMANDS, SLASH_COMMANDS, STEERING_COMMANDS};
use crate::failure::Failure;

/// Sends the rest of the line as a message, even if it looks like a command.
pub(super) const SAY: &str = "/say";

/// Begins a line that is a message to another client: `@NAME TEXT`.
pub(super) const TO_CLIENT: char = '@';

/// The name that addresses every other client.
pub(super) const EVERYONE: &str = "all";

/// A parsed line.
#[derive(Debug)]
pub(super) enum ParsedLine {
    /// An empty line, or only white space.
    Blank,
    /// A message.
    Message(String),
    /// A command, with the same arguments as on the command line.
    Command(CommandArgs),
    /// `help`
    Help,
    /// `exit`
    Exit,
}

impl ParsedLine {
    /// Whether the line needs a connection to the server before it runs.
    pub(super) fn needs_connection(&self) -> bool {
        match self {
            Self::Message(_) => true,
            Self::Command(command) => command::needs_connection(command),
            Self::Blank | Self::Help | Self::Exit => false,
        }
    }

    /// Parses a line.
    ///
    /// # Errors
    /// [`Failure::Usage`] if the arguments are invalid; the hint says how to send the line as a
    /// message.
    pub(super) fn parse(line: &str) -> Result<Self, Failure> {
        let line = line.trim();
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if let Some(name) = first.strip_prefix(TO_CLIENT) {
            return parse_message_to(name, rest.trim());
        }
        let command = first.to_lowercase();
        let command = match command.strip_prefix('/') {
            None if first.is_empty() => return Ok(Self::Blank),
            None => command.as_str(),
            Some("say") if rest.trim().is_empty() => {
                return Err(Failure::usage("the message is empty", "/say TEXT sends a message"));
            }
            Some("say") => return Ok(Self::Message(rest.trim().to_owned())),
            Some(name) if PROMPT_COMMANDS.contains(&name) => name,
            Some(name) if SLASH_COMMANDS.contains(&name) || STEERING_COMMANDS.contains(&name) => {
                let words = words::split(rest)
                    .map_err(|_| usage_failure("a quote is not closed".to_owned(), line))?;
                return parse_command(name, words, line).map(Self::Command);
            }
            Some("receive") => {
                let what = "the prompt receives offers by itself";
                return Err(Failure::usage(what, "/offers lists them, /accept N accepts one"));
            }
            Some(_) => return Err(usage_failure(format!("unknown command {first}"), line)),
        };
        if STEERING_COMMANDS.contains(&command)
            && let Ok(words) = words::split(rest)
            && let Ok(parsed) = parse_command(command, words, line)
            && is_steering(&parsed)
        {
            return Ok(Self::Command(parsed));
        }
        if !PROMPT_COMMANDS.contains(&command) {
            return Ok(Self::Message(line.to_owned()));
        }
        let words = words::split(rest)
            .map_err(|_| usage_failure("a quote is not closed".to_owned(), line))?;
        match command {
            "help" | "exit" | "quit" if !words.is_empty() => {
                Err(usage_failure(format!("{command} takes no arguments"), line))
            }
            "help" => Ok(Self::Help),
            "exit" | "quit" => Ok(Self::Exit),
            name => parse_command(name, words, line).map(Self::Command),
        }
    }
}

/// Whether a line without a slash is meant as a command: `resume` with a path is more likely a message.
fn is_steering(command: &CommandArgs) -> bool {
    match command {
        CommandArgs::Resume(arguments) => arguments.paused().is_some(),
        _ => true,
    }
}

/// Parses a message to the client `name`, or to all.
fn parse_message_to(name: &str, text: &str) -> Result<ParsedLine, Failure> {
    let failed = |what: &str| Failure::usage(what, "@NAME TEXT sends a message to a client");
    if name.is_empty() {
        return Err(failed("the name after @ is missing"));
    }
    if text.is_empty() {
        return Err(failed("the message is empty"));
    }
    let text = text.to_owned();
    let all = name.eq_ignore_ascii_case(EVERYONE);
    let words = if all { vec![text] } else { vec![name.to_owned(), text] };
    Ok(ParsedLine::Command(CommandArgs::Tell(TellArgs { all, words, json: false })))
}

/// Parses a command's arguments as on the command line.
fn parse_command(name: &str, words: Vec<String>, line: &str) -> Result<CommandArgs, Failure> {
    let commands = CommandArgs::augment_subcommands(clap::Command::new("quiver"));
    let commands = commands
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .mut_subcommands(|command| command.disable_help_flag(true));
    let words = std::iter::once(name.to_owned()).chain(words);
    commands
        .try_get_matches_from(words)
        .and_then(|matches| CommandArgs::from_arg_matches(&matches))
        .map_err(|error| usage_failure(format!("{name}: {}", error_line(&error.to_string())), line))
}

/// Clap's error as one line, without its prefix, tips and usage.
fn error_line(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let lines = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ")
}

fn usage_failure(what: String, line: &str) -> Failure {
    Failure::usage(what, format!("{SAY} {} sends it as a message", line.trim()))
}

#[cfg(test)]
mod tests {
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
        for line in
            ["pause 3", "Cancel 3", "resume 17:3", "transfers", "/pause 3", "transfers --json"]
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
        for line in ["Hello", "getting there", "it's fine", "status? no", "say hello", "\"get\" x"]
        {
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
            "status of the nation",
            "list a b",
            "get",
            "get -x",
            "help me",
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
}
