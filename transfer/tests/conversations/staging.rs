//! Stores the files of a put: a partial file in a folder.

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

use crate::peers::Folder;

/// The id of the only partial file.
const PARTIAL_ID: u64 = 1;

/// A file that is about to be received.
pub(crate) struct PartialStaging {
    folder: Arc<Dir>,
    name: String,
    length: u64,
    file: Arc<Mutex<Option<PartialFile>>>,
    /// Hashing the partial file never ends.
    pub(crate) hashing_never_ends: bool,
    /// The sink cannot be opened.
    pub(crate) has_no_sink: bool,
}

/// Writes to a partial file.
pub(crate) struct StagingSink(Arc<Mutex<Option<PartialFile>>>);

/// Size of the partial file in bytes.
pub(crate) fn partial_size(folder: &Folder) -> u64 {
    partial_length(&folder.dir, PARTIAL_ID).unwrap().unwrap_or(0)
}

impl PartialStaging {
    pub(crate) fn open(folder: &Folder, put: &PutRequest) -> Self {
        let file = PartialFile::open(&folder.dir, PARTIAL_ID).unwrap();
        Self {
            folder: folder.dir.clone(),
            name: put.path.file_name().to_owned(),
            length: file.length().unwrap(),
            file: Arc::new(Mutex::new(Some(file))),
            hashing_never_ends: false,
            has_no_sink: false,
        }
    }
}

/// Creates a partial file for the next upload.
pub(crate) fn write_partial(folder: &Folder, bytes: &[u8]) {
    PartialFile::open(&folder.dir, PARTIAL_ID).unwrap().write_all(bytes).unwrap();
    assert_eq!(partial_size(folder), bytes.len() as u64);
}

fn upload_over() -> io::Error {
    io::Error::other("the upload is over")
}

impl Write for StagingSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().as_mut().ok_or_else(upload_over)?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Staging for PartialStaging {
    type Sink = StagingSink;
    type Error = io::Error;

    fn has_partial(&self) -> bool {
        self.length > 0
    }

    async fn hash_partial(&self) -> io::Result<HashedPrefix> {
        if self.hashing_never_ends {
            return std::future::pending().await;
        }
        let content = self.file.lock().as_ref().ok_or_else(upload_over)?.content()?;
        Ok(HashedPrefix::hash_file(&content, self.length).await?.unwrap_or_default())
    }

    async fn open_sink(&self, offset: u64) -> io::Result<StagingSink> {
        if self.has_no_sink {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.lock().as_mut().ok_or_else(upload_over)?.truncate_to(offset)?;
        Ok(StagingSink(self.file.clone()))
    }

    async fn commit(
        self,
        size: u64,
        done: impl FnOnce(&io::Result<()>) + Send + 'static,
    ) -> io::Result<()> {
        blocking::run_io(move || {
            let file = self.file.lock().take().ok_or_else(upload_over)?;
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
                    let mut file = self.file.lock().take().ok_or_else(upload_over)?;
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
