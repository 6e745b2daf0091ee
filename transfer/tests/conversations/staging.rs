//! Where the answering end of a put stores files: a partial file in a folder.

use std::io::{self, Write};
use std::sync::Arc;

use cap_std::fs::Dir;
use parking_lot::Mutex;
use quiver_protocol::PutRequest;
use quiver_transfer::put::Staging;
use quiver_transfer::{
    FileAttributes, HashedPrefix, PartialFile, ReplacePolicy, blocking, partial_length,
    store_new_file,
};

use crate::ends::Folder;

/// The number of the only partial file.
const PARTIAL: u64 = 1;

/// A file that is about to be received.
pub(crate) struct Partial {
    folder: Arc<Dir>,
    name: String,
    kept: u64,
    file: Arc<Mutex<Option<PartialFile>>>,
    /// What kept bytes cost to hash: forever.
    pub(crate) proves_forever: bool,
    /// There is nothing to write to.
    pub(crate) has_no_sink: bool,
}

/// What is written to a partial file.
pub(crate) struct Sink(Arc<Mutex<Option<PartialFile>>>);

/// How many bytes wait for the next attempt.
pub(crate) fn kept(folder: &Folder) -> u64 {
    partial_length(&folder.dir, PARTIAL).unwrap().unwrap_or(0)
}

impl Partial {
    pub(crate) fn open(folder: &Folder, put: &PutRequest) -> Self {
        let file = PartialFile::open(&folder.dir, PARTIAL).unwrap();
        Self {
            folder: folder.dir.clone(),
            name: put.path.file_name().to_owned(),
            kept: file.length().unwrap(),
            file: Arc::new(Mutex::new(Some(file))),
            proves_forever: false,
            has_no_sink: false,
        }
    }
}

/// Leaves bytes to an upload that is yet to come.
pub(crate) fn leave(folder: &Folder, bytes: &[u8]) {
    PartialFile::open(&folder.dir, PARTIAL).unwrap().write_all(bytes).unwrap();
    assert_eq!(kept(folder), bytes.len() as u64);
}

fn gone() -> io::Error {
    io::Error::other("the upload is over")
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().as_mut().ok_or_else(gone)?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Staging for Partial {
    type Sink = Sink;
    type Error = io::Error;

    fn has_partial(&self) -> bool {
        self.kept > 0
    }

    async fn hash_partial(&self) -> io::Result<HashedPrefix> {
        if self.proves_forever {
            return std::future::pending().await;
        }
        let content = self.file.lock().as_ref().ok_or_else(gone)?.content()?;
        Ok(HashedPrefix::hash_file(&content, self.kept).await?.unwrap_or_default())
    }

    async fn open_sink(&self, offset: u64) -> io::Result<Sink> {
        if self.has_no_sink {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.lock().as_mut().ok_or_else(gone)?.truncate_to(offset)?;
        Ok(Sink(self.file.clone()))
    }

    async fn commit(
        self,
        size: u64,
        done: impl FnOnce(&io::Result<()>) + Send + 'static,
    ) -> io::Result<()> {
        blocking::run_io(move || {
            let file = self.file.lock().take().ok_or_else(gone)?;
            assert_eq!(file.length()?, size);
            let stored = file.commit(&self.name, ReplacePolicy::Never, FileAttributes::default());
            let stored = stored.map(drop);
            done(&stored);
            stored
        })
        .await
    }

    async fn commit_small(
        self,
        bytes: Vec<u8>,
        done: impl FnOnce(&io::Result<()>) + Send + 'static,
    ) -> io::Result<()> {
        blocking::run_io(move || {
            let attributes = FileAttributes::default();
            let stored = match store_new_file(&self.folder, &self.name, &bytes, attributes) {
                Ok(Some(_)) => Ok(()),
                Ok(None) => {
                    let mut file = self.file.lock().take().ok_or_else(gone)?;
                    file.write_all(&bytes)?;
                    file.commit(&self.name, ReplacePolicy::Never, attributes).map(drop)
                }
                Err(error) => Err(error),
            };
            done(&stored);
            stored
        })
        .await
    }

    async fn discard(self) {
        if let Some(file) = self.file.lock().take() {
            file.discard();
        }
    }
}
