//! Several processes on one database: this test program starts itself again.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::*;

/// Names the state folder to a program that the test started.
const FOLDER: &str = "QUIVER_TEST_PEER_STORE";

const CHILDREN: usize = 4;
const OFFERS: u64 = 8;

#[test]
fn of_processes_that_accept_an_offer_or_receive_a_message_one_succeeds() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return act(Path::new(&folder));
    }
    let (folder, store) = new_store();
    store.remember_key(SERVER, &name("Ron"), KEY, false, second(0)).unwrap();
    for id in 0..OFFERS {
        record(&store, id, second(0)).unwrap();
    }
    let outputs = run_children(folder.path());
    let count = |line: &str| {
        outputs.iter().flat_map(|text| text.lines()).filter(|found| *found == line).count()
    };
    for id in 0..OFFERS {
        assert_eq!(count(&format!("accepted {}", id + 1)), 1, "{outputs:?}");
        assert_eq!(count(&format!("new message {id}")), 1, "{outputs:?}");
    }
    assert_eq!(store.unfinished_accepted(second(1)).unwrap().len() as u64, OFFERS);
    // A process that ends releases its locks.
    assert!((1..=OFFERS).all(|number| !store.is_locked(OfferNumber(number))));
}

fn run_children(folder: &Path) -> Vec<String> {
    let test = "peer_store::tests::processes::\
                of_processes_that_accept_an_offer_or_receive_a_message_one_succeeds";
    let start = |_| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..CHILDREN).map(start).collect();
    let text = |output: Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    children.into_iter().map(|child| text(child.wait_with_output().unwrap())).collect()
}

/// What each of the processes does.
fn act(folder: &Path) {
    let store = PeerStore::open(folder).unwrap();
    // The test framework has begun a line.
    println!();
    for id in 0..OFFERS {
        let number = OfferNumber(id + 1);
        let Some(_lock) = store.lock_offer(number).unwrap() else { continue };
        match store.accept_offer(number, Path::new("/downloads"), second(1)) {
            Ok(_) => println!("accepted {number}"),
            Err(PeerStoreError::IncomingSettled { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    for id in 0..OFFERS {
        let recorded = store.record_message(SERVER, &name("Ron"), KEY, message_id(id), None);
        if recorded.unwrap() != MessageRecord::Known {
            println!("new message {id}");
        }
    }
}
