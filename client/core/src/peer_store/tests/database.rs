//! The file of the database: private, shared by threads, and never replaced.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn error(folder: &Path) -> (PeerStoreError, String) {
    let error = PeerStore::open(folder).unwrap_err();
    let text = error.to_string();
    (error, text)
}

#[test]
fn all_files_are_readable_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state/quiver");
    for round in 0..2 {
        let store = PeerStore::open(&state).unwrap();
        record(&store, round, second(0)).unwrap();
        let _lock = store.lock_offer(OfferNumber(1)).unwrap().unwrap();
        // The journal of a transaction that is not committed.
        let mut database = store.database.lock();
        let transaction = database.transaction().unwrap();
        transaction.execute("DELETE FROM offers", []).unwrap();
        for (path, expected) in [
            ("", 0o700),
            ("offers", 0o700),
            ("offers/1.lock", 0o600),
            ("peers.db", 0o600),
            ("peers.db-journal", 0o600),
        ] {
            assert_eq!(mode(&state.join(path)), expected, "{path}");
        }
        drop(transaction);
        drop(database);
        // Perhaps copied from another machine.
        fs::set_permissions(store.path(), Permissions::from_mode(0o644)).unwrap();
    }
}

#[test]
fn a_file_that_is_no_database_is_an_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peers.db");
    let content = "This is not a database. ".repeat(100);
    fs::write(&path, &content).unwrap();
    let (error, text) = error(folder.path());
    assert!(matches!(error, PeerStoreError::Corrupt { .. }), "{error:?}");
    assert!(text.starts_with(&format!("{} is corrupt: ", path.display())), "{text}");
    assert_eq!(fs::read_to_string(&path).unwrap(), content);
}

#[test]
fn a_damaged_page_is_an_error_that_names_the_file() {
    let (folder, store) = new_store();
    record(&store, 1, second(0)).unwrap();
    drop(store);
    let path = folder.path().join("peers.db");
    let mut content = fs::read(&path).unwrap();
    content[4096..].fill(0xaa);
    fs::write(&path, &content).unwrap();
    let store = PeerStore::open(folder.path()).unwrap();
    let error = store.incoming_offers(second(1)).unwrap_err();
    assert!(matches!(error, PeerStoreError::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    assert!(record(&store, 2, second(1)).is_err());
    assert_eq!(fs::read(&path).unwrap(), content);
}

#[test]
fn an_invalid_value_is_an_error_that_names_the_file() {
    for (change, what) in [
        ("UPDATE offers SET peer_name = '../x'", "a name"),
        ("UPDATE offers SET own_name = char(27)", "an own name"),
        ("UPDATE offers SET certificate = x'61'", "a relative path"),
        ("UPDATE offers SET server = x'0102'", "a short fingerprint"),
        ("UPDATE offers SET state = 99", "a state"),
        ("UPDATE offers SET state = 1", "an accepted offer without a folder"),
        ("UPDATE offers SET created = 9223372036854775807", "a time"),
        ("UPDATE offers SET address = ''", "an address"),
        ("UPDATE offered_entries SET name = '../../x'", "a path"),
    ] {
        let (_folder, store) = new_store();
        record(&store, 1, second(0)).unwrap();
        assert_ne!(store.database.lock().execute(change, []).unwrap(), 0, "{what}");
        let error = store.incoming_offers(second(1)).unwrap_err();
        assert!(matches!(error, PeerStoreError::Corrupt { .. }), "{what}: {error:?}");
        assert!(error.to_string().contains("/peers.db is corrupt: "), "{what}: {error}");
    }
}

#[test]
fn a_database_of_another_version_or_program_is_refused() {
    for change in ["PRAGMA user_version = 3", "PRAGMA user_version = 0"] {
        let (folder, store) = new_store();
        store.database.lock().execute_batch(change).unwrap();
        drop(store);
        let (error, text) = error(folder.path());
        assert!(matches!(error, PeerStoreError::Version { .. }), "{error:?}");
        assert!(text.contains("/peers.db was written by another version"), "{text}");
    }
}

#[test]
fn a_database_of_version_1_is_upgraded_with_what_it_has() {
    let (folder, store) = new_store();
    store.remember_key(SERVER, &name("Ron"), KEY, false, second(0)).unwrap();
    let before = "DROP TABLE conversation_messages; DROP TABLE conversations; \
                  ALTER TABLE contacts DROP COLUMN accept_folder; PRAGMA user_version = 1";
    store.database.lock().execute_batch(before).unwrap();
    drop(store);
    // Several processes of the new version start at the same time.
    let contacts = std::thread::scope(|scope| {
        let open = || PeerStore::open(folder.path()).unwrap().contacts(None).unwrap();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(contacts.iter().all(|found| found[0].name == name("Ron") && found.len() == 1));
    let store = PeerStore::open(folder.path()).unwrap();
    assert!(store.mark_verified(SERVER, &name("Ron"), KEY, second(1)).unwrap());
    assert!(store.set_always_accept(SERVER, &name("Ron"), Some(folder.path())).unwrap());
    let (_other, new) = new_store();
    let tables = |store: &PeerStore| -> Vec<String> {
        let database = store.database.lock();
        let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' ORDER BY name";
        let mut rows = database.prepare(sql).unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(tables(&store), tables(&new));
}

#[test]
fn a_user_without_a_state_folder_gets_the_reason() {
    let folders = Folders::new(|_| None, None);
    let error = PeerStore::from_folders(&folders).unwrap_err();
    assert!(matches!(error, PeerStoreError::NoFolder(_)), "{error:?}");
    assert_eq!(error.to_string(), "this user has no home folder");
    let (error, text) = error_of_proc();
    assert!(matches!(error, PeerStoreError::Open { .. }), "{error:?}");
    assert!(text.starts_with("cannot use /proc/nowhere/offers: "), "{text}");
}

fn error_of_proc() -> (PeerStoreError, String) {
    error(Path::new("/proc/nowhere"))
}

#[test]
fn stores_that_are_opened_at_the_same_time_create_one_database() {
    for _ in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let mut numbers = std::thread::scope(|scope| {
            let add = |id| {
                let store = PeerStore::open(folder.path()).unwrap();
                store.add_outgoing(new_offer(id, one_path())).unwrap().number
            };
            let threads: Vec<_> = (0..8).map(|id| scope.spawn(move || add(id))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        numbers.sort();
        assert_eq!(numbers, (1..=8).map(OfferNumber).collect::<Vec<_>>());
    }
}
