//! Replaces `~` and patterns in words that name local files, as a shell does. A name that is spelled like the pattern
//! wins, and a pattern that matches nothing stays as it is.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command};
use glob::{MatchOptions, Pattern};

use super::words::Word;

/// `*` matches neither a slash nor the dot of a hidden file.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// What a word of a command line is.
enum WordRole<'a> {
    /// A flag, or two hyphens.
    Flag,
    /// The value of an option.
    Value(&'a Arg),
    /// A positional argument; `None` if the command takes no more.
    Positional(Option<&'a Arg>),
}

/// Replaces the words of a command that name local files: those of arguments that are paths. Reads folders.
pub(super) fn expand(command: &Command, words: Vec<Word>, home: Option<&Path>) -> Vec<OsString> {
    let mut reader = WordReader { command, awaited: None, positionals: 0, has_ended_flags: false };
    let mut expanded = Vec::new();
    for word in words {
        match reader.read(&word.value) {
            WordRole::Positional(Some(arg)) if is_local(arg) => {
                let takes_several = matches!(arg.get_action(), ArgAction::Append);
                expanded.extend(matches(word, home, takes_several));
            }
            WordRole::Value(arg) if is_local(arg) => expanded.extend(matches(word, home, false)),
            WordRole::Flag | WordRole::Value(_) | WordRole::Positional(_) => {
                expanded.push(word.value.into());
            }
        }
    }
    expanded
}

/// Paths on the server are texts.
fn is_local(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<PathBuf>()
}

fn matches(word: Word, home: Option<&Path>, takes_several: bool) -> Vec<OsString> {
    let home = home
        .filter(|_| word.has_tilde && matches!(word.value.as_bytes().get(1), None | Some(b'/')));
    let (path, pattern) = match home {
        Some(home) => {
            let escaped = home.to_str().map(Pattern::escape);
            let pattern = escaped.map(|escaped| escaped + &word.pattern[1..]);
            (in_home(home, &word.value), pattern)
        }
        None => (OsString::from(&word.value), Some(word.pattern)),
    };
    let is_pattern = word.has_wildcards && takes_several;
    if !is_pattern || Path::new(&path).symlink_metadata().is_ok() {
        return vec![path];
    }
    // What is no valid pattern is a name.
    let found = pattern.and_then(|pattern| glob::glob_with(&pattern, OPTIONS).ok());
    let found: Vec<OsString> =
        found.into_iter().flatten().filter_map(Result::ok).map(operand).collect();
    if found.is_empty() { vec![path] } else { found }
}

/// `~/a` in the home folder, with a slash at the end if the text has one.
fn in_home(home: &Path, value: &str) -> OsString {
    let mut path = home.as_os_str().to_owned();
    path.push(&value[1..]);
    path
}

/// A path that is not taken for a flag.
fn operand(path: PathBuf) -> OsString {
    if path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        return Path::new(".").join(path).into();
    }
    path.into()
}

/// Tells what each word of a command line is, as clap parses it.
struct WordReader<'a> {
    command: &'a Command,
    /// The option whose value is the next word.
    awaited: Option<&'a Arg>,
    positionals: usize,
    has_ended_flags: bool,
}

impl<'a> WordReader<'a> {
    fn read(&mut self, word: &str) -> WordRole<'a> {
        if let Some(arg) = self.awaited.take() {
            return WordRole::Value(arg);
        }
        if self.has_ended_flags || !word.starts_with('-') || word == "-" {
            self.positionals += 1;
            let mut args = self.command.get_positionals();
            let last = || self.command.get_positionals().last();
            return WordRole::Positional(args.nth(self.positionals - 1).or_else(last));
        }
        match word.strip_prefix("--") {
            Some("") => self.has_ended_flags = true,
            Some(name) => self.awaited = self.find(|arg| arg.get_long() == Some(name)),
            None => {
                let mut letters = word[1..].chars();
                let option = letters
                    .by_ref()
                    .find_map(|letter| self.find(|arg| arg.get_short() == Some(letter)));
                // A value may follow in the same word.
                self.awaited = option.filter(|_| letters.as_str().is_empty());
            }
        }
        WordRole::Flag
    }

    /// The option, if it takes a value.
    fn find(&self, is_named: impl Fn(&Arg) -> bool) -> Option<&'a Arg> {
        let mut arguments = self.command.get_arguments();
        arguments.find(|arg| is_named(arg) && arg.get_action().takes_values())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Subcommand as _;

    use super::super::words;
    use super::*;
    use crate::cli::CommandArgs;

    /// The words that a line is expanded to in a folder with a few files.
    fn expanded(folder: &Path, line: &str) -> Vec<String> {
        let commands = CommandArgs::augment_subcommands(Command::new("quiver"));
        let line = line.replace("HERE", folder.to_str().unwrap());
        let mut words = words::split(&line).unwrap();
        let name = words.remove(0).value;
        let command = commands.find_subcommand(&name).unwrap();
        let expanded = expand(command, words, Some(folder));
        let here = format!("{}/", folder.display());
        expanded.iter().map(|word| word.to_str().unwrap().replace(&here, "HERE/")).collect()
    }

    #[test]
    fn patterns_and_tildes_are_replaced_where_a_command_takes_local_files() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        fs::create_dir(here.join("sub")).unwrap();
        for name in ["a.txt", "b.txt", ".hidden.txt", "x*y", "xzy", "sub/c.txt", "-rf.txt"] {
            fs::write(here.join(name), "").unwrap();
        }
        for (line, expected) in [
            ("put HERE/?.txt --to n*", &["HERE/a.txt", "HERE/b.txt", "--to", "n*"][..]),
            ("put -r --to=x HERE/su*", &["-r", "--to=x", "HERE/sub"]),
            ("put ~/?.txt ~/sub", &["HERE/a.txt", "HERE/b.txt", "HERE/sub"]),
            ("put HERE/**/c.txt", &["HERE/sub/c.txt"]),
            // A literal name wins, and quotes make a pattern literal.
            ("put HERE/x*y", &["HERE/x*y"]),
            ("put 'HERE/?.txt' HERE/\"?\".txt", &["HERE/?.txt", "HERE/?.txt"]),
            ("put HERE/*.png HERE/[", &["HERE/*.png", "HERE/["]),
            ("put ~other/a '~/a'", &["~other/a", "~/a"]),
            ("put --as * -- HERE/a*", &["--as", "*", "--", "HERE/a.txt"]),
            // Paths of the server stay as they are.
            ("get *.txt -o ~/sub", &["*.txt", "-o", "HERE/sub"]),
            ("get -ro ~/sub ~/a", &["-ro", "HERE/sub", "~/a"]),
            ("send Ron* HERE/?.txt", &["Ron*", "HERE/a.txt", "HERE/b.txt"]),
            ("accept 1 ~/sub", &["1", "HERE/sub"]),
            ("rm *.txt ~", &["*.txt", "~"]),
        ] {
            assert_eq!(expanded(here, line), expected, "{line}");
        }
    }

    #[test]
    fn a_match_is_not_taken_for_a_flag() {
        assert_eq!(operand(PathBuf::from("-rf")), OsString::from("./-rf"));
        assert_eq!(operand(PathBuf::from("a")), OsString::from("a"));
    }
}
