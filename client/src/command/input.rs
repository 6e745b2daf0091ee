//! Standard input as content: read on a thread that nobody waits for, so that a program whose input is
//! silent can still end at once.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use quiver_protocol::chunk::BLOCK;

use crate::failure::Failure;
use crate::unix;

type Piece = io::Result<Vec<u8>>;

/// What has come so far; reading it may be ended from outside.
#[derive(Debug)]
pub(super) struct Pipe {
    /// Only one thread reads at a time; the lock is for who moves it between threads.
    pieces: Mutex<Receiver<Piece>>,
    piece: Vec<u8>,
    taken: usize,
    ended: bool,
    waiting: Arc<AtomicBool>,
}

/// The other side of a [`Pipe`].
#[derive(Debug, Clone)]
pub(super) struct Input {
    pieces: SyncSender<Piece>,
    waiting: Arc<AtomicBool>,
}

/// Ends what reads the pipe, when dropped.
#[derive(Debug)]
pub(super) struct End(SyncSender<Piece>);

/// Standard input.
pub(super) fn standard() -> Result<(Pipe, Input), Failure> {
    let failed = |source| Failure::Source { path: "standard input".into(), source };
    let mut stdin = unix::raw_stdin().map_err(failed)?;
    // One waits while one is taken.
    let (pieces, receiver) = sync_channel(1);
    let waiting = Arc::new(AtomicBool::new(false));
    let input = Input { pieces: pieces.clone(), waiting: waiting.clone() };
    let read = move || {
        loop {
            let mut buffer = vec![0; BLOCK];
            let piece = match stdin.read(&mut buffer) {
                Ok(count) => {
                    buffer.truncate(count);
                    Ok(buffer)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let is_last = piece.as_ref().map_or(true, Vec::is_empty);
            if pieces.send(piece).is_err() || is_last {
                return;
            }
        }
    };
    thread::Builder::new().name("input".to_owned()).spawn(read).map_err(failed)?;
    let pipe =
        Pipe { pieces: Mutex::new(receiver), piece: Vec::new(), taken: 0, ended: false, waiting };
    Ok((pipe, input))
}

impl Input {
    /// Whether somebody waits for what does not come.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whoever waits for more stops waiting when this is dropped.
    pub(super) fn end_on_drop(&self) -> End {
        End(self.pieces.clone())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // Where there is no room, nobody waits.
        let _ = self.0.try_send(Err(io::Error::other("nobody wants the rest")));
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.piece.len() && !self.ended {
            self.waiting.store(true, Ordering::Relaxed);
            let next = self.pieces.lock().unwrap_or_else(PoisonError::into_inner).recv();
            self.waiting.store(false, Ordering::Relaxed);
            // The thread says an empty piece at the end, and nothing after it.
            self.piece = next.unwrap_or_else(|_| Ok(Vec::new()))?;
            self.taken = 0;
            self.ended = self.piece.is_empty();
        }
        let length = buffer.len().min(self.piece.len() - self.taken);
        buffer[..length].copy_from_slice(&self.piece[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}
