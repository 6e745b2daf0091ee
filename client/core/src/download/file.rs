//! The download of one file, over as many connections as it takes.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::Utc;
use parking_lot::Mutex;
use quiver_protocol::Timestamp;
use quiver_transfer::{HashedPrefix, ReplacePolicy, TransferBottleneck, TransferThrottle};
use tokio::time::Instant;

use super::{DownloadItem, DownloadTarget, to_client_error};
use crate::error::ClientError;
use crate::exchange::{self, GetError, ReceivedFile, ResumableFile, StorageTarget, StoreOutcome};
use crate::journal::{Direction, FileRecord, JournalEntry, SingleFile, TransferSubject};
use crate::notice::Notice;
use crate::reconnecting::{RetryDeadline, SessionHandle};
use crate::transfer_context::TransferContext;
use crate::transfers::{DownloadedFile, FileBytesCounter, TransferEvent};

/// Hashing a partial file larger than this takes long enough for a notice.
const HASH_NOTICE_SIZE: u64 = 256 * 1024 * 1024;

/// State shared by all files of a download. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct DownloadContext {
    pub(crate) shared: TransferContext,
    /// Whether to discard partial files of earlier runs instead of resuming them.
    pub(crate) start_over: bool,
    /// The target of content that is not stored in files.
    pub(crate) stream: Option<StreamTarget>,
}

/// The stream that receives the content of all files, one after the other.
#[derive(Clone)]
pub(crate) struct StreamTarget(Arc<Mutex<Box<dyn Write + Send>>>);

/// A running download of one file.
struct ActiveDownload<'a> {
    context: &'a DownloadContext,
    item: &'a DownloadItem,
    target: &'a StorageTarget,
    partial: ResumableFile,
    /// The journal entry. Declared after the partial file, and so dropped after it: the entry is
    /// removed or kept depending on whether the partial file is left. `None` if no later run could
    /// find the partial file.
    record: Option<FileRecord>,
    deadline: RetryDeadline,
    /// Bytes received over all connections.
    received: AtomicU64,
    /// Largest number of bytes that any attempt had on disk.
    max_stored: u64,
    counted: FileBytesCounter,
    /// Whether the size is already counted in the transfer's total.
    is_sized: bool,
    /// Whether the last attempt moved to another connection.
    has_moved: bool,
}

impl DownloadContext {
    /// Downloads a file and reports it. Returns its size in bytes.
    pub(crate) async fn download_file(&self, item: &DownloadItem) -> Result<u64, ClientError> {
        let started = Instant::now();
        let (got, received) = match &item.target {
            DownloadTarget::File(target, _) => self.store_file(item, target).await?,
            DownloadTarget::Stream => {
                let got =
                    self.stream_file(item).await.map_err(|error| to_client_error(item, error))?;
                (got, got.size)
            }
        };
        self.report_downloaded(item, got, received, started).await;
        Ok(got.size)
    }

    /// Reports a downloaded file, of which `received` bytes were received in this run.
    pub(crate) async fn report_downloaded(
        &self,
        item: &DownloadItem,
        got: ReceivedFile,
        received: u64,
        started: Instant,
    ) {
        let took = started.elapsed();
        self.shared.count(got.size, received, took, got.limited_by);
        if let Some(transfer) = self.shared.reporter.transfer() {
            transfer.counters.add_sent_by_server(got.size);
        }
        let target = match &item.target {
            DownloadTarget::File(_, shown_path) => {
                self.shared.reporter.warn_unset_attributes(shown_path, got.unset).await;
                Some(shown_path.clone())
            }
            DownloadTarget::Stream => None,
        };
        if !self.shared.reports_files {
            return;
        }
        let ReceivedFile { size, blake3, offset: resumed_at, limited_by, .. } = got;
        let path = item.shown.clone();
        let file = DownloadedFile {
            path,
            target,
            size,
            blake3,
            resumed_at,
            received,
            took,
            limited_by,
            path_facts: Some(self.shared.path_facts()),
            already_there: false,
        };
        self.shared.reporter.report(TransferEvent::Downloaded(Arc::new(file))).await;
    }

