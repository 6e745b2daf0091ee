//! How a client that misuses the server over its full number of connections affects another client: the rate of
//! that client's get, and its messages during the get.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use quiver_e2e::wire::{Client, Dialer, Key, RawFrame, RawStream};
use quiver_transport::CertificateInfo;
use serde_json::{Value, json};

use super::latency::RoundTrips;
use crate::bench_client::{BenchClient, block_on};
use crate::cli::{Workload, format_count};
use crate::figure::format_figure;
use crate::fixtures::FILES;
use crate::report::{Bound, Section, Table};
use crate::testbed::Testbed;

/// Connections of the client that misuses the server, and streams on each.
const CONNECTIONS: usize = 8;
const STREAMS: usize = 60;

/// Files in the folder that is listed.
const ENTRIES: u64 = 20_000;

/// Bytes of a sparse file that the misusing client falsely claims to have.
const CLAIMED: u64 = 400 << 30;

/// The kind of misuse.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Misuse {
    Nothing,
    UnreadLists,
    AbandonedLists,
    FalseProofs,
    Exits,
}

/// A client that misuses the server until it is dropped.
struct MisusingClient {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Misuse {
    const ALL: [Self; 5] =
        [Self::Nothing, Self::UnreadLists, Self::AbandonedLists, Self::FalseProofs, Self::Exits];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::UnreadLists => "lists that it does not read",
            Self::AbandonedLists => "lists that it abandons",
            Self::FalseProofs => "false claims of 400 GiB",
            Self::Exits => "exits with 16 running gets",
        }
    }
}

pub(crate) fn measure(testbed: &Testbed, workload: Workload) -> Section {
    let mut section = Section::new("a get beside a client that misuses the server");
    testbed.work_folder.create_file("large", workload.size);
    let files = testbed.work_folder.path(FILES);
    std::fs::create_dir_all(files.join("many")).unwrap();
    for number in 0..ENTRIES {
        File::create(files.join(format!("many/a-file-with-a-name-{number}"))).unwrap();
    }
    File::create(files.join("sparse")).unwrap().set_len(CLAIMED).unwrap();
    let certificate = testbed.work_folder.path("certs/server.pem");
    let mut results = Misuse::ALL.map(|_| (Vec::new(), Vec::new(), Vec::new()));
    for _ in 0..workload.rounds.min(5) {
        for (misuse, (rates, times, lists)) in Misuse::ALL.into_iter().zip(&mut results) {
            let _misusing_client = MisusingClient::start(misuse, testbed, &certificate);
            let (rate, messages, list) =
                block_on(measure_other_client(testbed, &certificate, workload.size));
            rates.push(rate);
            times.extend(messages);
            lists.push(list);
        }
    }
    testbed.work_folder.remove("many");
    std::fs::remove_file(files.join("sparse")).unwrap();
    let mut table = Table::new(&[
        "the other client does",
        "get MB/s",
        "share of alone",
        "messages",
        "p50 ms",
        "p99 ms",
        "list ms",
    ]);
    let mut alone = 0.0;
    for (misuse, (mut rates, times, lists)) in Misuse::ALL.into_iter().zip(results) {
        rates.sort_unstable_by(f64::total_cmp);
        let rate = rates[rates.len() / 2];
        if misuse == Misuse::Nothing {
            alone = rate;
        }
        let (share, messages, times) =
            (rate / alone, format_count(times.len() as u64), RoundTrips::new(times));
        let milliseconds = [0.5, 0.99].map(|share| format!("{:.3}", times.percentile(share)));
        let cells =
            [misuse.name().to_owned(), format_figure(rate), format!("{share:.2}"), messages];
        let list = RoundTrips::new(lists).percentile(0.5);
        table.row(cells.into_iter().chain(milliseconds).chain([format_figure(list)]));
        if misuse != Misuse::Nothing {
            let what = format!("get beside {}, over alone", misuse.name());
            section.goal(what, Bound::AtLeast(0.8), "", Ok(share));
            let what = format!("message p99 beside {}", misuse.name());
            section.goal(what, Bound::AtMost(500.0), " ms", Ok(times.percentile(0.99)));
            let what = format!("list of {} files beside {}", format_count(ENTRIES), misuse.name());
            section.goal(what, Bound::AtMost(500.0), " ms", Ok(list));
        }
    }
    section.tables.push(table);
    section.notes.push(format!(
        "Medians of {} rounds in alternation. The other client has {CONNECTIONS} connections with {STREAMS} streams, \
         and runs on the same machine. The folder has {} files.",
        workload.rounds.min(5),
        format_count(ENTRIES)
    ));
    section
}

