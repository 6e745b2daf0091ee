//! Shares of the link: a get beside one TCP flow, and two gets of which one starts later.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quiver_e2e::path_emulator::LinkSettings;
use serde_json::json;

use super::iperf;
use super::testbed::PathTestbed;
use super::timeline::Timeline;
use super::validity::{cell, measure_valid, valid_median};
use crate::bench_client::{BenchClient, block_on};
use crate::child_process::ChildProcess;
use crate::report::{Bound, Section, Table};

/// More than the link transmits while a measurement lasts.
const FILE: &str = "shared";
const BYTES: u64 = 2 << 30;
/// The second flow starts so much later than the first one.
const LATER: Duration = Duration::from_secs(10);
/// The shares beside TCP are those of this time, from the start of the second flow on.
const BESIDE_TCP: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(35));
/// The shares of two gets are those of this time, from the start of the second one on.
const OF_TWO: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(15));

/// Measures all combinations; the medians of all rounds count.
pub(crate) fn measure(testbed: &PathTestbed, link: LinkSettings, rounds: usize) -> Section {
    let mut section = Section::new("shares of the link");
    testbed.work_folder.create_file(FILE, BYTES);
    testbed.set_path(link);
    let rate = link.rate.expect("a path with a rate") as f64;
    let mut table = Table::new(&["", "first flow %", "second flow %"]);
    for control in ["cubic", "bbr"] {
        if !testbed.path.set_tcp_congestion_control(control) {
            let reason = format!("the kernel has no TCP congestion control {control}");
            let name = format!("share beside TCP {control}");
            section.goal(name, Bound::AtLeast(25.0), " %", Err(reason));
            continue;
        }
        for quiver_is_later in [true, false] {
            let name = if quiver_is_later {
                format!("TCP {control}, then quiver")
            } else {
                format!("quiver, then TCP {control}")
            };
            let shares = (1..=rounds).filter_map(|round| {
                eprintln!("... shares, {name}, round {round}");
                let shares = measure_valid(&testbed.path, || beside_tcp(testbed, quiver_is_later))?;
                let shares = shares.map(|bits| bits / rate * 100.0);
                record(testbed, &name, &shares);
                Some(shares)
            });
            let shares: Vec<_> = shares.collect();
            let medians = [0, 1].map(|flow| valid_median(shares.iter().map(|shares| shares[flow])));
            table.row([name.clone()].into_iter().chain(medians.map(cell)));
            let ours = medians[usize::from(quiver_is_later)];
            section.goal(format!("{name}: share"), Bound::AtLeast(25.0), " %", Ok(ours));
            section.goal(format!("{name}: share"), Bound::AtMost(75.0), " %", Ok(ours));
        }
    }
    let shares = (1..=rounds).filter_map(|round| {
        eprintln!("... shares, two of quiver, round {round}");
        let shares = measure_valid(&testbed.path, || two_gets(testbed))?;
        let shares = shares.map(|bits| bits / rate * 100.0);
        record(testbed, "two of quiver", &shares);
        Some(shares)
    });
    let shares: Vec<_> = shares.collect();
    let medians = [0, 1].map(|flow| valid_median(shares.iter().map(|shares| shares[flow])));
    table.row(["two of quiver".to_owned()].into_iter().chain(medians.map(cell)));
    let lower = valid_median(shares.iter().map(|shares| shares[0].min(shares[1])));
    section.goal("two of quiver: lower share", Bound::AtLeast(40.0), " %", Ok(lower));
    section.tables.push(table);
    testbed.work_folder.remove(FILE);
    section.notes.push(format!(
        "Gets. The second flow starts {} s after the first one. Beside TCP (iperf3): shares of the seconds {} to {} after \
         that, of two of quiver: {} to {}. Content without headers, so that both together have at most about 96 %.",
        LATER.as_secs(),
        BESIDE_TCP.0.as_secs(),
        BESIDE_TCP.1.as_secs(),
        OF_TWO.0.as_secs(),
        OF_TWO.1.as_secs(),
    ));
    section
}

