//! The plan as a database: what goes in comes out, in order and counted.

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
        let some = plan.after(number).unwrap();
        let Some(last) = some.last() else { return all };
        number = last.number;
        all.extend(some);
    }
}

#[test]
fn items_come_back_as_they_went_in() {
    let mut plan = Plan::new().unwrap();
    let given = [
        (folder("x/notes", "notes"), PlanItemState::Same),
        (
            file("x/notes/🏹 \"a\"", "notes/🏹 \"a\"", u64::MAX),
            PlanItemState::Partial(u64::MAX - 1),
        ),
        (
            file("x/notes/b", "notes/b", 0),
            PlanItemState::Blocked("a folder stands there".to_owned()),
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
    assert_eq!(plan.at(&path("notes/b")).unwrap().unwrap().number, 3);
    assert_eq!(plan.at(&path("b")).unwrap(), None);
}

#[test]
fn folders_come_before_what_is_in_them_and_backwards_after_it() {
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
fn one_place_takes_one_file() {
    let mut plan = Plan::new().unwrap();
    assert!(plan.add(&file("x/a", "a", 1), &PlanItemState::New).unwrap());
    assert!(!plan.add(&file("x/a", "a", 1), &PlanItemState::New).unwrap());
    let twice = plan.add(&file("y/a", "a", 1), &PlanItemState::New).unwrap_err();
    assert!(matches!(twice, PlanError::Twice(target) if target == path("a")));
    assert_eq!(items(&plan).len(), 1);
}

#[test]
fn what_moves_is_counted_as_decided() {
    let mut plan = Plan::new().unwrap();
    for (name, state) in [
        ("new", PlanItemState::New),
        ("begun", PlanItemState::Partial(1)),
        ("alike", PlanItemState::SameSize),
        ("same", PlanItemState::Same),
        ("one", PlanItemState::Differs),
        ("two", PlanItemState::Differs),
        ("three", PlanItemState::Differs),
    ] {
        plan.add(&file(name, name, 10), &state).unwrap();
    }
    assert_eq!(plan.moving().unwrap(), ItemCount { files: 2, bytes: 20 });
    assert_eq!(plan.count(&PlanItemState::Differs).unwrap(), ItemCount { files: 3, bytes: 30 });
    let differing = plan.after_in(0, &PlanItemState::Differs).unwrap();
    plan.decide(differing[0].number, Decision::Replace).unwrap();
    plan.decide(differing[1].number, Decision::Skip).unwrap();
    plan.decide_all(Decision::KeepBoth).unwrap();
    assert_eq!(plan.moving().unwrap(), ItemCount { files: 4, bytes: 40 });
    let decided: Vec<_> = items(&plan).into_iter().filter_map(|item| item.decision).collect();
    assert_eq!(decided, [Decision::Replace, Decision::Skip, Decision::KeepBoth]);
    let alike = plan.after_in(0, &PlanItemState::SameSize).unwrap();
    plan.set(alike[0].number, &PlanItemState::Differs).unwrap();
    assert_eq!(plan.after_in(0, &PlanItemState::SameSize).unwrap(), []);
}

#[test]
fn more_items_than_one_batch_are_kept() {
    let mut plan = Plan::new().unwrap();
    for number in 0..2 * BATCH + 1 {
        let name = number.to_string();
        plan.add(&file(&name, &name, 3), &PlanItemState::New).unwrap();
    }
    assert_eq!(items(&plan).len(), 2 * BATCH + 1);
    assert_eq!(plan.moving().unwrap().bytes, 3 * (2 * BATCH as u64 + 1));
}
