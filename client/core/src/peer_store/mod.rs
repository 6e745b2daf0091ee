//! What the client remembers about other clients between runs: contacts with their keys, offers in both directions,
//! the ids of received messages, and conversations, in one SQLite database that all processes of a user share. Knows no connections.
//!
//! Every function blocks: it may wait for the disk, and for a transaction of another process. A change is one short
//! transaction that no other process can interleave with. Values from other machines are stored as parsed types, and
//! validated again when they are read.

mod always_accept;
mod columns;
mod contact;
mod contacts;
mod history;
mod incoming;
mod messages;
mod offer_lock;
mod offers;
mod outgoing;
mod outgoing_state;
mod schema;
mod spools;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use quiver_protocol::ClientName;
use quiver_protocol::text::{display_path, display_safe};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use thiserror::Error;

use crate::folders::{FolderError, Folders};
use crate::unix;
pub use contact::{Contact, ContactKey, KeyCheck};
pub use history::{ConversationRef, KeptConversation, KeptMessage, SentOutcome, SentState};
pub use incoming::{AnnouncedOffer, IncomingOffer, IncomingState};
pub use messages::{MessageRecord, ReceivedText};
pub use offer_lock::OfferLock;
pub use offers::{OfferCounts, OfferNumber};
pub use outgoing::{NewOffer, OfferedContent, OfferedPath, OutgoingOffer};
pub use outgoing_state::OutgoingState;
pub use spools::SpoolState;

/// The database's file in the state folder.
const FILE: &str = "peers.db";

/// The folder of locks and spooled content, beside the database.
const OFFERS_FOLDER: &str = "offers";

/// Held while this process creates the file of a database. Closing any handle of a file releases all locks that this
/// process has on it (POSIX), also those of a database that another thread has opened meanwhile.
static CREATION: Mutex<()> = Mutex::new(());

/// The database of other clients. Threads may share it.
#[derive(Debug)]
pub struct PeerStore {
    path: PathBuf,
    offers_folder: PathBuf,
    /// Locked for a transaction.
    database: Mutex<Connection>,
}

/// Why an operation of the database of other clients failed.
#[derive(Debug, Error)]
pub enum PeerStoreError {
    /// There is no folder for the database.
    #[error(transparent)]
    NoFolder(#[from] FolderError),
    /// A file or folder cannot be created or opened.
    #[error("cannot use {}: {source}", display_path(.path))]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The database failed.
    #[error("{}: {source}", display_path(.path))]
    Database {
        /// The database.
        path: PathBuf,
        /// Its error.
        source: rusqlite::Error,
    },
    /// The file is not a database, or holds an invalid value. It is never replaced.
    #[error("{} is corrupt: {}", display_path(.path), display_safe(.why))]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What is invalid.
        why: String,
    },
    /// Another program, or another version of this one, has written the database.
    #[error("{} was written by another version of this program", display_path(.path))]
    Version {
        /// The database.
        path: PathBuf,
    },
    /// No offer of the requested direction has this number.
    #[error("there is no offer {number}")]
    UnknownOffer {
        /// The number.
        number: OfferNumber,
    },
    /// The incoming offer has another state than the change needs: it was accepted or settled before.
    #[error("offer {number} {}", state.as_outcome())]
    IncomingSettled {
        /// The offer.
        number: OfferNumber,
        /// Its state.
        state: IncomingState,
    },
    /// The outgoing offer is settled.
    #[error("offer {number} {}", state.as_outcome())]
    OutgoingSettled {
        /// The offer.
        number: OfferNumber,
        /// Its state.
        state: OutgoingState,
    },
    /// There are too many incoming offers that are not settled.
    #[error("there are {limit} open offers, more are not allowed")]
    TooManyOffers {
        /// The limit that is reached.
        limit: u64,
    },
    /// The database is full of contacts that are accepted, verified or blocked.
    #[error("there are {limit} contacts, more are not allowed")]
    TooManyContacts {
        /// The limit that is reached.
        limit: u64,
    },
    /// The contact is blocked, or was forgotten: it has no key, or another one.
    #[error("{name} is blocked, or not a contact any more")]
    NotAdmitted {
        /// Its name.
        name: ClientName,
    },
    /// A local path is not absolute, so another process could not use it.
    #[error("{} is not an absolute path", display_path(.path))]
    RelativePath {
        /// The path.
        path: PathBuf,
    },
}

/// Why a transaction is rolled back.
#[derive(Debug)]
enum Abort {
    Sql(rusqlite::Error),
    Refused(PeerStoreError),
}

impl From<rusqlite::Error> for Abort {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<PeerStoreError> for Abort {
    fn from(error: PeerStoreError) -> Self {
        Self::Refused(error)
    }
}

impl PeerStore {
    /// Opens the database of a user.
    ///
    /// # Errors
    /// [`PeerStoreError::NoFolder`] for a user without a state folder, and those of [`open`](Self::open).
    pub fn from_folders(folders: &Folders) -> Result<Self, PeerStoreError> {
        Self::open(folders.state().map_err(Clone::clone)?)
    }

    /// Opens the database in a state folder. Creates both if they are missing, for this user only.
    ///
    /// # Errors
    /// [`PeerStoreError`]; an invalid file is left as it is.
    pub fn open(folder: &Path) -> Result<Self, PeerStoreError> {
        let path = folder.join(FILE);
        let offers_folder = folder.join(OFFERS_FOLDER);
        unix::create_private_folder(&offers_folder)
            .map_err(|source| PeerStoreError::Open { path: offers_folder.clone(), source })?;
        ensure_private(&path)
            .map_err(|source| PeerStoreError::Open { path: path.clone(), source })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&path, flags)
            .and_then(|mut connection| Ok((schema::migrate(&mut connection)?, connection)));
        match opened {
            Err(error) => Err(database_error(&path, error)),
            Ok((Some(schema::SCHEMA_VERSION), database)) => {
                Ok(Self { path, offers_folder, database: Mutex::new(database) })
            }
            Ok(_) => Err(PeerStoreError::Version { path }),
        }
    }

    /// The path of the database.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the database in one transaction, which waits for those of other processes first.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Abort>,
    ) -> Result<T, PeerStoreError> {
        self.transact(TransactionBehavior::Immediate, work)
    }

    /// Reads one state of the database.
    fn read<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Abort>,
    ) -> Result<T, PeerStoreError> {
        self.transact(TransactionBehavior::Deferred, work)
    }

    fn transact<T>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Abort>,
    ) -> Result<T, PeerStoreError> {
        let mut database = self.database.lock();
        let run = || {
            let transaction = database.transaction_with_behavior(behavior)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|abort| match abort {
            Abort::Sql(error) => database_error(&self.path, error),
            Abort::Refused(error) => error,
        })
    }
}

/// Creates the file of the database if it is missing, and makes an existing one private. SQLite gives its journal the
/// same mode.
fn ensure_private(path: &Path) -> io::Result<()> {
    let _creation = CREATION.lock();
    match unix::create_private(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // By its name, because closing a handle would release locks.
    if fs::metadata(path)?.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn database_error(path: &Path, source: rusqlite::Error) -> PeerStoreError {
    use rusqlite::{Error, ErrorCode};
    let is_corrupt = match &source {
        Error::SqliteFailure(failure, _) => {
            matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => true,
        _ => false,
    };
    let path = path.to_owned();
    if is_corrupt {
        PeerStoreError::Corrupt { path, why: source.to_string() }
    } else {
        PeerStoreError::Database { path, source }
    }
}

#[cfg(test)]
mod tests;
