//! The way of files from the server to here.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cap_std::fs::Dir;
use quiver_protocol::text::display_safe;
use quiver_protocol::{ContentHash, FilePath};
use quiver_transfer::DiskPool;
use quiver_transfer::file_system::{Unset, stat};
use quiver_transfer::{FileAttributes, PartialFile, Replace, store_new};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::command::get::{Fetch, Item as File, Place as Goal, explain, passing};
use crate::command::tally::is_shared;
use crate::command::trees::compare::is_same_as;
use crate::command::trees::course::{Manner, Way};
use crate::command::trees::{COPIES, beside, is_small, on_a_thread};
use crate::connection::Link;
use crate::failure::Failure;
use crate::output::Total;
use quiver_client::action::{self, GetError, ReceivedFile, Target, is_stored};
use quiver_client::journal::{self, Direction};
use quiver_client::tree::{Item, Kind, Place, State, another_name};
use quiver_transfer::Throttle;

/// The way.
#[derive(Clone)]
pub(super) struct Homeward {
    pub(super) fetch: Fetch,
    pub(super) place: Arc<Place>,
    /// Who stores small files.
    pub(super) disk_pool: DiskPool,
    /// Whether what comes into the way meanwhile is replaced.
    pub(super) overwrite: bool,
}

/// What is beside a file that stays.
#[derive(PartialEq, Eq)]
enum Aside {
    /// A name that nothing has.
    Free,
    /// The other one, which an earlier run has stored.
    There,
}

impl Way for Homeward {
    const DONE: &'static str = "received";

    fn share(&mut self, bar: Total) {
        self.fetch.total = Some(bar);
    }

    fn link(&self) -> &Link {
        &self.fetch.link
    }

    fn patience(&self) -> Duration {
        self.fetch.patience
    }

    fn remote<'a>(&self, file: &'a Item) -> &'a FilePath {
        &file.found.source
    }

    fn read(&self, file: &Item) -> io::Result<std::fs::File> {
        self.place.read(&file.found.target)
    }

    async fn make_folder(&self, folder: &Item) -> Result<(), Failure> {
        let (place, target) = (self.place.clone(), folder.found.target.clone());
        let failed =
            |source| Failure::Target { path: self.place.shown(&folder.found.target), source };
        on_a_thread(move || Ok(place.make_folder(&target))).await?.map_err(failed)
    }

    async fn date_folders(&self, folders: Vec<Item>) -> Result<(), Failure> {
        let place = self.place.clone();
        let unset = on_a_thread(move || {
            let mut first = None;
            for Item { found, .. } in folders {
                let Kind::Folder { modified } = found.kind else { continue };
                match place.date_folder(&found.target, modified) {
                    Ok(unset) if unset.is_empty() => {}
                    Ok(unset) => {
                        debug!(folder = found.target.as_str(), %unset, "not dated");
                        first.get_or_insert_with(|| (place.shown(&found.target), unset));
                    }
                    // It was moved or removed meanwhile.
                    Err(error) => debug!(folder = found.target.as_str(), %error, "not dated"),
                }
            }
            Ok(first)
        });
        if let Some((shown, unset)) = unset.await? {
            self.fetch.output.warn_of_unset(&shown, unset).await;
        }
        Ok(())
    }

    async fn carry(&self, item: Item, manner: Manner) -> Result<Option<u64>, Failure> {
        let began = Instant::now();
        let replace = if manner == Manner::Replace { Replace::Existing } else { Replace::Never };
        let found = &item.found;
        let folder = self.folder(&found.target).await?;
        let (name, path) =
            (found.target.file_name().to_owned(), self.place.absolute(&found.target));
        let mut target = Target { folder, name, path, replace };
        if manner == Manner::Beside && self.step_aside(&mut target, &item).await? == Aside::There {
            return Ok(None);
        }
        let shown = self.place.shown(&found.target).with_file_name(&target.name);
        let place = Goal::File(target.clone(), shown.clone());
        let file = File { path: found.source.clone(), place };
        let small = is_small(&item) && !matches!(item.state, State::Begun(_));
        let may_replace = self.overwrite && manner == Manner::Free;
        let got = if small { self.small(&file, &target, may_replace).await? } else { None };
        if may_replace {
            target.replace = Replace::Existing;
        }
        let (got, received) = match got {
            Some(got) => (got, got.size),
            // Rare, and large: what nearly all files do without is not moved along with them.
            None => Box::pin(self.fetch.store(&file, &target)).await?,
        };
        self.fetch.say(&file, got, received, began).await?;
        if manner == Manner::Beside {
            let (stays, new) = (self.place.shown(&found.target), shown);
            let (stays, new) = (stays.display().to_string(), new.display().to_string());
            let said = format!("{} stays, beside {}", display_safe(&stays), display_safe(&new));
            self.fetch.output.say(said).await;
        }
        Ok(Some(got.size))
    }

    fn blocked(&self, item: &Item, why: &str) -> Failure {
        let path = self.place.shown(&item.found.target);
        Failure::Target { path, source: io::Error::other(why.to_owned()) }
    }

    fn exists(&self, item: &Item) -> Failure {
        Failure::Exists(self.place.shown(&item.found.target))
    }
}

