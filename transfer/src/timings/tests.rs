//! The bottleneck of a transfer, derived from its timings.

use std::sync::mpsc;

use super::*;

/// The bottleneck of a transfer of one second, which waited this long for the disk and for hashing,
/// on a thread that was busy this long.
fn bottleneck(disk: u64, hashing: u64, busy: Option<u64>) -> Option<Bottleneck> {
    let (disk, hashing) = (Duration::from_millis(disk), Duration::from_millis(hashing));
    let busy = busy.map(Duration::from_millis);
    let timings = TransferTimings { disk, hashing, busy, ..TransferTimings::start() };
    timings.bottleneck(Duration::from_secs(1))
}

#[test]
fn the_bottleneck_is_reported_where_it_is_known() {
    assert_eq!(bottleneck(500, 0, None), Some(Bottleneck::Disk));
    assert_eq!(
        bottleneck(500, 0, Some(1000)),
        Some(Bottleneck::Disk),
        "the thread also serves other transfers"
    );
    assert_eq!(bottleneck(100, 500, None), Some(Bottleneck::Processor));
    assert_eq!(bottleneck(100, 100, Some(850)), Some(Bottleneck::Processor));
    assert_eq!(bottleneck(100, 150, Some(700)), Some(Bottleneck::Network));
    assert_eq!(bottleneck(0, 0, Some(0)), Some(Bottleneck::Network));
    assert_eq!(bottleneck(0, 0, Some(800)), None, "no single bottleneck");
    assert_eq!(bottleneck(300, 100, Some(300)), None, "no single bottleneck");
    assert_eq!(bottleneck(0, 0, None), None, "the thread was not measured");
}

#[test]
fn a_pipe_is_not_reported_as_a_disk() {
    let timings =
        TransferTimings { disk: Duration::from_secs(1), ..TransferTimings::start() }.for_pipe();
    assert_eq!(timings.bottleneck(Duration::from_secs(1)), Some(Bottleneck::Pipe));
}

#[test]
fn a_short_transfer_reports_no_bottleneck() {
    let timings = TransferTimings { disk: Duration::from_millis(99), ..TransferTimings::start() };
    assert_eq!(timings.bottleneck(Duration::from_millis(99)), None);
}

#[test]
fn only_time_spent_waiting_counts() {
    let now = Instant::now();
    let at = |millis| now + Duration::from_millis(millis);
    let access = DiskAccess { started: at(0), disk: Duration::from_millis(30), ended: at(40) };
    let mut timings = TransferTimings::start();
    timings.record_wait(at(20), &access);
    assert_eq!((timings.disk.as_millis(), timings.hashing.as_millis()), (15, 5));
    // The step had ended before the transfer waited for it.
    timings.record_wait(at(50), &access);
    assert_eq!((timings.disk.as_millis(), timings.hashing.as_millis()), (15, 5));
    assert_eq!(DiskAccess::start().disk_share(), 0.0);
}

#[test]
fn a_working_thread_is_busy_and_a_waiting_thread_is_not() {
    if unix::thread_time().is_none() {
        eprintln!("SKIPPED: this system does not tell how busy a thread is");
        return;
    }
    let working = ThreadLoad::start();
    while working.started.elapsed() < 2 * MIN_MEASURED {
        std::hint::spin_loop();
    }
    assert!(working.is_busy(), "{:?}", working.busy_share());
    let waiting = ThreadLoad::start();
    assert_eq!(waiting.busy_share(), None, "too soon");
    // The sender never sends.
    let (_sender, receiver) = mpsc::channel::<()>();
    assert!(receiver.recv_timeout(5 * MIN_MEASURED).is_err());
    assert!(waiting.busy_share().unwrap() < 0.7, "{:?}", waiting.busy_share());
    let elsewhere = std::thread::spawn(move || waiting.busy_share()).join();
    assert_eq!(elsewhere.unwrap(), None, "another thread");
}
