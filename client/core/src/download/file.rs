//! One file from the server, over as many connections as it takes.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::Utc;
use parking_lot::Mutex;
use quiver_protocol::Timestamp;
use quiver_transfer::{Bottleneck, Hashed, RateLimit, Replace, Throttle};
use tokio::time::Instant;

use super::{DownloadItem, Place, explain};
use crate::error::ClientError;
use crate::exchange::{self, GetError, ReceivedFile, ResumableFile, Target};
use crate::journal::{Direction, Entry, OneFile, Record, Share, What};
use crate::notice::Notice;
use crate::progress::{Meter, TotalMeter};
use crate::reconnecting::{ReconnectingSession, RetryDeadline, SessionHandle};
use crate::reporter::Reporter;
use crate::throughput::ThroughputMeter;
use crate::transfers::{DownloadedFile, TransferEvent};

/// A beginning of more bytes than this takes long enough to hash that it is told.
const WORTH_A_WORD: u64 = 256 * 1024 * 1024;

/// What all files of a download have in common. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct DownloadContext {
    pub(crate) session: ReconnectingSession,
    pub(crate) reporter: Reporter,
    /// Whether each file is told of.
    pub(crate) reports: bool,
    /// The progress of all of them, where they share one.
    pub(crate) total: Option<TotalMeter>,
    /// How long a lost connection is made again.
    pub(crate) retry_for: Duration,
    /// Start over, whatever is here.
    pub(crate) anew: bool,
    /// Whether there is one file only.
    pub(crate) alone: bool,
    pub(crate) throughput: Arc<Mutex<ThroughputMeter>>,
    pub(crate) rate_limit: Option<RateLimit>,
    /// Where content goes that is not stored.
    pub(crate) stream: Option<StreamTarget>,
}

/// The stream that all content goes to, one file after the other.
#[derive(Clone)]
pub(crate) struct StreamTarget(Arc<Mutex<Box<dyn Write + Send>>>);

/// One file on its way to its place.
struct ActiveDownload<'a> {
    context: &'a DownloadContext,
    item: &'a DownloadItem,
    target: &'a Target,
    partial: ResumableFile,
    /// After the partial file: whether that is left decides what becomes of the entry. `None` for one that no
    /// later run finds.
    record: Option<Record>,
    deadline: RetryDeadline,
    /// Bytes that came, over all connections.
    received: AtomicU64,
    /// The most that was on disk.
    furthest: u64,
}

impl DownloadContext {
    /// A file, from the first question to its report; its bytes.
    pub(crate) async fn one(&self, item: &DownloadItem) -> Result<u64, ClientError> {
        let began = Instant::now();
        let (got, received) = match &item.place {
            Place::File(target, _) => self.store(item, target).await?,
            Place::Stream => {
                let got = self.pour(item).await.map_err(|error| explain(item, error))?;
                (got, got.size)
            }
        };
        self.done(item, got, received, began).await;
        Ok(got.size)
    }

    /// A file that was named, for those who look at the transfer; its number there.
    pub(super) fn number(&self, item: &DownloadItem) -> u64 {
        let target = match &item.place {
            Place::File(_, shown) => shown.display().to_string(),
            Place::Stream => String::new(),
        };
        let transfer = self.reporter.transfer();
        transfer.map_or(0, |transfer| transfer.files.add(item.path.clone(), target))
    }

    /// What became of a file: its bytes, or that it failed.
    pub(crate) fn settle(&self, number: u64, done: Option<u64>) {
        if let Some(transfer) = self.reporter.transfer() {
            transfer.files.settle(number, done.is_some(), done);
        }
    }

    /// Tells that a file is there; `received` bytes of it came in this run.
    pub(crate) async fn done(
        &self,
        item: &DownloadItem,
        got: ReceivedFile,
        received: u64,
        began: Instant,
    ) {
        let took = began.elapsed();
        self.throughput.lock().moved(received, took, got.limited_by);
        if let Some(transfer) = self.reporter.transfer() {
            transfer.counters.add_done(got.size);
        }
        let target = match &item.place {
            Place::File(_, shown) => {
                self.reporter.attributes_not_set(shown, got.unset).await;
                Some(shown.clone())
            }
            Place::Stream => None,
        };
        if !self.reports {
            return;
        }
        let ReceivedFile { size, blake3, offset: resumed_at, limited_by, .. } = got;
        let path = item.path.clone();
        let file =
            DownloadedFile { path, target, size, blake3, resumed_at, received, took, limited_by };
        self.reporter.event(TransferEvent::Downloaded(Arc::new(file))).await;
    }

