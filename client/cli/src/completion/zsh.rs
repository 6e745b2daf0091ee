//! Completion in zsh, which quotes what it inserts.

use super::engine::{Answer, Value};
use super::line::{CommandLine, TypedWord};
use super::{ShellAdapter, TypedLine};

pub(super) const ADAPTER: ShellAdapter = ShellAdapter { parse, format };

/// Asks the program, whose first line says how the others are used. Nothing of the answer is evaluated.
pub(super) const SCRIPT: &str = r#"#compdef quiver
# Completion of quiver for zsh. In a folder of fpath this file is called _quiver.
_quiver() {
    local -a answer words_before names folders
    local name
    words_before=("${(@Q)words[1,CURRENT-1]}")
    answer=("${(@f)$(_QUIVER_COMPLETE=zsh command quiver -- "${words_before[@]}" "${(Q)PREFIX}" 2>/dev/null)}")
    case $answer[1] in
        files)
            compset -P '--*='
            _files
            ;;
        folders)
            compset -P '--*='
            _files -/
            ;;
        words)
            for name in "${(@)answer[2,-1]}"; do
                if [[ ${name%%:*} == *[/=] ]]; then folders+=("$name"); else names+=("$name"); fi
            done
            (( $#folders )) && _describe -V 'quiver' folders -S ''
            (( $#names )) && _describe -V 'quiver' names
            ;;
    esac
}
if [[ $funcstack[1] == _quiver ]]; then
    _quiver "$@"
else
    compdef _quiver quiver
fi
"#;

/// The complete words, and the unfinished one, without quotes.
fn parse(arguments: &[String]) -> Option<TypedLine> {
    let (current, words) = arguments.split_last()?;
    let line = CommandLine { words: words.to_vec(), current: current.clone() };
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

/// The name, and what it means after a colon.
fn row(value: &Value) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
    match &value.help {
        Some(help) => format!("{}:{}", escaped(&value.text), help.replace('\\', "\\\\")),
        None => escaped(&value.text),
    }
}
