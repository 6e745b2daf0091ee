//! The tables of the database, their version, and the settings of each connection to it. Knows no rows.

use std::time::Duration;

use rusqlite::{Connection, Result, TransactionBehavior};

/// The version that this program writes. It upgrades older ones, and refuses any other.
pub(super) const SCHEMA_VERSION: i64 = 2;

/// How long a transaction waits for one of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Version 1. Times are microseconds since 1970. Keys, ids and paths are bytes. Integers without a sign keep their bits.
/// Names are compared by `name_key`, which has no upper case.
///
/// `offers` has both directions, so that they share their numbers: `peer_name` is the recipient or the sender.
/// Numbers are not used again after an offer is removed.
const TABLES: &str = "
    CREATE TABLE contacts (
        id INTEGER PRIMARY KEY,
        server BLOB NOT NULL,
        name_key TEXT NOT NULL,
        name TEXT NOT NULL,
        is_account INTEGER NOT NULL,
        is_accepted INTEGER NOT NULL,
        is_blocked INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        UNIQUE (server, name_key)
    ) STRICT;
    CREATE TABLE keys (
        contact INTEGER NOT NULL REFERENCES contacts ON DELETE CASCADE,
        key BLOB NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        verified INTEGER,
        PRIMARY KEY (contact, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE messages (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        contact INTEGER NOT NULL REFERENCES contacts ON DELETE CASCADE,
        id BLOB NOT NULL,
        UNIQUE (contact, id)
    ) STRICT;
    CREATE INDEX messages_by_age ON messages (contact, number);
    CREATE TABLE offers (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        is_incoming INTEGER NOT NULL,
        id BLOB NOT NULL,
        address TEXT NOT NULL,
        server BLOB NOT NULL,
        certificate BLOB,
        own_name TEXT NOT NULL,
        peer_name_key TEXT NOT NULL,
        peer_name TEXT NOT NULL,
        peer_key BLOB,
        count INTEGER NOT NULL,
        files INTEGER NOT NULL,
        bytes INTEGER,
        created INTEGER NOT NULL,
        announced INTEGER NOT NULL,
        spooled_as TEXT,
        state INTEGER NOT NULL,
        settled INTEGER,
        folder BLOB,
        why TEXT,
        stored_files INTEGER,
        stored_bytes INTEGER
    ) STRICT;
    CREATE UNIQUE INDEX incoming_ids ON offers (server, peer_key, id) WHERE is_incoming = 1;
    CREATE UNIQUE INDEX outgoing_ids ON offers (id) WHERE is_incoming = 0;
    CREATE TABLE offered_paths (
        offer INTEGER NOT NULL REFERENCES offers ON DELETE CASCADE,
        position INTEGER NOT NULL,
        path BLOB NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (offer, position)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE offered_entries (
        offer INTEGER NOT NULL REFERENCES offers ON DELETE CASCADE,
        position INTEGER NOT NULL,
        name TEXT NOT NULL,
        is_folder INTEGER NOT NULL,
        size INTEGER,
        PRIMARY KEY (offer, position)
    ) STRICT, WITHOUT ROWID;
";

/// What version 2 adds: where offers of a contact are stored without a question, and conversations.
///
/// A conversation is of one server and one own name; `peer_key` is empty and `peer_name` null for the server itself.
/// `messages` and `bytes` count what is kept of it, `last_number` also what is not. A message has no state if the other
/// side has sent it.
const VERSION_2: &str = "
    ALTER TABLE contacts ADD COLUMN accept_folder BLOB;
    CREATE TABLE conversations (
        id INTEGER PRIMARY KEY,
        server BLOB NOT NULL,
        own_key TEXT NOT NULL,
        peer_key TEXT NOT NULL,
        peer_name TEXT,
        last_number INTEGER NOT NULL DEFAULT 0,
        messages INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0,
        unread INTEGER NOT NULL DEFAULT 0,
        has_own INTEGER NOT NULL DEFAULT 0,
        changed INTEGER NOT NULL,
        UNIQUE (server, own_key, peer_key)
    ) STRICT;
    CREATE TABLE conversation_messages (
        conversation INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
        number INTEGER NOT NULL,
        text TEXT NOT NULL,
        at INTEGER NOT NULL,
        state INTEGER,
        answer TEXT,
        why TEXT,
        UNIQUE (conversation, number)
    ) STRICT;
";

/// Prepares a connection, creates the tables in an empty database, and upgrades an older one. Returns the version of the
/// database; `None` if another program has written it.
pub(super) fn migrate(connection: &mut Connection) -> Result<Option<i64>> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Not WAL, whose shared memory does not work over a network, where a home folder may be.
    connection.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    // A message that is removed is not to be found in the file any more.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    if read_version(connection)? == SCHEMA_VERSION {
        return Ok(Some(SCHEMA_VERSION));
    }
    // Several processes may start at the same time: the first one creates or upgrades the tables.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match read_version(&transaction)? {
        0 if has_tables(&transaction)? => return Ok(None),
        0 => transaction.execute_batch(TABLES)?,
        1 => {}
        // Another process was faster, or the program of another version.
        version => return Ok(Some(version)),
    }
    transaction.execute_batch(VERSION_2)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    Ok(Some(SCHEMA_VERSION))
}

fn has_tables(connection: &Connection) -> Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT * FROM sqlite_schema)", [], |row| row.get(0))
}

fn read_version(connection: &Connection) -> Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}