/// The rates of the first and the second flow in bit/s, one of which is TCP with the congestion control that is set.
fn beside_tcp(testbed: &PathTestbed, quiver_is_later: bool) -> [f64; 2] {
    testbed.drain();
    let server = iperf::start_server(&testbed.path);
    let seconds = (LATER + BESIDE_TCP.1).as_secs() + 1;
    let (quiver_start, tcp_start) =
        if quiver_is_later { (LATER, Duration::ZERO) } else { (Duration::ZERO, LATER) };
    let start = Instant::now();
    let (quiver, tcp) = std::thread::scope(|scope| {
        let tcp = scope.spawn(|| {
            wait_until(start + tcp_start);
            run_iperf(testbed, seconds)
        });
        let end = start + LATER + BESIDE_TCP.1;
        let quiver = get(testbed, "meter", start, start + quiver_start, end);
        (quiver, tcp.join().expect("iperf3 has run"))
    });
    drop(server);
    let (from, until) = (LATER + BESIDE_TCP.0, LATER + BESIDE_TCP.1);
    let quiver = quiver.rate(from, until);
    let tcp = tcp.rate(from - tcp_start, until - tcp_start);
    if quiver_is_later { [tcp, quiver] } else { [quiver, tcp] }
}

/// The rates of two gets in bit/s, the second of which started later.
fn two_gets(testbed: &PathTestbed) -> [f64; 2] {
    testbed.drain();
    let start = Instant::now();
    let end = start + LATER + OF_TWO.1;
    let timelines = std::thread::scope(|scope| {
        let first = scope.spawn(|| get(testbed, "first", start, start, end));
        let second = get(testbed, "second", start, start + LATER, end);
        [first.join().expect("the first get"), second]
    });
    timelines.map(|timeline| timeline.rate(LATER + OF_TWO.0, LATER + OF_TWO.1))
}

/// Gets the file from a time on, until the end. Times in the timeline are counted from `zero`.
fn get(testbed: &PathTestbed, name: &str, zero: Instant, start: Instant, end: Instant) -> Timeline {
    wait_until(start);
    let timeline = Arc::new(Mutex::new(Timeline::default()));
    let received = timeline.clone();
    let progress = move |bytes| received.lock().push(zero.elapsed(), bytes);
    testbed.path.client().run(|| {
        block_on(async {
            let certificate = testbed.work_folder.path("certs/server.pem");
            let server = testbed.quiver.address;
            let client = BenchClient::sign_in_as(name, server, &certificate).await;
            tokio::select! {
                () = client.get(FILE, progress) => panic!("the file was too small"),
                () = tokio::time::sleep_until(end.into()) => {}
            }
            client.close().await;
        });
    });
    timeline.lock().clone()
}

/// What a TCP flow has received, from its own start on.
fn run_iperf(testbed: &PathTestbed, seconds: u64) -> Timeline {
    let output = testbed.work_folder.path("iperf3.json");
    let server = testbed.quiver.address.ip();
    testbed.path.client().run(|| {
        let mut command = iperf::command_for_seconds(server, seconds, true);
        command.stdout(std::fs::File::create(&output).unwrap());
        let mut client = ChildProcess::start(&mut command);
        let status = client.child().wait().unwrap();
        assert!(status.success(), "{command:?}: {status}");
    });
    let report = std::fs::read_to_string(&output).unwrap();
    iperf::timeline(&report).unwrap_or_else(|| panic!("iperf3 reported {report}"))
}

fn wait_until(time: Instant) {
    while let Some(left) =
        time.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    {
        std::thread::park_timeout(left);
    }
}

fn record(testbed: &PathTestbed, name: &str, shares: &[f64; 2]) {
    testbed.record(&json!({
        "measurement": "shares",
        "flows": name,
        "first_percent": shares[0],
        "second_percent": shares[1],
    }));
}
