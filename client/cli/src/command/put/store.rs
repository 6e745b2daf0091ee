//! One file on its way to the server, over as many connections as it takes.

use std::fs::File;
use std::path::absolute;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use parking_lot::Mutex;
use quiver_protocol::text::display_safe;
use quiver_protocol::{Refusal, RefusalCode, Timestamp};
use quiver_transfer::blocking;
use quiver_transfer::{Hashed, Source};
use quiver_transport::StreamError;
use tokio::time::Instant;

use super::{Item, Origin, StoredReceipt, explain, open, shown, unreadable};
use crate::command::get::passing;
use crate::command::input;
use crate::connection::{Hold, Line, Link};
use crate::failure::Failure;
use crate::output::{Output, Pace, Total, human, json};
use quiver_client::action::{self, Offer, OutgoingFile, PutError, Stored};
use quiver_client::journal::{Direction, Entry, OneFile, Record, Share, What};
use quiver_transfer::RateLimit;
use quiver_transfer::StoredBytes;

/// What all files of an upload have in common.
#[derive(Clone)]
pub(in crate::command) struct Store {
    pub(in crate::command) link: Link,
    pub(in crate::command) output: Output,
    /// `None` where what becomes of all of them is told.
    pub(in crate::command) receipt: Option<StoredReceipt>,
    /// The bar of all of them, where they share one.
    pub(in crate::command) total: Option<Total>,
    pub(in crate::command) json: bool,
    /// Whether to go on where an earlier run stopped.
    pub(in crate::command) resume: bool,
    /// How long a lost server is waited for.
    pub(in crate::command) patience: Duration,
    /// Whether an earlier run may have sent all of a file, and not have heard of its end.
    pub(in crate::command) again: bool,
    /// Whether there is one file only.
    pub(in crate::command) alone: bool,
    pub(in crate::command) pace: Arc<Mutex<Pace>>,
    pub(in crate::command) limit: Option<RateLimit>,
}

/// One file on its way.
struct OnItsWay<'a> {
    store: &'a Store,
    item: &'a Item,
    record: Record,
    /// What the server has of it.
    kept: StoredBytes,
    hold: Hold,
    /// Bytes that were handed to connections.
    sent: u64,
    /// The most that was on the server's disk.
    furthest: u64,
    /// Whether what the server keeps was begun by this run.
    is_begun: bool,
    /// Whether an attempt was lost after its last byte: the file may be there.
    may_be_there: bool,
    /// Whether the size that the file system gives is wrong: the file is read to its end instead.
    wrong_size: bool,
}

impl Store {
    /// A file, from the first question to the receipt.
    pub(in crate::command) async fn one(&self, item: &Item) -> Result<Stored, Failure> {
        self.one_that_may_be_there(item, self.again).await
    }

    /// The same for one of which all may have been sent already, by an attempt whose end nobody heard.
    pub(in crate::command) async fn one_that_may_be_there(
        &self,
        item: &Item,
        may_be_there: bool,
    ) -> Result<Stored, Failure> {
        let began = Instant::now();
        let stored = match &item.origin {
            Origin::File(_) | Origin::Below(..) => self.file(item, may_be_there).await?,
            Origin::Stdin => self.pipe(item).await?,
        };
        self.say(item, stored, began).await?;
        Ok(stored)
    }

    /// Tells that a file is stored.
    pub(in crate::command) async fn say(
        &self,
        item: &Item,
        stored: Stored,
        began: Instant,
    ) -> Result<(), Failure> {
        let pace = || self.pace.lock();
        pace().moved(stored.sent, began.elapsed(), stored.limited_by);
        if self.json {
            let source = shown(&item.origin);
            let file = json::StoredFile::new(&item.path, &source, stored, began.elapsed());
            return self.output.data(json::line(&file) + "\n").await;
        }
        if let Some(receipt) = &self.receipt {
            self.output.say(receipt(&item.path, stored)).await;
        }
        Ok(())
    }

    /// What comes once, and cannot be sent again.
    async fn pipe(&self, item: &Item) -> Result<Stored, Failure> {
        let failed = |error| explain(item, error);
        let line = self.link.line();
        // Nobody closes the semaphore.
        let _permit = line.content.acquire().await;
        let (pipe, input) = input::standard()?;
        let _end = input.end_on_drop();
        let offer = Offer { path: item.path.clone(), replace: item.replace, resume: false };
        let sending = action::put(&line.connection, Source::pipe(pipe), &offer, line.patience);
        let sending = sending.await.map_err(failed)?;
        let mut bar = self.output.bars().bar(item.path.as_str(), None, 0);
        let waits = || input.is_waiting();
        let done = sending.finish(self.limit.as_ref(), &waits, |at| bar.at(at.stored));
        done.await.map_err(failed)
    }

    async fn file(&self, item: &Item, may_be_there: bool) -> Result<Stored, Failure> {
        let here = item.origin.path();
        let file = OneFile {
            path: item.path.clone(),
            local: absolute(&here).map_err(|error| unreadable(&here, error))?,
            size: 0,
            overwrite: item.replace,
        };
        let entry = Entry {
            direction: Direction::Put,
            origin: self.link.origin().clone(),
            begun: Timestamp(Utc::now()),
            what: What::File(file),
        };
        let (journal, unfinished) = (self.link.journal(), self.link.unfinished());
        let kept = StoredBytes::default();
        let way = OnItsWay {
            store: self,
            item,
            record: Record::new(journal, unfinished, entry, kept.clone()),
            kept,
            hold: Hold::new(self.patience),
            sent: 0,
            furthest: 0,
            is_begun: false,
            may_be_there,
            wrong_size: false,
        };
        way.arrive().await
    }
}

