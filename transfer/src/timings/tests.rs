//! What held a transfer back, told from its times.

use std::sync::mpsc;

use super::*;

/// A transfer of a second that waited so long for a disk and for hashes, on a thread that was busy so long.
fn brake(disk: u64, hashing: u64, busy: Option<u64>) -> Option<Bottleneck> {
    let (disk, hashing) = (Duration::from_millis(disk), Duration::from_millis(hashing));
    let busy = busy.map(Duration::from_millis);
    let times = TransferTimings { disk, hashing, busy, ..TransferTimings::begin() };
    times.bottleneck(Duration::from_secs(1))
}

#[test]
fn what_held_a_transfer_back_is_said_where_it_can_be_told() {
    assert_eq!(brake(500, 0, None), Some(Bottleneck::Disk));
    assert_eq!(
        brake(500, 0, Some(1000)),
        Some(Bottleneck::Disk),
        "the thread works for others too"
    );
    assert_eq!(brake(100, 500, None), Some(Bottleneck::Processor));
    assert_eq!(brake(100, 100, Some(850)), Some(Bottleneck::Processor));
    assert_eq!(brake(100, 150, Some(700)), Some(Bottleneck::Network));
    assert_eq!(brake(0, 0, Some(0)), Some(Bottleneck::Network));
    assert_eq!(brake(0, 0, Some(800)), None, "a bit of everything");
    assert_eq!(brake(300, 100, Some(300)), None, "a bit of everything");
    assert_eq!(brake(0, 0, None), None, "nobody has looked");
}

#[test]
fn a_pipe_is_no_disk() {
    let times =
        TransferTimings { disk: Duration::from_secs(1), ..TransferTimings::begin() }.of_pipe();
    assert_eq!(times.bottleneck(Duration::from_secs(1)), Some(Bottleneck::Pipe));
}

#[test]
fn a_short_transfer_says_nothing() {
    let times = TransferTimings { disk: Duration::from_millis(99), ..TransferTimings::begin() };
    assert_eq!(times.bottleneck(Duration::from_millis(99)), None);
}

#[test]
fn only_what_was_waited_for_counts() {
    let now = Instant::now();
    let at = |millis| now + Duration::from_millis(millis);
    let access = DiskAccess { began: at(0), disk: Duration::from_millis(30), ended: at(40) };
    let mut times = TransferTimings::begin();
    times.waited(at(20), &access);
    assert_eq!((times.disk.as_millis(), times.hashing.as_millis()), (15, 5));
    // It had ended before anybody waited for it.
    times.waited(at(50), &access);
    assert_eq!((times.disk.as_millis(), times.hashing.as_millis()), (15, 5));
    assert_eq!(DiskAccess::begin().share_of_disk(), 0.0);
}

#[test]
fn a_thread_that_works_is_busy_and_one_that_waits_is_not() {
    if unix::thread_time().is_none() {
        eprintln!("SKIPPED: this system does not tell how busy a thread is");
        return;
    }
    let working = ThreadLoad::start();
    while working.since.elapsed() < 2 * WORTH_A_WORD {
        std::hint::spin_loop();
    }
    assert!(working.is_busy(), "{:?}", working.busy());
    let waiting = ThreadLoad::start();
    assert_eq!(waiting.busy(), None, "too soon");
    // Nobody sends anything.
    let (_sender, receiver) = mpsc::channel::<()>();
    assert!(receiver.recv_timeout(5 * WORTH_A_WORD).is_err());
    assert!(waiting.busy().unwrap() < 0.7, "{:?}", waiting.busy());
    let elsewhere = std::thread::spawn(move || waiting.busy()).join();
    assert_eq!(elsewhere.unwrap(), None, "another thread");
}
