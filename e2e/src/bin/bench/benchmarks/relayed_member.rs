//! A member's messages to the server and its gets, beside a transfer over the relay that uses all it can.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::latency::RoundTrips;
use crate::cli::format_count;
use crate::figure::format_figure;
use crate::fixtures::{DOWNLOADS, FILES, remove};
use crate::library_client::{ClientPair, MemberClient};
use crate::measurement::median;
use crate::report::{Bound, Section, Table};
use crate::testbed::Testbed;

/// The file that is relayed again and again, in bytes.
const RELAYED_SIZE: u64 = 256 * 1024 * 1024;

/// How long messages are timed in each round.
const MESSAGE_DURATION: Duration = Duration::from_secs(2);

/// The bytes after which the relay runs at its rate.
const RAMP_BYTES: u64 = 8 * 1024 * 1024;

/// Interval of the checks whether the relay runs.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Which side of the relay the member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RelaySide {
    Receiver,
    Sender,
}

/// What a member reached, alone or beside a relay. One value for each round, except messages.
#[derive(Debug, Default)]
struct MemberLoad {
    /// Round trips of messages in milliseconds.
    messages: Vec<f64>,
    /// Seconds of a get.
    gets: Vec<f64>,
    /// The relay's rate during both, in 10^6 bytes a second.
    relayed: Vec<f64>,
}

/// A member of a relay, measured.
pub(super) struct MemberResult {
    side: RelaySide,
    size: u64,
    alone: MemberLoad,
    beside: MemberLoad,
}

/// Measures both members of a relayed connection.
pub(super) async fn measure(
    testbed: &Testbed,
    pair: &ClientPair,
    rounds: usize,
) -> [MemberResult; 2] {
    testbed.work_folder.create_file("relayed", RELAYED_SIZE);
    let size = std::fs::metadata(testbed.work_folder.path(FILES).join("large")).unwrap().len();
    let mut members = [RelaySide::Receiver, RelaySide::Sender].map(|side| MemberResult {
        side,
        size,
        alone: MemberLoad::default(),
        beside: MemberLoad::default(),
    });
    for _ in 0..rounds {
        for member in &mut members {
            member.measure_round(testbed, pair).await;
        }
    }
    members
}

impl MemberResult {
    /// One round alone, and one beside the relay.
    async fn measure_round(&mut self, testbed: &Testbed, pair: &ClientPair) {
        let member = match self.side {
            RelaySide::Receiver => &pair.receiver,
            RelaySide::Sender => &pair.sender,
        };
        let folder = testbed.work_folder.path(DOWNLOADS);
        self.alone.measure(member, folder.clone()).await;
        let is_done = Cell::new(false);
        let relay = async {
            let file = testbed.work_folder.path(FILES).join("relayed");
            while !is_done.get() {
                pair.sender.send(&pair.receiver, &file, &folder).await;
                remove(&folder.join("relayed"));
            }
        };
        let relayed_bytes = || pair.receiver.exchanged(&pair.sender).0;
        let before = relayed_bytes();
        let measured = async {
            while relayed_bytes() < before + RAMP_BYTES {
                sleep(POLL_INTERVAL).await;
            }
            let (started, bytes) = (Instant::now(), relayed_bytes());
            self.beside.measure(member, folder.clone()).await;
            let relayed = (relayed_bytes() - bytes) as f64;
            self.beside.relayed.push(relayed / 1e6 / started.elapsed().as_secs_f64());
            is_done.set(true);
        };
        tokio::join!(relay, measured);
    }

    fn percentile(messages: &[f64], share: f64) -> f64 {
        RoundTrips::new(messages.to_vec()).percentile(share)
    }

    /// The rate of the get beside the relay, over that alone.
    fn get_ratio(&self) -> f64 {
        self.alone.get_seconds() / self.beside.get_seconds()
    }

    fn rows(&self) -> [Vec<String>; 2] {
        let name = match self.side {
            RelaySide::Receiver => "receiver",
            RelaySide::Sender => "sender",
        };
        [(&self.alone, "alone"), (&self.beside, "beside a relay")].map(|(load, when)| {
            let times =
                [0.5, 0.99].map(|share| format!("{:.3}", Self::percentile(&load.messages, share)));
            let is_alone = load.relayed.is_empty();
            let unless_alone = |figure: f64| {
                if is_alone { String::new() } else { format_figure(figure) }
            };
            let ratios = || self.alone.gets.iter().zip(&load.gets).map(|(alone, get)| alone / get);
            let last = [
                format_figure(self.size as f64 / 1e6 / load.get_seconds()),
                unless_alone(self.get_ratio()),
                unless_alone(ratios().fold(f64::INFINITY, f64::min)),
                unless_alone(ratios().fold(0.0, f64::max)),
                if is_alone {
                    String::new()
                } else {
                    format_figure(median(load.relayed.iter().copied()))
                },
            ];
            let first = [format!("{name}, {when}"), format_count(load.messages.len() as u64)];
            first.into_iter().chain(times).chain(last).collect()
        })
    }
}

impl MemberLoad {
    /// Messages, then a get.
    async fn measure(&mut self, member: &MemberClient, folder: PathBuf) {
        self.messages.extend(member.message_server(MESSAGE_DURATION).await);
        self.gets.push(member.get("large", &folder).await);
        remove(&folder.join("large"));
    }

    fn get_seconds(&self) -> f64 {
        median(self.gets.iter().copied())
    }
}

/// Adds a table, a note and goals to a section.
pub(super) fn report(section: &mut Section, members: Result<[MemberResult; 2], String>) {
    if let Ok(members) = &members {
        let mut table = Table::new(&[
            "member",
            "messages",
            "p50 ms",
            "p99 ms",
            "get MB/s",
            "get / alone",
            "least",
            "most",
            "relay MB/s",
        ]);
        members.iter().flat_map(MemberResult::rows).for_each(|row| table.row(row));
        section.tables.push(table);
        section.notes.push(
            "member: the client that receives or sends over the relay sends messages to the server, one after the other, \
             and then gets the same file, all on one connection. Files are relayed one after the other meanwhile."
                .to_owned(),
        );
    }
    for (index, side) in ["receives", "sends"].into_iter().enumerate() {
        let of = |figure: fn(&MemberResult) -> f64| match &members {
            Ok(members) => Ok(figure(&members[index])),
            Err(reason) => Err(reason.clone()),
        };
        let p99 = of(|member| MemberResult::percentile(&member.beside.messages, 0.99));
        let what = format!("message p99 of a client that {side} over the relay");
        section.goal(what, Bound::AtMost(10.0), " ms", p99);
        let what = format!("get of a client that {side} over the relay, over the get alone");
        section.goal(what, Bound::AtLeast(0.5), "", of(MemberResult::get_ratio));
    }
}
