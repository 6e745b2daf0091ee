//! Names of types, variants, functions and modules: none of the words that say nothing, no type name twice in a crate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::files::rust_files;
use crate::violation::Violation;

/// Types and variants must not have these names: each has a standard term of the field.
const VAGUE_TYPES: [(&str, &str); 59] = [
    ("Above", "what is printed above, such as `PrintAbove`"),
    ("Asked", "`OpenQuestion`"),
    ("Away", "`Upload`"),
    ("Begun", "`Started...`"),
    ("Brake", "`Bottleneck`"),
    ("Came", "`Received...`"),
    ("Claim", "`QuotaReservation`"),
    ("Company", "`ActiveTransfers`"),
    ("Course", "`Executor`"),
    ("Crew", "`DiskPool`"),
    ("Desk", "`WriteQueue`"),
    ("Ending", "`ShuttingDown`"),
    ("Face", "`UiMode`"),
    ("Fetch", "`DownloadContext`"),
    ("Full", "`BlockReady`"),
    ("Given", "what was given"),
    ("Hand", "`Worker`"),
    ("Handed", "`SendState`"),
    ("Heard", "`Received...`"),
    ("Held", "the resources that are held"),
    ("Here", "`Local`"),
    ("Hold", "`RetryDeadline`"),
    ("Holder", "`LockOwner`"),
    ("Holds", "`UploadLocks`"),
    ("Homeward", "`Download`"),
    ("Hop", "a batch"),
    ("Hungry", "`NeedInput`"),
    ("Janitor", "a cleanup"),
    ("Kept", "`KeptUploads` or what is kept"),
    ("Ledger", "`QuotaDb` or `SendProgress`"),
    ("LimitedBy", "`Bottleneck`"),
    ("Line", "`SessionHandle` or `ParsedLine`"),
    ("Link", "`ReconnectingSession`"),
    ("Manner", "`TransferOptions`"),
    ("May", "`Permission`"),
    ("Nobody", "who is missing"),
    ("Odd", "`Skipped`"),
    ("OnItsWay", "`ActiveDownload`"),
    ("Order", "`DownloadRequest`"),
    ("Origin", "`ServerRef` or `ContentSource`"),
    ("Part", "`PartialFile`"),
    ("Patience", "a timeout"),
    ("Place", "`Ticket` or a target"),
    ("Promise", "`SpaceReservation`"),
    ("Pulse", "liveness"),
    ("Said", "what was said"),
    ("Scribe", "`WriterThread`"),
    ("Sight", "`QueueState`"),
    ("Silent", "`TimedOut`"),
    ("Strange", "`InvalidEntry`"),
    ("Tail", "`End`"),
    ("Talk", "control traffic"),
    ("There", "`Remote`"),
    ("Times", "`TransferTimings`"),
    ("Trunk", "`SourceRoot`"),
    ("Visit", "`DiskAccess`"),
    ("Voice", "`Reporter`"),
    ("Watch", "`ThreadLoad`"),
    ("Will", "`ConflictPolicy`"),
];

/// Fine as names of variants: words of the wire, or states of what the enum names.
const FINE_AS_VARIANTS: [&str; 3] = ["Full", "Kept", "Line"];

/// Neither functions nor modules have these names.
const VAGUE_FUNCTIONS: [(&str, &str); 22] = [
    ("arrive", "`download`"),
    ("brake", "`bottleneck`"),
    ("carry", "`transfer`"),
    ("claim", "`reserve`"),
    ("course", "`executor`"),
    ("crew", "`disk_pool`"),
    ("desk", "`write_queue`"),
    ("homeward", "`download`"),
    ("hop", "`batching`"),
    ("janitor", "`cleanup`"),
    ("ledger", "`quota_db` or `send_progress`"),
    ("misfit", "what does not fit"),
    ("nobody", "who is missing"),
    ("patience", "`timeout`"),
    ("precedence", "`priority`"),
    ("pulse", "`liveness`"),
    ("reach", "`path_mtu`"),
    ("right", "`authorization`"),
    ("spoils", "what becomes invalid"),
    ("take_over", "`reclaim`"),
    ("talk", "control traffic"),
    ("waiting_room", "`handshake_queue`"),
];

/// Types that share a name with another one of their crate, and why.
const ALLOWED_TWICE: [(&str, &str); 0] = [];

/// What one file defines.
#[derive(Debug, Default)]
struct Definitions {
    types: Vec<String>,
    variants: Vec<String>,
    functions: Vec<String>,
    modules: Vec<String>,
}

pub(crate) fn check_words(repository: &Path) -> Vec<Violation> {
    let mut violations = Vec::new();
    for path in rust_files(repository) {
        let below = path.strip_prefix(repository).unwrap();
        let mut defined = read(&path);
        defined.modules.extend(
            below.with_extension("").iter().filter_map(|part| part.to_str().map(ToOwned::to_owned)),
        );
        let variants =
            defined.variants.iter().filter(|name| !FINE_AS_VARIANTS.contains(&name.as_str()));
        let types = defined.types.iter().chain(variants);
        let found = types.filter_map(|name| find(&VAGUE_TYPES, name));
        let functions = defined.functions.iter().chain(&defined.modules);
        let found = found.chain(functions.filter_map(|name| find(&VAGUE_FUNCTIONS, name)));
        for (name, better) in found {
            violations.push(Violation::new(
                below.display(),
                format!("`{name}` does not say what it names"),
                format!("use the standard term: {better}"),
            ));
        }
    }
    violations
}

