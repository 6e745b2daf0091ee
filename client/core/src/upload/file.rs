//! One file to the server, over as many connections as it takes.

use std::fs::File;
use std::path::absolute;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::Utc;
use quiver_protocol::{Refusal, RefusalCode, Timestamp};
use quiver_transfer::{HashedPrefix, Source, StoredBytes, blocking};
use quiver_transport::StreamError;
use tokio::time::Instant;

use super::input::PipeInput;
use super::{UploadItem, UploadSource, explain, open, unreadable};
use crate::error::{ClientError, is_passing};
use crate::exchange::{self, OutgoingFile, PutError, PutOffer, SentBytes, StoredReceipt};
use crate::journal::{Direction, FileRecord, JournalEntry, SingleFile, TransferSubject};
use crate::notice::Notice;
use crate::reconnecting::{RetryDeadline, SessionHandle};
use crate::transfer_context::TransferContext;
use crate::transfers::{FileBytesCounter, TransferEvent, UploadedFile};

/// What all files of an upload have in common. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct UploadContext {
    pub(crate) shared: TransferContext,
    /// Whether to take up what an earlier run has left.
    pub(crate) resume: bool,
    /// Whether an earlier run may have sent all of a file, and not have heard of its end.
    pub(crate) again: bool,
    /// Where content comes from that is no file.
    pub(crate) input: Option<PipeInput>,
}

/// One file on its way.
struct ActiveUpload<'a> {
    context: &'a UploadContext,
    item: &'a UploadItem,
    record: FileRecord,
    /// What the server has of it.
    kept: StoredBytes,
    deadline: RetryDeadline,
    /// Bytes that earlier attempts handed to connections.
    sent: u64,
    /// What the present attempt, or the last one, has handed over.
    handed: Option<SentBytes>,
    /// The most that was on the server's disk.
    furthest: u64,
    counted: FileBytesCounter,
    acknowledged: FileBytesCounter,
    /// Whether its size is among those of the transfer.
    is_sized: bool,
    /// Whether what the server keeps was begun by this run.
    is_begun: bool,
    /// Whether an attempt was lost after its last byte: the file may be there.
    may_be_there: bool,
    /// Whether the size that the file system gives is wrong: the file is read to its end instead.
    wrong_size: bool,
}

impl UploadContext {
    /// A file, from the first question to its report.
    pub(crate) async fn one(&self, item: &UploadItem) -> Result<StoredReceipt, ClientError> {
        self.one_that_may_be_there(item, self.again).await
    }

    /// The same for one of which all may have been sent already, by an attempt whose end was not heard.
    pub(crate) async fn one_that_may_be_there(
        &self,
        item: &UploadItem,
        may_be_there: bool,
    ) -> Result<StoredReceipt, ClientError> {
        let began = Instant::now();
        let stored = match &item.source {
            UploadSource::File(_) | UploadSource::Below(..) => {
                self.file(item, may_be_there).await?
            }
            UploadSource::Stream => self.pipe(item).await?,
        };
        self.done(item, stored, began).await;
        Ok(stored)
    }

    /// Tells that a file is stored.
    pub(crate) async fn done(&self, item: &UploadItem, stored: StoredReceipt, began: Instant) {
        let took = began.elapsed();
        self.shared.count(stored.size, stored.sent, took, stored.limited_by);
        if !self.shared.reports {
            return;
        }
        let StoredReceipt { size, blake3, sent, resumed_at, limited_by } = stored;
        let (path, source) = (item.path.clone(), item.source.shown());
        let file = UploadedFile { path, source, size, blake3, sent, resumed_at, took, limited_by };
        self.shared.reporter.event(TransferEvent::Uploaded(Arc::new(file))).await;
    }

    /// What comes once, and cannot be sent again.
    async fn pipe(&self, item: &UploadItem) -> Result<StoredReceipt, ClientError> {
        let failed = |error| explain(item, error);
        let handle = self.shared.session.handle();
        // The semaphore is never closed.
        let _permit = handle.content.acquire().await;
        let Some(input) = &self.input else { return Err(failed(PutError::Changed)) };
        let pipe = input.start().map_err(|error| failed(PutError::Source(error)))?;
        let _end = input.end_on_drop();
        let offer = PutOffer { path: item.path.clone(), replace: item.replace, resume: false };
        let sending =
            exchange::put(&handle.connection, Source::from_pipe(pipe), &offer, handle.patience);
        let sending = sending.await.map_err(failed)?;
        let mut meter = self.shared.meter(&item.path, None, 0).await;
        let waits = || input.is_waiting();
        let (handed, counted, acknowledged) =
            (sending.sent_bytes(), FileBytesCounter::default(), FileBytesCounter::default());
        let transfer = self.shared.reporter.transfer();
        let count = |received: u64| {
            if let Some(transfer) = transfer {
                transfer.counters.add_sent(counted.raise(handed.get()));
                transfer.counters.add_acknowledged(acknowledged.raise(received));
            }
        };
        let done = sending.send(self.shared.rate_limit.as_ref(), &waits, |at| {
            meter.set(at.stored);
            count(at.received);
        });
        let done = done.await;
        count(done.as_ref().map_or(0, |stored| stored.size));
        done.map_err(failed)
    }

