//! The journal on a real disk: written, found, removed, and what it does not believe.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use chrono::Utc;
use quiver_protocol::{ClientName, FilePath, Fingerprint, FolderPath, Timestamp};

use quiver_transfer::StoredBytes;

use super::*;
use crate::tree::Decision;

fn fresh() -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::new(folder.path().join("quiver/transfers"));
    (folder, journal)
}

fn of(what: TransferSubject) -> JournalEntry {
    let origin = ServerRef {
        server: "example.org:1".parse().unwrap(),
        fingerprint: Fingerprint([7; 32]),
        certificate: Some(PathBuf::from("/certs/server.pem")),
        name: ClientName::parse("Ron").unwrap(),
    };
    JournalEntry { direction: Direction::Get, origin, begun: Timestamp(Utc::now()), what }
}

fn file(local: &str) -> SingleFile {
    let path = FilePath::parse("notes/a b").unwrap();
    SingleFile { path, local: PathBuf::from(local), size: 3, overwrite: true }
}

fn entry(local: &str) -> JournalEntry {
    of(TransferSubject::File(file(local)))
}

fn tree(named: &[&str]) -> TreeSelection {
    TreeSelection {
        named: named.iter().map(|name| (*name).to_owned()).collect(),
        folder: PathBuf::from("/a"),
        to: FolderPath::parse("there").unwrap(),
        stored_as: None,
        recursive: true,
        differing: Some(Decision::KeepBoth),
    }
}

#[test]
fn what_is_written_is_found_until_it_is_removed() {
    let (folder, journal) = fresh();
    assert!(journal.read().unwrap().0.is_empty());
    let (one, two) = (entry("/a"), entry("/b"));
    journal.write(&one).unwrap();
    journal.write(&two).unwrap();
    drop(journal.write(&two).unwrap());
    let three = of(TransferSubject::Tree(tree(&["notes", "*.txt"])));
    let at_it = journal.write(&three).unwrap();
    assert_eq!(journal.find(three.id()), Some(three.clone()));
    assert!(journal.is_at_it(three.id()) && !journal.is_at_it(two.id()));
    drop(at_it);
    assert!(!journal.is_at_it(three.id()));
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
fn every_transfer_has_a_number_of_its_own() {
    let one = entry("/a");
    let put = |entry: JournalEntry| JournalEntry { direction: Direction::Put, ..entry };
    let (asked, other) =
        (of(TransferSubject::Tree(tree(&["a", "b"]))), of(TransferSubject::Tree(tree(&["ab"]))));
    let elsewhere = ServerRef { fingerprint: Fingerprint([8; 32]), ..one.origin.clone() };
    let path = FilePath::parse("notes/a").unwrap();
    let mut all = vec![
        one.clone(),
        entry("/b"),
        put(one.clone()),
        JournalEntry { origin: elsewhere, ..one.clone() },
        of(TransferSubject::File(SingleFile { path, ..file("/a") })),
        put(asked.clone()),
        asked.clone(),
        other,
    ];
    all.sort_by_key(JournalEntry::id);
    all.dedup_by_key(|entry| entry.id());
    assert_eq!(all.len(), 8);
    // What may change between two runs changes nothing.
    let mut later = of(TransferSubject::File(SingleFile { size: 9, ..file("/a") }));
    later.origin.name = ClientName::parse("Ben").unwrap();
    assert_eq!(later.id(), one.id());
    let differing = Some(Decision::Skip);
    let later = of(TransferSubject::Tree(TreeSelection { differing, ..tree(&["a", "b"]) }));
    assert_eq!(later.id(), asked.id());
}

#[test]
fn what_was_not_written_here_is_named_and_not_believed() {
    let (folder, journal) = fresh();
    journal.write(&entry("/a")).unwrap();
    let home = folder.path().join("quiver/transfers");
    let good = fs::read_to_string(journal.name(entry("/a").id()).unwrap()).unwrap();
    let put = |name: &str, text: &str| fs::write(home.join(name), text).unwrap();
    put("0000000000000001.json", &good);
    put("0000000000000002.json", "{");
    put("0000000000000003.json", &good.replace("notes/a b", "../../etc/passwd"));
    put("0000000000000004.json", &good.replace("\"/a\"", "\"a\""));
    put("0000000000000005.json", &good.replace("Ron", "R\\u0000n"));
    put("0000000000000006.json", &good.replace("{", "{\"more\":1,"));
    let asked = of(TransferSubject::Tree(tree(&["a"]))).text().unwrap();
    put("0000000000000009.json", &asked.replace("[\"a\"]", "[]"));
    put("000000000000000a.json", &asked.replace("\"there\"", "\"../there\""));
    put("000000000000000b.json", &good.replace("\"size\":3,", ""));
    put("note.txt", &good);
    put("0123.77.new", &good);
    symlink(journal.name(entry("/a").id()).unwrap(), home.join("0000000000000007.json")).unwrap();
    fs::create_dir(home.join("0000000000000008.json")).unwrap();
    let (entries, invalid) = journal.read().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(invalid.len(), 12, "{invalid:?}");
    assert!(invalid.iter().all(|invalid| invalid.to_string().contains("/quiver/transfers/")));
}

#[tokio::test]
async fn a_small_file_is_written_down_when_it_breaks_off_a_large_one_before() {
    let (_folder, journal) = fresh();
    let unfinished = UnfinishedFiles::default();
    let record = |bytes| {
        let kept = StoredBytes::default();
        kept.set(bytes);
        (FileRecord::new(&journal, &unfinished, entry("/a"), kept.clone()), kept)
    };
    let count = || journal.read().unwrap().0.len();

    let (mut small, kept) = record(0);
    small.begin(10).await;
    assert_eq!((count(), unfinished.share()), (0, None));
    kept.add(5);
    assert_eq!(unfinished.share(), Some(UnfinishedShare::Of(50)));
    drop(small);
    assert_eq!((count(), unfinished.share()), (1, Some(UnfinishedShare::Of(50))));

    let (mut again, _) = record(5);
    again.begin(10).await;
    assert_eq!(again.share(), Some(50));
    again.done();
    assert_eq!((count(), unfinished.share()), (0, None));

    let (mut large, _) = record(0);
    large.begin(10_000_000).await;
    assert_eq!(count(), 1);
    // Nothing came: there is nothing to go on with.
    drop(large);
    assert_eq!(count(), 0);
}
