//! Tab completion: commands, files on the server and local files, names of clients. Asks the server with a
//! short timeout.

use std::path::{Path, PathBuf};
use std::sync::mpsc as sync;
use std::time::Duration;

use quiver_client::peer_store::OfferNumber;
use quiver_client::{Client, ClientError, ListItem};
use quiver_protocol::reply::EntryKind;
use quiver_protocol::text::display_safe;
use rustyline::completion::Pair;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::line::{EVERYONE, SAY, TO_CLIENT};
use super::words::{self, LastWord};
use crate::command::{PARSED_COMMANDS, PROMPT_COMMANDS, SLASH_COMMANDS, STEERING_COMMANDS};

/// Time limit for the server's response.
const TIMEOUT: Duration = Duration::from_millis(700);

/// The most completions offered for one word.
const MAX_COMPLETIONS: usize = 1000;

/// A request for completions from the server, and the channel for the response.
#[derive(Debug)]
pub(super) struct CompletionQuery {
    subject: CompletionSubject,
    response: sync::Sender<Vec<Completion>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum CompletionSubject {
    /// The entries of this folder on the server, as typed; empty, or ending with a slash.
    ServerFolder(String),
    /// The connected clients.
    Clients,
    /// The connected clients, as recipients of a message: `@Ron`, `@all`.
    Recipients,
    /// The numbers of open offers to this person.
    OpenOffers,
    /// Nothing.
    Nothing,
    /// The entries of this local folder; empty, or ending with a slash.
    LocalFolder(String),
}

/// A value that a word can be completed to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Completion {
    value: String,
    /// Whether the word is then complete; false for folders, in which it may continue.
    ends_word: bool,
}

/// Returns the completions of a line up to the cursor, and the byte position in it that they replace. Blocks while
/// the server is asked.
pub(super) fn complete(line: &str, queries: &mpsc::Sender<CompletionQuery>) -> (usize, Vec<Pair>) {
    let word = words::last_word(line);
    let ask = |subject| {
        let (response, responses) = sync::channel();
        // While the prompt is busy or has ended, there are no completions.
        let _ = queries.try_send(CompletionQuery { subject, response });
        responses.recv_timeout(TIMEOUT + Duration::from_millis(100)).unwrap_or_default()
    };
    let completions = match subject(&word) {
        Some(CompletionSubject::LocalFolder(folder)) => {
            let home = std::env::home_dir().filter(|_| word.has_tilde);
            local_entries(&folder, home.as_deref())
        }
        Some(CompletionSubject::Nothing) => Vec::new(),
        Some(subject) => ask(subject),
        None => commands(),
    };
    (word.start, matching(&word, completions))
}

/// What a word names; `None` for a command.
fn subject(word: &LastWord) -> Option<CompletionSubject> {
    let Some(first) = word.before.first() else {
        return word.value.starts_with(TO_CLIENT).then_some(CompletionSubject::Recipients);
    };
    let command = first.to_lowercase();
    if let Some(name) = command.strip_prefix('/').filter(|name| SLASH_COMMANDS.contains(name)) {
        return Some(slash_subject(name, word));
    }
    let name = command.strip_prefix('/').unwrap_or(&command);
    let is_folder_flag = |word: &String| matches!(word.as_str(), "-o" | "--output");
    match PARSED_COMMANDS.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name) {
        name if STEERING_COMMANDS.contains(&name) => Some(CompletionSubject::Nothing),
        "put" if word.before.last().is_none_or(|word| word != "--to") => Some(local_folder(word)),
        "get" if word.before.last().is_some_and(is_folder_flag) => Some(local_folder(word)),
        "get" | "list" | "put" | "rm" | "mv" | "mkdir" => {
            let length = word.value.rfind('/').map_or(0, |slash| slash + 1);
            Some(CompletionSubject::ServerFolder(word.value[..length].to_owned()))
        }
        _ => Some(CompletionSubject::Clients),
    }
}

fn local_folder(word: &LastWord) -> CompletionSubject {
    let length = word.value.rfind('/').map_or(0, |slash| slash + 1);
    CompletionSubject::LocalFolder(word.value[..length].to_owned())
}

/// What a word of a command between clients names.
fn slash_subject(command: &str, word: &LastWord) -> CompletionSubject {
    match (command, word.before.len()) {
        ("tell" | "send" | "path" | "verify", 1) => CompletionSubject::Clients,
        ("accept" | "decline", 1) => CompletionSubject::OpenOffers,
        ("contacts", 2) => CompletionSubject::Clients,
        ("send" | "accept", _) => local_folder(word),
        ("tell", _) => CompletionSubject::Clients,
        _ => CompletionSubject::Nothing,
    }
}

fn commands() -> Vec<Completion> {
    // The words of a shell are for habits, not to be learned.
    let is_offered = |(alias, name): &(&str, &str)| alias == name || *alias == "quit";
    let parsed = || PARSED_COMMANDS.into_iter().filter(is_offered).map(|(alias, _)| alias);
    let plain = || PROMPT_COMMANDS.into_iter().chain(parsed());
    let names = plain().map(str::to_owned);
    let slashed = plain().chain(SLASH_COMMANDS).map(|name| format!("/{name}"));
    let all = names.chain([SAY.to_owned()]).chain(slashed);
    all.map(|value| Completion { value, ends_word: true }).collect()
}

