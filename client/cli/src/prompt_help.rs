//! The text of `help` at the prompt, wrapped at a width, and as a part of the manual. Reads it from `PROMPT_HELP`.

use crate::command::PROMPT_HELP;
use crate::output::fill;

/// Below this many columns, a command and its explanation stand on lines of their own.
const MIN_TWO_COLUMNS: usize = 80;

/// Text is not set wider than this: longer lines are hard to read.
const MAX_WIDTH: usize = 100;

/// How far an explanation below its command is indented.
const INDENT: &str = "    ";

/// A command of the prompt, with its explanation, each line of which begins anew.
struct Entry {
    command: &'static str,
    lines: Vec<&'static str>,
}

/// The help, wrapped at the width of a terminal; `None` is no terminal, and wraps nothing.
#[must_use]
pub(crate) fn wrapped(width: Option<usize>) -> String {
    let Some(width) = width else { return PROMPT_HELP.to_owned() };
    let width = width.min(MAX_WIDTH);
    let (entries, rest) = parse();
    let column = entries.iter().map(|entry| entry.command.len()).max().unwrap_or_default() + 2;
    let mut lines = Vec::new();
    for Entry { command, lines: explanation } in entries {
        let (first, next) = if width < MIN_TWO_COLUMNS {
            lines.push(command.to_owned());
            (INDENT.to_owned(), INDENT.to_owned())
        } else {
            (format!("{command:column$}"), " ".repeat(column))
        };
        for (index, line) in explanation.into_iter().enumerate() {
            let first = if index == 0 { &first } else { &next };
            lines.extend(fill(line, width, first, &next));
        }
    }
    lines.extend(fill(&rest, width, "", ""));
    lines.join("\n")
}

/// The commands, each with its explanation.
#[must_use]
pub(crate) fn terms() -> Vec<(String, String)> {
    let (entries, _) = parse();
    entries.into_iter().map(|entry| (entry.command.to_owned(), entry.lines.join("; "))).collect()
}

/// What follows the commands.
#[must_use]
pub(crate) fn last_paragraph() -> String {
    parse().1
}

/// The commands of the text, and the paragraph after them.
fn parse() -> (Vec<Entry>, String) {
    let mut entries: Vec<Entry> = Vec::new();
    let mut rest = Vec::new();
    for line in PROMPT_HELP.lines() {
        match (line.split_once("  "), entries.last_mut()) {
            (Some(("", more)), Some(entry)) => entry.lines.push(more.trim()),
            (Some((command, explanation)), _) => {
                entries.push(Entry { command, lines: vec![explanation.trim()] });
            }
            (None, _) => rest.push(line),
        }
    }
    (entries, rest.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_fits_the_terminal_and_keeps_its_words() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for width in [40, 80, 120] {
            let help = wrapped(Some(width));
            for line in help.lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
            assert_eq!(words(&help), words(PROMPT_HELP), "{width}");
        }
        assert_eq!(wrapped(None), PROMPT_HELP);
    }

    #[test]
    fn explanations_stand_in_one_column_or_below_their_commands() {
        let wide = wrapped(Some(120));
        let column = wide.lines().next().unwrap().find("list connected").unwrap();
        let status = wide.lines().nth(1).unwrap();
        assert_eq!(status.find("list files"), Some(column), "{wide}");
        assert!(wrapped(Some(40)).contains("\nexit, quit, bye\n    leave; so does Ctrl-D\n"));
    }

    #[test]
    fn the_manual_has_each_command_with_all_of_its_explanation() {
        let terms = terms();
        let put = terms.iter().find(|(command, _)| command.starts_with("put FILE")).unwrap();
        assert!(
            put.1.contains("store files") && put.1.contains("; -r: include folders"),
            "{put:?}"
        );
        assert!(last_paragraph().starts_with("Any other line is a message"));
        assert!(last_paragraph().contains("get \"with space.txt\""));
    }
}
