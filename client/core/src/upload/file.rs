//! The upload of one file, over as many connections as it takes.

use std::fs::File;
use std::path::absolute;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::Utc;
use quiver_protocol::reply::EntryKind;
use quiver_protocol::{Refusal, RefusalCode, Timestamp};
use quiver_transfer::{HashedPrefix, Source, StoredBytes, blocking};
use quiver_transport::StreamError;
use tokio::time::Instant;

use super::pipe::PipeInput;
use super::{UploadItem, UploadSource, open_regular, to_client_error, unreadable};
use crate::error::{ClientError, is_transient};
use crate::exchange::{self, OutgoingFile, PutError, PutOffer, SentBytes, StoredReceipt};
use crate::journal::{Direction, FileRecord, JournalEntry, SingleFile, TransferSubject};
use crate::notice::Notice;
use crate::reconnecting::{RetryDeadline, SessionHandle};
use crate::transfer_context::TransferContext;
use crate::transfers::{FileBytesCounter, TransferEvent, UploadedFile};

/// State shared by all files of an upload. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct UploadContext {
    pub(crate) shared: TransferContext,
    /// Whether to resume partial files of earlier runs.
    pub(crate) resume: bool,
    /// Whether an earlier run may have sent all of a file without receiving the server's
    /// confirmation.
    pub(crate) may_be_stored: bool,
    /// The source of streamed content.
    pub(crate) input: Option<PipeInput>,
}

/// A running upload of one file.
struct ActiveUpload<'a> {
    context: &'a UploadContext,
    item: &'a UploadItem,
    record: FileRecord,
    /// Bytes that the server has stored.
    stored: StoredBytes,
    deadline: RetryDeadline,
    /// Bytes that earlier attempts handed to connections.
    sent: u64,
    /// What the current or last attempt has handed to its connection.
    sent_bytes: Option<SentBytes>,
    /// Largest number of bytes that any attempt had on the server's disk.
    max_stored: u64,
    counted: FileBytesCounter,
    acknowledged: FileBytesCounter,
    /// Whether the size is already counted in the transfer's total.
    is_sized: bool,
    /// Whether this run started the server's partial file.
    has_partial_file: bool,
    /// Whether a connection was lost after the last byte was sent: the file may be stored.
    may_be_stored: bool,
    /// Whether the file system reports a wrong size: the file is then read to its end.
    has_wrong_size: bool,
}

impl UploadContext {
    /// Uploads a file and reports it.
    pub(crate) async fn upload_file(
        &self,
        item: &UploadItem,
    ) -> Result<StoredReceipt, ClientError> {
        self.upload_unconfirmed_file(item, self.may_be_stored).await
    }

    /// Like [`upload_file`](Self::upload_file), for a file that an earlier attempt may have sent
    /// completely without receiving the confirmation.
    pub(crate) async fn upload_unconfirmed_file(
        &self,
        item: &UploadItem,
        may_be_stored: bool,
    ) -> Result<StoredReceipt, ClientError> {
        let started = Instant::now();
        let stored = match &item.source {
            UploadSource::File(_) | UploadSource::InTree(..) => {
                self.upload_local_file(item, may_be_stored).await?
            }
            UploadSource::Stream => self.upload_pipe(item).await?,
        };
        self.report_uploaded(item, stored, started).await;
        Ok(stored)
    }

    /// Reports a stored file.
    pub(crate) async fn report_uploaded(
        &self,
        item: &UploadItem,
        stored: StoredReceipt,
        started: Instant,
    ) {
        let took = started.elapsed();
        self.shared.count(stored.size, stored.sent, took, stored.limited_by);
        let (seen_names, server) =
            (self.shared.reporter.seen_names(), self.shared.session.server_ref());
        seen_names.note_entry(&server.address, item.path.as_str(), EntryKind::File);
        if !self.shared.reports_files {
            return;
        }
        let StoredReceipt { size, blake3, sent, resumed_at, limited_by } = stored;
        let (path, source) = (item.path.clone(), item.source.display_name());
        let file = UploadedFile {
            path,
            source,
            size,
            blake3,
            sent,
            resumed_at,
            took,
            limited_by,
            path_facts: Some(self.shared.path_facts()),
            already_there: false,
        };
        self.shared.reporter.report(TransferEvent::Uploaded(Arc::new(file))).await;
    }

