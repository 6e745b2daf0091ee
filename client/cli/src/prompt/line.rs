//! What a line means: the first word decides, whatever its case; everything else is a message.

use clap::{FromArgMatches as _, Subcommand as _};

use super::words;
use crate::cli::CommandArgs;
use crate::command::AT_THE_PROMPT;
use crate::failure::Failure;

/// Always a message, whatever it looks like.
pub(super) const SAY: &str = "/say";

/// A line.
#[derive(Debug)]
pub(super) enum ParsedLine {
    /// Blank.
    Nothing,
    /// A message.
    Say(String),
    /// A command, with the arguments that it has on the command line.
    Command(CommandArgs),
    /// `help`
    Help,
    /// `exit`
    Exit,
}

impl ParsedLine {
    /// Reads a line.
    ///
    /// # Errors
    /// [`Failure::Usage`] where the arguments do not fit the command; the hint says how to say the
    /// line as a message.
    pub(super) fn parse(line: &str) -> Result<Self, Failure> {
        let line = line.trim();
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let command = first.to_lowercase();
        let command = match command.strip_prefix('/') {
            None if first.is_empty() => return Ok(Self::Nothing),
            None => command.as_str(),
            Some("say") if rest.trim().is_empty() => {
                return Err(Failure::usage("there is nothing to say", "/say TEXT"));
            }
            Some("say") => return Ok(Self::Say(rest.trim().to_owned())),
            Some(name) if AT_THE_PROMPT.contains(&name) => name,
            Some(_) => return Err(misfit(format!("there is no command {first}"), line)),
        };
        if !AT_THE_PROMPT.contains(&command) {
            return Ok(Self::Say(line.to_owned()));
        }
        let words =
            words::split(rest).map_err(|_| misfit("a quote is not closed".to_owned(), line))?;
        match command {
            "help" | "exit" | "quit" if !words.is_empty() => {
                Err(misfit(format!("{command} stands alone"), line))
            }
            "help" => Ok(Self::Help),
            "exit" | "quit" => Ok(Self::Exit),
            name => parse(name, words, line).map(Self::Command),
        }
    }
}

/// The same arguments as on the command line.
fn parse(name: &str, words: Vec<String>, line: &str) -> Result<CommandArgs, Failure> {
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
        .map_err(|error| misfit(format!("{name}: {}", first_words(&error.to_string())), line))
}

/// What clap says, without its title, its tips and the usage that follows.
fn first_words(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let lines = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ")
}

fn misfit(what: String, line: &str) -> Failure {
    Failure::Usage { what, hint: Some(say(line)) }
}

/// How a line becomes a message.
pub(super) fn say(line: &str) -> String {
    format!("{SAY} {} sends it as a message", line.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        match ParsedLine::parse(line).unwrap() {
            ParsedLine::Say(text) => text,
            other => panic!("{line:?} is {other:?}"),
        }
    }

    #[test]
    fn the_first_word_decides_whatever_its_case() {
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
        assert!(matches!(ParsedLine::parse(" \t ").unwrap(), ParsedLine::Nothing));
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

    #[test]
    fn every_other_line_is_a_message() {
        for line in ["Hello", "getting there", "it's fine", "status? no", "say hello", "\"get\" x"]
        {
            assert_eq!(said(line), line);
        }
        assert_eq!(said("/say get well soon "), "get well soon");
        assert_eq!(said("/SAY  exit"), "exit");
        assert_eq!(said("/say put it there"), "put it there");
    }

    #[test]
    fn what_does_not_fit_says_how_to_say_it() {
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
