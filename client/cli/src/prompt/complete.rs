//! What Tab offers: commands, files of the server and of this side, names of clients. The server is
//! asked, briefly.

use std::sync::mpsc as sync;
use std::time::Duration;

use quiver_client::{Client, ClientError, ListItem};
use quiver_protocol::reply::EntryKind;
use quiver_protocol::text::display_safe;
use rustyline::completion::Pair;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::line::SAY;
use super::words::{self, LastWord};
use crate::command::AT_THE_PROMPT;

/// How long Tab may take.
const PATIENCE: Duration = Duration::from_millis(700);

/// More than this nobody reads.
const OFFERS: usize = 1000;

/// What the editor wants to know of the server, and where the answer goes.
#[derive(Debug)]
pub(super) struct CompletionQuery {
    about: CompletionSubject,
    answer: sync::Sender<Vec<Completion>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum CompletionSubject {
    /// The entries of this folder.
    Folder(String),
    /// Who is here.
    Clients,
    /// The entries of this folder, which is on this side; empty, or with a slash at its end.
    Here(String),
}

/// Something a word can become.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Completion {
    value: String,
    /// Nothing can follow in the same word.
    whole: bool,
}

/// The offers for a line that ends at the cursor, and where in it they go. Waits for the server.
pub(super) fn offers(line: &str, questions: &mpsc::Sender<CompletionQuery>) -> (usize, Vec<Pair>) {
    let word = words::last(line);
    let ask = |about| {
        let (answer, answers) = sync::channel();
        // Where the prompt is busy or gone there is no offer.
        let _ = questions.try_send(CompletionQuery { about, answer });
        answers.recv_timeout(PATIENCE + Duration::from_millis(100)).unwrap_or_default()
    };
    let offers = match about(&word) {
        Some(CompletionSubject::Here(folder)) => local_entries(&folder),
        Some(about) => ask(about),
        None => commands(),
    };
    (word.start, fitting(&word, offers))
}

/// Whom to ask for the word; `None` for a command's name.
fn about(word: &LastWord) -> Option<CompletionSubject> {
    let first = word.before.first()?;
    let command = first.to_lowercase();
    match command.strip_prefix('/').unwrap_or(&command) {
        "put" if word.before.last().is_none_or(|word| word != "--to") => {
            let length = word.value.rfind('/').map_or(0, |slash| slash + 1);
            Some(CompletionSubject::Here(word.value[..length].to_owned()))
        }
        "get" | "list" | "put" | "rm" | "mv" | "mkdir" => {
            let folder = word.value.rsplit_once('/').map_or("", |(folder, _)| folder);
            Some(CompletionSubject::Folder(folder.to_owned()))
        }
        _ => Some(CompletionSubject::Clients),
    }
}

fn commands() -> Vec<Completion> {
    let names = AT_THE_PROMPT.iter().map(|name| (*name).to_owned());
    let slashed = AT_THE_PROMPT.iter().map(|name| format!("/{name}"));
    let all = names.chain([SAY.to_owned()]).chain(slashed);
    all.map(|value| Completion { value, whole: true }).collect()
}

/// Files and folders of this side. A folder that cannot be read offers nothing.
fn local_entries(folder: &str) -> Vec<Completion> {
    let place = if folder.is_empty() { "." } else { folder };
    let Ok(entries) = std::fs::read_dir(place) else { return Vec::new() };
    let offer = |entry: std::fs::DirEntry| {
        let value = format!("{folder}{}", entry.file_name().to_str()?);
        // Links too are what they lead to.
        let is_folder = std::fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir());
        Some(match is_folder {
            true => Completion { value: value + "/", whole: false },
            false => Completion { value, whole: true },
        })
    };
    entries.filter_map(Result::ok).filter_map(offer).take(OFFERS).collect()
}