    /// Uploads a stream. There is one attempt only: its content cannot be read again.
    async fn upload_pipe(&self, item: &UploadItem) -> Result<StoredReceipt, ClientError> {
        let failed = |error| to_client_error(item, error);
        let handle = self.shared.session.command_handle().await;
        // The semaphore is never closed.
        let _permit = handle.content_permits.acquire().await;
        let Some(input) = &self.input else { return Err(failed(PutError::Changed)) };
        let pipe = input.start().map_err(|error| failed(PutError::Source(error)))?;
        let _guard = input.close_on_drop();
        let offer = PutOffer { path: item.path.clone(), replace: item.replace, resume: false };
        let sending =
            exchange::put(&handle.connection, Source::from_pipe(pipe), &offer, handle.timeout);
        let sending = sending.await.map_err(failed)?;
        let is_waiting = || input.is_waiting();
        let (sent_bytes, counted, acknowledged) =
            (sending.sent_bytes(), FileBytesCounter::default(), FileBytesCounter::default());
        let transfer = self.shared.reporter.transfer();
        let count = |received: u64| {
            if let Some(transfer) = transfer {
                transfer.counters.add_sent(counted.raise(sent_bytes.get()));
                transfer.counters.add_acknowledged(acknowledged.raise(received));
            }
        };
        let result = sending.send(self.shared.rate_limit.as_ref(), &is_waiting, |progress| {
            count(progress.received);
        });
        let result = result.await;
        count(result.as_ref().map_or(0, |stored| stored.size));
        result.map_err(failed)
    }

    async fn upload_local_file(
        &self,
        item: &UploadItem,
        may_be_stored: bool,
    ) -> Result<StoredReceipt, ClientError> {
        let local = item.source.path();
        let file = SingleFile {
            path: item.path.clone(),
            local: absolute(&local).map_err(|error| unreadable(&local, error))?,
            size: 0,
            overwrite: item.replace,
        };
        let entry = JournalEntry {
            direction: Direction::Put,
            server: self.shared.session.server_ref().clone(),
            started: Timestamp(Utc::now()),
            subject: TransferSubject::File(file),
        };
        let (journal, unfinished) = (&self.shared.journal, &self.shared.unfinished);
        let stored = StoredBytes::default();
        let upload = ActiveUpload {
            context: self,
            item,
            record: FileRecord::new(journal, unfinished, entry, stored.clone()),
            stored,
            deadline: RetryDeadline::new(self.shared.retry_for),
            sent: 0,
            sent_bytes: None,
            max_stored: 0,
            counted: FileBytesCounter::default(),
            acknowledged: FileBytesCounter::default(),
            is_sized: false,
            has_partial_file: false,
            may_be_stored,
            has_wrong_size: false,
        };
        upload.run().await
    }
}

