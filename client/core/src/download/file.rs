//! One file from the server, over as many connections as it takes.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::Utc;
use parking_lot::Mutex;
use quiver_protocol::Timestamp;
use quiver_transfer::{HashedPrefix, ReplacePolicy, TransferBottleneck, TransferThrottle};
use tokio::time::Instant;

use super::{DownloadItem, DownloadTarget, explain};
use crate::error::ClientError;
use crate::exchange::{self, GetError, ReceivedFile, ResumableFile, StorageTarget};
use crate::journal::{Direction, FileRecord, JournalEntry, SingleFile, TransferSubject};
use crate::notice::Notice;
use crate::reconnecting::{RetryDeadline, SessionHandle};
use crate::transfer_context::TransferContext;
use crate::transfers::{DownloadedFile, FileBytesCounter, TransferEvent};

/// A beginning of more bytes than this takes long enough to hash that it is told.
const WORTH_A_WORD: u64 = 256 * 1024 * 1024;

/// What all files of a download have in common. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct DownloadContext {
    pub(crate) shared: TransferContext,
    /// Start over, whatever is here.
    pub(crate) anew: bool,
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
    target: &'a StorageTarget,
    partial: ResumableFile,
    /// After the partial file: whether that is left decides what becomes of the entry. `None` for one that no
    /// later run finds.
    record: Option<FileRecord>,
    deadline: RetryDeadline,
    /// Bytes that came, over all connections.
    received: AtomicU64,
    /// The most that was on disk.
    furthest: u64,
    counted: FileBytesCounter,
    /// Whether its size is among those of the transfer.
    is_sized: bool,
}

impl DownloadContext {
    /// A file, from the first question to its report; its bytes.
    pub(crate) async fn one(&self, item: &DownloadItem) -> Result<u64, ClientError> {
        let began = Instant::now();
        let (got, received) = match &item.place {
            DownloadTarget::File(target, _) => self.store(item, target).await?,
            DownloadTarget::Stream => {
                let got = self.pour(item).await.map_err(|error| explain(item, error))?;
                (got, got.size)
            }
        };
        self.done(item, got, received, began).await;
        Ok(got.size)
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
        self.shared.count(got.size, received, took, got.limited_by);
        if let Some(transfer) = self.shared.reporter.transfer() {
            transfer.counters.add_sent_there(got.size);
        }
        let target = match &item.place {
            DownloadTarget::File(_, shown) => {
                self.shared.reporter.attributes_not_set(shown, got.unset).await;
                Some(shown.clone())
            }
            DownloadTarget::Stream => None,
        };
        if !self.shared.reports {
            return;
        }
        let ReceivedFile { size, blake3, offset: resumed_at, limited_by, .. } = got;
        let path = item.path.clone();
        let file =
            DownloadedFile { path, target, size, blake3, resumed_at, received, took, limited_by };
        self.shared.reporter.event(TransferEvent::Downloaded(Arc::new(file))).await;
    }

    /// Into a stream, which nothing can be taken back from: one attempt.
    async fn pour(&self, item: &DownloadItem) -> Result<ReceivedFile, GetError> {
        let handle = self.shared.session.handle();
        // The semaphore is never closed.
        let _permit = handle.content.acquire().await;
        let content = exchange::get(&handle.connection, &item.path, None, handle.patience).await?;
        self.shared.add_bytes(content.size());
        let mut meter = self.shared.meter(&item.path, Some(content.size()), 0).await;
        let gone = || GetError::Disk(io::ErrorKind::BrokenPipe.into());
        let stream = self.stream.clone().ok_or_else(gone)?;
        let (throttle, mut before) = (TransferThrottle::default(), 0);
        let began = Instant::now();
        let pour = content.write_to_pipe(stream, &throttle, |arrival| {
            meter.set(arrival.stored);
            let new = arrival.received - before;
            self.came(&throttle, new, new);
            before = arrival.received;
        });
        let got = throttle.run(pour).await?;
        Ok(limited(got, &throttle, began))
    }

    /// Into a file; with how many bytes of it came.
    pub(crate) async fn store(
        &self,
        item: &DownloadItem,
        target: &StorageTarget,
    ) -> Result<(ReceivedFile, u64), ClientError> {
        let file = SingleFile {
            path: item.path.clone(),
            local: target.path.clone(),
            size: 0,
            overwrite: target.replace == ReplacePolicy::Existing,
        };
        let entry = JournalEntry {
            direction: Direction::Get,
            origin: self.shared.session.origin().clone(),
            begun: Timestamp(Utc::now()),
            what: TransferSubject::File(file),
        };
        let partial = ResumableFile::open(target.folder.clone(), entry.id(), self.anew).await;
        let partial = partial.map_err(|error| explain(item, GetError::Disk(error)))?;
        let (journal, unfinished) =
            (self.shared.session.journal(), self.shared.session.unfinished());
        let record = partial
            .is_resumable()
            .then(|| FileRecord::new(journal, unfinished, entry, partial.stored_bytes()));
        let file = ActiveDownload {
            context: self,
            item,
            target,
            partial,
            record,
            deadline: RetryDeadline::new(self.shared.retry_for),
            received: AtomicU64::new(0),
            furthest: 0,
            counted: FileBytesCounter::default(),
            is_sized: false,
        };
        file.run().await
    }

