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
    commit(quota_db.reserve(owner, size, None).unwrap(), path, size);
}

fn commit(mut reservation: QuotaReservation, path: &str, size: u64) {
    let row = reservation.write_row(path, size, None).unwrap();
    reservation.confirm(row).unwrap();
}

fn rename(quota_db: &QuotaDb, from: &str, to: &str) {
    let rename = quota_db.record_rename(from, to, 1).unwrap();
    quota_db.settle_rename(&rename, true).unwrap();
}

/// Acts as an upload that has written `bytes` to its partial file.
fn write_partial(reservation: &mut QuotaReservation, bytes: u64) {
    reservation.record_partial_file().unwrap();
    reservation.set_partial_length(bytes);
}

#[test]
fn a_stored_file_counts_until_it_is_removed() {
    let (_folder, quota_db) = quota_db(100);
    let (ron, ben) = (owner("Ron"), owner("Ben"));
    store(&quota_db, &ron, "a", 40);
    store(&quota_db, &ron, "b", 50);
    assert_eq!((quota_db.available(&ron), quota_db.available(&ben)), (10, 100));
    assert!(matches!(quota_db.reserve(&ron, 11, None), Err(QuotaDbError::Full { quota: 100 })));
    assert!(matches!(quota_db.reserve(&ron, u64::MAX, None), Err(QuotaDbError::Full { .. })));
    // Owners' names ignore case.
    assert_eq!(quota_db.available(&owner("RON")), 10);
    // The client that replaces a file becomes its owner.
    store(&quota_db, &ben, "a", 30);
    assert_eq!((quota_db.available(&ron), quota_db.available(&ben)), (50, 70));
    quota_db.remove_path("a").unwrap();
    quota_db.remove_path("nothing").unwrap();
    assert_eq!((quota_db.available(&ron), quota_db.available(&ben)), (50, 100));
}

#[test]
fn a_running_upload_counts_with_its_reserved_bytes() {
    let (_folder, quota_db) = quota_db(100);
    let ron = owner("Ron");
    let mut unsized_upload = quota_db.reserve(&ron, 0, None).unwrap();
    unsized_upload.grow(60).unwrap();
    let sized_upload = quota_db.reserve(&ron, 40, None).unwrap();
    assert!(unsized_upload.grow(1).is_err());
    assert!(quota_db.reserve(&ron, 1, None).is_err());
    drop(sized_upload);
    unsized_upload.grow(1).unwrap();
    commit(unsized_upload, "a", 61);
    assert_eq!(quota_db.available(&ron), 39);
}

#[test]
fn files_and_partial_files_survive_a_restart() {
    let (folder, first) = quota_db(1000);
    let ron = owner("Ron");
    store(&first, &ron, "a", 100);
    let mut reservation = first.reserve(&ron, 300, Some(7)).unwrap();
    write_partial(&mut reservation, 10);
    let id = first.partial_file_id(&ron, "b");
    // The row has the reserved size: the process may be killed before it knows how much is in the
    // partial file.
    drop(reservation);
    assert_eq!(first.available(&ron), 890);
    drop(first);
    let second = open(&folder.path().join("state"), 1000);
    assert_eq!(second.available(&ron), 600);
    let expected = second.resumable_ids();
    assert_eq!(expected, HashSet::from([7]));
    second.correct_partial_files(&expected, &HashMap::from([(7, 20), (8, 500)])).unwrap();
    assert_eq!(second.available(&ron), 880);
    assert_eq!(second.partial_file_id(&ron, "b"), id);
    assert_ne!(second.partial_file_id(&owner("Ben"), "b"), id);
    assert_ne!(second.partial_file_id(&ron, "c"), id);
}

