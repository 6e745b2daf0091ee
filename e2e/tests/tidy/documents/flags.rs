//! The rules for what users type and scripts read: flags, environment variables and exit codes of the documents are
//! those of the programs. Starts no program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::literals::{string, string_literals, tokens_of};
use super::{Document, markdown, section};
use crate::violation::Violation;

const DOCUMENTS: [&str; 7] = [
    "README.md",
    "SECURITY.md",
    "docs/client.md",
    "docs/json.md",
    "docs/limits.md",
    "docs/operations.md",
    "docs/threat-model.md",
];

const DEFINITIONS: [&str; 12] = [
    "client/cli/src/cli.rs",
    "client/cli/src/cli/change.rs",
    "client/cli/src/cli/list.rs",
    "client/cli/src/cli/documents.rs",
    "client/cli/src/cli/peers.rs",
    "client/cli/src/cli/transfers.rs",
    "client/cli/src/cli/trust.rs",
    "server/src/cli.rs",
    "server/src/cli/admin.rs",
    "server/src/documents.rs",
    "e2e/src/bin/bench/cli.rs",
    "e2e/src/bin/path_emulator.rs",
];

/// Flags of other programs, with those that clap adds and those of our scripts.
const OTHER_FLAGS: [(&str, &str); 13] = [
    ("--help", "clap"),
    ("--version", "clap"),
    ("--locked", "cargo"),
    ("--path", "cargo"),
    ("--inplace", "rsync"),
    ("--fsync", "rsync"),
    ("--lazy", "umount"),
    ("--now", "systemctl"),
    ("--strip-components", "tar"),
    ("--system", "useradd"),
    ("--home-dir", "useradd"),
    ("--shell", "useradd"),
    ("--install-peers", "scripts/bench"),
];

const EXIT_CODES: &str = "client/cli/src/failure/exit.rs";
const CLIENT: &str = "docs/client.md";

/// Each variant of `Exit`, with a word that the row of its code has.
const EXIT_WORDS: [(&str, &str); 15] = [
    ("Done", "done"),
    ("Other", "another"),
    ("Usage", "usage"),
    ("Connection", "connect"),
    ("Trust", "certificate"),
    ("SignIn", "sign-in"),
    ("Busy", "busy"),
    ("NotFound", "no such"),
    ("Disk", "disk"),
    ("Verification", "verification"),
    ("Partial", "several"),
    ("Declined", "declined"),
    ("Interrupted", "Ctrl-C"),
    ("BrokenPipe", "standard output"),
    ("Terminated", "SIGTERM"),
];

pub(crate) fn check_flags(repository: &Path, documents: &[Document]) -> Vec<Violation> {
    let mut defined: BTreeSet<_> = OTHER_FLAGS.iter().map(|(flag, _)| (*flag).to_owned()).collect();
    for file in DEFINITIONS {
        collect_flags(tokens_of(&repository.join(file)), &mut defined);
    }
    let mut violations = Vec::new();
    for document in documents.iter().filter(|document| DOCUMENTS.contains(&&*document.path)) {
        for flag in flags(&code(&document.text)) {
            if !defined.contains(&flag) {
                violations.push(Violation::new(
                    &document.path,
                    format!("no program has the flag {flag}"),
                    "write it as cli.rs defines it; a flag of another program is listed in OTHER_FLAGS",
                ));
            }
        }
    }
    violations
}

pub(crate) fn check_variables(repository: &Path, documents: &[Document]) -> Vec<Violation> {
    let literals = string_literals(repository, &["client", "server", "e2e"]);
    let mut violations = Vec::new();
    for document in documents {
        for name in words_with(&code(&document.text), "QUIVER_") {
            if !literals.contains(&name) {
                violations.push(Violation::new(
                    &document.path,
                    format!("no source reads the variable {name}"),
                    "write it as the source has it",
                ));
            }
        }
    }
    violations
}

/// Checks the table of exit codes in docs/client.md.
pub(crate) fn check_exit_codes(repository: &Path, documents: &[Document]) -> Vec<Violation> {
    let Some(document) = documents.iter().find(|document| document.path == CLIENT) else {
        return Vec::new();
    };
    let mut codes = variants(tokens_of(&repository.join(EXIT_CODES)));
    let mut violations = Vec::new();
    let mut report = |rule: String| {
        let remedy = format!("describe the codes of {EXIT_CODES}, and name new ones in EXIT_WORDS");
        violations.push(Violation::new(CLIENT, rule, remedy));
    };
    let rows = section(&document.text, "## Exit codes").map(markdown::table_rows);
    for (_, cells) in rows.unwrap_or_default() {
        let Some(variant) = codes.remove(&cells[0]) else {
            report(format!("no exit code is {}", cells[0]));
            continue;
        };
        let word = EXIT_WORDS.iter().find(|(name, _)| *name == variant).map(|(_, word)| *word);
        if !word.is_some_and(|word| cells[1].contains(word)) {
            report(format!("exit code {} is {variant}, not \"{}\"", cells[0], cells[1]));
        }
    }
    for (code, variant) in codes {
        report(format!("the exit code {code} ({variant}) is missing"));
    }
    violations
}

/// The code spans and fenced blocks of a text.
fn code(text: &str) -> String {
    let spans = markdown::code_spans(text).into_iter().map(|span| span.text);
    let blocks = std::iter::once(markdown::fenced(text));
    spans.chain(blocks).collect::<Vec<_>>().join("\n")
}