/// `crates` are folders of packages.
pub(crate) fn check_types_are_unique(repository: &Path, crates: &[&PathBuf]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for folder in crates {
        let mut defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for path in rust_files(&repository.join(folder)) {
            let below = path.strip_prefix(repository).unwrap().display().to_string();
            for name in read(&path).types {
                defined.entry(name).or_default().push(below.clone());
            }
        }
        for (name, files) in defined {
            if files.len() > 1 && find(&ALLOWED_TWICE, &name).is_none() {
                violations.push(Violation::new(
                    files.join(", "),
                    format!("`{name}` names {} types of one crate", files.len()),
                    "say of each what it is",
                ));
            }
        }
    }
    violations
}

fn find<'a>(words: &[(&'a str, &'a str)], name: &str) -> Option<(&'a str, &'a str)> {
    words.iter().find(|(word, _)| *word == name).copied()
}

fn read(path: &Path) -> Definitions {
    let mut defined = Definitions::default();
    if let Ok(tokens) = fs::read_to_string(path).unwrap().parse() {
        collect(tokens, Inside::Module, &mut defined);
    }
    defined
}

/// What the tokens are the content of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Module,
    /// An `impl` or a trait: its `type`s are not items of their own.
    Associated,
    Variants,
}

fn collect(tokens: TokenStream, inside: Inside, defined: &mut Definitions) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    // What the next braces are the body of.
    let mut body = None;
    let mut after_separator = true;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(word) => {
                let name = match tokens.get(at + 1) {
                    Some(TokenTree::Ident(name)) => Some(name.to_string()),
                    _ => None,
                };
                if inside == Inside::Variants {
                    if after_separator {
                        defined.variants.push(word.to_string());
                    }
                } else {
                    match (word.to_string().as_str(), name) {
                        ("struct" | "union", Some(name)) => defined.types.push(name),
                        ("type", Some(name)) if inside == Inside::Module => {
                            defined.types.push(name);
                        }
                        ("enum", Some(name)) => {
                            defined.types.push(name);
                            body = Some(Inside::Variants);
                        }
                        ("trait", Some(name)) => {
                            defined.types.push(name);
                            body = Some(Inside::Associated);
                        }
                        ("impl", _) if body.is_none() => body = Some(Inside::Associated),
                        ("fn", Some(name)) => {
                            defined.functions.push(name);
                            body = Some(Inside::Module);
                        }
                        ("mod", Some(name)) => {
                            defined.modules.push(name);
                            body = Some(Inside::Module);
                        }
                        _ => {}
                    }
                }
                after_separator = false;
            }
            TokenTree::Group(group) => match (group.delimiter(), inside) {
                // An attribute of a variant, or its fields.
                (Delimiter::Bracket, Inside::Variants) | (_, Inside::Variants) => {}
                (Delimiter::Brace, _) => {
                    collect(group.stream(), body.take().unwrap_or(inside), defined);
                }
                _ => {}
            },
            TokenTree::Punct(mark) => match mark.as_char() {
                ',' => after_separator = true,
                ';' => body = None,
                _ => {}
            },
            TokenTree::Literal(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::SourceTree;

    #[test]
    fn a_word_that_names_nothing_is_reported_as_type_variant_function_and_module() {
        let sources = SourceTree::new(&[
            ("server/src/holds.rs", "pub struct Holds;"),
            ("server/src/variant.rs", "enum E { #[doc = \"x\"] Kept(u8), Hungry { a: B }, C }"),
            ("server/src/function.rs", "impl A { fn take_over(self) { } }"),
            ("server/src/janitor.rs", ""),
            ("server/src/inner.rs", "mod waiting_room { }"),
            ("server/src/right_names.rs", "struct Holdsx; fn hops() { let hop = Kept; }"),
        ]);
        let violations = check_words(sources.path());
        let mut places: Vec<_> = violations.iter().map(|violation| &violation.location).collect();
        places.sort();
        let expected = [
            "server/src/function.rs",
            "server/src/holds.rs",
            "server/src/inner.rs",
            "server/src/janitor.rs",
            "server/src/variant.rs",
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn a_type_name_that_a_crate_uses_twice_is_reported() {
        let sources = SourceTree::new(&[
            (
                "server/src/a.rs",
                "struct Twice; struct Once; impl Iterator for Once { type Item = u8; }",
            ),
            ("server/src/b.rs", "fn f() { enum Twice { } } trait Read { type Item; }"),
            ("client/src/a.rs", "struct Once; type Item = u8; impl X for Once { type Item = u8; }"),
        ]);
        let crates = [PathBuf::from("server"), PathBuf::from("client")];
        let violations = check_types_are_unique(sources.path(), &crates.iter().collect::<Vec<_>>());
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert_eq!(violations[0].location, "server/src/a.rs, server/src/b.rs");
        assert!(violations[0].rule.contains("`Twice`"), "{}", violations[0]);
    }
}