#[test]
fn a_partial_file_counts_once_and_its_row_is_deleted_with_the_file() {
    let (_folder, quota_db) = quota_db(100);
    let ron = owner("Ron");
    let start = || quota_db.reserve(&ron, 80, Some(7)).unwrap();
    write_partial(&mut start(), 50);
    assert_eq!(quota_db.available(&ron), 50);
    // An upload that resumes it reserves the size of the file, not more.
    let reservation = start();
    assert_eq!(quota_db.available(&ron), 20);
    // The cleanup leaves alone partial files of running uploads, and of uploads that ended during
    // the cleanup.
    let expected = quota_db.resumable_ids();
    quota_db.correct_partial_files(&expected, &HashMap::new()).unwrap();
    assert_eq!(quota_db.available(&ron), 20);
    drop(reservation);
    quota_db.correct_partial_files(&expected, &HashMap::new()).unwrap();
    assert_eq!(quota_db.available(&ron), 50);
    commit(start(), "a", 80);
    assert_eq!(quota_db.available(&ron), 20);
    quota_db.remove_path("a").unwrap();
    assert!(quota_db.reserve(&ron, 101, Some(7)).is_err());
    start().drop_partial_file().unwrap();
    assert_eq!(quota_db.available(&ron), 100);
    write_partial(&mut start(), 50);
    quota_db.correct_partial_files(&quota_db.resumable_ids(), &HashMap::new()).unwrap();
    assert_eq!(quota_db.available(&ron), 100);
}

#[test]
fn rows_move_with_renamed_files_and_folders() {
    let (_folder, quota_db) = quota_db(1000);
    let ron = owner("Ron");
    for (path, size) in [("a", 1), ("a/b", 2), ("a/b/c", 4), ("a.txt", 8), ("a0", 16), ("ab", 32)] {
        store(&quota_db, &ron, path, size);
    }
    rename(&quota_db, "a", "new");
    let paths = |quota_db: &QuotaDb| {
        let files = quota_db.files_after("", 100).unwrap();
        files.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(paths(&quota_db), ["a.txt", "a0", "ab", "new", "new/b", "new/b/c"]);
    // A replaced file does not count any more.
    rename(&quota_db, "ab", "a0");
    assert_eq!(paths(&quota_db), ["a.txt", "a0", "new", "new/b", "new/b/c"]);
    assert_eq!(quota_db.available(&ron), 1000 - (1 + 2 + 4 + 8 + 32));
    assert_eq!(
        quota_db.files_after("a0", 2).unwrap(),
        [("new".to_owned(), 1), ("new/b".to_owned(), 2)]
    );
}

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

#[test]
fn a_missing_file_counts_again_once_it_is_restored() {
    let (_folder, quota_db) = quota_db(1000);
    let (ron, ben) = (owner("Ron"), owner("Ben"));
    store(&quota_db, &ron, "a", 100);
    store(&quota_db, &ron, "b", 200);
    for (path, size) in [("a", 100), ("b", 200)] {
        quota_db.correct_file(path, size, None, NOW).unwrap();
    }
    assert_eq!(quota_db.available(&ron), 1000);
    assert_eq!(quota_db.missing_after("", 1).unwrap(), [("a".to_owned(), 100)]);
    // Another client has stored a file at this path by now.
    store(&quota_db, &ben, "b", 50);
    for path in ["a", "b", "never"] {
        quota_db.restore_missing(path).unwrap();
    }
    assert_eq!((quota_db.available(&ron), quota_db.available(&ben)), (900, 950));
    assert!(quota_db.missing_after("", 9).unwrap().is_empty());
    quota_db.correct_file("a", 100, None, NOW).unwrap();
    quota_db.forget_missing(NOW + Duration::from_secs(1)).unwrap();
    assert!(quota_db.missing_after("", 9).unwrap().is_empty());
}

#[test]
fn a_file_that_another_program_changed_counts_with_its_new_size() {
    let (_folder, quota_db) = quota_db(1000);
    let ron = owner("Ron");
    store(&quota_db, &ron, "a", 100);
    store(&quota_db, &ron, "b", 200);
    quota_db.correct_file("a", 100, Some(150), NOW).unwrap();
    quota_db.correct_file("b", 200, None, NOW).unwrap();
    // A row that has changed meanwhile is left alone.
    quota_db.correct_file("a", 100, None, NOW).unwrap();
    quota_db.correct_file("missing", 100, Some(1), NOW).unwrap();
    assert_eq!(quota_db.available(&ron), 850);
}

#[test]
fn two_servers_cannot_share_a_state_folder() {
    let (folder, _quota_db) = quota_db(100);
    let state = folder.path().join("state");
    assert!(matches!(QuotaDb::open(&state, None), Err(QuotaDbError::Database { .. })));
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let (folder, first) = quota_db(100);
    drop(first);
    let state = folder.path().join("state");
    let newer = rows::SCHEMA_VERSION + 1;
    Connection::open(state.join(FILE)).unwrap().pragma_update(None, "user_version", newer).unwrap();
    assert!(matches!(QuotaDb::open(&state, None), Err(QuotaDbError::Version { .. })));
}

#[test]
fn a_database_of_version_1_is_migrated_with_all_its_rows() {
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
        assert_eq!(quota_db.resumable_ids(), HashSet::from([7]));
        assert_eq!(quota_db.key, [7; 32]);
        rename(&quota_db, "a", "d");
        rename(&quota_db, "d", "a");
    }
}