/// The rate of a get that stores nothing in 10^6 bytes a second, the milliseconds of the messages during it, and the
/// milliseconds of a list after it.
async fn measure_other_client(
    testbed: &Testbed,
    certificate: &Path,
    size: u64,
) -> (f64, Vec<f64>, f64) {
    let client = BenchClient::sign_in(testbed.quiver.address, certificate).await;
    let (started, mut times) = (std::time::Instant::now(), Vec::new());
    let messages = async {
        loop {
            times.push(client.round_trip().await);
        }
    };
    tokio::select! {
        () = client.get("large", |_| ()) => {}
        () = messages => {}
    }
    let rate = size as f64 / 1e6 / started.elapsed().as_secs_f64();
    let list = client.list("many").await;
    client.close().await;
    (rate, times, list)
}

impl MisusingClient {
    /// Starts the misuse. Returns once it is active.
    fn start(misuse: Misuse, testbed: &Testbed, certificate: &Path) -> Self {
        let fingerprint = CertificateInfo::load(certificate).unwrap().fingerprint.to_string();
        let (address, stop) = (testbed.quiver.address, Arc::new(AtomicBool::new(false)));
        let (ready, active) = mpsc::channel::<()>();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            block_on(async {
                let key = Key::new();
                let dialer = || {
                    let dialer = Dialer::to_address(address, &fingerprint).key(&key);
                    dialer.transport(|settings| {
                        settings.stream_receive_window(4096_u32.into());
                    })
                };
                let mut connections = Vec::new();
                if !matches!(misuse, Misuse::Nothing | Misuse::Exits) {
                    for _ in 0..CONNECTIONS {
                        connections.push((dialer().sign_in("misuser").await, Vec::new()));
                    }
                }
                let mut ready = Some(ready);
                while !stopped.load(Ordering::Relaxed) {
                    match misuse {
                        Misuse::Nothing => {}
                        Misuse::UnreadLists => {
                            fill_streams(&mut connections, &list_request()).await
                        }
                        Misuse::FalseProofs => fill_streams(&mut connections, &false_claim()).await,
                        Misuse::AbandonedLists => {
                            fill_streams(&mut connections, &list_request()).await;
                            for (_, streams) in &mut connections {
                                streams.drain(..).for_each(RawStream::abandon);
                            }
                        }
                        Misuse::Exits => exit_with_gets(dialer().sign_in("misuser").await).await,
                    }
                    drop(ready.take());
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                for (client, streams) in connections {
                    drop(streams);
                    client.close().await;
                }
            });
        });
        // Nothing is sent: dropping the sender ends the wait.
        let _ = active.recv();
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for MisusingClient {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))), "a client that misuses the server failed");
    }
}

/// Sends the request on all unused streams.
async fn fill_streams(connections: &mut [(Client, Vec<RawStream>)], request: &Value) {
    for (client, streams) in connections {
        while streams.len() < STREAMS {
            streams.push(send_request(client, request).await);
        }
    }
}

async fn send_request(client: &Client, request: &Value) -> RawStream {
    let mut stream = client.open().await.unwrap();
    stream.write_frame(&RawFrame::request(request)).await.unwrap();
    stream
}

fn list_request() -> Value {
    json!({"command": "list", "path": "many"})
}

fn false_claim() -> Value {
    let have = json!({"size": CLAIMED, "blake3": "0".repeat(64)});
    json!({"command": "get", "path": "sparse", "have": have})
}

/// Starts sixteen gets that it does not read, and sends exit.
async fn exit_with_gets(client: Client) {
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(send_request(&client, &json!({"command": "get", "path": "large"})).await);
    }
    client.request(json!({"command": "exit"})).await;
    drop(streams);
    client.close().await;
}