/// Local files and folders; none if the folder cannot be read. A `~` at the beginning is the home folder, if there is one.
fn local_entries(folder: &str, home: Option<&Path>) -> Vec<Completion> {
    let path = match (folder, home.zip(folder.strip_prefix("~/"))) {
        ("", _) => PathBuf::from("."),
        (_, Some((home, below))) => home.join(below),
        (folder, None) => PathBuf::from(folder),
    };
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let completion = |entry: std::fs::DirEntry| {
        let value = format!("{folder}{}", entry.file_name().to_str()?);
        // Follows links.
        let is_folder = std::fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir());
        Some(match is_folder {
            true => Completion { value: value + "/", ends_word: false },
            false => Completion { value, ends_word: true },
        })
    };
    entries.filter_map(Result::ok).filter_map(completion).take(MAX_COMPLETIONS).collect()
}

/// The completions that begin with the word, quoted for the line.
fn matching(word: &LastWord, completions: Vec<Completion>) -> Vec<Pair> {
    let typed = word.value.to_lowercase();
    let mut matching: Vec<Completion> = completions
        .into_iter()
        // Commands with a slash and hidden files are offered only once the slash or dot is typed.
        .filter(|completion| !typed.is_empty() || !completion.value.starts_with(['/', '.']))
        .filter(|completion| completion.value.to_lowercase().starts_with(&typed))
        // The line cannot hold a name that is displayed in escaped form.
        .filter(|completion| display_safe(&completion.value) == completion.value)
        .take(MAX_COMPLETIONS)
        .collect();
    matching.sort_by(|a, b| a.value.cmp(&b.value));
    let is_only = matching.len() == 1;
    let pair = |completion: Completion| {
        let (tilde, value) = match completion.value.strip_prefix('~') {
            Some(value) if word.has_tilde => ("~", value),
            _ => ("", completion.value.as_str()),
        };
        let mut replacement = tilde.to_owned() + &words::quote(value, word.quote);
        if completion.value.starts_with('-') && !word.before.iter().any(|word| word == "--") {
            // Otherwise the command would parse it as a flag.
            replacement.insert_str(0, "-- ");
        }
        if is_only && completion.ends_word {
            replacement.extend(word.quote);
            replacement.push(' ');
        }
        let display = match completion.value.trim_end_matches('/').rfind('/') {
            // The line already shows the folder.
            Some(slash) if slash > 0 => completion.value[slash + 1..].to_owned(),
            _ => completion.value,
        };
        Pair { display, replacement }
    };
    matching.into_iter().map(pair).collect()
}

impl CompletionQuery {
    /// Asks the server and responds to the editor; with no completions if the server fails or takes too long.
    pub(super) async fn respond(self, client: Client) {
        let completions = async {
            match &self.subject {
                CompletionSubject::OpenOffers => open_offers(&client).await,
                _ if !client.is_connected() => Ok(Vec::new()),
                CompletionSubject::ServerFolder(folder) => server_entries(&client, folder).await,
                CompletionSubject::Clients => clients(&client).await,
                CompletionSubject::Recipients => recipients(&client).await,
                CompletionSubject::LocalFolder(_) | CompletionSubject::Nothing => Ok(Vec::new()),
            }
        };
        let completions = timeout(TIMEOUT, completions).await;
        // Fails if the editor has given up.
        let _ = self.response.send(completions.ok().and_then(Result::ok).unwrap_or_default());
    }
}

async fn server_entries(client: &Client, folder: &str) -> Result<Vec<Completion>, ClientError> {
    let mut entries = client.list(folder).await?;
    let mut completions = Vec::new();
    while completions.len() < MAX_COMPLETIONS {
        let ListItem::Entry(entry) = entries.next().await? else { break };
        // As typed, which may be `./notes/`.
        let value = format!("{folder}{}", entry.path.file_name());
        completions.push(match entry.kind {
            EntryKind::File => Completion { value, ends_word: true },
            EntryKind::Folder => Completion { value: value + "/", ends_word: false },
        });
    }
    Ok(completions)
}

async fn recipients(client: &Client) -> Result<Vec<Completion>, ClientError> {
    let own = client.welcome()?.name.to_string();
    let mut completions = clients(client).await?;
    completions.retain(|completion| completion.value != own);
    completions.push(Completion { value: EVERYONE.to_owned(), ends_word: true });
    for completion in &mut completions {
        completion.value.insert(0, TO_CLIENT);
    }
    Ok(completions)
}

async fn open_offers(client: &Client) -> Result<Vec<Completion>, ClientError> {
    let (incoming, _) = client.offers().await?;
    let open = incoming.into_iter().filter(|offer| !offer.state.is_settled());
    let completion =
        |number: OfferNumber| Completion { value: number.to_string(), ends_word: true };
    Ok(open.map(|offer| completion(offer.number)).collect())
}