    /// Into a stream, which nothing can be taken back from: one attempt.
    async fn pour(&self, item: &DownloadItem) -> Result<ReceivedFile, GetError> {
        let handle = self.session.handle();
        // The semaphore is never closed.
        let _permit = handle.content.acquire().await;
        let content = exchange::get(&handle.connection, &item.path, None, handle.patience).await?;
        let mut meter = self.meter(item.path.as_str(), content.size(), 0).await;
        let gone = || GetError::Disk(io::ErrorKind::BrokenPipe.into());
        let stream = self.stream.clone().ok_or_else(gone)?;
        let (throttle, mut before) = (Throttle::default(), 0);
        let began = Instant::now();
        let pour = content.pour(stream, &throttle, |arrival| {
            meter.set(arrival.stored);
            self.came(&throttle, arrival.received - before);
            before = arrival.received;
        });
        let got = throttle.pass(pour).await?;
        Ok(limited(got, &throttle, began))
    }

    /// Into a file; with how many bytes of it came.
    pub(crate) async fn store(
        &self,
        item: &DownloadItem,
        target: &Target,
    ) -> Result<(ReceivedFile, u64), ClientError> {
        let file = OneFile {
            path: item.path.clone(),
            local: target.path.clone(),
            size: 0,
            overwrite: target.replace == Replace::Existing,
        };
        let entry = Entry {
            direction: Direction::Get,
            origin: self.session.origin().clone(),
            begun: Timestamp(Utc::now()),
            what: What::File(file),
        };
        let partial = ResumableFile::open(target.folder.clone(), entry.id(), self.anew).await;
        let partial = partial.map_err(|error| explain(item, GetError::Disk(error)))?;
        let (journal, unfinished) = (self.session.journal(), self.session.unfinished());
        let record =
            partial.is_kept().then(|| Record::new(journal, unfinished, entry, partial.kept()));
        let file = ActiveDownload {
            context: self,
            item,
            target,
            partial,
            record,
            deadline: RetryDeadline::new(self.retry_for),
            received: AtomicU64::new(0),
            furthest: 0,
        };
        file.run().await
    }

    async fn meter(&self, name: &str, size: u64, offset: u64) -> Meter {
        if let Some(total) = &self.total {
            return total.part(offset);
        }
        if let Some(transfer) = self.reporter.transfer() {
            transfer.counters.add_bytes(size);
        }
        let (meter, progress) = Meter::new(name, Some(size), offset);
        self.reporter.event(TransferEvent::Started(progress)).await;
        meter
    }

    /// So many bytes came: they are counted, and the transfer waits until they have been paid for.
    fn came(&self, throttle: &Throttle, bytes: u64) {
        if let Some(transfer) = self.reporter.transfer() {
            transfer.counters.add_received(bytes);
        }
        if let Some(limit) = &self.rate_limit {
            throttle.close_until(limit.take(bytes));
        }
    }
}

/// The same, where the throttle held it up to its very end.
fn limited(got: ReceivedFile, throttle: &Throttle, began: Instant) -> ReceivedFile {
    let limit = throttle.brake(began.elapsed()).map(Bottleneck::Here);
    ReceivedFile { limited_by: limit.or(got.limited_by), ..got }
}

