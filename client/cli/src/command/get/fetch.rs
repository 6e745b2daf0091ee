//! One file, over as many connections as it takes.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use parking_lot::Mutex;
use quiver_protocol::Timestamp;
use quiver_protocol::text::display_safe;
use quiver_transfer::{Bottleneck, Hashed, Replace};
use quiver_transport::StreamError;
use tokio::time::{Instant, timeout};

use super::{Item, Place, Receipt, explain};
use crate::connection::{Hold, Line, Link};
use crate::failure::{Failure, is_loss, is_passing};
use crate::output::{Bar, Output, Pace, Total, json};
use crate::unix;
use quiver_client::action::{self, GetError, ReceivedFile, ResumableFile, Target};
use quiver_client::journal::{Direction, Entry, OneFile, Record, Share, What};
use quiver_transfer::{RateLimit, Throttle};

/// A beginning of more bytes than this takes long enough to hash that the person is told.
const WORTH_A_WORD: u64 = 256 * 1024 * 1024;

/// How long after a stream breaks off its connection may take to say that it is gone.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// What all files of an order have in common.
#[derive(Clone)]
pub(in crate::command) struct Fetch {
    pub(in crate::command) link: Link,
    pub(in crate::command) output: Output,
    /// `None` where what becomes of all of them is told.
    pub(in crate::command) receipt: Option<Receipt>,
    /// The bar of all of them, where they share one.
    pub(in crate::command) total: Option<Total>,
    pub(in crate::command) json: bool,
    /// How long a lost server is waited for.
    pub(in crate::command) patience: Duration,
    /// Start over, whatever is here.
    pub(in crate::command) anew: bool,
    /// Whether there is one file only.
    pub(in crate::command) alone: bool,
    pub(in crate::command) pace: Arc<Mutex<Pace>>,
    pub(in crate::command) limit: Option<RateLimit>,
}

/// One file on its way to its place.
struct OnItsWay<'a> {
    fetch: &'a Fetch,
    item: &'a Item,
    target: &'a Target,
    part: ResumableFile,
    /// After the part: whether that is left decides what becomes of the entry. `None` for a part that
    /// nobody finds again.
    record: Option<Record>,
    hold: Hold,
    /// Bytes that came, over all connections.
    received: u64,
    /// The most that was on disk.
    furthest: u64,
}

impl Fetch {
    /// A file, from the first question to the receipt.
    pub(in crate::command) async fn one(&self, item: &Item) -> Result<(), Failure> {
        let began = Instant::now();
        let (got, received) = match &item.place {
            Place::File(target, _) => self.store(item, target).await?,
            Place::Stdout => {
                let got = self.pour(item).await.map_err(|error| explain(item, error))?;
                (got, got.size)
            }
        };
        self.say(item, got, received, began).await
    }

    /// Tells that a file is there; `received` bytes of it came in this run.
    pub(in crate::command) async fn say(
        &self,
        item: &Item,
        got: ReceivedFile,
        received: u64,
        began: Instant,
    ) -> Result<(), Failure> {
        let pace = || self.pace.lock();
        pace().moved(received, began.elapsed(), got.limited_by);
        if let Place::File(_, shown) = &item.place {
            self.output.warn_of_unset(shown, got.unset).await;
        }
        if !self.json {
            if let Some(receipt) = &self.receipt {
                self.output.say(receipt(&item.path, got)).await;
            }
            return Ok(());
        }
        let target = match &item.place {
            Place::File(_, shown) => shown.display().to_string(),
            Place::Stdout => String::new(),
        };
        let file = json::File::new(&item.path, target, got, received, began.elapsed());
        self.output.data(json::line(&file) + "\n").await
    }

    /// Into a pipe, which nothing can be taken back from: one attempt.
    pub(in crate::command) async fn pour(&self, item: &Item) -> Result<ReceivedFile, GetError> {
        let line = self.link.line();
        // Nobody closes the semaphore.
        let _permit = line.content.acquire().await;
        let content = action::get(&line.connection, &item.path, None, line.patience).await?;
        let mut bar = self.bar(item.path.as_str(), content.size(), 0);
        let stdout = unix::raw_stdout().map_err(GetError::Disk)?;
        let (throttle, mut before) = (Throttle::default(), 0);
        let began = Instant::now();
        let pour = content.pour(stdout, &throttle, |arrival| {
            bar.at(arrival.stored);
            self.slow_down(&throttle, arrival.received - before);
            before = arrival.received;
        });
        let got = throttle.pass(pour).await?;
        Ok(held(got, &throttle, began))
    }

    /// Into a file; with how many bytes of it came.
    pub(in crate::command) async fn store(
        &self,
        item: &Item,
        target: &Target,
    ) -> Result<(ReceivedFile, u64), Failure> {
        let file = OneFile {
            path: item.path.clone(),
            local: target.path.clone(),
            size: 0,
            overwrite: target.replace == Replace::Existing,
        };
        let entry = Entry {
            direction: Direction::Get,
            origin: self.link.origin().clone(),
            begun: Timestamp(Utc::now()),
            what: What::File(file),
        };
        let part = ResumableFile::open(target.folder.clone(), entry.id(), self.anew).await;
        let part = part.map_err(|error| explain(item, GetError::Disk(error)))?;
        let (journal, unfinished) = (self.link.journal(), self.link.unfinished());
        let record = part.is_kept().then(|| Record::new(journal, unfinished, entry, part.kept()));
        let file = OnItsWay {
            fetch: self,
            item,
            target,
            part,
            record,
            hold: Hold::new(self.patience),
            received: 0,
            furthest: 0,
        };
        file.arrive().await
    }

