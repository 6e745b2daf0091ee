//! Completion in a shell: `quiver completions SHELL` prints a script that runs this program, with the line in its arguments,
//! each time Tab is pressed. Nothing here connects to a server, asks, or writes a file; errors mean no completions.
//!
//! | module | contents |
//! |---|---|
//! | `line` | the words of the line |
//! | `engine` | what the word at the cursor may be, by clap's definition of the commands |
//! | `sources` | the names of servers, files, clients, offers and transfers |
//! | `bash`, `zsh`, `fish` | the scripts of the shells, and how they pass lines and take names |

mod bash;
mod engine;
mod fish;
mod line;
mod sources;
mod zsh;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap_complete::Shell;
use quiver_client::folders::Folders;

use self::engine::Answer;
use self::line::CommandLine;
use self::sources::Sources;
use crate::output;

/// The variable by which a script runs this program; its value is the name of the shell.
const VARIABLE: &str = "_QUIVER_COMPLETE";

/// Time limit for an answer. A person is waiting for the key to have an effect.
const TIMEOUT: Duration = Duration::from_millis(800);

/// The script that makes a shell complete commands; `None` for shells in which only the fixed words are completed.
#[must_use]
pub fn script(shell: Shell) -> Option<&'static str> {
    match shell {
        Shell::Bash => Some(bash::SCRIPT),
        Shell::Zsh => Some(zsh::SCRIPT),
        Shell::Fish => Some(fish::SCRIPT),
        _ => None,
    }
}

/// How a shell passes the line, and what it is answered.
#[derive(Debug, Clone, Copy)]
struct ShellAdapter {
    /// Reads the line from the arguments after `--`.
    parse: fn(&[String]) -> Option<TypedLine>,
    /// Formats the answer.
    format: fn(&TypedLine, Answer) -> String,
}

/// A line as a shell passes it.
#[derive(Debug, Clone)]
struct TypedLine {
    line: CommandLine,
    /// The unfinished word as it was typed, with its quotes, and which part of it the shell replaces.
    typed: line::TypedWord,
}

/// Answers a script; `None` if the program was not started by one.
pub fn answer(
    arguments: &[OsString],
    variable: impl Fn(&str) -> Option<OsString>,
) -> Option<ExitCode> {
    let shell = variable(VARIABLE).filter(|shell| !shell.is_empty())?;
    let adapter = match shell.to_str() {
        Some("bash") => bash::ADAPTER,
        Some("zsh") => zsh::ADAPTER,
        Some("fish") => fish::ADAPTER,
        _ => return Some(ExitCode::FAILURE),
    };
    // A name that is not UTF-8 cannot be on a server.
    let words = arguments.iter().skip(1).skip_while(|word| *word != "--").skip(1);
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let Some(typed) = (adapter.parse)(&words) else { return Some(ExitCode::FAILURE) };
    let home = std::env::home_dir();
    let sources = sources(typed.line.clone(), variable, home);
    let (sender, answer) = mpsc::channel();
    let work = move || {
        let found = engine::complete(&typed.line, sources);
        // Fails after the timeout.
        let _ = sender.send((adapter.format)(&typed, found));
    };
    let started = thread::Builder::new().name("completion".to_owned()).spawn(work);
    let text = started.ok().and_then(|_| answer.recv_timeout(TIMEOUT).ok());
    // A shell that is gone needs no answer.
    let _ = output::print_document(text.unwrap_or_default().as_bytes());
    Some(ExitCode::SUCCESS)
}

fn sources(
    line: CommandLine,
    variable: impl Fn(&str) -> Option<OsString>,
    home: Option<PathBuf>,
) -> Sources {
    let folders = Folders::new(&variable, home.as_deref());
    let runtime_folder = quiver_control::socket_folder::runtime_folder(&variable, &folders);
    Sources::new(line, folders, runtime_folder, variable, home.as_deref())
}

#[cfg(test)]
mod tests;
