//! Transfers as the page lists them, from made-up states of the client.

use chrono::DateTime;

use super::*;

fn status(id: u64, named: &str, state: TransferState) -> TransferStatus {
    TransferStatus {
        id: TransferId(id),
        direction: Direction::Get,
        named: vec![named.to_owned()],
        state,
        files: Some(2),
        files_done: 1,
        bytes: Some(10),
        sent: 4,
        received: 4,
        verified: 2,
        rate: None,
        time_left: None,
        limited_by: None,
        error: None,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp(DateTime::from_timestamp(second, 0).unwrap())
}

fn views(records: &mut TransferRecords, status: &TransferStatus, second: i64) -> Vec<TransferView> {
    let folder = Some(PathBuf::from("/h/ann"));
    let source = OfferSource { from: "Ann".to_owned(), folder };
    let sender = |number| (number == 7).then(|| source.clone());
    records.views(std::slice::from_ref(status), at(second), sender, |_| Some(PathKind::Direct))
}

#[test]
fn a_transfer_keeps_its_times_and_offers_what_is_possible() {
    let mut records = TransferRecords::default();
    let request = TransferRequest::Get {
        paths: vec!["a".to_owned()],
        folder: PathBuf::from("/h"),
        on_conflict: OnConflict::Ask,
    };
    let record = TransferRecord {
        kind: TransferKind::Download,
        with: "server".to_owned(),
        command: "quiver get a".to_owned(),
        request: Some(request.clone()),
    };
    records.add(TransferId(1), record, at(1));
    let running = status(1, "a", TransferState::Running);
    records.count_failed_file(&running, at(2));
    let view = views(&mut records, &running, 3).remove(0);
    assert_eq!((view.started, view.ended, view.files_failed), (at(1), None, 1));
    assert_eq!(view.can, [TransferAction::Pause, TransferAction::Cancel, TransferAction::Show]);
    assert_eq!((view.path, view.local.as_deref()), (Some(PathKind::Server), Some("/h")));
    let failed = status(1, "a", TransferState::Failed);
    assert_eq!(views(&mut records, &failed, 4)[0].ended, Some(at(4)));
    let view = views(&mut records, &failed, 5).remove(0);
    assert_eq!(view.ended, Some(at(4)));
    assert_eq!(view.can, [TransferAction::Retry, TransferAction::Remove, TransferAction::Show]);
    assert_eq!(records.request(TransferId(1)), Some(request));
    records.remove(TransferId(1));
    assert_eq!(views(&mut records, &failed, 6), []);
}

#[test]
fn an_offer_that_the_client_fetches_by_itself_is_received_from_its_sender() {
    let mut records = TransferRecords::default();
    let view = views(&mut records, &status(1, "offer 7", TransferState::Running), 1).remove(0);
    assert_eq!((view.direction, view.with.as_str()), (TransferKind::Receive, "@Ann"));
    assert_eq!((view.path, view.local.as_deref()), (Some(PathKind::Direct), Some("/h/ann")));
    assert_eq!(records.transfer_of_offer(7), Some(name(TransferId(1))));
    let view = views(&mut records, &status(2, "offer x", TransferState::Running), 1).remove(0);
    assert_eq!(view.direction, TransferKind::Download);
}

#[test]
fn a_name_is_of_this_process() {
    assert_eq!(parse_name(&name(TransferId(3))), Some(TransferId(3)));
    for other in ["", "3", ":3", "1:3", "x:3", &format!("{}:x", process::id())] {
        assert_eq!(parse_name(other), None, "{other}");
    }
}
