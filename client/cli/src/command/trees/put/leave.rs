//! The way of files from here to the server.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, FolderPath, Refusal, RefusalCode, Timestamp};
use quiver_transfer::DiskPool;
use quiver_transfer::Source;
use quiver_transport::StreamError;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::debug;

use crate::command::get::passing;
use crate::command::put::{Item as Upload, Origin, Store, explain};
use crate::command::tally::is_shared;
use crate::command::trees::compare::is_same_as;
use crate::command::trees::course::{Manner, Way};
use crate::command::trees::{COPIES, beside, is_small};
use crate::connection::{Hold, Link};
use crate::failure::Failure;
use crate::output::Total;
use quiver_client::action::{self, Offer, PutError, Stored};
use quiver_client::tree::{Item, Kind, Trunk, another_name};

/// The way.
#[derive(Clone)]
pub(super) struct Away {
    pub(super) store: Store,
    pub(super) trunks: Arc<Vec<Arc<Trunk>>>,
    /// Who reads small files.
    pub(super) disk_pool: DiskPool,
    /// The folder they all go to, where the server does not have it yet.
    pub(super) missing: Option<Arc<Missing>>,
    /// Whether what comes into the way meanwhile is replaced.
    pub(super) overwrite: bool,
}

/// What became of a small file.
enum Sent {
    /// It is there.
    Stored(Stored),
    /// Its connection was lost, maybe after all of it had been sent.
    Lost { all: bool },
}

/// A folder that is to be made by the first who needs it.
pub(super) struct Missing {
    folder: FolderPath,
    made: OnceCell<()>,
}

impl Missing {
    pub(super) fn new(folder: FolderPath) -> Self {
        Self { folder, made: OnceCell::new() }
    }
}

impl Way for Away {
    const DONE: &'static str = "stored";

    fn share(&mut self, bar: Total) {
        self.store.total = Some(bar);
    }

    fn link(&self) -> &Link {
        &self.store.link
    }

    fn patience(&self) -> Duration {
        self.store.patience
    }

    fn remote<'a>(&self, file: &'a Item) -> &'a FilePath {
        &file.found.target
    }

    fn read(&self, file: &Item) -> io::Result<File> {
        self.trunk(file).read(&file.found.source)
    }

    async fn make_folder(&self, folder: &Item) -> Result<(), Failure> {
        self.folder(&folder.found.target, None).await
    }

    async fn date_folders(&self, folders: Vec<Item>) -> Result<(), Failure> {
        for Item { found, .. } in folders {
            if let Kind::Folder { modified } = found.kind
                && let Err(failure) = self.folder(&found.target, Some(modified)).await
            {
                if failure.is_lost_connection() {
                    return Err(failure);
                }
                // A time is a courtesy: what is in the folder is what counts.
                debug!(folder = found.target.as_str(), %failure, "not dated");
            }
        }
        Ok(())
    }

    async fn carry(&self, item: Item, manner: Manner) -> Result<Option<u64>, Failure> {
        if let Some(Missing { folder, made }) = self.missing.as_deref()
            && let Ok(folder) = FilePath::parse(folder.as_str())
        {
            made.get_or_try_init(|| self.folder(&folder, None)).await?;
        }
        let found = &item.found;
        let origin = Origin::Below(self.trunk(&item).clone(), found.source.clone());
        let replace = manner == Manner::Replace || (self.overwrite && manner == Manner::Free);
        let mut upload = Upload { origin, path: found.target.clone(), replace };
        if manner != Manner::Beside {
            return match self.plainly(&item, &upload).await {
                // It came meanwhile: what a killed run had sent is stored until the server has noticed.
                Err(failure) if is_taken(&failure) && self.is_it(&item, &upload.path).await? => {
                    Ok(None)
                }
                stored => stored.map(|stored| Some(stored.size)),
            };
        }
        for copy in 2..COPIES {
            upload.path = beside(&found.target, copy).map_err(|rule| {
                let name = another_name(found.target.file_name(), copy);
                let what = format!("cannot put {}", display_safe(&name));
                Failure::refused(what, Refusal::from(rule))
            })?;
            match Box::pin(self.store.one(&upload)).await {
                // By an earlier run, maybe.
                Err(failure) if is_taken(&failure) => {
                    if self.is_it(&item, &upload.path).await? {
                        return Ok(None);
                    }
                }
                Err(failure) => return Err(failure),
                Ok(stored) => {
                    let (stays, new) = (found.target.as_str(), upload.path.as_str());
                    let (stays, new) = (display_safe(stays), display_safe(new));
                    self.store.output.say(format!("{stays} stays, beside {new}")).await;
                    return Ok(Some(stored.size));
                }
            }
        }
        Err(self.exists(&item))
    }

    fn blocked(&self, item: &Item, why: &str) -> Failure {
        let what = format!("cannot put {}", display_safe(item.found.target.as_str()));
        Failure::refused(what, Refusal::new(RefusalCode::Exists, why))
    }

    fn exists(&self, item: &Item) -> Failure {
        Failure::kept(&item.found.target)
    }
}

