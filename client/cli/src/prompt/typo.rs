//! Finds the command that a mistyped word means: one that is a single edit away.

use crate::command::{PARSED_COMMANDS, PROMPT_COMMANDS, SLASH_COMMANDS};

/// Shorter words are too often words of their own.
const MIN_LETTERS: usize = 4;

/// Returns the command that a word is one edit away from, if the line would be complete with it. The word is in lower
/// case, and no command itself.
pub(super) fn meant_command(
    word: &str,
    is_complete: impl Fn(&str) -> bool,
) -> Option<&'static str> {
    let parsed = PARSED_COMMANDS.into_iter().map(|(alias, _)| alias);
    let mut names = PROMPT_COMMANDS.into_iter().chain(parsed);
    names.find(|name| name.len() > 2 && is_near(word, name) && is_complete(name))
}

/// Returns the command that a word after a slash is one edit away from.
pub(super) fn meant_slash_command(word: &str) -> Option<&'static str> {
    let parsed = PARSED_COMMANDS.into_iter().map(|(alias, _)| alias);
    let mut names = PROMPT_COMMANDS.into_iter().chain(SLASH_COMMANDS).chain(parsed);
    names.find(|name| is_near(word, name))
}

/// Whether one letter is added, missing or different, or two neighbours are swapped.
fn is_near(word: &str, name: &str) -> bool {
    word.chars().count() >= MIN_LETTERS
        && word.chars().all(char::is_alphabetic)
        && strsim::osa_distance(word, name) == 1
}