fn flags(code: &str) -> BTreeSet<String> {
    let is_separator = |char: char| !(char.is_ascii_alphanumeric() || char == '-' || char == '_');
    let words = code.split(is_separator);
    let is_flag = |word: &&str| {
        word.strip_prefix("--").is_some_and(|name| name.starts_with(char::is_alphabetic))
    };
    words.filter(is_flag).map(str::to_owned).collect()
}

/// The words that start with this.
fn words_with(code: &str, start: &str) -> BTreeSet<String> {
    let words = code.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
    words.filter(|word| word.starts_with(start)).map(str::to_owned).collect()
}

/// The long flags and their aliases that the fields of these tokens define.
fn collect_flags(tokens: TokenStream, flags: &mut BTreeSet<String>) {
    let mut is_long = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                if let Some(arguments) = arg_arguments(group.stream()) {
                    is_long |= collect_named(arguments, flags);
                }
            }
            TokenTree::Group(group) => collect_flags(group.stream(), flags),
            TokenTree::Ident(field) if is_long && field != "pub" => {
                flags.insert(format!("--{}", field.to_string().replace('_', "-")));
                is_long = false;
            }
            _ => {}
        }
    }
}

/// The arguments of `[arg(...)]`.
fn arg_arguments(attribute: TokenStream) -> Option<Vec<TokenTree>> {
    let mut tokens = attribute.into_iter();
    let is_arg = matches!(tokens.next(), Some(TokenTree::Ident(name)) if name == "arg");
    match tokens.next() {
        Some(TokenTree::Group(group)) if is_arg => Some(group.stream().into_iter().collect()),
        _ => None,
    }
}

/// Adds the names of `long = "..."` and `alias = "..."`. Whether there is a `long` without a name.
fn collect_named(arguments: Vec<TokenTree>, flags: &mut BTreeSet<String>) -> bool {
    let mut is_long = false;
    for (index, token) in arguments.iter().enumerate() {
        let TokenTree::Ident(word) = token else { continue };
        let is_start = index == 0
            || matches!(&arguments[index - 1], TokenTree::Punct(mark) if mark.as_char() == ',');
        let value = arguments.get(index + 2).and_then(|value| string(&value.to_string()));
        let is_named = arguments.get(index + 1).is_some_and(|next| next.to_string() == "=");
        match value.filter(|_| is_named) {
            Some(name) if word == "long" || word == "alias" => {
                flags.insert(format!("--{name}"));
            }
            _ => is_long |= is_start && word == "long",
        }
    }
    is_long
}

/// The variants of enums that have a number, by number.
fn variants(tokens: TokenStream) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            found.append(&mut variants(group.stream()));
        }
        if let [TokenTree::Ident(name), TokenTree::Punct(mark), TokenTree::Literal(number), ..] =
            &tokens[index..]
            && mark.as_char() == '='
            && number.to_string().parse::<u8>().is_ok()
        {
            found.insert(number.to_string(), name.to_string());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::read_all;
    use crate::sources::SourceTree;

    const CLI: &str = "struct Args { #[arg(long)] pub max_clients: u32,
        /// Text
        #[arg(long = \"as\", value_name = \"NAME\")] stored_as: u8, #[arg(short)] none: u8,
        #[arg(long, alias = \"patience\", conflicts_with = \"x\")] pub(crate) retry_timeout: u64 }
        fn f() { std::env::var(\"QUIVER_NAME\"); }";
    const EXIT: &str = "enum Exit { Done = 0, /// Busy.\n Busy = 6, Terminated = 143 }";
    const ROWS: &str =
        "| code | meaning |\n|---|---|\n| 0 | done |\n| 6 | server busy |\n| 143 | SIGTERM |\n";

    fn problems(page: &str, rule: fn(&Path, &[Document]) -> Vec<Violation>) -> Vec<String> {
        let sources = SourceTree::new(&[
            ("docs/client.md", page),
            ("client/cli/src/cli.rs", CLI),
            ("client/cli/src/failure/exit.rs", EXIT),
        ]);
        let violations = rule(sources.path(), &read_all(sources.path()));
        violations.into_iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn flags_that_a_program_has_are_allowed() {
        let page = "`--max-clients N` `[--as|--patience]` `cargo --locked` --none ---\n```\nx --retry-timeout=3\n```";
        assert_eq!(problems(page, check_flags), [""; 0]);
    }

    #[test]
    fn a_flag_that_no_program_has_is_reported() {
        for flag in ["--none", "--stored-as", "--max_clients", "--max-client", "--x"] {
            let expected = [format!("no program has the flag {flag}")];
            assert_eq!(problems(&format!("`quiver {flag}`"), check_flags), expected);
            assert_eq!(problems(&format!("```\nquiver {flag} x\n```"), check_flags), expected);
        }
    }

    #[test]
    fn a_variable_that_no_source_has_is_reported() {
        let expected = ["no source reads the variable QUIVER_NAMES"];
        assert_eq!(problems("`QUIVER_NAME` `QUIVER_NAMES=x`", check_variables), expected);
    }

    #[test]
    fn exit_codes_must_agree_with_the_program() {
        let page = |rows: String| format!("# X\n## Exit codes\n\n{rows}");
        assert_eq!(problems(&page(ROWS.to_owned()), check_exit_codes), [""; 0]);
        for (before, after, problem) in [
            ("| 6 | server busy |\n", "", "the exit code 6 (Busy) is missing"),
            ("server busy", "no such file", "exit code 6 is Busy, not \"no such file\""),
            ("| 0 | done |\n", "| 0 | done |\n| 9 | x |\n", "no exit code is 9"),
        ] {
            let found = problems(&page(ROWS.replace(before, after)), check_exit_codes);
            assert_eq!(found, [problem]);
        }
    }
}