impl Homeward {
    /// The folder that a file goes to.
    async fn folder(&self, target: &FilePath) -> Result<Arc<Dir>, Failure> {
        if let Some(folder) = self.place.known_parent(target) {
            return Ok(folder);
        }
        let failed = |source| Failure::Target { path: self.place.shown(target), source };
        let (place, target) = (self.place.clone(), target.clone());
        // All that goes there asks at once: a thread for each would only wait for the first.
        let folder = self.disk_pool.work(move || place.parent(&target)).await;
        folder.map_err(|_| Failure::Interrupted)?.map_err(failed)
    }

    /// Takes a name that nothing has, unless an earlier run has done so.
    async fn step_aside(&self, target: &mut Target, item: &Item) -> Result<Aside, Failure> {
        let found = &item.found;
        let shown: PathBuf = self.place.shown(&found.target);
        for copy in 2..COPIES {
            let name = another_name(found.target.file_name(), copy);
            let (folder, other) = (target.folder.clone(), name.clone());
            let there = on_a_thread(move || Ok(stat(&folder, other))).await?;
            match there {
                Ok(there) => {
                    // A size of 0 may be what a file system says that tells none.
                    let is_alike = |size| there.is_file() && (size == 0 || there.len() == size);
                    if matches!(found.kind, Kind::File { size, .. } if is_alike(size))
                        && self.has(item, copy).await?
                    {
                        return Ok(Aside::There);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    target.path.set_file_name(&name);
                    target.name = name;
                    return Ok(Aside::Free);
                }
                Err(source) => return Err(Failure::Target { path: shown, source }),
            }
        }
        Err(Failure::Exists(shown))
    }

    /// Whether a copy here is the server's file.
    async fn has(&self, item: &Item, copy: u32) -> Result<bool, Failure> {
        let Ok(beside) = beside(&item.found.target, copy) else { return Ok(false) };
        let place = self.place.clone();
        let read = move || place.read(&beside);
        let Fetch { link, patience, .. } = &self.fetch;
        match is_same_as(link, *patience, &self.disk_pool, &item.found.source, read).await {
            Err(failure) if is_shared(&failure) => Err(failure),
            // What cannot be read is another one.
            same => Ok(same.unwrap_or(false)),
        }
    }

    /// A small file in one go, from one stream into memory, and from there under its name in one visit to the
    /// disk. `None` where it takes the long way: it has grown, something of it is here, or its connection was
    /// lost.
    async fn small(
        &self,
        file: &File,
        target: &Target,
        may_replace: bool,
    ) -> Result<Option<ReceivedFile>, Failure> {
        let line = self.fetch.link.line();
        let small = async {
            let path = &file.path;
            let mut content = action::get(&line.connection, path, None, line.patience).await?;
            if !content.is_small() {
                return Ok(None);
            }
            let (bytes, mut came) = content.take().await?;
            let since = Instant::now();
            let stored = self.store(path, target, may_replace, bytes, content.finish()).await;
            let Some(unset) = stored.map_err(GetError::Disk)? else { return Ok(None) };
            came.stored(since.elapsed(), unset);
            Ok(Some(content.acknowledge(&came, &Throttle::default()).await))
        };
        let got = match small.await {
            Ok(Some(got)) => got,
            Ok(None) => return Ok(None),
            Err(GetError::Stream(error)) => {
                return match passing(&line, error).await {
                    Ok(_) => Ok(None),
                    Err(error) => Err(explain(file, error.into())),
                };
            }
            Err(error) => return Err(explain(file, error)),
        };
        if let Some(total) = &self.fetch.total {
            total.grow(got.size);
        }
        if let Some(limit) = &self.fetch.limit {
            sleep_until(limit.take(got.size)).await;
        }
        Ok(Some(got))
    }

    /// Gives it its name; the attributes that could not be set. `None` where an earlier attempt has left
    /// something: it has no name then.
    async fn store(
        &self,
        path: &FilePath,
        target: &Target,
        may_replace: bool,
        bytes: Vec<u8>,
        finish: FileAttributes,
    ) -> io::Result<Option<Unset>> {
        let mut target = target.clone();
        let server = self.fetch.link.origin().fingerprint;
        let id = journal::id(Direction::Get, server, path, &target.path);
        let stored = self.disk_pool.work(move || {
            if target.replace == Replace::Never {
                match store_new(&target.folder, &target.name, &bytes, finish) {
                    Ok(Some(unset)) => return Ok(Some(unset)),
                    Ok(None) => {}
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        // By another run of the same.
                        if has_bytes(&target, &bytes)? {
                            return Ok(Some(Unset::default()));
                        }
                        if !may_replace {
                            return Err(error);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            if may_replace {
                target.replace = Replace::Existing;
            }
            let mut part = match PartialFile::create(&target.folder, id) {
                Ok(part) => part,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::AlreadyExists | io::ErrorKind::WouldBlock
                    ) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            part.write_all(&bytes)?;
            match part.commit(&target.name, target.replace, finish) {
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists
                        && has_bytes(&target, &bytes)? =>
                {
                    Ok(Some(Unset::default()))
                }
                committed => committed.map(Some),
            }
        });
        stored.await.unwrap_or_else(|ending| Err(io::Error::other(ending)))
    }
}

/// Whether a target is a file with these bytes, as where another run of the same was first.
fn has_bytes(target: &Target, bytes: &[u8]) -> io::Result<bool> {
    let blake3 = ContentHash(*blake3::hash(bytes).as_bytes());
    is_stored(&target.folder, &target.name, bytes.len() as u64, blake3)
}