    fn bar(&self, name: &str, size: u64, offset: u64) -> Bar {
        match &self.total {
            Some(total) => total.part(offset),
            None => self.output.bars().bar(name, size, offset),
        }
    }

    /// Lets a transfer wait until its bytes have been paid for.
    pub(in crate::command) fn slow_down(&self, throttle: &Throttle, bytes: u64) {
        if let Some(limit) = &self.limit {
            throttle.close_until(limit.take(bytes));
        }
    }
}

/// The same, where the throttle held it up to its very end.
fn held(got: ReceivedFile, throttle: &Throttle, began: Instant) -> ReceivedFile {
    let limit = throttle.brake(began.elapsed()).map(Bottleneck::Here);
    ReceivedFile { limited_by: limit.or(got.limited_by), ..got }
}

impl OnItsWay<'_> {
    /// Attempt after attempt, as long as trying again may help.
    async fn arrive(mut self) -> Result<(ReceivedFile, u64), Failure> {
        loop {
            let line = self.fetch.link.line();
            let error = match self.attempt(&line).await {
                Ok(got) => {
                    if let Some(record) = self.record {
                        record.done();
                    }
                    return Ok((got, self.received));
                }
                Err(error) => error,
            };
            if error.spoils() {
                self.part.discard().await;
                if let Some(record) = self.record {
                    record.done();
                }
                return Err(explain(self.item, error));
            }
            let GetError::Stream(error) = error else {
                return Err(self.broken_off(explain(self.item, error)));
            };
            let why = match passing(&line, error).await {
                Ok(why) => why,
                Err(error) => return Err(self.broken_off(explain(self.item, error.into()))),
            };
            match self.fetch.link.again(&line.connection, &why, &mut self.hold).await {
                Ok(()) => {}
                Err(None) => return Err(self.broken_off(explain(self.item, why.into()))),
                Err(Some(failure)) => return Err(self.broken_off(failure)),
            }
        }
    }

    async fn attempt(&mut self, line: &Line) -> Result<ReceivedFile, GetError> {
        // Nobody closes the semaphore.
        let _permit = line.content.acquire().await;
        let beginning = self.beginning().await.map_err(GetError::Disk)?;
        let have = (beginning.length() > 0).then(|| beginning.prefix());
        let path = &self.item.path;
        let content = action::get(&line.connection, path, have, line.patience).await?;
        let (size, offset) = (content.size(), content.offset());
        self.say_where(have.is_some(), size, offset).await;
        if offset == 0 {
            self.furthest = 0;
        }
        if let Some(record) = &mut self.record {
            record.begin(size).await;
        }
        let mut bar = self.fetch.bar(path.as_str(), size, offset);
        let (mut came, mut stored) = (offset, offset);
        let (fetch, throttle) = (self.fetch, Throttle::default());
        let began = Instant::now();
        let got = content.store(&self.part, beginning, self.target, &throttle, |arrival| {
            fetch.slow_down(&throttle, arrival.received - came);
            (came, stored) = (arrival.received, arrival.stored);
            bar.at(stored);
        });
        let got = throttle.pass(got).await;
        self.received += came - offset;
        if stored > self.furthest.max(offset) {
            self.furthest = stored;
            self.hold.progress();
        }
        got.map(|got| held(got, &throttle, began))
    }

    /// What is here, hashed.
    async fn beginning(&self) -> std::io::Result<Hashed> {
        let (length, file) = self.part.content().await?;
        if length > WORTH_A_WORD {
            let path = display_safe(self.item.path.as_str());
            let mebibytes = length / (1024 * 1024);
            let output = &self.fetch.output;
            output.say(format!("{path}: checking the {mebibytes} MiB that are here")).await;
        }
        // Nobody shortens a part that is locked.
        let gone = || std::io::Error::other("the part has become shorter");
        Hashed::of(&file, length).await?.ok_or_else(gone)
    }

    async fn say_where(&self, offered: bool, size: u64, offset: u64) {
        if !offered {
            return;
        }
        let path = display_safe(self.item.path.as_str());
        self.fetch
            .output
            .say(if offset == 0 {
                format!("{path} changed on the server: starting over")
            } else {
                format!("{path}: goes on at {} %", crate::output::share(offset, size))
            })
            .await;
    }

    /// The failure, with how to go on where something is kept.
    fn broken_off(&self, failure: Failure) -> Failure {
        if matches!(failure, Failure::Exists(_)) {
            return failure;
        }
        let share = self.record.as_ref().and_then(Record::share);
        failure.goes_on(share.map(
            |share| {
                if self.fetch.alone { Share::Of(share) } else { Share::Several }
            },
        ))
    }
}

/// The error, where trying again later may help; `Err` with it where not.
pub(in crate::command) async fn passing(
    line: &Line,
    error: StreamError,
) -> Result<StreamError, StreamError> {
    match error {
        StreamError::Lost(ended) if is_loss(&ended) => Ok(StreamError::Lost(ended)),
        StreamError::Refused(refusal) if is_passing(refusal.code) => {
            Ok(StreamError::Refused(refusal))
        }
        StreamError::Reset | StreamError::Stopped | StreamError::Frame(_) => {
            // A server that goes away may end its streams before its connections.
            match timeout(AFTERWARDS, line.connection.closed()).await {
                Ok(ended) if is_loss(&ended.clone().into()) => Ok(StreamError::Lost(ended.into())),
                _ => Err(error),
            }
        }
        error => Err(error),
    }
}
