//! The man pages of a program: one for itself and one for each command, and the files that they are stored in.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;

use crate::manual::Manual;
use crate::page::{self, PageContext, SECTION};

/// A man page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManPage {
    /// Its name, as in `quiver-get`.
    pub name: String,
    /// Its text, in the language of man(7).
    pub text: String,
}

impl ManPage {
    /// The name of its file, as in `quiver-get.1`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.{SECTION}", self.name)
    }
}

impl Manual {
    /// The pages of a program and of all its commands, the program's first.
    #[must_use]
    pub fn pages(&self, program: Command) -> Vec<ManPage> {
        let program = build(program);
        let mut commands = Vec::new();
        collect(&program, String::new(), &mut commands);
        let names: Vec<String> = commands.iter().map(|(command, _)| page_name(command)).collect();
        let pages = commands.into_iter().map(|(command, words)| {
            let topic = self.topic(&words);
            let context =
                PageContext { manual: self, program: &program, topic: &topic, names: &names };
            ManPage { name: page_name(command), text: page::render(command, context) }
        });
        pages.collect()
    }

    /// The page of a command, named by its words: none is the program itself. `None` if there is no such command.
    #[must_use]
    pub fn page(&self, program: Command, words: &[impl AsRef<str>]) -> Option<ManPage> {
        let mut name = program.get_name().to_owned();
        for word in words {
            name = format!("{name}-{}", word.as_ref());
        }
        self.pages(program).into_iter().find(|page| page.name == name)
    }
}

/// Stores pages in a folder, which is made if it is missing. Existing pages of the same names are replaced.
///
/// # Errors
/// The system's error.
pub fn write(pages: &[ManPage], folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    pages.iter().try_for_each(|page| fs::write(folder.join(page.file_name()), &page.text))
}

/// Adds the global flags to the commands, and names them.
fn build(program: Command) -> Command {
    let mut program = without_help_commands(program);
    program.build();
    program
}

/// Removes the `help` commands that clap adds: they need no page.
fn without_help_commands(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help_commands)
}

/// Collects a command and its own commands, each with the words that select it.
fn collect<'a>(command: &'a Command, words: String, commands: &mut Vec<(&'a Command, String)>) {
    commands.push((command, words.clone()));
    for own in command.get_subcommands().filter(|own| !own.is_hide_set()) {
        let separator = if words.is_empty() { "" } else { " " };
        collect(own, format!("{words}{separator}{}", own.get_name()), commands);
    }
}

fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}