    /// Downloads into a stream. There is one attempt only: written bytes cannot be taken back.
    async fn stream_file(&self, item: &DownloadItem) -> Result<ReceivedFile, GetError> {
        let handle = self.shared.session.command_handle().await;
        // The semaphore is never closed.
        let _permit = handle.content_permits.acquire().await;
        let content = exchange::get(&handle.connection, &item.path, None, handle.timeout).await?;
        self.shared.add_bytes(content.size());
        let closed = || GetError::Disk(io::ErrorKind::BrokenPipe.into());
        let stream = self.stream.clone().ok_or_else(closed)?;
        let (throttle, mut previously_received) = (TransferThrottle::default(), 0);
        let started = Instant::now();
        let streamed = content.write_to_pipe(stream, &throttle, |progress| {
            let new = progress.received - previously_received;
            self.count_received(&throttle, new, new);
            previously_received = progress.received;
        });
        let got = throttle.run(streamed).await?;
        Ok(with_local_bottleneck(got, &throttle, started))
    }

    /// Downloads into a file. Also returns the number of bytes received in this run.
    pub(crate) async fn store_file(
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
            server: self.shared.session.server_ref().clone(),
            started: Timestamp(Utc::now()),
            subject: TransferSubject::File(file),
        };
        let partial = ResumableFile::open(target, entry.id(), self.start_over).await;
        let partial = partial.map_err(|error| to_client_error(item, GetError::Disk(error)))?;
        let (journal, unfinished) = (&self.shared.journal, &self.shared.unfinished);
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
            max_stored: 0,
            counted: FileBytesCounter::default(),
            is_sized: false,
            has_moved: false,
        };
        file.run().await
    }

    /// Counts `new_bytes` as progress: those of the `bytes` received bytes that no earlier attempt
    /// received. Takes all `bytes` from the rate limit, and closes the throttle until the limit
    /// allows more.
    fn count_received(&self, throttle: &TransferThrottle, bytes: u64, new_bytes: u64) {
        if let Some(transfer) = self.shared.reporter.transfer() {
            transfer.counters.add_received(new_bytes);
        }
        if let Some(limit) = &self.shared.rate_limit {
            throttle.pause_until(limit.take(bytes));
        }
    }
}

/// Sets the bottleneck to the local throttle if that limited the transfer most.
fn with_local_bottleneck(
    got: ReceivedFile,
    throttle: &TransferThrottle,
    started: Instant,
) -> ReceivedFile {
    let limit = throttle.bottleneck(started.elapsed()).map(TransferBottleneck::Local);
    ReceivedFile { limited_by: limit.or(got.limited_by), ..got }
}

