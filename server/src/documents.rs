//! Prints what is generated from the clap definition: man pages and completion scripts.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Command};
use clap_complete::Shell;
use quiver_manual::pages;
use quiver_protocol::text::{display_path, display_safe};

use crate::manual::MANUAL;
use crate::output::{self, Hint as _};

/// `man [COMMAND]`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command to describe, as in cert new [default: quiver-server itself]
    command: Vec<String>,
    /// The folder to store the page in, made if it is missing; without a command, all pages are
    /// stored
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Prints a man page of the program, or stores pages in a folder.
///
/// # Errors
/// If there is no such command, or if the output cannot be written.
pub fn man(program: Command, arguments: &ManArgs) -> anyhow::Result<()> {
    let found = match (&*arguments.command, &arguments.output) {
        ([], Some(_)) => MANUAL.pages(program),
        (words, _) => MANUAL.page(program, words).into_iter().collect(),
    };
    if found.is_empty() {
        let unknown = || bail!("unknown command {}", display_safe(&arguments.command.join(" ")));
        return unknown().hint("quiver-server --help lists them");
    }
    if let Some(folder) = &arguments.output {
        return pages::write(&found, folder)
            .with_context(|| format!("cannot store man pages in {}", display_path(folder)));
    }
    let text: String = found.iter().map(|page| &*page.text).collect();
    output::document(text.as_bytes())
}

/// Prints a completion script for the program.
///
/// # Errors
/// If standard output cannot be written.
pub fn completions(mut program: Command, shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    let name = program.get_name().to_owned();
    clap_complete::generate(shell, &mut program, name, &mut script);
    output::document(&script)
}
