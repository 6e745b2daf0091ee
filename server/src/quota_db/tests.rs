//! The quota database on a real disk, over restarts and after kills.

use std::time::Duration;

use super::*;

fn owner(name: &str) -> Owner {
    Owner::account(&ClientName::parse(name).unwrap())
}

fn open(folder: &Path, quota: u64) -> Arc<QuotaDb> {
    Arc::new(QuotaDb::open(folder, Some(quota)).unwrap())
}

fn quota_db(quota: u64) -> (tempfile::TempDir, Arc<QuotaDb>) {
    let folder = tempfile::tempdir().unwrap();
    let quota_db = open(&folder.path().join("state"), quota);
    (folder, quota_db)
}

fn store(quota_db: &Arc<QuotaDb>, owner: &Owner, path: &str, size: u64) {
    settle(quota_db.reserve(owner, size, None).unwrap(), path, size);
}

fn settle(mut reservation: QuotaReservation, path: &str, size: u64) {
    let record = reservation.record(path, size, None).unwrap();
    reservation.confirm(record).unwrap();
}

fn moved(quota_db: &QuotaDb, from: &str, to: &str) {
    let rename = quota_db.begin_rename(from, to, 1).unwrap();
    quota_db.end_rename(&rename, true).unwrap();
}

/// So many bytes are in the part of a put.
fn hold(reservation: &mut QuotaReservation, bytes: u64) {
    reservation.record_part().unwrap();
    reservation.holds(bytes);
}

#[test]
fn what_is_stored_counts_until_it_is_gone() {
    let (_folder, quota_db) = quota_db(100);
    let (ron, ben) = (owner("Ron"), owner("Ben"));
    store(&quota_db, &ron, "a", 40);
    store(&quota_db, &ron, "b", 50);
    assert_eq!((quota_db.available(&ron), quota_db.available(&ben)), (10, 100));
    assert!(matches!(quota_db.reserve(&ron, 11, None), Err(QuotaDbError::Full { quota: 100 })));
    assert!(matches!(quota_db.reserve(&ron, u64::MAX, None), Err(QuotaDbError::Full { .. })));
    // The name does not matter, nor its case.
    assert_eq!(quota_db.available(&owner("RON")), 10);
    // Whoever replaces a file has it from then on.
    store(&quota_db, &ben, "a", 30);
    assert_eq!((quota_db.available(&ron), quota_db.available(&ben)), (50, 70));
    quota_db.removed("a").unwrap();
    quota_db.removed("nothing").unwrap();
    assert_eq!((quota_db.available(&ron), quota_db.available(&ben)), (50, 100));
}

#[test]
fn what_is_on_its_way_counts_too() {
    let (_folder, quota_db) = quota_db(100);
    let ron = owner("Ron");
    let mut unsized_put = quota_db.reserve(&ron, 0, None).unwrap();
    unsized_put.grow(60).unwrap();
    let sized = quota_db.reserve(&ron, 40, None).unwrap();
    assert!(unsized_put.grow(1).is_err());
    assert!(quota_db.reserve(&ron, 1, None).is_err());
    drop(sized);
    unsized_put.grow(1).unwrap();
    settle(unsized_put, "a", 61);
    assert_eq!(quota_db.available(&ron), 39);
}

#[test]
fn all_of_it_survives_a_restart() {
    let (folder, first) = quota_db(1000);
    let ron = owner("Ron");
    store(&first, &ron, "a", 100);
    let mut reservation = first.reserve(&ron, 300, Some(7)).unwrap();
    hold(&mut reservation, 10);
    let id = first.part_id(&ron, "b");
    // As after a kill: nobody has said how much is in the part.
    drop(reservation);
    assert_eq!(first.available(&ron), 890);
    drop(first);
    let second = open(&folder.path().join("state"), 1000);
    assert_eq!(second.available(&ron), 600);
    let waiting = second.waiting_parts();
    assert_eq!(waiting, HashSet::from([7]));
    second.found_parts(&waiting, &HashMap::from([(7, 20), (8, 500)])).unwrap();
    assert_eq!(second.available(&ron), 880);
    assert_eq!(second.part_id(&ron, "b"), id);
    assert_ne!(second.part_id(&owner("Ben"), "b"), id);
    assert_ne!(second.part_id(&ron, "c"), id);
}

