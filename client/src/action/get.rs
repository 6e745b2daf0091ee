//! `get`: one file, verified, under its final name before the server is told that it is there.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use cap_std::fs::Dir;
use quiver_protocol::reply::FileHead;
use quiver_protocol::{
    ContentHash, End as _, FilePath, FrameKind, PlainEnd, Received, Reply, Request,
};
use quiver_transport::content::{
    Arrival, Finish, Hashed, PartFile, ReceiveError, Replace, Size, receive,
};
use quiver_transport::{CommandStream, Connection, StreamError};
use thiserror::Error;
use tokio::task;

use super::{Answer, Part, misfit};

/// How long the server may take to acknowledge our last word; the file is safe by then.
const FAREWELL: Duration = Duration::from_secs(5);

/// How many names are tried for a part; random ones hardly ever collide.
const PART_NAMES: usize = 8;

/// A file on its way: the server has it and has said how large it is.
#[derive(Debug)]
pub struct Content {
    stream: CommandStream,
    head: FileHead,
    patience: Duration,
}

/// Where a file is stored.
#[derive(Debug, Clone)]
pub struct Target {
    /// The folder.
    pub folder: Arc<Dir>,
    /// Its name there: one part of a path.
    pub name: String,
    /// What happens to a file that has this name.
    pub replace: Replace,
}

/// What arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Got {
    /// Bytes.
    pub size: u64,
    /// Of the whole file.
    pub blake3: ContentHash,
}

/// Why a file did not arrive. Nothing stands under its name then that was not there before.
#[derive(Debug, Error)]
pub enum GetError {
    /// It came whole and is not what was sent.
    #[error("the content does not match its hash")]
    Mismatch,
    /// It came shorter or longer than announced.
    #[error("the content has {found} bytes where {announced} were announced")]
    Length {
        /// The announced bytes.
        announced: u64,
        /// What came.
        found: u64,
    },
    /// It could not be written.
    #[error("{0}")]
    Disk(io::Error),
    /// The server answered with another file, or a piece of it.
    #[error("the server sent something else than was asked for")]
    OtherFile,
    /// The server refused, or the conversation broke off.
    #[error("{}", quiver_protocol::text::display_safe(&.0.to_string()))]
    Stream(#[from] StreamError),
}

/// Asks for a file.
///
/// # Errors
/// [`GetError::Stream`], [`GetError::OtherFile`].
pub async fn get(
    connection: &Connection,
    path: &FilePath,
    patience: Duration,
) -> Result<Content, GetError> {
    let request = Request::Get { path: path.clone(), have: None };
    let mut answer = Answer::to(connection, &request, patience).await?;
    let Part::Reply(Reply::File(head)) = answer.next::<PlainEnd>().await? else {
        return Err(misfit("something else than a file").into());
    };
    if head.path != *path || head.offset != 0 {
        return Err(GetError::OtherFile);
    }
    Ok(Content { stream: answer.stream, head, patience })
}

impl Content {
    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head.size
    }

    /// Receives the file and stores it: verified, flushed, under its final name. `progress` hears of
    /// the bytes received so far.
    ///
    /// # Errors
    /// [`GetError`]; `Disk` with `AlreadyExists` where the name is taken and not to be replaced.
    pub async fn store(
        mut self,
        target: &Target,
        progress: impl FnMut(u64),
    ) -> Result<Got, GetError> {
        let folder = target.folder.clone();
        let part = on_disk(move || create_part(&folder)).await?;
        let (part, got) = self.receive(part, progress).await?;
        let (name, replace) = (target.name.clone(), target.replace);
        let finish = Finish {
            modified: Some(self.head.modified.0.into()),
            executable: self.head.executable,
        };
        on_disk(move || part.commit(&name, replace, finish)).await?;
        self.acknowledge(got).await;
        Ok(got)
    }

    /// Receives the file into a pipe. What is written is not verified before all of it is written.
    ///
    /// # Errors
    /// [`GetError`]; part of the file, or all of it, may have been written.
    pub async fn pour<W: Write + Send + 'static>(
        mut self,
        pipe: W,
        progress: impl FnMut(u64),
    ) -> Result<Got, GetError> {
        let (_, got) = self.receive(pipe, progress).await?;
        self.acknowledge(got).await;
        Ok(got)
    }

    async fn receive<W: Write + Send + 'static>(
        &mut self,
        sink: W,
        mut progress: impl FnMut(u64),
    ) -> Result<(W, Got), GetError> {
        let size = Size::Known(self.head.size);
        let reader = &mut self.stream.reader;
        let progress = |arrival: Arrival| progress(arrival.received);
        let (sink, end) =
            receive(reader, size, Hashed::nothing(), sink, self.patience, progress).await?;
        Ok((sink, Got { size: end.size, blake3: end.blake3 }))
    }

    /// The file is safe: whether the server learns of it changes nothing here.
    async fn acknowledge(&mut self, got: Got) {
        let received = Received { blake3: got.blake3 }.encode();
        if self.stream.writer.end(FrameKind::Received, &received).await.is_ok() {
            self.stream.writer.delivered(FAREWELL).await;
        }
    }
}

fn create_part(folder: &Dir) -> io::Result<PartFile> {
    let random = RandomState::new();
    for attempt in 1..PART_NAMES {
        match PartFile::create(folder, random.hash_one(attempt)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    PartFile::create(folder, random.hash_one(0))
}

/// Disks block; the thread that drives QUIC must not.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, GetError> {
    match task::spawn_blocking(work).await {
        Ok(result) => result.map_err(GetError::Disk),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going down.
        Err(error) => Err(GetError::Disk(io::Error::other(error))),
    }
}

impl From<ReceiveError> for GetError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Mismatch => Self::Mismatch,
            ReceiveError::Length { announced, found } => Self::Length { announced, found },
            ReceiveError::Disk(error) => Self::Disk(error),
            ReceiveError::Stream(error) => Self::Stream(error),
        }
    }
}
