//! Parses a line of the prompt: a command if its first word is one, in any case; otherwise a message. A message that
//! looks like a mistyped command is told apart.

use clap::{FromArgMatches as _, Subcommand as _};

use super::words::{self, Word};
use super::{local_words, typo};
use crate::cli::{CommandArgs, TellArgs};
use crate::command::{self, PARSED_COMMANDS, PROMPT_COMMANDS, SLASH_COMMANDS};
use crate::failure::Failure;

/// Sends the rest of the line as a message, even if it looks like a command.
pub(super) const SAY: &str = "/say";

/// Begins a line that is a message to another client: `@NAME TEXT`.
pub(super) const TO_CLIENT: char = '@';

/// The name that addresses every other client.
pub(super) const EVERYONE: &str = "all";

/// Words of a shell without a meaning here.
const FOLDER_COMMANDS: [&str; 2] = ["cd", "pwd"];

/// A parsed line.
#[derive(Debug)]
pub(super) enum ParsedLine {
    /// An empty line, or only white space.
    Blank,
    /// A message.
    Message(String),
    /// A message that would be a command if its first word were spelled differently.
    NearMiss(NearMiss),
    /// A command, with the same arguments as on the command line.
    Command(CommandArgs),
    /// `help`
    Help,
    /// `exit`
    Exit,
}

/// A line whose first word is almost a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NearMiss {
    /// The line.
    pub(super) line: String,
    /// The first word as typed.
    pub(super) typed: String,
    /// The command.
    pub(super) command: &'static str,
}

impl NearMiss {
    /// What the line looks like.
    pub(super) fn what(&self) -> String {
        format!("{} looks like the command {}", self.typed, self.command)
    }

    /// The failure without a terminal.
    pub(super) fn into_failure(self) -> Failure {
        let rest = &self.line[self.typed.len()..];
        let hint =
            format!("{}{rest} runs it; {SAY} {} sends it as a message", self.command, self.line);
        Failure::usage(self.what(), hint)
    }
}

impl ParsedLine {
    /// Whether the line needs a connection to the server before it runs.
    pub(super) fn needs_connection(&self) -> bool {
        match self {
            Self::Message(_) => true,
            Self::Command(command) => command::needs_connection(command),
            Self::Blank | Self::NearMiss(_) | Self::Help | Self::Exit => false,
        }
    }

    /// Whether the line prints JSON objects: because of its flag, or because `all` lines do.
    pub(super) fn is_json(&mut self, all: bool) -> bool {
        let flag = match self {
            Self::Command(command) => command.json_flag(),
            _ => None,
        };
        match flag {
            Some(flag) => {
                *flag |= all;
                *flag
            }
            None => all,
        }
    }

    /// Parses a line. Reads local folders if it has patterns for local files.
    ///
    /// # Errors
    /// [`Failure::Usage`] if the arguments are invalid; the hint says how to send the line as a
    /// message.
    pub(super) fn parse(line: &str) -> Result<Self, Failure> {
        let line = line.trim();
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if first.is_empty() {
            return Ok(Self::Blank);
        }
        if let Some(name) = first.strip_prefix(TO_CLIENT) {
            return parse_message_to(name, rest.trim());
        }
        let command = first.to_lowercase();
        if let Some(name) = command.strip_prefix('/') {
            return parse_with_slash(name, first, rest, line);
        }
        if PROMPT_COMMANDS.contains(&command.as_str()) {
            return parse_arguments(&command, rest, line);
        }
        if is_folder_command(&command, rest) {
            let hint = "paths start at the server's folder, as in list notes and get notes/a.txt";
            return Err(Failure::usage("there are no working folders on the server", hint));
        }
        let name = PARSED_COMMANDS.into_iter().find(|(alias, _)| *alias == command);
        if let Some(parsed) = name.and_then(|(_, name)| parse_if_complete(name, rest, line)) {
            return Ok(parsed);
        }
        let is_complete = |name: &str| parse_if_complete(name, rest, line).is_some();
        if name.is_none()
            && let Some(command) = typo::meant_command(&command, is_complete)
        {
            let (line, typed) = (line.to_owned(), first.to_owned());
            return Ok(Self::NearMiss(NearMiss { line, typed, command }));
        }
        Ok(Self::Message(line.to_owned()))
    }
}

