use super::*;

fn owner(name: &str) -> Owner {
    Owner::account(&ClientName::parse(name).unwrap())
}

fn open(folder: &Path, quota: u64) -> Arc<Ledger> {
    Arc::new(Ledger::open(folder, Some(quota)).unwrap())
}

fn ledger(quota: u64) -> (tempfile::TempDir, Arc<Ledger>) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder.path().join("state"), quota);
    (folder, ledger)
}

fn store(ledger: &Arc<Ledger>, owner: &Owner, path: &str, size: u64) {
    ledger.claim(owner, size, None).unwrap().settle(path, size).unwrap();
}

#[test]
fn what_is_stored_counts_until_it_is_gone() {
    let (_folder, ledger) = ledger(100);
    let (ron, ben) = (owner("Ron"), owner("Ben"));
    store(&ledger, &ron, "a", 40);
    store(&ledger, &ron, "b", 50);
    assert_eq!((ledger.available(&ron), ledger.available(&ben)), (10, 100));
    assert!(matches!(ledger.claim(&ron, 11, None), Err(LedgerError::Full { quota: 100 })));
    assert!(matches!(ledger.claim(&ron, u64::MAX, None), Err(LedgerError::Full { .. })));
    // The name does not matter, nor its case.
    assert_eq!(ledger.available(&owner("RON")), 10);
    // Whoever replaces a file has it from then on.
    store(&ledger, &ben, "a", 30);
    assert_eq!((ledger.available(&ron), ledger.available(&ben)), (50, 70));
    ledger.removed("a").unwrap();
    ledger.removed("nothing").unwrap();
    assert_eq!((ledger.available(&ron), ledger.available(&ben)), (50, 100));
}

#[test]
fn what_is_on_its_way_counts_too() {
    let (_folder, ledger) = ledger(100);
    let ron = owner("Ron");
    let mut unsized_put = ledger.claim(&ron, 0, None).unwrap();
    unsized_put.grow(60).unwrap();
    let sized = ledger.claim(&ron, 40, None).unwrap();
    assert!(unsized_put.grow(1).is_err());
    assert!(ledger.claim(&ron, 1, None).is_err());
    drop(sized);
    unsized_put.grow(1).unwrap();
    unsized_put.settle("a", 61).unwrap();
    assert_eq!(ledger.available(&ron), 39);
}

#[test]
fn all_of_it_survives_a_restart() {
    let (folder, first) = ledger(1000);
    let ron = owner("Ron");
    store(&first, &ron, "a", 100);
    let mut claim = first.claim(&ron, 300, Some(7)).unwrap();
    claim.holds(10).unwrap();
    let id = first.part_id(&ron, "b");
    // As after a kill: nobody has said how much is in the part.
    drop(claim);
    assert_eq!(first.available(&ron), 890);
    drop(first);
    let second = open(&folder.path().join("state"), 1000);
    assert_eq!(second.available(&ron), 600);
    second.found_parts(&HashMap::from([(7, 20), (8, 500)])).unwrap();
    assert_eq!(second.available(&ron), 880);
    assert_eq!(second.part_id(&ron, "b"), id);
    assert_ne!(second.part_id(&owner("Ben"), "b"), id);
    assert_ne!(second.part_id(&ron, "c"), id);
}

#[test]
fn a_part_counts_once_and_goes_with_its_file() {
    let (_folder, ledger) = ledger(100);
    let ron = owner("Ron");
    let begin = || ledger.claim(&ron, 80, Some(7)).unwrap();
    begin().holds(50).unwrap();
    assert_eq!(ledger.available(&ron), 50);
    // Going on with it takes no more than the file.
    let claim = begin();
    assert_eq!(ledger.available(&ron), 20);
    // The janitor leaves what is running alone.
    ledger.found_parts(&HashMap::new()).unwrap();
    assert_eq!(ledger.available(&ron), 20);
    drop(claim);
    assert_eq!(ledger.available(&ron), 50);
    begin().settle("a", 80).unwrap();
    assert_eq!(ledger.available(&ron), 20);
    ledger.removed("a").unwrap();
    assert!(ledger.claim(&ron, 101, Some(7)).is_err());
    begin().without_part().unwrap();
    assert_eq!(ledger.available(&ron), 100);
    begin().holds(50).unwrap();
    ledger.found_parts(&HashMap::new()).unwrap();
    assert_eq!(ledger.available(&ron), 100);
}

#[test]
fn files_are_followed_where_they_are_moved() {
    let (_folder, ledger) = ledger(1000);
    let ron = owner("Ron");
    for (path, size) in [("a", 1), ("a/b", 2), ("a/b/c", 4), ("a.txt", 8), ("a0", 16), ("ab", 32)] {
        store(&ledger, &ron, path, size);
    }
    ledger.moved("a", "new").unwrap();
    let paths = |ledger: &Ledger| {
        let files = ledger.files_after("", 100).unwrap();
        files.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(paths(&ledger), ["a.txt", "a0", "ab", "new", "new/b", "new/b/c"]);
    // What stood there does not count any more.
    ledger.moved("ab", "a0").unwrap();
    assert_eq!(paths(&ledger), ["a.txt", "a0", "new", "new/b", "new/b/c"]);
    assert_eq!(ledger.available(&ron), 1000 - (1 + 2 + 4 + 8 + 32));
    assert_eq!(
        ledger.files_after("a0", 2).unwrap(),
        [("new".to_owned(), 1), ("new/b".to_owned(), 2)]
    );
}

#[test]
fn what_others_changed_is_counted_as_it_is() {
    let (_folder, ledger) = ledger(1000);
    let ron = owner("Ron");
    store(&ledger, &ron, "a", 100);
    store(&ledger, &ron, "b", 200);
    ledger.found("a", 100, Some(150)).unwrap();
    ledger.found("b", 200, None).unwrap();
    // A row that has changed meanwhile stays.
    ledger.found("a", 100, None).unwrap();
    ledger.found("missing", 100, Some(1)).unwrap();
    assert_eq!(ledger.available(&ron), 850);
}

#[test]
fn one_state_folder_is_one_servers() {
    let (folder, _ledger) = ledger(100);
    let state = folder.path().join("state");
    assert!(matches!(Ledger::open(&state, None), Err(LedgerError::Database { .. })));
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
}

#[test]
fn a_file_of_another_version_is_left_alone() {
    let (folder, first) = ledger(100);
    drop(first);
    let state = folder.path().join("state");
    Connection::open(state.join(FILE)).unwrap().pragma_update(None, "user_version", 2).unwrap();
    assert!(matches!(Ledger::open(&state, None), Err(LedgerError::Version { .. })));
}
