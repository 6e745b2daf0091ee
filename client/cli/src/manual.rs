//! The manual of `quiver`: what its help and man pages say beside its clap definition.

mod client_commands;
mod own_commands;
mod server_commands;

use clap::{Command, CommandFactory as _, FromArgMatches as _};
use quiver_manual::{Example, Manual, Section, Topic};

use crate::cli::ClientArgs;
use crate::prompt_help;

/// What is said about the program itself.
const PROGRAM: &[Topic] = &[Topic {
    description: &[DESCRIPTION, SETTINGS],
    examples: &[
        Example {
            line: "quiver --server files.example.org",
            effect: "Talk with a server at the prompt",
        },
        Example { line: "quiver get notes/todo.txt", effect: "Fetch a file, and end" },
        Example { line: "quiver send Ron photos", effect: "Offer a folder to another client" },
        Example { line: "quiver get --help", effect: "Learn about a command" },
    ],
    sections: &[Section {
        heading: "PROMPT",
        text: PROMPT,
        terms: prompt_help::terms,
        end: prompt_help::last_paragraph,
    }],
    ..Topic::EMPTY
}];

const PROMPT: &str = "\
Without a command, quiver connects, asks for a name, and reads lines. If standard input is no terminal, it runs them \
without a prompt, and its exit code is that of the first failure. These lines are commands:";

/// The manual of the program.
pub const MANUAL: Manual = Manual {
    topics: &[PROGRAM, &server_commands::TOPICS, &client_commands::TOPICS, &own_commands::TOPICS],
    exit_codes: &[
        ("0", "done"),
        ("1", "other, such as a file that exists already"),
        ("2", "usage, or a path that breaks the rules"),
        ("3", "cannot connect or timed out"),
        ("4", "wrong key of the server or of another client"),
        ("5", "sign-in refused"),
        ("6", "server busy"),
        ("7", "no such file or client"),
        ("8", "local disk"),
        ("9", "content failed verification"),
        ("10", "one or more of several failed"),
        ("11", "the other client declined"),
        ("130", "Ctrl-C"),
        ("141", "standard output was closed"),
        ("143", "SIGTERM"),
    ],
    files: &[
        ("$XDG_CONFIG_HOME/quiver/config.toml", "Settings; by default in ~/.config."),
        ("$XDG_DATA_HOME/quiver", "The key of this client; by default in ~/.local/share."),
        (
            "$XDG_STATE_HOME/quiver",
            "Known servers, unfinished transfers, contacts and offers; by default in ~/.local/state.",
        ),
        ("$XDG_CACHE_HOME/quiver", "Files that can be made again; by default in ~/.cache."),
    ],
    environment: &[
        ("QUIVER_SERVER", "As --server."),
        ("QUIVER_CERT", "As --cert."),
        ("QUIVER_NAME", "As --name."),
        (
            "QUIVER_LOG",
            "Log lines for developers on standard error: a level such as debug, or directives for modules.",
        ),
        ("NO_COLOR", "Prints no colours if it is set and not empty."),
        ("TERM", "If it is dumb, neither colours nor progress bars are drawn."),
    ],
    see_also: &["quiver-server"],
};

const DESCRIPTION: &str = "\
Quiver exchanges messages and files with a server, and directly with other clients of that server, over one QUIC \
connection. Every file is verified by its hash, flushed to the disk and then renamed into place; interrupted transfers \
resume.";

const SETTINGS: &str = "\
Each setting comes from its flag, or else from the environment, or else from config.toml, which may have the keys \
server, cert, name, announce, paths and congestion, and entries such as [servers.work] with address, cert, name and password_file, \
which --server work selects. A section [servers.work] there, with address, cert, name and password_file, is \
what --server work means. announce = false keeps the prompt from announcing clients that connect and \
disconnect; paths = \"relay-only\" or \"direct-only\", and congestion = \"model\" or \"cubic\", are as the flags.";

/// The clap definition of the program, with the manual in its help.
#[must_use]
pub fn command() -> Command {
    MANUAL.add_to_help(ClientArgs::command())
}

/// Parses a command line.
///
/// # Errors
/// Clap's error, which may be the requested help.
pub fn parse(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
) -> Result<ClientArgs, clap::Error> {
    let mut command = command();
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    ClientArgs::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

#[cfg(test)]
mod tests;
