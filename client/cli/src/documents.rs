//! Prints what is generated from the clap definition: man pages and completion scripts.

use clap::CommandFactory as _;
use clap_complete::Shell;
use quiver_manual::pages;
use quiver_protocol::text::{display_path, display_safe};

use crate::cli::{ClientArgs, ManArgs};
use crate::completion;
use crate::failure::{Exit, Failure};
use crate::manual::MANUAL;
use crate::output;

/// Prints a completion script.
///
/// # Errors
/// [`Failure::Output`].
pub fn print_completions(shell: Shell) -> Result<Exit, Failure> {
    let script = match completion::script(shell) {
        Some(script) => script.as_bytes().to_vec(),
        None => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut ClientArgs::command(), "quiver", &mut script);
            script
        }
    };
    output::print_document(&script).map(|()| Exit::Done)
}

/// Prints the man page of the program or of one command, or stores pages in a folder.
///
/// # Errors
/// [`Failure::Usage`] if there is no such command, [`Failure::Output`], or [`Failure::File`].
pub fn man(arguments: &ManArgs) -> Result<Exit, Failure> {
    let program = ClientArgs::command();
    let found = match (&*arguments.command, &arguments.output) {
        ([], Some(_)) => MANUAL.pages(program),
        (words, _) => MANUAL.page(program, words).into_iter().collect(),
    };
    match (&arguments.output, &*found) {
        (_, []) => {
            let what = format!("unknown command {}", display_safe(&arguments.command.join(" ")));
            Err(Failure::usage(what, "quiver --help lists them"))
        }
        (Some(folder), found) => {
            let what = || format!("cannot store man pages in {}", display_path(folder));
            pages::write(found, folder).map_err(|source| Failure::file(what(), source))?;
            Ok(Exit::Done)
        }
        (None, found) => {
            let text: String = found.iter().map(|page| &*page.text).collect();
            output::print_document(text.as_bytes()).map(|()| Exit::Done)
        }
    }
}
