//! The model alone: what pages get, in which order, and what is left out.

use serde_json::{Value, json};

use super::*;

fn model() -> Model {
    let settings = PageSettings {
        folder: "/h".to_owned(),
        history: true,
        announce: true,
        wait_for_slot: false,
    };
    Model::new("run".to_owned(), "/h".to_owned(), settings, Vec::new())
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn notice() -> PageEvent {
    PageEvent::Notice { code: "other".into(), text: "a".to_owned() }
}

#[test]
fn a_snapshot_has_the_number_of_the_event_before_those_that_follow() {
    let mut model = model();
    model.publish(&notice());
    let mut feed = model.subscribe();
    let snapshot = read(&feed.snapshot);
    assert_eq!(snapshot["event"], json!(1));
    assert_eq!(snapshot["kind"], json!("snapshot"));
    assert_eq!(snapshot["snapshot"]["connection"]["state"], json!("signed_out"));
    model.publish(&notice());
    model.publish(&notice());
    let numbers = [2, 3].map(|_| read(&feed.events.try_recv().unwrap())["event"].clone());
    assert_eq!(numbers, [json!(2), json!(3)]);
}

#[test]
fn a_page_that_does_not_read_is_cut_off_alone() {
    let mut model = model();
    let mut slow = model.subscribe();
    for _ in 0..PAGE_QUEUE {
        model.publish(&notice());
    }
    let mut quick = model.subscribe();
    assert_eq!(model.page_count(), 2);
    model.publish(&notice());
    assert_eq!(model.page_count(), 1);
    assert_eq!(read(&quick.events.try_recv().unwrap())["event"], json!(PAGE_QUEUE + 1));
    let mut received = 0;
    while slow.events.try_recv().is_ok() {
        received += 1;
    }
    assert_eq!(received, PAGE_QUEUE);
    assert!(slow.events.is_closed());
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let mut model = model();
    let mut feed = model.subscribe();
    model.change_connection(|connection| connection.upload = true);
    model.change_connection(|connection| connection.upload = true);
    model.set_people(Vec::new());
    model.set_transfers(TransferOrigin::Own, Vec::new());
    assert_eq!(read(&feed.events.try_recv().unwrap())["kind"], json!("connection"));
    assert!(feed.events.try_recv().is_err());
}

#[test]
fn a_question_is_known_by_its_number_until_it_is_settled() {
    let mut model = model();
    model.add_question(QuestionId(1), QuestionContent::Name);
    model.add_question(QuestionId(1), QuestionContent::Name);
    model.sign_out(ConnectionView::signed_out(None));
    assert_eq!(model.question_id(1), None);
    // The next client counts from 1 again, and the page must not take its question for the old one.
    model.add_question(QuestionId(1), QuestionContent::Password);
    assert_eq!(model.question_id(2), Some(QuestionId(1)));
    model.settle_question(QuestionId(1));
    assert_eq!(model.question_id(2), None);
}