#[test]
fn a_part_counts_once_and_goes_with_its_file() {
    let (_folder, quota_db) = quota_db(100);
    let ron = owner("Ron");
    let begin = || quota_db.reserve(&ron, 80, Some(7)).unwrap();
    hold(&mut begin(), 50);
    assert_eq!(quota_db.available(&ron), 50);
    // Going on with it takes no more than the file.
    let reservation = begin();
    assert_eq!(quota_db.available(&ron), 20);
    // The cleanup leaves alone what is running, and what began to wait while it looked.
    let waiting = quota_db.waiting_parts();
    quota_db.found_parts(&waiting, &HashMap::new()).unwrap();
    assert_eq!(quota_db.available(&ron), 20);
    drop(reservation);
    quota_db.found_parts(&waiting, &HashMap::new()).unwrap();
    assert_eq!(quota_db.available(&ron), 50);
    settle(begin(), "a", 80);
    assert_eq!(quota_db.available(&ron), 20);
    quota_db.removed("a").unwrap();
    assert!(quota_db.reserve(&ron, 101, Some(7)).is_err());
    begin().without_part().unwrap();
    assert_eq!(quota_db.available(&ron), 100);
    hold(&mut begin(), 50);
    quota_db.found_parts(&quota_db.waiting_parts(), &HashMap::new()).unwrap();
    assert_eq!(quota_db.available(&ron), 100);
}

#[test]
fn files_are_followed_where_they_are_moved() {
    let (_folder, quota_db) = quota_db(1000);
    let ron = owner("Ron");
    for (path, size) in [("a", 1), ("a/b", 2), ("a/b/c", 4), ("a.txt", 8), ("a0", 16), ("ab", 32)] {
        store(&quota_db, &ron, path, size);
    }
    moved(&quota_db, "a", "new");
    let paths = |quota_db: &QuotaDb| {
        let files = quota_db.files_after("", 100).unwrap();
        files.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(paths(&quota_db), ["a.txt", "a0", "ab", "new", "new/b", "new/b/c"]);
    // What stood there does not count any more.
    moved(&quota_db, "ab", "a0");
    assert_eq!(paths(&quota_db), ["a.txt", "a0", "new", "new/b", "new/b/c"]);
    assert_eq!(quota_db.available(&ron), 1000 - (1 + 2 + 4 + 8 + 32));
    assert_eq!(
        quota_db.files_after("a0", 2).unwrap(),
        [("new".to_owned(), 1), ("new/b".to_owned(), 2)]
    );
}

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

#[test]
fn what_was_missing_counts_again_once_it_is_back() {
    let (_folder, quota_db) = quota_db(1000);
    let (ron, ben) = (owner("Ron"), owner("Ben"));
    store(&quota_db, &ron, "a", 100);
    store(&quota_db, &ron, "b", 200);
    for (path, size) in [("a", 100), ("b", 200)] {
        quota_db.found(path, size, None, NOW).unwrap();
    }
    assert_eq!(quota_db.available(&ron), 1000);
    assert_eq!(quota_db.missing_after("", 1).unwrap(), [("a".to_owned(), 100)]);
    // Another client has stored a file there by now.
    store(&quota_db, &ben, "b", 50);
    for path in ["a", "b", "never"] {
        quota_db.is_back(path).unwrap();
    }
    assert_eq!((quota_db.available(&ron), quota_db.available(&ben)), (900, 950));
    assert!(quota_db.missing_after("", 9).unwrap().is_empty());
    quota_db.found("a", 100, None, NOW).unwrap();
    quota_db.forget_missing(NOW + Duration::from_secs(1)).unwrap();
    assert!(quota_db.missing_after("", 9).unwrap().is_empty());
}

#[test]
fn what_others_changed_is_counted_as_it_is() {
    let (_folder, quota_db) = quota_db(1000);
    let ron = owner("Ron");
    store(&quota_db, &ron, "a", 100);
    store(&quota_db, &ron, "b", 200);
    quota_db.found("a", 100, Some(150), NOW).unwrap();
    quota_db.found("b", 200, None, NOW).unwrap();
    // A row that has changed meanwhile stays.
    quota_db.found("a", 100, None, NOW).unwrap();
    quota_db.found("missing", 100, Some(1), NOW).unwrap();
    assert_eq!(quota_db.available(&ron), 850);
}

#[test]
fn one_state_folder_is_one_servers() {
    let (folder, _ledger) = quota_db(100);
    let state = folder.path().join("state");
    assert!(matches!(QuotaDb::open(&state, None), Err(QuotaDbError::Database { .. })));
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
}

#[test]
fn a_file_of_another_version_is_left_alone() {
    let (folder, first) = quota_db(100);
    drop(first);
    let state = folder.path().join("state");
    let newer = rows::SCHEMA + 1;
    Connection::open(state.join(FILE)).unwrap().pragma_update(None, "user_version", newer).unwrap();
    assert!(matches!(QuotaDb::open(&state, None), Err(QuotaDbError::Version { .. })));
}

#[test]
fn a_database_of_the_first_version_is_brought_up_to_date_with_all_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let first = Connection::open(folder.path().join(FILE)).unwrap();
    first
        .execute_batch(
            "CREATE TABLE files (path TEXT PRIMARY KEY, owner TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
             CREATE TABLE parts (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, size INTEGER NOT NULL);
             CREATE TABLE secret (key BLOB NOT NULL);
             INSERT INTO files VALUES ('a', 'account ron', 100), ('b/c', 'account ron', 20);
             INSERT INTO parts VALUES (7, 'account ron', 3);
             INSERT INTO secret VALUES (x'0707070707070707070707070707070707070707070707070707070707070707');
             PRAGMA user_version = 1;",
        )
        .unwrap();
    drop(first);
    let ron = owner("Ron");
    for _ in 0..2 {
        let quota_db = open(folder.path(), 1000);
        assert_eq!(quota_db.available(&ron), 1000 - 123);
        assert_eq!(quota_db.waiting_parts(), HashSet::from([7]));
        assert_eq!(quota_db.key, [7; 32]);
        moved(&quota_db, "a", "d");
        moved(&quota_db, "d", "a");
    }
}