#[test]
fn a_confirmed_row_counts_and_a_reverted_row_does_not() {
    let (folder, first) = quota_db(1000);
    let (ron, ben) = (owner("Ron"), owner("Ben"));
    store(&first, &ron, "old", 100);
    let reservation = |size| first.reserve(&ben, size, None).unwrap();
    let (mut new, mut replacing, mut done) = (reservation(50), reservation(60), reservation(70));
    let row = new.write_row("new", 50, None).unwrap();
    new.revert(row).unwrap();
    let row = replacing.write_row("old", 60, Some(1)).unwrap();
    replacing.revert(row).unwrap();
    let row = done.write_row("old", 70, Some(1)).unwrap();
    assert_eq!((first.available(&ron), first.available(&ben)), (900, 820));
    done.confirm(row).unwrap();
    drop((new, replacing, done));
    assert_eq!((first.available(&ron), first.available(&ben)), (1000, 930));
    assert_eq!(first.unsettled_changes().unwrap(), (vec![], vec![]));
    drop(first);
    let second = open(&folder.path().join("state"), 1000);
    assert_eq!(second.files_after("", 9).unwrap(), [("old".to_owned(), 70)]);
    assert_eq!((second.available(&ron), second.available(&ben)), (1000, 930));
}

#[test]
fn a_file_that_a_killed_process_did_not_replace_keeps_its_owner() {
    let (folder, first) = quota_db(1000);
    let (ron, ben) = (owner("Ron"), owner("Ben"));
    for path in ["a", "b"] {
        store(&first, &ron, path, 100);
    }
    let reservation = first.reserve(&ben, 200, None).unwrap();
    for (path, inode) in [("a", 1), ("b", 2), ("operators", 3)] {
        drop(reservation.write_row(path, 50, Some(inode)).unwrap());
    }
    drop(reservation);
    drop(first);
    let second = open(&folder.path().join("state"), 1000);
    let (_, replacements) = second.unsettled_changes().unwrap();
    let paths: Vec<_> =
        replacements.iter().map(|record| (record.path.as_str(), record.inode)).collect();
    assert_eq!(paths, [("a", 1), ("b", 2), ("operators", 3)]);
    second.settle_replacement("a", false).unwrap();
    second.settle_replacement("b", true).unwrap();
    second.settle_replacement("operators", false).unwrap();
    second.recount().unwrap();
    assert_eq!((second.available(&ron), second.available(&ben)), (900, 950));
    assert_eq!(second.unsettled_changes().unwrap(), (vec![], vec![]));
}

#[test]
fn a_rename_deletes_rows_below_the_new_path_of_files_that_the_operator_removed() {
    let (_folder, quota_db) = quota_db(1000);
    let (ron, ben) = (owner("Ron"), owner("Ben"));
    for (path, size) in [("old", 1), ("old/a", 2), ("old/b/c", 4), ("old0", 8)] {
        store(&quota_db, &ron, path, size);
    }
    store(&quota_db, &ben, "new/a", 100);
    rename(&quota_db, "new", "old");
    assert_eq!((quota_db.available(&ron), quota_db.available(&ben)), (992, 900));
    quota_db.remove_path("old").unwrap();
    assert_eq!((quota_db.available(&ron), quota_db.available(&ben)), (992, 1000));
}

#[test]
fn ids_of_temporary_partial_files_are_recognised_after_a_restart() {
    let (folder, first) = quota_db(1000);
    let ids: Vec<u64> = (0..100).map(|_| first.new_temporary_id()).collect();
    let others =
        (0..100_u64).map(|number| first.partial_file_id(&owner("Ron"), &number.to_string()));
    assert_eq!(others.filter(|id| first.is_temporary(*id)).count(), 0);
    drop(first);
    let second = open(&folder.path().join("state"), 1000);
    assert!(ids.iter().all(|id| second.is_temporary(*id)));
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 100);
}