    async fn file(
        &self,
        item: &UploadItem,
        may_be_there: bool,
    ) -> Result<StoredReceipt, ClientError> {
        let here = item.source.path();
        let file = SingleFile {
            path: item.path.clone(),
            local: absolute(&here).map_err(|error| unreadable(&here, error))?,
            size: 0,
            overwrite: item.replace,
        };
        let entry = JournalEntry {
            direction: Direction::Put,
            origin: self.shared.session.origin().clone(),
            begun: Timestamp(Utc::now()),
            what: TransferSubject::File(file),
        };
        let (journal, unfinished) =
            (self.shared.session.journal(), self.shared.session.unfinished());
        let kept = StoredBytes::default();
        let upload = ActiveUpload {
            context: self,
            item,
            record: FileRecord::new(journal, unfinished, entry, kept.clone()),
            kept,
            deadline: RetryDeadline::new(self.shared.retry_for),
            sent: 0,
            handed: None,
            furthest: 0,
            counted: FileBytesCounter::default(),
            acknowledged: FileBytesCounter::default(),
            is_sized: false,
            is_begun: false,
            may_be_there,
            wrong_size: false,
        };
        upload.run().await
    }
}

impl ActiveUpload<'_> {
    /// Attempt after attempt, as long as trying again may help.
    async fn run(mut self) -> Result<StoredReceipt, ClientError> {
        loop {
            let (shared, is_whole) = (&self.context.shared, AtomicBool::new(false));
            let handle = shared.session_to_run().await;
            let attempt = shared.unless_paused(&is_whole, self.attempt(&handle, &is_whole)).await;
            if let Some(handed) = self.handed.take() {
                self.sent += handed.get();
                self.may_be_there |= handed.is_complete();
            }
            let error = match attempt {
                // What the server has so far is kept for the next attempt. A pause is no lack of progress.
                None => {
                    self.deadline.progress();
                    continue;
                }
                Some(Ok(stored)) => {
                    self.record.done();
                    return Ok(StoredReceipt { sent: self.sent, ..stored });
                }
                Some(Err(error)) => error,
            };
            let error = match error {
                PutError::Stream(StreamError::Refused(refusal))
                    if self.may_be_there && refusal.code == RefusalCode::Exists =>
                {
                    if let Some(stored) = self.is_there(&handle).await {
                        self.record.done();
                        return Ok(stored);
                    }
                    StreamError::Refused(refusal)
                }
                PutError::Stream(error) => error,
                PutError::WrongSize if !self.wrong_size => {
                    // The server keeps nothing of what was announced with that size.
                    self.wrong_size = true;
                    self.kept.set(0);
                    continue;
                }
                error => {
                    // The server keeps nothing that is not what it was said to be.
                    let kept = !matches!(error, PutError::Mismatch);
                    let failure = explain(self.item, error);
                    if kept {
                        return Err(self.broken_off(failure));
                    }
                    self.record.done();
                    return Err(failure);
                }
            };
            if let StreamError::Refused(refusal) = &error
                && !is_passing(refusal.code)
                && self.is_gone(refusal)
            {
                self.record.done();
                return Err(explain(self.item, error.into()));
            }
            let TransferContext { session, reporter, .. } = &self.context.shared;
            let renewed = session.renew_after(&handle, error, &mut self.deadline, reporter).await;
            if let Err(not) = renewed {
                let error = not.explain(|error| explain(self.item, error.into()));
                return Err(self.broken_off(error));
            }
        }
    }

    /// `is_whole` tells once all of the content has left.
    async fn attempt(
        &mut self,
        handle: &SessionHandle,
        is_whole: &AtomicBool,
    ) -> Result<StoredReceipt, PutError> {
        // Nobody closes the semaphore.
        let _permit = handle.content.acquire().await;
        let source = self.source().await?;
        let (path, replace) = (self.item.path.clone(), self.item.replace);
        let resume = self.context.resume || self.is_begun;
        let offer = PutOffer { path, replace, resume };
        let sending = exchange::put(&handle.connection, source, &offer, handle.patience).await?;
        self.tell_where(&sending).await;
        self.is_begun = true;
        let (size, offset) = (sending.size(), sending.offset());
        if offset == 0 {
            self.furthest = 0;
        }
        self.kept.set(offset);
        self.record.begin(size.unwrap_or_default()).await;
        if !std::mem::replace(&mut self.is_sized, true) {
            self.context.shared.add_bytes(size.unwrap_or_default());
        }
        let mut meter = self.context.shared.meter(&self.item.path, size, offset).await;
        let counters = self.context.shared.reporter.transfer().map(|transfer| &transfer.counters);
        let (kept, mut furthest) = (&self.kept, offset);
        let (counted, acknowledged) = (&self.counted, &self.acknowledged);
        if let Some(counters) = counters {
            counters.add_there(acknowledged.raise(offset));
            counted.raise(offset);
        }
        let handed = sending.sent_bytes();
        self.handed = Some(handed.clone());
        let count = |received: u64| {
            if let Some(counters) = counters {
                counters.add_sent(counted.raise(offset + handed.get()));
                counters.add_acknowledged(acknowledged.raise(received));
            }
        };
        let done = sending.send(self.context.shared.rate_limit.as_ref(), &|| false, |at| {
            meter.set(at.stored);
            // Without a size nothing is kept that a later attempt could take up.
            if size.is_some() {
                kept.set(at.stored.max(offset));
            }
            furthest = furthest.max(at.stored);
            count(at.received);
            is_whole.store(handed.is_complete(), Ordering::Release);
        });
        let done = done.await;
        count(done.as_ref().map_or(0, |stored| stored.size));
        if furthest > self.furthest.max(offset) {
            self.furthest = furthest;
            self.deadline.progress();
        }
        done
    }

    /// Opened, and read where it is small, on a blocking thread.
    async fn source(&self) -> Result<Source, PutError> {
        let (origin, wrong_size) = (self.item.source.clone(), self.wrong_size);
        let opened = blocking::run(move || {
            let file = Self::open(&origin)?;
            let source = if wrong_size { Source::without_size(file) } else { Source::new(file) };
            source.and_then(Source::load).map_err(PutError::Source)
        });
        opened.await.unwrap_or_else(|ending| Err(PutError::Source(ending.into())))
    }

    fn open(source: &UploadSource) -> Result<File, PutError> {
        match source {
            UploadSource::File(path) => open(path).map_err(|failure| match failure {
                ClientError::Source { source, .. } => PutError::Source(source),
                // It was a file when it was looked at first.
                _ => PutError::Changed,
            }),
            UploadSource::Below(root, below) => root.read(below).map_err(PutError::Source),
            // What comes once is not opened again.
            UploadSource::Stream => Err(PutError::Changed),
        }
    }

    /// After an attempt whose end nobody heard: whether the server has just this file. It proves a
    /// beginning that is the whole, so that nothing is sent.
    async fn is_there(&self, handle: &SessionHandle) -> Option<StoredReceipt> {
        let file = Self::open(&self.item.source).ok()?;
        let size = file.metadata().ok()?.len();
        let whole = HashedPrefix::hash_file(&file, size).await.ok()??.prefix();
        let path = &self.item.path;
        let found =
            exchange::get(&handle.connection, path, Some(whole), handle.patience).await.ok()?;
        let is_same = found.size() == size && found.offset() == size && size > 0;
        let (blake3, sent, resumed_at) = (whole.blake3, self.sent, size);
        is_same.then_some(StoredReceipt { size, blake3, sent, resumed_at, limited_by: None })
    }

    /// Whether the server keeps nothing of a file that it refused in the middle. Before it, what an earlier
    /// attempt has left stays; a file that was cut off for want of content does too.
    fn is_gone(&self, refusal: &Refusal) -> bool {
        self.is_begun && refusal.code != RefusalCode::BadRequest
    }

    async fn tell_where(&self, sending: &OutgoingFile) {
        let (size, offset) = (sending.size().unwrap_or_default(), sending.offset());
        let path = self.item.path.clone();
        let notice = if offset > 0 {
            Notice::Resuming { path, offset, size }
        } else if sending.had_partial() {
            Notice::StartingOver { path, on_server: false }
        } else {
            return;
        };
        self.context.shared.reporter.notice(notice).await;
    }

    /// The error, with how much the server keeps where it does.
    fn broken_off(&self, error: ClientError) -> ClientError {
        self.context.shared.broken_off(error, self.record.share())
    }
}
