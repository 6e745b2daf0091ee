//! Transfers as the page lists them, from made-up states of the client.

use std::process;

use chrono::DateTime;
use quiver_client::address::ServerAddress;
use quiver_client::journal::Direction;
use quiver_client::transfers::TransferState;
use quiver_control::view::{TransferAction, TransferKind};
use quiver_protocol::{ClientName, Timestamp};

use super::*;

fn status(id: u64, other: OtherSide, named: &str, state: TransferState) -> TransferStatus {
    TransferStatus {
        id: TransferId(id),
        direction: Direction::Get,
        other,
        named: vec![named.to_owned()],
        state,
        is_pausable: true,
        started: Timestamp(DateTime::from_timestamp(1, 0).unwrap()),
        ended: None,
        files: Some(2),
        files_done: 1,
        current_file: None,
        files_failed: 1,
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

fn server() -> OtherSide {
    OtherSide::Server(ServerAddress::local())
}

fn views(records: &mut TransferRecords, status: &TransferStatus) -> Vec<TransferView> {
    let folder_of = |number| (number == 7).then(|| PathBuf::from("/h/ann"));
    records.views(std::slice::from_ref(status), folder_of, |_| Some(PathKind::Direct))
}

#[test]
fn a_transfer_offers_what_is_possible() {
    use TransferAction::{Cancel, Pause, Remove, Retry, Show};
    let mut records = TransferRecords::default();
    let request = TransferRequest::Get {
        paths: vec!["a".to_owned()],
        folder: PathBuf::from("/h"),
        on_conflict: OnConflict::Ask,
    };
    let running = status(1, server(), "a", TransferState::Running);
    let facts = TransferFacts {
        local: request.local(),
        is_listed: true,
        is_repeatable: true,
        ..TransferFacts::of_status(&running)
    };
    records.add(TransferId(1), TransferRecord { facts, request: Some(request.clone()) });
    let view = views(&mut records, &running).remove(0);
    assert_eq!(view.transfer, format!("{}:1", process::id()));
    assert_eq!((view.process.as_str(), view.own, view.files_failed), ("page", true, 1));
    assert_eq!(view.can, [Pause, Cancel, Show]);
    assert_eq!((view.path, view.local.as_deref()), (Some(PathKind::Server), Some("/h")));
    let streamed = TransferStatus { is_pausable: false, ..running };
    assert_eq!(views(&mut records, &streamed)[0].can, [Cancel, Show]);
    let failed = status(1, server(), "a", TransferState::Failed);
    assert_eq!(views(&mut records, &failed)[0].can, [Retry, Remove, Show]);
    assert_eq!(records.request(TransferId(1)), Some(request));
    records.remove(TransferId(1));
    assert_eq!(views(&mut records, &failed), []);
}

#[test]
fn an_offer_that_the_client_fetches_by_itself_is_received_from_its_sender() {
    let mut records = TransferRecords::default();
    let ann = OtherSide::Client(ClientName::parse("Ann").unwrap());
    let fetched = status(1, ann, "offer 7", TransferState::Running);
    let view = views(&mut records, &fetched).remove(0);
    assert_eq!((view.direction, view.with.as_str()), (TransferKind::Receive, "@Ann"));
    assert_eq!(view.path, Some(PathKind::Direct));
    assert_eq!((view.command.as_str(), view.local.as_deref()), ("quiver accept 7", Some("/h/ann")));
    let name = TransferName::own(TransferId(1)).to_string();
    assert_eq!(records.transfer_of_offer(7), Some(name));
    let ended = TransferStatus { state: TransferState::Failed, ..fetched };
    assert!(views(&mut records, &ended)[0].can.contains(&TransferAction::Retry));
    let file = status(2, server(), "offer 7", TransferState::Running);
    let view = views(&mut records, &file).remove(0);
    assert_eq!((view.direction, view.with.as_str()), (TransferKind::Download, "server"));
}

#[test]
fn dropped_content_is_named_by_its_files_and_repeated_only_while_it_is_there() {
    let mut records = TransferRecords::default();
    let put = status(1, server(), "/cache/quiver/spool/7/a.txt", TransferState::Failed);
    let put = TransferStatus { direction: Direction::Put, ..put };
    let request = TransferRequest::PutSpooled {
        dropped: DropId::parse("0123456789abcdef").unwrap(),
        to: String::new(),
        on_conflict: OnConflict::Ask,
    };
    let facts = TransferFacts {
        local: request.local(),
        is_listed: true,
        is_repeatable: true,
        ..TransferFacts::of_status(&put)
    };
    records.add(TransferId(1), TransferRecord { facts, request: Some(request) });
    let view = views(&mut records, &put).remove(0);
    assert_eq!((view.names, view.local), (vec!["a.txt".to_owned()], None));
    assert_eq!(view.can, [TransferAction::Retry, TransferAction::Remove]);
    assert_eq!(records.fate(Some(&put)), DropFate::Needed);
    let cancelled = TransferStatus { state: TransferState::Cancelled, ..put.clone() };
    assert_eq!(views(&mut records, &cancelled)[0].can, [TransferAction::Remove]);
    assert_eq!(records.fate(Some(&cancelled)), DropFate::Over);
    records.remove(TransferId(1));
    assert_eq!(records.fate(Some(&put)), DropFate::Over);
}