impl ActiveDownload<'_> {
    /// Makes attempts until one succeeds or another attempt cannot help.
    async fn run(mut self) -> Result<(ReceivedFile, u64), ClientError> {
        loop {
            let (shared, is_whole) = (&self.context.shared, AtomicBool::new(false));
            let handle = shared.wait_for_session().await;
            let attempt = shared.unless_paused(&is_whole, self.attempt(&handle, &is_whole)).await;
            let error = match attempt {
                // Paused: the next attempt resumes the partial file. A pause does not count as lack
                // of progress.
                None => {
                    self.deadline.reset();
                    continue;
                }
                // The session has a better connection.
                Some(Ok(StoreOutcome::Moved)) => {
                    self.has_moved = true;
                    continue;
                }
                Some(Ok(StoreOutcome::Stored(got))) => {
                    if let Some(record) = self.record {
                        record.finish();
                    }
                    return Ok((got, self.received.into_inner()));
                }
                Some(Err(error)) => error,
            };
            self.has_moved = false;
            if error.invalidates_partial() {
                self.partial.discard().await;
                if let Some(record) = self.record {
                    record.finish();
                }
                return Err(to_client_error(self.item, error));
            }
            let GetError::Stream(error) = error else {
                return Err(self.with_unfinished_share(to_client_error(self.item, error)));
            };
            let TransferContext { session, reporter, .. } = &self.context.shared;
            let renewed =
                session.reconnect_after(&handle, error, &mut self.deadline, reporter).await;
            if let Err(failure) = renewed {
                let error =
                    failure.into_client_error(|error| to_client_error(self.item, error.into()));
                return Err(self.with_unfinished_share(error));
            }
        }
    }

    /// Makes one attempt, until the handle's move signal is given. Sets `is_whole` once all of the
    /// content is received.
    async fn attempt(
        &mut self,
        handle: &SessionHandle,
        is_whole: &AtomicBool,
    ) -> Result<StoreOutcome, GetError> {
        // The semaphore is never closed.
        let _permit = handle.content_permits.acquire().await;
        let prefix = self.hash_partial_file().await.map_err(GetError::Disk)?;
        let offered = (prefix.length() > 0).then(|| prefix.prefix());
        let path = &self.item.path;
        let content = exchange::get(&handle.connection, path, offered, handle.timeout).await?;
        let (size, offset) = (content.size(), content.offset());
        self.item.check_size(size)?;
        self.notify_offset(offered.is_some(), size, offset).await;
        if offset == 0 {
            self.max_stored = 0;
        }
        if let Some(record) = &mut self.record {
            record.start(size).await;
        }
        if !std::mem::replace(&mut self.is_sized, true) {
            self.context.shared.add_bytes(size);
        }
        let (mut content_received, mut stored, counted) = (offset, offset, &self.counted);
        is_whole.store(offset == size, Ordering::Release);
        if let Some(transfer) = self.context.shared.reporter.transfer() {
            transfer.counters.add_previously_received(counted.raise(offset));
        }
        let (context, throttle, received) =
            (self.context, TransferThrottle::default(), &self.received);
        let started = Instant::now();
        let moved = handle.move_signal.wait();
        let outcome =
            content.store(&self.partial, prefix, self.target, &throttle, moved, |progress| {
                let new = progress.received - content_received;
                context.count_received(&throttle, new, counted.raise(progress.received));
                if progress.received == size {
                    is_whole.store(true, Ordering::Release);
                }
                received.fetch_add(new, Ordering::Relaxed);
                (content_received, stored) = (progress.received, progress.stored);
            });
        let outcome = throttle.run(outcome).await;
        if stored > self.max_stored.max(offset) {
            self.max_stored = stored;
            self.deadline.reset();
        }
        Ok(match outcome? {
            StoreOutcome::Stored(got) => {
                StoreOutcome::Stored(with_local_bottleneck(got, &throttle, started))
            }
            StoreOutcome::Moved => StoreOutcome::Moved,
        })
    }

    /// Hashes the partial file, unless an earlier attempt has left its hash state.
    async fn hash_partial_file(&self) -> io::Result<HashedPrefix> {
        if let Some(kept) = self.partial.kept_hash().await? {
            return Ok(kept);
        }
        let (length, file) = self.partial.content().await?;
        if length > HASH_NOTICE_SIZE {
            let path = self.item.shown.clone();
            self.context
                .shared
                .reporter
                .notify(Notice::HashingPrefix { path, bytes: length })
                .await;
        }
        // No other process shortens a locked partial file.
        let shortened = || io::Error::other("the partial file became shorter");
        let hashed = HashedPrefix::hash_file(&file, length).await?.ok_or_else(shortened)?;
        // An attempt that fails before it gets content leaves it as it is.
        self.partial.keep_hash(&hashed);
        Ok(hashed)
    }

    async fn notify_offset(&mut self, had_partial: bool, size: u64, offset: u64) {
        let has_moved = std::mem::take(&mut self.has_moved);
        if !had_partial || (has_moved && offset > 0) {
            return;
        }
        let path = self.item.shown.clone();
        let notice = if offset == 0 {
            Notice::StartingOver { path, on_server: true }
        } else {
            Notice::Resuming { path, offset, size }
        };
        self.context.shared.reporter.notify(notice).await;
    }

    /// Adds to the error how much of the file can be resumed.
    fn with_unfinished_share(&self, error: ClientError) -> ClientError {
        if matches!(error, ClientError::Exists(_)) {
            return error;
        }
        self.context
            .shared
            .with_unfinished_share(error, self.record.as_ref().and_then(FileRecord::percent))
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
