//! The way of files from here to the server.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, FolderPath, Refusal, RefusalCode, Timestamp};
use quiver_transport::StreamError;
use tokio::sync::OnceCell;
use tracing::debug;

use crate::action::{self, PutError};
use crate::command::get::passing;
use crate::command::put::{Item as Upload, Origin, Store};
use crate::command::trees::COPIES;
use crate::command::trees::course::{Manner, Way};
use crate::connection::{Hold, Link};
use crate::failure::Failure;
use crate::output::Total;
use crate::tree::{Item, Kind, Trunk, another_name};

/// The way.
#[derive(Clone)]
pub(super) struct Away {
    pub(super) store: Store,
    pub(super) trunks: Arc<Vec<Arc<Trunk>>>,
    /// The folder they all go to, where the server does not have it yet.
    pub(super) missing: Option<Arc<Missing>>,
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

    async fn carry(&self, item: Item, manner: Manner) -> Result<u64, Failure> {
        if let Some(Missing { folder, made }) = self.missing.as_deref()
            && let Ok(folder) = FilePath::parse(folder.as_str())
        {
            made.get_or_try_init(|| self.folder(&folder, None)).await?;
        }
        let found = &item.found;
        let origin = Origin::Below(self.trunk(&item).clone(), found.source.clone());
        let replace = manner == Manner::Replace;
        let mut upload = Upload { origin, path: found.target.clone(), replace };
        if manner != Manner::Beside {
            return self.store.one(&upload).await.map(|stored| stored.size);
        }
        for copy in 2..COPIES {
            upload.path = beside(&found.target, copy)?;
            match self.store.one(&upload).await {
                Err(failure) if is_taken(&failure) => {}
                Err(failure) => return Err(failure),
                Ok(stored) => {
                    let (stays, new) = (found.target.as_str(), upload.path.as_str());
                    let (stays, new) = (display_safe(stays), display_safe(new));
                    self.store.output.say(format!("{stays} stays, beside {new}")).await;
                    return Ok(stored.size);
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

/// The path of a copy of something.
fn beside(path: &FilePath, copy: u32) -> Result<FilePath, Failure> {
    let name = another_name(path.file_name(), copy);
    let above = path.as_str().rsplit_once('/').map_or("", |(above, _)| above);
    FolderPath::parse(above).and_then(|folder| folder.join(&name)).map_err(|rule| {
        let what = format!("cannot put {}", display_safe(&name));
        Failure::refused(what, Refusal::from(rule))
    })
}

fn is_taken(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Put { source: PutError::Stream(StreamError::Refused(refusal)), .. }
            if refusal.code == RefusalCode::Exists
    )
}