/// Parses a line whose first word has a slash: it is a command for sure.
fn parse_with_slash(
    name: &str,
    first: &str,
    rest: &str,
    line: &str,
) -> Result<ParsedLine, Failure> {
    let alias = PARSED_COMMANDS.into_iter().find(|(alias, _)| *alias == name);
    match name {
        "say" if rest.trim().is_empty() => {
            Err(Failure::usage("the message is empty", "/say TEXT sends a message"))
        }
        "say" => Ok(ParsedLine::Message(rest.trim().to_owned())),
        "receive" => {
            let what = "the prompt receives offers by itself";
            Err(Failure::usage(what, "/offers lists them, /accept N accepts one"))
        }
        name if PROMPT_COMMANDS.contains(&name) || SLASH_COMMANDS.contains(&name) => {
            parse_arguments(name, rest, line)
        }
        _ if let Some((_, name)) = alias => parse_arguments(name, rest, line),
        name => {
            let what = format!("unknown command {first}");
            Err(match typo::meant_slash_command(name) {
                Some(meant) => {
                    let hint = format!("/{meant} is a command; {}", say_hint(line));
                    Failure::usage(what, hint)
                }
                None => usage_failure(what, line),
            })
        }
    }
}

/// Parses the arguments of a command.
fn parse_arguments(name: &str, rest: &str, line: &str) -> Result<ParsedLine, Failure> {
    let words =
        words::split(rest).map_err(|_| usage_failure("a quote is not closed".to_owned(), line))?;
    match name {
        "help" if matches!(words.as_slice(), [word] if is_command(&word.value)) => {
            Ok(ParsedLine::Help)
        }
        "help" | "exit" if !words.is_empty() => {
            Err(usage_failure(format!("{name} takes no arguments"), line))
        }
        "help" => Ok(ParsedLine::Help),
        "exit" => Ok(ParsedLine::Exit),
        name => parse_command(name, words, line).map(ParsedLine::Command),
    }
}

/// The command, if the rest of the line is its arguments.
fn parse_if_complete(name: &str, rest: &str, line: &str) -> Option<ParsedLine> {
    match parse_arguments(name, rest, line).ok()? {
        // Without a number it is more likely a message.
        ParsedLine::Command(CommandArgs::Resume(resume)) if resume.paused().is_none() => None,
        parsed => Some(parsed),
    }
}

/// Whether a word is a command of the prompt, with or without its slash.
fn is_command(word: &str) -> bool {
    let word = word.to_lowercase();
    let name = word.strip_prefix('/').unwrap_or(&word);
    PROMPT_COMMANDS.contains(&name)
        || SLASH_COMMANDS.contains(&name)
        || PARSED_COMMANDS.iter().any(|(alias, _)| *alias == name)
}

/// Whether the line is `cd` or `pwd`, alone or with what can only be a path.
fn is_folder_command(command: &str, rest: &str) -> bool {
    let rest = rest.trim();
    let is_path = || {
        rest.starts_with(['/', '~', '.'])
            || (rest.ends_with('/') && !rest.contains(char::is_whitespace))
    };
    FOLDER_COMMANDS.contains(&command) && (rest.is_empty() || is_path())
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
fn parse_command(name: &str, words: Vec<Word>, line: &str) -> Result<CommandArgs, Failure> {
    let commands = CommandArgs::augment_subcommands(clap::Command::new("quiver"));
    let commands = commands
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .mut_subcommands(|command| command.disable_help_flag(true));
    let words = match commands.find_subcommand(name) {
        Some(command) => local_words::expand(command, words, std::env::home_dir().as_deref()),
        None => Vec::new(),
    };
    let words = std::iter::once(name.into()).chain(words);
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
    Failure::usage(what, say_hint(line))
}

fn say_hint(line: &str) -> String {
    format!("{SAY} {} sends it as a message", line.trim())
}

#[cfg(test)]
mod tests;
