//! The transfers of all processes of this user at one moment, and how one of them is steered.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::debug;

use crate::failure::Failure;
use crate::messages::{ControlRequest, ProcessSnapshot};
use crate::process_connection::{ProcessConnection, read};
use crate::socket_folder::SocketFolder;
use crate::source::Steering;
use crate::transfer_name::TransferName;
use crate::view::{TransferAction, TransferView};

/// How long a process may take to list its transfers. One that is stopped is left out.
const LIST_TIMEOUT: Duration = Duration::from_secs(3);

/// What a person names a transfer by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferSelector {
    /// Its number.
    Number(u64),
    /// Its name.
    Name(TransferName),
}

/// The text names no transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is neither the number of a transfer nor PID:NUMBER")]
pub struct NotASelector;

/// The transfers of all processes.
#[derive(Debug, Default)]
pub struct ProcessList {
    /// The transfers, by number. Those that have ended are among them.
    pub transfers: Vec<TransferView>,
    /// The ids of the journal's entries that the processes run.
    pub journal: BTreeSet<u64>,
    /// Processes that do not answer.
    pub silent: Vec<u32>,
}

/// Why a transfer was not steered.
#[derive(Debug, Error)]
pub enum SteerError {
    /// No process has the transfer.
    #[error("there is no running transfer {0}")]
    Unknown(TransferSelector),
    /// Its process has refused.
    #[error("transfer {selector}: {}", failure.text)]
    Refused {
        /// The transfer.
        selector: TransferSelector,
        /// The reason.
        failure: Failure,
    },
    /// The sockets cannot be used.
    #[error("cannot reach the other programs: {0}")]
    System(#[from] io::Error),
}

impl ProcessList {
    /// Asks all processes that have a socket in this folder. Sweeps the sockets of those that are gone.
    ///
    /// # Errors
    /// The system's error; `PermissionDenied` if the folder is not private. Without a folder there are none.
    pub async fn read(folder: &Path) -> io::Result<Self> {
        let Some(folder) = SocketFolder::open(folder)? else { return Ok(Self::default()) };
        let (connected, silent) = connect_all(Arc::new(folder)).await?;
        let mut list = Self { silent, ..Self::default() };
        for (snapshot, _) in connected {
            let ids = snapshot.journal.iter().map(|text| u64::from_str_radix(text, 16));
            list.journal.extend(ids.flatten());
            list.transfers.extend(snapshot.transfers);
        }
        list.transfers.sort_by_key(sort_key);
        Ok(list)
    }
}

/// Transfers with a number first, in the order of their numbers.
pub(crate) fn sort_key(view: &TransferView) -> (u64, quiver_protocol::Timestamp, String) {
    (view.number.unwrap_or(u64::MAX), view.started, view.transfer.clone())
}

/// Pauses, resumes or cancels a transfer of any process. Returns it as it was before.
///
/// # Errors
/// [`SteerError`].
pub async fn steer(
    folder: &Path,
    selector: TransferSelector,
    steering: Steering,
) -> Result<TransferView, SteerError> {
    let Some(folder) = SocketFolder::open(folder)? else {
        return Err(SteerError::Unknown(selector));
    };
    let (connected, _) = connect_all(Arc::new(folder)).await?;
    for (snapshot, mut connection) in connected {
        let Some(view) = snapshot.transfers.into_iter().find(|view| selector.selects(view)) else {
            continue;
        };
        let transfer = view.transfer.clone();
        let request = match steering {
            Steering::Pause => ControlRequest::Pause { transfer },
            Steering::Resume => ControlRequest::Resume { transfer },
            Steering::Cancel => ControlRequest::Cancel { transfer },
        };
        // On the same connection: another process cannot have taken the place of this one.
        return match connection.request(request).await {
            Ok(Ok(_)) => Ok(view),
            Ok(Err(failure)) => Err(SteerError::Refused { selector, failure }),
            // It has ended meanwhile.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(SteerError::Unknown(selector))
            }
            Err(error) => Err(error.into()),
        };
    }
    Err(SteerError::Unknown(selector))
}

type ConnectedProcess = (ProcessSnapshot, ProcessConnection);

/// Connects with all processes, and asks for their transfers. Also returns the processes that do not answer.
async fn connect_all(folder: Arc<SocketFolder>) -> io::Result<(Vec<ConnectedProcess>, Vec<u32>)> {
    let mut asked = JoinSet::new();
    for process in folder.processes()? {
        let folder = folder.clone();
        asked.spawn(async move {
            (
                process,
                timeout(LIST_TIMEOUT, ask(&folder, process))
                    .await
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            )
        });
    }
    let (mut connected, mut silent, mut has_gone) = (Vec::new(), Vec::new(), false);
    for (process, answer) in asked.join_all().await {
        match answer {
            Ok(Some(answer)) => connected.push(answer),
            Ok(None) => has_gone = true,
            Err(error) => {
                debug!(process, %error, "a program does not show its transfers");
                silent.push(process);
            }
        }
    }
    if has_gone && let Err(error) = folder.sweep().await {
        debug!(%error, "sockets of programs that are gone stay");
    }
    silent.sort_unstable();
    Ok((connected, silent))
}

async fn ask(folder: &SocketFolder, process: u32) -> io::Result<Option<ConnectedProcess>> {
    let Some(mut connection) = ProcessConnection::open(folder, process).await? else {
        return Ok(None);
    };
    match connection.request(ControlRequest::Transfers).await {
        Ok(Ok(value)) => Ok(Some((read(value)?, connection))),
        Ok(Err(failure)) => Err(io::Error::other(failure.text)),
        // It ends just now, or is too busy.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

impl TransferSelector {
    fn selects(&self, view: &TransferView) -> bool {
        match self {
            Self::Number(number) => view.number == Some(*number),
            Self::Name(name) => view.transfer == name.to_string(),
        }
    }
}

impl fmt::Display for TransferSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl FromStr for TransferSelector {
    type Err = NotASelector;

    fn from_str(text: &str) -> Result<Self, NotASelector> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            return text.parse().map(Self::Number).map_err(|_| NotASelector);
        }
        match text.parse() {
            Ok(TransferName::Unfinished(_)) | Err(_) => Err(NotASelector),
            Ok(name) => Ok(Self::Name(name)),
        }
    }
}

impl TransferView {
    /// Whether this can be done with it now.
    #[must_use]
    pub fn can(&self, action: TransferAction) -> bool {
        self.can.contains(&action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_named_by_its_number_or_by_its_process() {
        assert_eq!("3".parse(), Ok(TransferSelector::Number(3)));
        assert_eq!("003".parse(), Ok(TransferSelector::Number(3)));
        let name = "17:3".parse().unwrap();
        assert_eq!("17:3".parse(), Ok(TransferSelector::Name(name)));
        for text in
            ["", "./3", "-3", "3x", "a:3", "journal:0000000000000001", "99999999999999999999"]
        {
            assert_eq!(text.parse::<TransferSelector>(), Err(NotASelector), "{text}");
        }
    }
}
