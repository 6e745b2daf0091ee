//! The journal on a real disk: writing, finding and removing entries, and rejecting invalid ones.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use chrono::Utc;
use quiver_protocol::{ClientName, FilePath, Fingerprint, FolderPath, Timestamp};

use quiver_transfer::StoredBytes;

use super::*;
use crate::tree::Decision;

fn new_journal() -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("quiver/transfers"));
    (folder, journal)
}

fn entry_of(subject: TransferSubject) -> JournalEntry {
    let server = ServerRef {
        address: "example.org:1".parse().unwrap(),
        fingerprint: Fingerprint([7; 32]),
        certificate: Some(PathBuf::from("/certs/server.pem")),
        name: ClientName::parse("Ron").unwrap(),
    };
    JournalEntry { direction: Direction::Get, server, started: Timestamp(Utc::now()), subject }
}

fn file(local: &str) -> SingleFile {
    let path = FilePath::parse("notes/a b").unwrap();
    SingleFile { path, local: PathBuf::from(local), size: 3, overwrite: true }
}

fn file_entry(local: &str) -> JournalEntry {
    entry_of(TransferSubject::File(file(local)))
}

fn tree(named: &[&str]) -> TreeSelection {
    TreeSelection {
        named: named.iter().map(|name| (*name).to_owned()).collect(),
        folder: PathBuf::from("/a"),
        to: FolderPath::parse("there").unwrap(),
        stored_as: None,
        recursive: true,
        on_conflict: Some(Decision::KeepBoth),
    }
}

#[test]
fn an_entry_is_found_until_it_is_removed() {
    let (folder, journal) = new_journal();
    assert!(journal.read().unwrap().0.is_empty());
    let (one, two) = (file_entry("/a"), file_entry("/b"));
    journal.write(&one).unwrap();
    journal.write(&two).unwrap();
    drop(journal.write(&two).unwrap());
    let three = entry_of(TransferSubject::Tree(tree(&["notes", "*.txt"])));
    let lock = journal.write(&three).unwrap();
    assert_eq!(journal.find(three.id()), Some(three.clone()));
    assert!(journal.is_running(three.id()) && !journal.is_running(two.id()));
    drop(lock);
    assert!(!journal.is_running(three.id()));
    journal.remove(three.id()).unwrap();
    let (entries, invalid) = journal.read().unwrap();
    assert_eq!(entries.len(), 2);
    assert!(invalid.is_empty(), "{invalid:?}");
    assert_eq!(journal.find(one.id()), Some(entries[0].clone()));
    let file = folder.path().join(format!("quiver/transfers/{:016x}.json", one.id()));
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    journal.remove(one.id()).unwrap();
    journal.remove(one.id()).unwrap();
    assert_eq!(journal.read().unwrap().0.len(), 1);
}

#[test]
fn different_transfers_have_different_ids() {
    let one = file_entry("/a");
    let put = |entry: JournalEntry| JournalEntry { direction: Direction::Put, ..entry };
    let (tree_entry, other) = (
        entry_of(TransferSubject::Tree(tree(&["a", "b"]))),
        entry_of(TransferSubject::Tree(tree(&["ab"]))),
    );
    let other_server = ServerRef { fingerprint: Fingerprint([8; 32]), ..one.server.clone() };
    let path = FilePath::parse("notes/a").unwrap();
    let mut all = vec![
        one.clone(),
        file_entry("/b"),
        put(one.clone()),
        JournalEntry { server: other_server, ..one.clone() },
        entry_of(TransferSubject::File(SingleFile { path, ..file("/a") })),
        put(tree_entry.clone()),
        tree_entry.clone(),
        other,
    ];
    all.sort_by_key(JournalEntry::id);
    all.dedup_by_key(|entry| entry.id());
    assert_eq!(all.len(), 8);
    // The size, the name and the decision may change between two runs, and are not part of the id.
    let mut later = entry_of(TransferSubject::File(SingleFile { size: 9, ..file("/a") }));
    later.server.name = ClientName::parse("Ben").unwrap();
    assert_eq!(later.id(), one.id());
    let on_conflict = Some(Decision::Skip);
    let later = entry_of(TransferSubject::Tree(TreeSelection { on_conflict, ..tree(&["a", "b"]) }));
    assert_eq!(later.id(), tree_entry.id());
}

#[test]
fn invalid_entries_are_reported_and_not_returned() {
    let (folder, journal) = new_journal();
    journal.write(&file_entry("/a")).unwrap();
    let journal_folder = folder.path().join("quiver/transfers");
    let valid = fs::read_to_string(journal.entry_path(file_entry("/a").id()).unwrap()).unwrap();
    let write = |name: &str, text: &str| fs::write(journal_folder.join(name), text).unwrap();
    write("0000000000000001.json", &valid);
    write("0000000000000002.json", "{");
    write("0000000000000003.json", &valid.replace("notes/a b", "../../etc/passwd"));
    write("0000000000000004.json", &valid.replace("\"/a\"", "\"a\""));
    write("0000000000000005.json", &valid.replace("Ron", "R\\u0000n"));
    write("0000000000000006.json", &valid.replace("{", "{\"more\":1,"));
    let valid_tree = entry_of(TransferSubject::Tree(tree(&["a"]))).encode().unwrap();
    write("0000000000000009.json", &valid_tree.replace("[\"a\"]", "[]"));
    write("000000000000000a.json", &valid_tree.replace("\"there\"", "\"../there\""));
    write("000000000000000b.json", &valid.replace("\"size\":3,", ""));
    write("note.txt", &valid);
    write("0123.77.new", &valid);
    symlink(
        journal.entry_path(file_entry("/a").id()).unwrap(),
        journal_folder.join("0000000000000007.json"),
    )
    .unwrap();
    fs::create_dir(journal_folder.join("0000000000000008.json")).unwrap();
    let (entries, invalid) = journal.read().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(invalid.len(), 12, "{invalid:?}");
    assert!(invalid.iter().all(|invalid| invalid.to_string().contains("/quiver/transfers/")));
}

#[tokio::test]
async fn a_small_file_gets_an_entry_when_interrupted_and_a_large_one_at_its_start() {
    let (_folder, journal) = new_journal();
    let unfinished = UnfinishedFiles::default();
    let record = |bytes| {
        let stored = StoredBytes::default();
        stored.set(bytes);
        (FileRecord::new(&journal, &unfinished, file_entry("/a"), stored.clone()), stored)
    };
    let count = || journal.read().unwrap().0.len();

    let (mut small, stored) = record(0);
    small.start(10).await;
    assert_eq!((count(), unfinished.share()), (0, None));
    stored.add(5);
    assert_eq!(unfinished.share(), Some(UnfinishedShare::Percent(50)));
    drop(small);
    assert_eq!((count(), unfinished.share()), (1, Some(UnfinishedShare::Percent(50))));

    let (mut again, _) = record(5);
    again.start(10).await;
    assert_eq!(again.percent(), Some(50));
    again.finish();
    assert_eq!((count(), unfinished.share()), (0, None));

    let (mut large, _) = record(0);
    large.start(10_000_000).await;
    assert_eq!(count(), 1);
    // No content was received, so there is nothing to resume.
    drop(large);
    assert_eq!(count(), 0);
}