async fn clients(client: &Client) -> Result<Vec<Completion>, ClientError> {
    let mut clients = client.status().await?;
    let mut completions = Vec::new();
    while completions.len() < MAX_COMPLETIONS {
        let Some(client) = clients.next().await? else { break };
        let completion = Completion { value: client.name.to_string(), ends_word: true };
        if client.end.is_none() && !completions.contains(&completion) {
            completions.push(completion);
        }
    }
    Ok(completions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(value: &str) -> Completion {
        Completion { value: value.to_owned(), ends_word: !value.ends_with('/') }
    }

    fn replacements(line: &str, values: &[&str]) -> Vec<String> {
        let completions = values.iter().map(|value| completion(value)).collect();
        let pairs = matching(&words::last_word(line), completions);
        pairs.into_iter().map(|pair| pair.replacement).collect()
    }

    #[test]
    fn tab_completes_commands_files_and_clients() {
        assert_eq!(subject(&words::last_word("ge")), None);
        assert_eq!(
            subject(&words::last_word("get no")),
            Some(CompletionSubject::ServerFolder(String::new()))
        );
        assert_eq!(
            subject(&words::last_word("/LIST a/b/c")),
            Some(CompletionSubject::ServerFolder("a/b/".to_owned()))
        );
        assert_eq!(subject(&words::last_word("hello Ro")), Some(CompletionSubject::Clients));
        assert_eq!(
            subject(&words::last_word("rm no")),
            Some(CompletionSubject::ServerFolder(String::new()))
        );
        assert_eq!(
            subject(&words::last_word("put no")),
            Some(CompletionSubject::LocalFolder(String::new()))
        );
        assert_eq!(
            subject(&words::last_word("put a /tmp/b")),
            Some(CompletionSubject::LocalFolder("/tmp/".to_owned()))
        );
        assert_eq!(
            subject(&words::last_word("get a -o sub/x")),
            Some(CompletionSubject::LocalFolder("sub/".to_owned()))
        );
        assert_eq!(
            subject(&words::last_word("ls ./n")),
            Some(CompletionSubject::ServerFolder("./".to_owned()))
        );
        assert_eq!(
            subject(&words::last_word("put a --to n/o")),
            Some(CompletionSubject::ServerFolder("n/".to_owned()))
        );
    }

    #[test]
    fn tab_completes_clients_offers_and_local_files_for_commands_between_clients() {
        let subject_of = |line| subject(&words::last_word(line)).unwrap();
        assert_eq!(subject_of("@R"), CompletionSubject::Recipients);
        assert_eq!(subject_of("/send R"), CompletionSubject::Clients);
        assert_eq!(
            subject_of("/send Ron photos/a"),
            CompletionSubject::LocalFolder("photos/".to_owned())
        );
        assert_eq!(subject_of("/verify "), CompletionSubject::Clients);
        assert_eq!(subject_of("/accept "), CompletionSubject::OpenOffers);
        assert_eq!(subject_of("/accept 1 "), CompletionSubject::LocalFolder(String::new()));
        assert_eq!(subject_of("/contacts forget R"), CompletionSubject::Clients);
        assert_eq!(replacements("@R", &["@Ron", "@all"]), ["@Ron "]);
    }

    #[test]
    fn only_a_single_completion_ends_the_word() {
        assert_eq!(replacements("get se", &["secret.txt", "text.txt"]), ["secret.txt "]);
        assert_eq!(replacements("get ", &["b", "a"]), ["a", "b"]);
        assert_eq!(replacements("get n", &["notes/"]), ["notes/"]);
        assert_eq!(replacements("get w", &["with space"]), ["with\\ space "]);
        assert_eq!(replacements("get \"w", &["with space"]), ["\"with space\" "]);
        assert_eq!(replacements("get -", &["-rf"]), ["-- -rf "]);
        assert_eq!(replacements("get -- -", &["-rf"]), ["-rf "]);
        assert_eq!(replacements("get x", &["x\u{202e}y"]), Vec::<String>::new());
    }

    #[test]
    fn a_tilde_stays_a_tilde() {
        assert_eq!(replacements("put ~/n", &["~/n*"]), ["~/n\\* "]);
        assert_eq!(replacements("put \\~", &["~n"]), ["\\~n "]);
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("sub")).unwrap();
        std::fs::write(home.path().join("sub/a"), "").unwrap();
        assert_eq!(local_entries("~/sub/", Some(home.path())), [completion("~/sub/a")]);
    }

    #[test]
    fn commands_are_offered_with_a_slash_only_after_a_slash() {
        let offered = |line| -> Vec<String> {
            matching(&words::last_word(line), commands())
                .into_iter()
                .map(|pair| pair.display)
                .collect()
        };
        assert_eq!(offered("ST"), ["status"]);
        assert_eq!(offered("/s"), ["/say", "/send", "/status"]);
        assert_eq!(offered("ac"), Vec::<String>::new());
        let mut all = [&PROMPT_COMMANDS[..], &STEERING_COMMANDS].concat();
        all.extend(["help", "message", "quit"]);
        all.sort_unstable();
        assert_eq!(offered(""), all);
    }
}
