//! What the word at the cursor may be: asks clap's engine, which asks the sources for values that it does not know.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use clap::{Arg, Command, CommandFactory as _};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use quiver_protocol::text::display_safe;

use super::line::CommandLine;
use super::sources::{Source, Sources};
use crate::cli::ClientArgs;

/// The most completions that are offered.
const MAX_VALUES: usize = 1000;

const LOCAL_FILES: &str = "local files";
const LOCAL_FOLDERS: &str = "local folders";

/// What the word may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// A local file or folder: the shell knows best how to complete them.
    LocalFiles,
    /// A local folder.
    LocalFolders,
    /// One of these words.
    Values(Vec<Value>),
}

/// A word that the unfinished one may become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: String,
    /// What it means, in one line.
    pub(super) help: Option<String>,
}

impl Value {
    /// Whether the word is then complete; a folder may be followed by what is in it.
    pub(super) fn ends_word(&self) -> bool {
        !self.text.ends_with(['/', '='])
    }
}

/// Completes the word at the cursor.
pub(super) fn complete(line: &CommandLine, sources: Sources) -> Answer {
    let mut program = ClientArgs::command();
    program.build();
    let mut program = with_sources(program, "", &Arc::new(sources));
    let mut words: Vec<OsString> = line.words.iter().map(OsString::from).collect();
    let index = words.len();
    words.push(OsString::from(&line.current));
    let found = clap_complete::engine::complete(&mut program, words, index, None);
    let found = found.unwrap_or_default();
    let has = |id: &str| found.iter().any(|one| one.get_id().is_some_and(|found| found == id));
    if has(LOCAL_FILES) {
        return Answer::LocalFiles;
    }
    if has(LOCAL_FOLDERS) {
        return Answer::LocalFolders;
    }
    let is_escaped = line.words.iter().any(|word| word == "--");
    let values = found.iter().filter_map(value);
    let fits = |value: &Value| {
        // Flags are many, and a name that begins like one would be taken for one.
        line.current.starts_with('-') || is_escaped || !value.text.starts_with('-')
    };
    Answer::Values(values.filter(fits).take(MAX_VALUES).collect())
}

/// The candidate, if a terminal can show it as it is.
fn value(candidate: &CompletionCandidate) -> Option<Value> {
    let text = candidate.get_value().to_str()?.to_owned();
    let help = candidate.get_help().map(ToString::to_string);
    let help = help.and_then(|help| help.lines().next().map(str::to_owned));
    (!text.is_empty() && display_safe(&text) == text).then_some(Value { text, help })
}

/// Adds sources to the arguments of a command and its own commands.
fn with_sources(command: Command, words: &str, sources: &Arc<Sources>) -> Command {
    let name = words.to_owned();
    let command = command.mut_args(|argument| add_source(argument, &name, sources));
    command.mut_subcommands(|own| {
        let words = format!("{words} {}", own.get_name());
        with_sources(own, words.trim(), sources)
    })
}

fn add_source(argument: Arg, command: &str, sources: &Arc<Sources>) -> Arg {
    let id = argument.get_id().as_str();
    let completer = match (command, id) {
        (_, "cert" | "password_file") | ("put", "files") | ("send", "paths") => local(LOCAL_FILES),
        ("get" | "receive" | "man", "output") | ("accept", "folder") => local(LOCAL_FOLDERS),
        _ => {
            let Some(source) = source_of(command, id) else { return argument };
            let sources = sources.clone();
            ArgValueCompleter::new(move |typed: &OsStr| {
                let typed = typed.to_str().unwrap_or_default();
                let names = sources.names(source, typed).into_iter();
                names.filter(|name| name.starts_with(typed)).map(CompletionCandidate::new).collect()
            })
        }
    };
    argument.add(completer)
}

/// Where the values of an argument come from.
fn source_of(command: &str, argument: &str) -> Option<Source> {
    Some(match (command, argument) {
        (_, "server") | ("trust forget", "host") => Source::Servers,
        ("list", "path") | ("get" | "rm" | "mkdir", "paths") | ("mv", "from" | "to") => {
            Source::ServerPaths
        }
        ("put", "to") => Source::ServerFolders,
        ("tell", "words") => Source::FirstClient,
        ("send", "recipient") | ("path" | "verify", "client") | ("receive", "from") => {
            Source::Clients
        }
        (command, "contact") if command.starts_with("contacts ") => Source::Contacts,
        ("accept" | "decline", "number") => Source::IncomingOffers,
        ("send", "cancel") => Source::OutgoingOffers,
        ("pause" | "cancel", "transfer") => Source::RunningTransfers,
        ("resume", "path") => Source::Resumable,
        ("man", "command") => Source::Commands,
        _ => return None,
    })
}

/// Leaves the completion of local files to the shell, unless a flag is typed.
fn local(id: &'static str) -> ArgValueCompleter {
    ArgValueCompleter::new(move |typed: &OsStr| {
        let is_flag = typed.to_str().is_some_and(|typed| typed.starts_with('-'));
        let candidate = CompletionCandidate::new(typed).id(Some(id.to_owned()));
        if is_flag { Vec::new() } else { vec![candidate] }
    })
}