#[test]
fn a_row_counts_from_the_name_on_and_goes_where_there_is_none() {
    let (folder, first) = quota_db(1000);
    let (ron, ben) = (owner("Ron"), owner("Ben"));
    store(&first, &ron, "old", 100);
    let reservation = |size| first.reserve(&ben, size, None).unwrap();
    let (mut new, mut replacing, mut done) = (reservation(50), reservation(60), reservation(70));
    let record = new.record("new", 50, None).unwrap();
    new.revert(record).unwrap();
    let record = replacing.record("old", 60, Some(1)).unwrap();
    replacing.revert(record).unwrap();
    let record = done.record("old", 70, Some(1)).unwrap();
    assert_eq!((first.available(&ron), first.available(&ben)), (900, 820));
    done.confirm(record).unwrap();
    drop((new, replacing, done));
    assert_eq!((first.available(&ron), first.available(&ben)), (1000, 930));
    assert_eq!(first.unfinished().unwrap(), (vec![], vec![]));
    drop(first);
    let second = open(&folder.path().join("state"), 1000);
    assert_eq!(second.files_after("", 9).unwrap(), [("old".to_owned(), 70)]);
    assert_eq!((second.available(&ron), second.available(&ben)), (1000, 930));
}

#[test]
fn what_a_killed_process_was_about_to_replace_keeps_its_owner() {
    let (folder, first) = quota_db(1000);
    let (ron, ben) = (owner("Ron"), owner("Ben"));
    for path in ["a", "b"] {
        store(&first, &ron, path, 100);
    }
    let reservation = first.reserve(&ben, 200, None).unwrap();
    for (path, inode) in [("a", 1), ("b", 2), ("operators", 3)] {
        drop(reservation.record(path, 50, Some(inode)).unwrap());
    }
    drop(reservation);
    drop(first);
    let second = open(&folder.path().join("state"), 1000);
    let (_, replaced) = second.unfinished().unwrap();
    let paths: Vec<_> = replaced.iter().map(|older| (older.path.as_str(), older.inode)).collect();
    assert_eq!(paths, [("a", 1), ("b", 2), ("operators", 3)]);
    second.end_replacement("a", false).unwrap();
    second.end_replacement("b", true).unwrap();
    second.end_replacement("operators", false).unwrap();
    second.recount().unwrap();
    assert_eq!((second.available(&ron), second.available(&ben)), (900, 950));
    assert_eq!(second.unfinished().unwrap(), (vec![], vec![]));
}

#[test]
fn rows_of_what_the_operator_removed_are_in_nobodys_way() {
    let (_folder, quota_db) = quota_db(1000);
    let (ron, ben) = (owner("Ron"), owner("Ben"));
    for (path, size) in [("old", 1), ("old/a", 2), ("old/b/c", 4), ("old0", 8)] {
        store(&quota_db, &ron, path, size);
    }
    store(&quota_db, &ben, "new/a", 100);
    moved(&quota_db, "new", "old");
    assert_eq!((quota_db.available(&ron), quota_db.available(&ben)), (992, 900));
    quota_db.removed("old").unwrap();
    assert_eq!((quota_db.available(&ron), quota_db.available(&ben)), (992, 1000));
}

#[test]
fn numbers_of_temporary_parts_are_known_again() {
    let (folder, first) = quota_db(1000);
    let ids: Vec<u64> = (0..100).map(|_| first.temporary_part_id()).collect();
    let others = (0..100_u64).map(|number| first.part_id(&owner("Ron"), &number.to_string()));
    assert_eq!(others.filter(|id| first.is_temporary(*id)).count(), 0);
    drop(first);
    let second = open(&folder.path().join("state"), 1000);
    assert!(ids.iter().all(|id| second.is_temporary(*id)));
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 100);
}
