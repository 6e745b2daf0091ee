//! The plan as a database: items are stored, ordered and counted.

use chrono::DateTime;

use super::*;

fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

fn moment(nanoseconds: u32) -> Timestamp {
    Timestamp(DateTime::from_timestamp(-1, nanoseconds).unwrap())
}

fn file(source: &str, target: &str, size: u64) -> FoundEntry {
    let kind = ItemKind::File { size, modified: moment(999_999_999) };
    FoundEntry { source_root: 0, source: path(source), target: path(target), kind }
}

fn folder(source: &str, target: &str) -> FoundEntry {
    let kind = ItemKind::Folder { modified: moment(0) };
    FoundEntry { source_root: 0, source: path(source), target: path(target), kind }
}

fn items(plan: &Plan) -> Vec<PlanItem> {
    let (mut all, mut number) = (Vec::new(), 0);
    loop {
        let page = plan.items_after(number).unwrap();
        let Some(last) = page.last() else { return all };
        number = last.number;
        all.extend(page);
    }
}

#[test]
fn items_are_read_as_they_were_added() {
    let mut plan = Plan::new().unwrap();
    let given = [
        (folder("x/notes", "notes"), PlanItemState::Same),
        (
            file("x/notes/🏹 \"a\"", "notes/🏹 \"a\"", u64::MAX),
            PlanItemState::Partial(u64::MAX - 1),
        ),
        (
            file("x/notes/b", "notes/b", 0),
            PlanItemState::Blocked("a folder has that name".to_owned()),
        ),
        (file("x/notes/c", "notes/c", 1), PlanItemState::SameSize),
        (file("x/notes/d", "notes/d", 1), PlanItemState::Differs),
        (file("x/notes/e", "notes/e", 1), PlanItemState::New),
    ];
    for (found, state) in &given {
        assert!(plan.add(found, state).unwrap());
    }
    for (item, (found, state)) in items(&plan).iter().zip(&given) {
        assert_eq!((&item.found, &item.state, item.decision), (found, state, None));
    }
    assert_eq!(plan.find_target(&path("notes/b")).unwrap().unwrap().number, 3);
    assert_eq!(plan.find_target(&path("b")).unwrap(), None);
}

#[test]
fn a_folder_precedes_its_contents_and_follows_them_in_reverse() {
    let mut plan = Plan::new().unwrap();
    plan.add(&folder("a", "a"), &PlanItemState::New).unwrap();
    plan.add(&file("b", "b", 1), &PlanItemState::New).unwrap();
    let first = plan.next_folder(0).unwrap().unwrap();
    assert_eq!(first.found.source, path("a"));
    plan.add(&folder("a/b", "a/b"), &PlanItemState::New).unwrap();
    let second = plan.next_folder(first.number).unwrap().unwrap();
    assert_eq!(second.found.source, path("a/b"));
    assert_eq!(plan.next_folder(second.number).unwrap(), None);
    let backwards = plan.folders_before(None).unwrap();
    let backwards: Vec<&str> = backwards.iter().map(|item| item.found.source.as_str()).collect();
    assert_eq!(backwards, ["a/b", "a"]);
    assert!(plan.folders_before(Some(first.number)).unwrap().is_empty());
}

#[test]
fn two_files_cannot_have_the_same_target() {
    let mut plan = Plan::new().unwrap();
    assert!(plan.add(&file("x/a", "a", 1), &PlanItemState::New).unwrap());
    assert!(!plan.add(&file("x/a", "a", 1), &PlanItemState::New).unwrap());
    let error = plan.add(&file("y/a", "a", 1), &PlanItemState::New).unwrap_err();
    assert!(matches!(error, PlanError::DuplicateTarget(target) if target == path("a")));
    assert_eq!(items(&plan).len(), 1);
}

#[test]
fn pending_files_depend_on_the_decisions() {
    let mut plan = Plan::new().unwrap();
    for (name, state) in [
        ("new", PlanItemState::New),
        ("partial", PlanItemState::Partial(1)),
        ("same_size", PlanItemState::SameSize),
        ("same", PlanItemState::Same),
        ("one", PlanItemState::Differs),
        ("two", PlanItemState::Differs),
        ("three", PlanItemState::Differs),
    ] {
        plan.add(&file(name, name, 10), &state).unwrap();
    }
    assert_eq!(plan.pending().unwrap(), ItemCount { files: 2, bytes: 20 });
    assert_eq!(
        plan.count_in_state(&PlanItemState::Differs).unwrap(),
        ItemCount { files: 3, bytes: 30 }
    );
    let differing = plan.items_in_state_after(0, &PlanItemState::Differs).unwrap();
    plan.decide(differing[0].number, Decision::Replace).unwrap();
    plan.decide(differing[1].number, Decision::Skip).unwrap();
    plan.decide_all(Decision::KeepBoth).unwrap();
    assert_eq!(plan.pending().unwrap(), ItemCount { files: 4, bytes: 40 });
    let decided: Vec<_> = items(&plan).into_iter().filter_map(|item| item.decision).collect();
    assert_eq!(decided, [Decision::Replace, Decision::Skip, Decision::KeepBoth]);
    let same_size = plan.items_in_state_after(0, &PlanItemState::SameSize).unwrap();
    plan.set_state(same_size[0].number, &PlanItemState::Differs).unwrap();
    assert_eq!(plan.items_in_state_after(0, &PlanItemState::SameSize).unwrap(), []);
}

#[test]
fn a_plan_holds_more_items_than_one_transaction() {
    let mut plan = Plan::new().unwrap();
    for number in 0..2 * COMMIT_BATCH + 1 {
        let name = number.to_string();
        plan.add(&file(&name, &name, 3), &PlanItemState::New).unwrap();
    }
    assert_eq!(items(&plan).len(), 2 * COMMIT_BATCH + 1);
    assert_eq!(plan.pending().unwrap().bytes, 3 * (2 * COMMIT_BATCH as u64 + 1));
}