impl OnItsWay<'_> {
    /// Attempt after attempt, as long as trying again may help.
    async fn arrive(mut self) -> Result<Stored, Failure> {
        loop {
            let line = self.store.link.line();
            let error = match self.attempt(&line).await {
                Ok(stored) => {
                    self.record.done();
                    return Ok(Stored { sent: self.sent, ..stored });
                }
                Err(error) => error,
            };
            let error = match error {
                PutError::Stream(StreamError::Refused(refusal))
                    if self.may_be_there && refusal.code == RefusalCode::Exists =>
                {
                    if let Some(stored) = self.is_there(&line).await {
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
            let failed = |error: StreamError| explain(self.item, error.into());
            let why = match passing(&line, error).await {
                Ok(why) => why,
                Err(StreamError::Refused(refusal)) if self.is_gone(&refusal) => {
                    self.record.done();
                    return Err(failed(StreamError::Refused(refusal)));
                }
                Err(error) => return Err(self.broken_off(failed(error))),
            };
            match self.store.link.again(&line.connection, &why, &mut self.hold).await {
                Ok(()) => {}
                Err(None) => return Err(self.broken_off(failed(why))),
                Err(Some(failure)) => return Err(self.broken_off(failure)),
            }
        }
    }

    async fn attempt(&mut self, line: &Line) -> Result<Stored, PutError> {
        // Nobody closes the semaphore.
        let _permit = line.content.acquire().await;
        let source = self.source().await?;
        let (path, replace) = (self.item.path.clone(), self.item.replace);
        let resume = self.store.resume || self.is_begun;
        let offer = Offer { path, replace, resume };
        let sending = action::put(&line.connection, source, &offer, line.patience).await?;
        self.say_where(&sending).await;
        self.is_begun = true;
        let (size, offset) = (sending.size(), sending.offset());
        if offset == 0 {
            self.furthest = 0;
        }
        self.kept.set(offset);
        self.record.begin(size.unwrap_or_default()).await;
        let mut bar = match &self.store.total {
            Some(total) => total.part(offset),
            None => self.store.output.bars().bar(self.item.path.as_str(), size, offset),
        };
        let (kept, mut furthest) = (&self.kept, offset);
        let handed = sending.handed();
        let done = sending.finish(self.store.limit.as_ref(), &|| false, |at| {
            bar.at(at.stored);
            // Without a size nothing is kept that a later attempt could go on with.
            if size.is_some() {
                kept.set(at.stored.max(offset));
            }
            furthest = furthest.max(at.stored);
        });
        let done = done.await;
        self.sent += handed.bytes();
        self.may_be_there |= handed.is_all();
        if furthest > self.furthest.max(offset) {
            self.furthest = furthest;
            self.hold.progress();
        }
        done
    }

    /// Opened, and read where it is small, on a blocking thread.
    async fn source(&self) -> Result<Source, PutError> {
        let (origin, wrong_size) = (self.item.origin.clone(), self.wrong_size);
        let opened = blocking::run(move || {
            let file = Self::open(&origin)?;
            let source = if wrong_size { Source::without_size(file) } else { Source::new(file) };
            source.and_then(Source::load).map_err(PutError::Source)
        });
        opened.await.unwrap_or_else(|ending| Err(PutError::Source(ending.into())))
    }

    fn open(origin: &Origin) -> Result<File, PutError> {
        match origin {
            Origin::File(path) => open(path).map_err(|failure| match failure {
                Failure::Source { source, .. } => PutError::Source(source),
                // It was a file when it was looked at first.
                _ => PutError::Changed,
            }),
            Origin::Below(trunk, source) => trunk.read(source).map_err(PutError::Source),
            // What comes once is not opened again.
            Origin::Stdin => Err(PutError::Changed),
        }
    }

    /// After an attempt whose end nobody heard: whether the server has just this file. It proves a
    /// beginning that is the whole, so that nothing is sent.
    async fn is_there(&self, line: &Line) -> Option<Stored> {
        let file = Self::open(&self.item.origin).ok()?;
        let size = file.metadata().ok()?.len();
        let whole = Hashed::of(&file, size).await.ok()??.prefix();
        let path = &self.item.path;
        let found = action::get(&line.connection, path, Some(whole), line.patience).await.ok()?;
        let is_same = found.size() == size && found.offset() == size && size > 0;
        let (blake3, sent, resumed_at) = (whole.blake3, self.sent, size);
        is_same.then_some(Stored { size, blake3, sent, resumed_at, limited_by: None })
    }

    /// Whether the server keeps nothing of a file that it refused in the middle. Before it, what an earlier
    /// attempt has left stays; a file that was cut off for want of content does too.
    fn is_gone(&self, refusal: &Refusal) -> bool {
        self.is_begun && refusal.code != RefusalCode::BadRequest
    }

    async fn say_where(&self, sending: &OutgoingFile) {
        let (size, offset) = (sending.size().unwrap_or_default(), sending.offset());
        let path = &self.item.path;
        if offset > 0 {
            self.store.output.say(human::goes_on(path, offset, size)).await;
        } else if sending.was_offered() {
            let path = display_safe(path.as_str());
            self.store.output.say(format!("{path} changed here: starting over")).await;
        }
    }

    /// The failure, with how to go on where the server keeps something.
    fn broken_off(&self, failure: Failure) -> Failure {
        let share = self.record.share();
        failure.goes_on(
            share.map(|share| if self.store.alone { Share::Of(share) } else { Share::Several }),
        )
    }
}