    /// So many bytes came, `new` of them for the first time: these are counted, and the transfer waits until all have
    /// been paid for.
    fn came(&self, throttle: &TransferThrottle, bytes: u64, new: u64) {
        if let Some(transfer) = self.shared.reporter.transfer() {
            transfer.counters.add_received(new);
        }
        if let Some(limit) = &self.shared.rate_limit {
            throttle.pause_until(limit.take(bytes));
        }
    }
}

/// The same, where the throttle held it up to its very end.
fn limited(got: ReceivedFile, throttle: &TransferThrottle, began: Instant) -> ReceivedFile {
    let limit = throttle.bottleneck(began.elapsed()).map(TransferBottleneck::Local);
    ReceivedFile { limited_by: limit.or(got.limited_by), ..got }
}

impl ActiveDownload<'_> {
    /// Attempt after attempt, as long as trying again may help.
    async fn run(mut self) -> Result<(ReceivedFile, u64), ClientError> {
        loop {
            let (shared, is_whole) = (&self.context.shared, AtomicBool::new(false));
            let handle = shared.session_to_run().await;
            let attempt = shared.unless_paused(&is_whole, self.attempt(&handle, &is_whole)).await;
            let error = match attempt {
                // What came so far is here for the next attempt. A pause is no lack of progress.
                None => {
                    self.deadline.progress();
                    continue;
                }
                Some(Ok(got)) => {
                    if let Some(record) = self.record {
                        record.done();
                    }
                    return Ok((got, self.received.into_inner()));
                }
                Some(Err(error)) => error,
            };
            if error.invalidates_partial() {
                self.partial.discard().await;
                if let Some(record) = self.record {
                    record.done();
                }
                return Err(explain(self.item, error));
            }
            let GetError::Stream(error) = error else {
                return Err(self.broken_off(explain(self.item, error)));
            };
            let TransferContext { session, reporter, .. } = &self.context.shared;
            let renewed = session.renew_after(&handle, error, &mut self.deadline, reporter).await;
            if let Err(not) = renewed {
                let error = not.explain(|error| explain(self.item, error.into()));
                return Err(self.broken_off(error));
            }
        }
    }

    /// `is_whole` tells once all of the content has come.
    async fn attempt(
        &mut self,
        handle: &SessionHandle,
        is_whole: &AtomicBool,
    ) -> Result<ReceivedFile, GetError> {
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
        if !std::mem::replace(&mut self.is_sized, true) {
            self.context.shared.add_bytes(size);
        }
        let mut meter = self.context.shared.meter(path, Some(size), offset).await;
        let (mut came, mut stored, counted) = (offset, offset, &self.counted);
        is_whole.store(offset == size, Ordering::Release);
        if let Some(transfer) = self.context.shared.reporter.transfer() {
            transfer.counters.add_here(counted.raise(offset));
        }
        let (context, throttle, received) =
            (self.context, TransferThrottle::default(), &self.received);
        let began = Instant::now();
        let got = content.store(&self.partial, beginning, self.target, &throttle, |arrival| {
            let new = arrival.received - came;
            context.came(&throttle, new, counted.raise(arrival.received));
            if arrival.received == size {
                is_whole.store(true, Ordering::Release);
            }
            received.fetch_add(new, Ordering::Relaxed);
            (came, stored) = (arrival.received, arrival.stored);
            meter.set(stored);
        });
        let got = throttle.run(got).await;
        if stored > self.furthest.max(offset) {
            self.furthest = stored;
            self.deadline.progress();
        }
        got.map(|got| limited(got, &throttle, began))
    }

    /// What is here, hashed.
    async fn beginning(&self) -> io::Result<HashedPrefix> {
        let (length, file) = self.partial.content().await?;
        if length > WORTH_A_WORD {
            let path = self.item.path.clone();
            self.context.shared.reporter.notice(Notice::Checking { path, bytes: length }).await;
        }
        // A partial file that is locked is shortened by no other process.
        let gone = || io::Error::other("the part has become shorter");
        HashedPrefix::hash_file(&file, length).await?.ok_or_else(gone)
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
        self.context.shared.reporter.notice(notice).await;
    }

    /// The error, with how much is kept where something is.
    fn broken_off(&self, error: ClientError) -> ClientError {
        if matches!(error, ClientError::Exists(_)) {
            return error;
        }
        self.context.shared.broken_off(error, self.record.as_ref().and_then(FileRecord::share))
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
