//! Completion in fish, which quotes what it inserts.

use super::engine::{Answer, Value};
use super::line::{self, CommandLine, TypedWord};
use super::{ShellAdapter, TypedLine};

pub(super) const ADAPTER: ShellAdapter = ShellAdapter { parse, format };

/// Asks the program, whose first line says how the others are used. Nothing of the answer is evaluated.
pub(super) const SCRIPT: &str = r#"# Completion of quiver for fish 3.1 and later.
function __quiver_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l current (commandline --current-token --cut-at-cursor)
    set -l answer (_QUIVER_COMPLETE=fish command quiver -- $words "$current" 2>/dev/null)
    switch "$answer[1]"
        case files
            __fish_complete_path (string replace --regex -- '^--[a-z-]+=' '' "$current")
        case folders
            __fish_complete_directories (string replace --regex -- '^--[a-z-]+=' '' "$current") ''
        case words
            printf '%s\n' $answer[2..]
    end
end
complete --command quiver --no-files --keep-order --arguments '(__quiver_complete)'
"#;

/// The complete words without quotes, and the unfinished one as it was typed.
fn parse(arguments: &[String]) -> Option<TypedLine> {
    let (current, words) = arguments.split_last()?;
    // It is one word: only quotes and backslashes are left in it.
    let (token, _) = line::split(current, "");
    let current = token.current;
    let line = CommandLine { words: words.to_vec(), current };
    Some(TypedLine { line, typed: TypedWord::default() })
}

fn format(_: &TypedLine, answer: Answer) -> String {
    match answer {
        Answer::LocalFiles => "files\n".to_owned(),
        Answer::LocalFolders => "folders\n".to_owned(),
        Answer::Values(values) => {
            values.iter().fold("words\n".to_owned(), |text, value| text + &row(value) + "\n")
        }
    }
}

/// The name, and what it means after a tab.
fn row(value: &Value) -> String {
    match &value.help {
        Some(help) => format!("{}\t{help}", value.text),
        None => value.text.clone(),
    }
}
