//! The connection with the socket of another process: requests, and its events.

use std::io;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::failure::Failure;
use crate::lines::{self, LineReader};
use crate::messages::{
    ControlMessage, ControlOutcome, ControlReply, ControlRequest, MAX_MESSAGE, NumberedRequest,
};
use crate::socket_folder::SocketFolder;
use crate::unix::check_user;

/// How long a process may take for a reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(12);

/// A connection with a process.
#[derive(Debug)]
pub(crate) struct ProcessConnection {
    lines: LineReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    last_id: u64,
}

impl ProcessConnection {
    /// Connects with a process; `None` if it is gone.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) async fn open(folder: &SocketFolder, process: u32) -> io::Result<Option<Self>> {
        let Some(stream) = folder.connect(process).await? else { return Ok(None) };
        check_user(&stream)?;
        let (reader, writer) = stream.into_split();
        Ok(Some(Self { lines: LineReader::new(reader, MAX_MESSAGE), writer, last_id: 0 }))
    }

    /// Sends a request. Returns the number of its reply.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) async fn send(&mut self, request: ControlRequest) -> io::Result<u64> {
        self.last_id += 1;
        lines::write(&mut self.writer, &NumberedRequest { id: self.last_id, request }).await?;
        Ok(self.last_id)
    }

    /// Receives the next message. Cancel-safe.
    ///
    /// # Errors
    /// The system's error; `UnexpectedEof` if the process has ended.
    pub(crate) async fn receive(&mut self) -> io::Result<ControlMessage> {
        let line = self.lines.next(None).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(serde_json::from_slice(&line)?)
    }

    /// Sends a request and waits for its reply. Drops events.
    ///
    /// # Errors
    /// The system's error; the inner one is the failure of the request.
    pub(crate) async fn request(
        &mut self,
        request: ControlRequest,
    ) -> io::Result<Result<Value, Failure>> {
        let replied = async {
            let expected = self.send(request).await?;
            loop {
                if let ControlMessage::Reply(ControlReply { id, outcome }) = self.receive().await?
                    && id == expected
                {
                    return Ok(outcome.into_result());
                }
            }
        };
        timeout(REPLY_TIMEOUT, replied).await?
    }
}

/// Reads the value of a reply.
///
/// # Errors
/// It is another one.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> io::Result<T> {
    Ok(serde_json::from_value(value)?)
}

impl ControlOutcome {
    /// The value, or the failure.
    pub(crate) fn into_result(self) -> Result<Value, Failure> {
        match self {
            Self::Ok(value) => Ok(value),
            Self::Error(failure) => Err(failure),
        }
    }
}