impl Away {
    fn trunk(&self, item: &Item) -> &Arc<Trunk> {
        &self.trunks[item.found.trunk as usize]
    }

    /// Whether the server has a file under another path.
    async fn is_it(&self, item: &Item, path: &FilePath) -> Result<bool, Failure> {
        let (trunk, source) = (self.trunk(item).clone(), item.found.source.clone());
        let read = move || trunk.read(&source);
        let Store { link, patience, .. } = &self.store;
        match is_same_as(link, *patience, &self.disk_pool, path, read).await {
            Err(failure) if is_shared(&failure) => Err(failure),
            // What cannot be read is another one.
            same => Ok(same.unwrap_or(false)),
        }
    }

    /// A file to the place that was planned for it.
    async fn plainly(&self, item: &Item, upload: &Upload) -> Result<Stored, Failure> {
        let may_be_there = if is_small(item) {
            match self.small(item, upload).await? {
                Sent::Stored(stored) => return Ok(stored),
                Sent::Lost { all } => all,
            }
        } else {
            false
        };
        // Large, and not moved along with the many small files.
        Box::pin(self.store.one_that_may_be_there(upload, may_be_there)).await
    }

    /// A small file in one go, as long as its connection lives.
    async fn small(&self, item: &Item, upload: &Upload) -> Result<Sent, Failure> {
        let began = Instant::now();
        let line = self.store.link.line();
        let (trunk, source) = (self.trunk(item).clone(), item.found.source.clone());
        let read = self.disk_pool.work(move || Source::new(trunk.read(&source)?)?.load());
        let source = read.await.unwrap_or_else(|ending| Err(io::Error::other(ending)));
        let source = source.map_err(|error| explain(upload, PutError::Source(error)))?;
        let offer = Offer { path: upload.path.clone(), replace: upload.replace, resume: false };
        let mut all = false;
        let sent = async {
            let sending = action::put(&line.connection, source, &offer, line.patience).await?;
            let handed = sending.handed();
            let stored = sending.finish(self.store.limit.as_ref(), &|| false, |_| {}).await;
            all = handed.is_all();
            stored
        };
        let error = match sent.await {
            Ok(stored) => {
                if let Some(total) = &self.store.total {
                    total.grow(stored.size);
                }
                self.store.say(upload, stored, began).await?;
                return Ok(Sent::Stored(stored));
            }
            Err(PutError::Stream(error)) => error,
            Err(error) => return Err(explain(upload, error)),
        };
        match passing(&line, error).await {
            Ok(_) => Ok(Sent::Lost { all }),
            Err(error) => Err(explain(upload, error.into())),
        }
    }

    async fn folder(&self, path: &FilePath, modified: Option<Timestamp>) -> Result<(), Failure> {
        let mut hold = Hold::new(self.store.patience);
        let failed = |error: StreamError| {
            Failure::stream(format!("cannot make {}", display_safe(path.as_str())), error)
        };
        loop {
            let line = self.store.link.line();
            let (connection, path) = (&line.connection, path.clone());
            let made = action::make_folder(connection, path, modified, line.patience).await;
            let Err(error) = made else { return Ok(()) };
            let why = passing(&line, error).await.map_err(failed)?;
            match self.store.link.again(&line.connection, &why, &mut hold).await {
                Ok(()) => {}
                Err(None) => return Err(failed(why)),
                Err(Some(failure)) => return Err(failure),
            }
        }
    }
}

fn is_taken(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Put { source: PutError::Stream(StreamError::Refused(refusal)), .. }
            if refusal.code == RefusalCode::Exists
    )
}