impl ActiveDownload<'_> {
    /// Attempt after attempt, as long as trying again may help.
    async fn run(mut self) -> Result<(ReceivedFile, u64), ClientError> {
        loop {
            let handle = self.context.session.handle();
            let error = match self.unless_paused(&handle).await {
                // What came so far is here for the next attempt.
                None => continue,
                Some(Ok(got)) => {
                    if let Some(record) = self.record {
                        record.done();
                    }
                    return Ok((got, self.received.into_inner()));
                }
                Some(Err(error)) => error,
            };
            if error.spoils() {
                self.partial.discard().await;
                if let Some(record) = self.record {
                    record.done();
                }
                return Err(explain(self.item, error));
            }
            let GetError::Stream(error) = error else {
                return Err(self.broken_off(explain(self.item, error)));
            };
            let DownloadContext { session, reporter, .. } = self.context;
            let renewed = session.renew_after(&handle, error, &mut self.deadline, reporter).await;
            if let Err(not) = renewed {
                let error = not.explain(|error| explain(self.item, error.into()));
                return Err(self.broken_off(error));
            }
        }
    }

    /// An attempt; `None` where the transfer was paused in the middle of it, and may run again now.
    async fn unless_paused(
        &mut self,
        handle: &SessionHandle,
    ) -> Option<Result<ReceivedFile, GetError>> {
        let context = self.context;
        let Some(transfer) = context.reporter.transfer() else {
            return Some(self.attempt(handle).await);
        };
        transfer.control.running().await;
        tokio::select! {
            biased;
            got = self.attempt(handle) => Some(got),
            () = transfer.control.paused() => {
                self.deadline.progress();
                None
            }
        }
    }

    async fn attempt(&mut self, handle: &SessionHandle) -> Result<ReceivedFile, GetError> {
        // The semaphore is never closed.
        let _permit = handle.content.acquire().await;
        let beginning = self.beginning().await.map_err(GetError::Disk)?;
        let have = (beginning.length() > 0).then(|| beginning.prefix());
        let path = &self.item.path;
        let content = exchange::get(&handle.connection, path, have, handle.patience).await?;
        let (size, offset) = (content.size(), content.offset());
        self.tell_where(have.is_some(), size, offset).await;
        if offset == 0 {
            self.furthest = 0;
        }
        if let Some(record) = &mut self.record {
            record.begin(size).await;
        }
        let mut meter = self.context.meter(path.as_str(), size, offset).await;
        let (mut came, mut stored) = (offset, offset);
        let (context, throttle, received) = (self.context, Throttle::default(), &self.received);
        let began = Instant::now();
        let got = content.store(&self.partial, beginning, self.target, &throttle, |arrival| {
            let new = arrival.received - came;
            context.came(&throttle, new);
            received.fetch_add(new, Ordering::Relaxed);
            (came, stored) = (arrival.received, arrival.stored);
            meter.set(stored);
        });
        let got = throttle.pass(got).await;
        if stored > self.furthest.max(offset) {
            self.furthest = stored;
            self.deadline.progress();
        }
        got.map(|got| limited(got, &throttle, began))
    }

    /// What is here, hashed.
    async fn beginning(&self) -> io::Result<Hashed> {
        let (length, file) = self.partial.content().await?;
        if length > WORTH_A_WORD {
            let path = self.item.path.clone();
            self.context.reporter.notice(Notice::Checking { path, bytes: length }).await;
        }
        // A partial file that is locked is shortened by no other process.
        let gone = || io::Error::other("the part has become shorter");
        Hashed::of(&file, length).await?.ok_or_else(gone)
    }

    async fn tell_where(&self, offered: bool, size: u64, offset: u64) {
        if !offered {
            return;
        }
        let path = self.item.path.clone();
        let notice = if offset == 0 {
            Notice::StartingOver { path, on_server: true }
        } else {
            Notice::Resuming { path, offset, size }
        };
        self.context.reporter.notice(notice).await;
    }

    /// The error, with how much is kept where something is.
    fn broken_off(&self, error: ClientError) -> ClientError {
        if matches!(error, ClientError::Exists(_)) {
            return error;
        }
        let share = self.record.as_ref().and_then(Record::share);
        error.resumable(
            share.map(|share| if self.context.alone { Share::Of(share) } else { Share::Several }),
        )
    }
}

impl StreamTarget {
    pub(crate) fn new(stream: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }
}

impl Write for StreamTarget {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().flush()
    }
}

impl std::fmt::Debug for StreamTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamTarget").finish_non_exhaustive()
    }
}