/// The offers that the word can become, written so that they are read as they are.
fn fitting(word: &LastWord, offers: Vec<Completion>) -> Vec<Pair> {
    let typed = word.value.to_lowercase();
    let mut fitting: Vec<Completion> = offers
        .into_iter()
        // A slash is offered to who typed one, and a hidden file to who typed its dot.
        .filter(|offer| !typed.is_empty() || !offer.value.starts_with(['/', '.']))
        .filter(|offer| offer.value.to_lowercase().starts_with(&typed))
        // What cannot be shown as it is would come back as something else.
        .filter(|offer| display_safe(&offer.value) == offer.value)
        .take(OFFERS)
        .collect();
    fitting.sort_by(|a, b| a.value.cmp(&b.value));
    let alone = fitting.len() == 1;
    let pair = |offer: Completion| {
        let mut replacement = words::quoted(&offer.value, word.quote);
        if offer.value.starts_with('-') && !word.before.iter().any(|word| word == "--") {
            // Else it would be read as a flag.
            replacement.insert_str(0, "-- ");
        }
        if alone && offer.whole {
            replacement.extend(word.quote);
            replacement.push(' ');
        }
        let display = match offer.value.trim_end_matches('/').rfind('/') {
            // The folder is on the line already.
            Some(slash) if slash > 0 => offer.value[slash + 1..].to_owned(),
            _ => offer.value,
        };
        Pair { display, replacement }
    };
    fitting.into_iter().map(pair).collect()
}

impl CompletionQuery {
    /// Asks the server, and answers the editor. A server that is slow or refuses offers nothing.
    pub(super) async fn answer(self, client: Client) {
        let offers = async {
            match &self.about {
                _ if !client.is_connected() => Ok(Vec::new()),
                CompletionSubject::Folder(folder) => entries(&client, folder).await,
                CompletionSubject::Clients => clients(&client).await,
                CompletionSubject::Here(_) => Ok(Vec::new()),
            }
        };
        let offers = timeout(PATIENCE, offers).await;
        // The editor may have given up.
        let _ = self.answer.send(offers.ok().and_then(Result::ok).unwrap_or_default());
    }
}

async fn entries(client: &Client, folder: &str) -> Result<Vec<Completion>, ClientError> {
    let mut entries = client.list(folder).await?;
    let mut offers = Vec::new();
    while offers.len() < OFFERS {
        let ListItem::Entry(entry) = entries.next().await? else { break };
        let value = entry.path.to_string();
        offers.push(match entry.kind {
            EntryKind::File => Completion { value, whole: true },
            EntryKind::Folder => Completion { value: value + "/", whole: false },
        });
    }
    Ok(offers)
}

async fn clients(client: &Client) -> Result<Vec<Completion>, ClientError> {
    let mut clients = client.status().await?;
    let mut offers = Vec::new();
    while offers.len() < OFFERS {
        let Some(client) = clients.next().await? else { break };
        let offer = Completion { value: client.name.to_string(), whole: true };
        if client.end.is_none() && !offers.contains(&offer) {
            offers.push(offer);
        }
    }
    Ok(offers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(value: &str) -> Completion {
        Completion { value: value.to_owned(), whole: !value.ends_with('/') }
    }

    fn replacements(line: &str, offers: &[&str]) -> Vec<String> {
        let offers = offers.iter().map(|value| offer(value)).collect();
        fitting(&words::last(line), offers).into_iter().map(|pair| pair.replacement).collect()
    }

    #[test]
    fn the_first_word_is_a_command_and_the_next_a_file() {
        assert_eq!(about(&words::last("ge")), None);
        assert_eq!(about(&words::last("get no")), Some(CompletionSubject::Folder(String::new())));
        assert_eq!(
            about(&words::last("/LIST a/b/c")),
            Some(CompletionSubject::Folder("a/b".to_owned()))
        );
        assert_eq!(about(&words::last("hello Ro")), Some(CompletionSubject::Clients));
        assert_eq!(about(&words::last("rm no")), Some(CompletionSubject::Folder(String::new())));
        assert_eq!(about(&words::last("put no")), Some(CompletionSubject::Here(String::new())));
        assert_eq!(
            about(&words::last("put a /tmp/b")),
            Some(CompletionSubject::Here("/tmp/".to_owned()))
        );
        assert_eq!(
            about(&words::last("put a --to n/o")),
            Some(CompletionSubject::Folder("n".to_owned()))
        );
    }

    #[test]
    fn one_offer_ends_its_word_and_several_do_not() {
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
    fn commands_are_offered_with_a_slash_to_who_typed_one() {
        let offered = |line| -> Vec<String> {
            fitting(&words::last(line), commands()).into_iter().map(|pair| pair.display).collect()
        };
        assert_eq!(offered("ST"), ["status"]);
        assert_eq!(offered("/s"), ["/say", "/status"]);
        let mut all = AT_THE_PROMPT;
        all.sort_unstable();
        assert_eq!(offered(""), all);
    }
}
