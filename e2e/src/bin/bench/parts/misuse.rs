//! What a client notices of another one that misuses the server, over as many connections as a client may have:
//! the rate of its get, and its messages meanwhile.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use quiver_e2e::wire::{Client, Dialer, Key, RawFrame, RawStream};
use quiver_transport::CertificateInfo;
use serde_json::{Value, json};

use super::latency::Times;
use crate::cast::Cast;
use crate::cli::{Amount, count};
use crate::figure::figure;
use crate::report::{Bound, Section, Table};
use crate::stage::FILES;
use crate::wire::{Member, block_on};

/// Connections of the client that misuses the server, and streams on each.
const CONNECTIONS: usize = 8;
const STREAMS: usize = 60;

/// Files in the folder that is listed.
const ENTRIES: u64 = 20_000;

/// Bytes that the client says it has of a sparse file.
const CLAIMED: u64 = 400 << 30;

/// What the other client does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Misuse {
    Nothing,
    UnreadLists,
    AbandonedLists,
    FalseProofs,
    Exits,
}

/// Somebody who misuses the server until dropped.
struct Misuser {
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
            Self::AbandonedLists => "lists that it gives up",
            Self::FalseProofs => "false claims of 400 GiB",
            Self::Exits => "exits with 16 gets under way",
        }
    }
}

pub(crate) fn measure(cast: &Cast, amount: Amount) -> Section {
    let mut section = Section::new("a get beside a client that misuses the server");
    cast.stage.file("large", amount.size);
    let files = cast.stage.at(FILES);
    std::fs::create_dir_all(files.join("many")).unwrap();
    for number in 0..ENTRIES {
        File::create(files.join(format!("many/a-file-with-a-name-{number}"))).unwrap();
    }
    File::create(files.join("sparse")).unwrap().set_len(CLAIMED).unwrap();
    let certificate = cast.stage.at("certs/server.pem");
    let mut found = Misuse::ALL.map(|_| (Vec::new(), Vec::new(), Vec::new()));
    for _ in 0..amount.rounds.min(5) {
        for (misuse, (rates, times, lists)) in Misuse::ALL.into_iter().zip(&mut found) {
            let _misuser = Misuser::start(misuse, cast, &certificate);
            let (rate, messages, list) = block_on(beside(cast, &certificate, amount.size));
            rates.push(rate);
            times.extend(messages);
            lists.push(list);
        }
    }
    cast.stage.remove("many");
    std::fs::remove_file(files.join("sparse")).unwrap();
    let mut table = Table::new(&[
        "the other client does",
        "get MB/s",
        "of alone",
        "messages",
        "p50 ms",
        "p99 ms",
        "list ms",
    ]);
    let mut alone = 0.0;
    for (misuse, (mut rates, times, lists)) in Misuse::ALL.into_iter().zip(found) {
        rates.sort_unstable_by(f64::total_cmp);
        let rate = rates[rates.len() / 2];
        if misuse == Misuse::Nothing {
            alone = rate;
        }
        let (share, messages, times) = (rate / alone, count(times.len() as u64), Times::new(times));
        let milliseconds = [0.5, 0.99].map(|share| format!("{:.3}", times.at(share)));
        let cells = [misuse.name().to_owned(), figure(rate), format!("{share:.2}"), messages];
        let list = Times::new(lists).at(0.5);
        table.row(cells.into_iter().chain(milliseconds).chain([figure(list)]));
        if misuse != Misuse::Nothing {
            let what = format!("get beside {}, over alone", misuse.name());
            section.goal(what, Bound::AtLeast(0.8), "", Ok(share));
            let what = format!("message p99 beside {}", misuse.name());
            section.goal(what, Bound::AtMost(500.0), " ms", Ok(times.at(0.99)));
            let what = format!("list of {} files beside {}", count(ENTRIES), misuse.name());
            section.goal(what, Bound::AtMost(500.0), " ms", Ok(list));
        }
    }
    section.tables.push(table);
    section.notes.push(format!(
        "Medians of {} rounds in turns. The other client has {CONNECTIONS} connections with {STREAMS} streams; its \
         processor is this machine's too. The folder has {} files.",
        amount.rounds.min(5),
        count(ENTRIES)
    ));
    section
}

/// The rate of a get that stores nothing, in 10^6 bytes a second, the milliseconds of the messages meanwhile, and those
/// of a list after it.
async fn beside(cast: &Cast, certificate: &Path, size: u64) -> (f64, Vec<f64>, f64) {
    let member = Member::join(cast.quiver.address, certificate).await;
    let (began, mut times) = (std::time::Instant::now(), Vec::new());
    let messages = async {
        loop {
            times.push(member.round_trip().await);
        }
    };
    tokio::select! {
        () = member.get("large", |_| ()) => {}
        () = messages => {}
    }
    let rate = size as f64 / 1e6 / began.elapsed().as_secs_f64();
    let list = member.list("many").await;
    member.leave().await;
    (rate, times, list)
}

impl Misuser {
    /// Returns once all has begun.
    fn start(misuse: Misuse, cast: &Cast, certificate: &Path) -> Self {
        let fingerprint = CertificateInfo::load(certificate).unwrap().fingerprint.to_string();
        let (address, stop) = (cast.quiver.address, Arc::new(AtomicBool::new(false)));
        let (ready, begun) = mpsc::channel::<()>();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            block_on(async {
                let key = Key::new();
                let dial = || {
                    let dial = Dialer::to_address(address, &fingerprint).key(&key);
                    dial.transport(|settings| {
                        settings.stream_receive_window(4096_u32.into());
                    })
                };
                let mut held = Vec::new();
                if !matches!(misuse, Misuse::Nothing | Misuse::Exits) {
                    for _ in 0..CONNECTIONS {
                        held.push((dial().sign_in("misuser").await, Vec::new()));
                    }
                }
                let mut ready = Some(ready);
                while !stopped.load(Ordering::Relaxed) {
                    match misuse {
                        Misuse::Nothing => {}
                        Misuse::UnreadLists => fill(&mut held, &list()).await,
                        Misuse::FalseProofs => fill(&mut held, &claim()).await,
                        Misuse::AbandonedLists => {
                            fill(&mut held, &list()).await;
                            for (_, streams) in &mut held {
                                streams.drain(..).for_each(RawStream::abandon);
                            }
                        }
                        Misuse::Exits => exit(dial().sign_in("misuser").await).await,
                    }
                    drop(ready.take());
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                for (client, streams) in held {
                    drop(streams);
                    client.close().await;
                }
            });
        });
        // Nothing is sent: the end of the sender is the word.
        let _ = begun.recv();
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Misuser {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))), "a client that misuses the server failed");
    }
}

/// Asks on all streams that are not in use.
async fn fill(held: &mut [(Client, Vec<RawStream>)], request: &Value) {
    for (client, streams) in held {
        while streams.len() < STREAMS {
            streams.push(ask(client, request).await);
        }
    }
}

async fn ask(client: &Client, request: &Value) -> RawStream {
    let mut stream = client.open().await.unwrap();
    stream.write_frame(&RawFrame::request(request)).await.unwrap();
    stream
}

fn list() -> Value {
    json!({"command": "list", "path": "many"})
}

fn claim() -> Value {
    let have = json!({"size": CLAIMED, "blake3": "0".repeat(64)});
    json!({"command": "get", "path": "sparse", "have": have})
}

/// Begins sixteen gets that it does not read, and says exit.
async fn exit(client: Client) {
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(ask(&client, &json!({"command": "get", "path": "large"})).await);
    }
    client.request(json!({"command": "exit"})).await;
    drop(streams);
    client.close().await;
}