impl ActiveUpload<'_> {
    /// Makes attempts until one succeeds or another attempt cannot help.
    async fn run(mut self) -> Result<StoredReceipt, ClientError> {
        loop {
            let (shared, is_whole) = (&self.context.shared, AtomicBool::new(false));
            let handle = shared.wait_for_session().await;
            let attempt = shared.unless_paused(&is_whole, self.attempt(&handle, &is_whole)).await;
            if let Some(sent_bytes) = self.sent_bytes.take() {
                self.sent += sent_bytes.get();
                self.may_be_stored |= sent_bytes.is_complete();
            }
            let error = match attempt {
                // Paused: the server keeps the partial file for the next attempt. A pause does not
                // count as lack of progress.
                None => {
                    self.deadline.reset();
                    continue;
                }
                Some(Ok(stored)) => {
                    self.record.finish();
                    return Ok(StoredReceipt { sent: self.sent, ..stored });
                }
                Some(Err(error)) => error,
            };
            let error = match error {
                PutError::Stream(StreamError::Refused(refusal))
                    if self.may_be_stored && refusal.code == RefusalCode::Exists =>
                {
                    if let Some(stored) = self.find_stored_file(&handle).await {
                        self.record.finish();
                        return Ok(stored);
                    }
                    StreamError::Refused(refusal)
                }
                PutError::Stream(error) => error,
                PutError::WrongSize if !self.has_wrong_size => {
                    // The server discards a partial file whose announced size is wrong.
                    self.has_wrong_size = true;
                    self.stored.set(0);
                    continue;
                }
                error => {
                    // The server discards content whose hash differs from the announced one.
                    let is_resumable = !matches!(error, PutError::Mismatch);
                    let failure = to_client_error(self.item, error);
                    if is_resumable {
                        return Err(self.with_unfinished_share(failure));
                    }
                    self.record.finish();
                    return Err(failure);
                }
            };
            if let StreamError::Refused(refusal) = &error
                && !is_transient(refusal.code)
                && self.is_discarded(refusal)
            {
                self.record.finish();
                return Err(to_client_error(self.item, error.into()));
            }
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

    /// Makes one attempt. Sets `is_whole` once all of the content is sent.
    async fn attempt(
        &mut self,
        handle: &SessionHandle,
        is_whole: &AtomicBool,
    ) -> Result<StoredReceipt, PutError> {
        // The semaphore is never closed.
        let _permit = handle.content_permits.acquire().await;
        let source = self.open_source().await?;
        let (path, replace) = (self.item.path.clone(), self.item.replace);
        let resume = self.context.resume || self.has_partial_file;
        let offer = PutOffer { path, replace, resume };
        let sending = exchange::put(&handle.connection, source, &offer, handle.timeout).await?;
        self.notify_offset(&sending).await;
        self.has_partial_file = true;
        let (size, offset) = (sending.size(), sending.offset());
        if offset == 0 {
            self.max_stored = 0;
        }
        self.stored.set(offset);
        self.record.start(size.unwrap_or_default()).await;
        if let Some(size) = size
            && !std::mem::replace(&mut self.is_sized, true)
        {
            self.context.shared.add_bytes(size);
        }
        let counters = self.context.shared.reporter.transfer().map(|transfer| &transfer.counters);
        let (stored, mut max_stored) = (&self.stored, offset);
        let (counted, acknowledged) = (&self.counted, &self.acknowledged);
        if let Some(counters) = counters {
            counters.add_previously_acknowledged(acknowledged.raise(offset));
            counted.raise(offset);
        }
        let sent_bytes = sending.sent_bytes();
        self.sent_bytes = Some(sent_bytes.clone());
        let count = |received: u64| {
            if let Some(counters) = counters {
                counters.add_sent(counted.raise(offset + sent_bytes.get()));
                counters.add_acknowledged(acknowledged.raise(received));
            }
        };
        let result = sending.send(self.context.shared.rate_limit.as_ref(), &|| false, |progress| {
            // Without a size the server keeps nothing that a later attempt could resume.
            if size.is_some() {
                stored.set(progress.stored.max(offset));
            }
            max_stored = max_stored.max(progress.stored);
            count(progress.received);
            is_whole.store(sent_bytes.is_complete(), Ordering::Release);
        });
        let result = result.await;
        count(result.as_ref().map_or(0, |stored| stored.size));
        if max_stored > self.max_stored.max(offset) {
            self.max_stored = max_stored;
            self.deadline.reset();
        }
        result
    }

    /// Opens the file on a blocking thread, and reads it there if it is small.
    async fn open_source(&self) -> Result<Source, PutError> {
        let (item_source, has_wrong_size) = (self.item.source.clone(), self.has_wrong_size);
        let opened = blocking::run(move || {
            let file = Self::open_file(&item_source)?;
            let source =
                if has_wrong_size { Source::without_size(file) } else { Source::new(file) };
            source.and_then(Source::load).map_err(PutError::Source)
        });
        opened.await.unwrap_or_else(|ending| Err(PutError::Source(ending.into())))
    }

    fn open_file(source: &UploadSource) -> Result<File, PutError> {
        match source {
            UploadSource::File(path) => open_regular(path).map_err(|failure| match failure {
                ClientError::Source { source, .. } => PutError::Source(source),
                // It was a regular file when it was checked first.
                _ => PutError::Changed,
            }),
            UploadSource::InTree(root, source) => root.open_file(source).map_err(PutError::Source),
            // A stream cannot be opened again.
            UploadSource::Stream => Err(PutError::Changed),
        }
    }

    /// Checks whether the server has exactly this file, after an attempt that ended without a
    /// confirmation. The client offers the whole file as the known prefix, so that the server sends
    /// no content.
    async fn find_stored_file(&self, handle: &SessionHandle) -> Option<StoredReceipt> {
        let file = Self::open_file(&self.item.source).ok()?;
        let size = file.metadata().ok()?.len();
        let whole = HashedPrefix::hash_file(&file, size).await.ok()??.prefix();
        let path = &self.item.path;
        let found =
            exchange::get(&handle.connection, path, Some(whole), handle.timeout).await.ok()?;
        let is_same = found.size() == size && found.offset() == size && size > 0;
        let (blake3, sent, resumed_at) = (whole.blake3, self.sent, size);
        is_same.then_some(StoredReceipt { size, blake3, sent, resumed_at, limited_by: None })
    }

    /// Whether the server has discarded the partial file, after it refused the upload in the
    /// middle. A refusal before the upload has started leaves the partial file of an earlier
    /// attempt as it is, and so does `bad_request`, which follows content that was cut off.
    fn is_discarded(&self, refusal: &Refusal) -> bool {
        self.has_partial_file && refusal.code != RefusalCode::BadRequest
    }

    async fn notify_offset(&self, sending: &OutgoingFile) {
        let (size, offset) = (sending.size().unwrap_or_default(), sending.offset());
        let path = self.item.path.clone();
        let notice = if offset > 0 {
            Notice::Resuming { path, offset, size }
        } else if sending.had_partial() {
            Notice::StartingOver { path, on_server: false }
        } else {
            return;
        };
        self.context.shared.reporter.notify(notice).await;
    }

    /// Adds to the error how much of the file can be resumed.
    fn with_unfinished_share(&self, error: ClientError) -> ClientError {
        self.context.shared.with_unfinished_share(error, self.record.percent())
    }
}
