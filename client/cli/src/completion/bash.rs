//! Completion in bash. Several names are given as they are, and bash quotes what they have in common; a single one is quoted
//! here, because bash would take a file of the server for a local folder of the same name.

use super::engine::{Answer, Value};
use super::line::{self, TypedWord};
use super::{ShellAdapter, TypedLine};

pub(super) const ADAPTER: ShellAdapter = ShellAdapter { parse, format };

/// Asks the program, whose first line says how the others are used. Nothing of the answer is evaluated.
pub(super) const SCRIPT: &str = r#"# Completion of quiver for bash 4.4 and later.
_quiver() {
    local -a answer=()
    mapfile -t answer < <(_QUIVER_COMPLETE=bash command quiver -- "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    COMPREPLY=("${answer[@]:1}")
    case ${answer[0]-} in
        word) compopt -o nospace ;;
        words) compopt -o nospace -o filenames ;;
        files) compopt -o default ;;
        folders) compopt -o dirnames ;;
    esac
}
complete -o nosort -F _quiver quiver
"#;

/// The characters that bash takes for the end of a word, and the line up to the cursor.
fn parse(arguments: &[String]) -> Option<TypedLine> {
    let [breaks, text] = arguments else { return None };
    let (line, typed) = line::split(text, breaks);
    Some(TypedLine { line, typed })
}

fn format(typed: &TypedLine, answer: Answer) -> String {
    let values = match answer {
        Answer::LocalFiles => return "files\n".to_owned(),
        Answer::LocalFolders => return "folders\n".to_owned(),
        Answer::Values(values) => values,
    };
    // What bash keeps of the word is not given again.
    let rest = |value: &Value| value.text.strip_prefix(&*typed.typed.kept).map(str::to_owned);
    let rests: Vec<(String, bool)> =
        values.iter().filter_map(|value| Some((rest(value)?, value.ends_word()))).collect();
    match &*rests {
        [] => String::new(),
        [(only, ends_word)] => format!("word\n{}\n", quoted(only, &typed.typed, *ends_word)),
        several => several.iter().fold("words\n".to_owned(), |text, (name, _)| text + name + "\n"),
    }
}

/// The rest of a word, quoted so that bash reads it back. Bash closes an open quote itself.
fn quoted(text: &str, typed: &TypedWord, ends_word: bool) -> String {
    let mut quoted = String::new();
    for character in text.chars() {
        match (typed.quote, character) {
            (Some('\''), '\'') => quoted.push_str(r"'\''"),
            (Some('\''), _) => quoted.push(character),
            // In double quotes, a backslash does not keep bash from looking for an earlier command.
            (Some(_), '!') => quoted.push_str("\"'!'\""),
            (Some(_), '"' | '\\' | '$' | '`') => quoted.extend(['\\', character]),
            (Some(_), _) => quoted.push(character),
            (None, _) if is_plain(character) => quoted.push(character),
            (None, _) => quoted.extend(['\\', character]),
        }
    }
    if ends_word && typed.quote.is_none() {
        quoted.push(' ');
    }
    quoted
}

/// Whether bash gives the character no meaning, anywhere in a word.
fn is_plain(character: char) -> bool {
    let is_punctuation =
        matches!(character, '/' | '.' | '-' | '_' | ',' | '+' | '@' | '%' | ':' | '=');
    character.is_alphanumeric() || is_punctuation || !character.is_ascii()
}
