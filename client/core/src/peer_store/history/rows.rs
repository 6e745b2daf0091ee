//! The rows of conversations and their messages, and the limits of both.

use quiver_protocol::{ClientName, Fingerprint, Timestamp};
use rusqlite::{OptionalExtension as _, Result, Row, Transaction, params};

use super::super::columns::{micros, optional, value};
use super::{
    ConversationRef, KeptConversation, KeptMessage, MAX_BYTES, MAX_CONVERSATIONS, MAX_MESSAGES,
    MAX_OF_NAME, MAX_TOTAL_BYTES, SentOutcome, SentState,
};

/// All states.
const STATES: [SentState; 5] = [
    SentState::Sending,
    SentState::Acknowledged,
    SentState::Delivered,
    SentState::NotDelivered,
    SentState::Unknown,
];

/// A message that is added.
#[derive(Debug)]
pub(in super::super) struct NewMessage<'a> {
    pub(in super::super) text: &'a str,
    pub(in super::super) at: Timestamp,
    /// `None` if the other side has sent it.
    pub(in super::super) sent: Option<&'a SentOutcome>,
}

/// The id of a conversation.
pub(super) fn find(
    transaction: &Transaction<'_>,
    conversation: &ConversationRef,
) -> Result<Option<i64>> {
    let sql = "SELECT id FROM conversations WHERE server = ?1 AND own_key = ?2 AND peer_key = ?3";
    let ConversationRef { server, own_name, with } = conversation;
    let mut rows = transaction.prepare_cached(sql)?;
    let found = params![server.0, own_name.key(), peer_key(with.as_ref())];
    rows.query_row(found, |row| row.get(0)).optional()
}

/// The key of the other side; empty for the server, which no name is.
fn peer_key(with: Option<&ClientName>) -> String {
    with.map(ClientName::key).unwrap_or_default()
}

/// The id of a conversation, which is added if it is missing.
pub(super) fn ensure(
    transaction: &Transaction<'_>,
    conversation: &ConversationRef,
    now: Timestamp,
) -> Result<i64> {
    if let Some(id) = find(transaction, conversation)? {
        return Ok(id);
    }
    let ConversationRef { server, own_name, with } = conversation;
    let of_name = "server = ?1 AND own_key = ?2";
    make_room(transaction, of_name, &[&server.0, &own_name.key()], MAX_OF_NAME)?;
    make_room(transaction, "1 = 1", &[], MAX_CONVERSATIONS)?;
    let sql = "INSERT INTO conversations (server, own_key, peer_key, peer_name, changed) \
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let name = with.as_ref().map(ClientName::as_str);
    let values = params![server.0, own_name.key(), peer_key(with.as_ref()), name, micros(now)];
    transaction.execute(sql, values)?;
    Ok(transaction.last_insert_rowid())
}

/// Removes conversations until one more is within the limit.
fn make_room(
    transaction: &Transaction<'_>,
    condition: &str,
    values: &[&dyn rusqlite::ToSql],
    limit: u64,
) -> Result<()> {
    loop {
        let sql = format!("SELECT COUNT(*) FROM conversations WHERE {condition}");
        let count: u64 =
            transaction.prepare_cached(&sql)?.query_row(values, |row| value(row, "COUNT(*)"))?;
        if count < limit {
            return Ok(());
        }
        let sql = format!(
            "DELETE FROM conversations WHERE id = (SELECT id FROM conversations \
             WHERE {condition} ORDER BY has_own, changed, id LIMIT 1)"
        );
        transaction.prepare_cached(&sql)?.execute(values)?;
    }
}

/// Adds a message. Returns its number.
pub(in super::super) fn insert(
    transaction: &Transaction<'_>,
    conversation: &ConversationRef,
    message: &NewMessage<'_>,
) -> Result<u64> {
    let id = ensure(transaction, conversation, message.at)?;
    let is_own = message.sent.is_some();
    let sql = "UPDATE conversations SET last_number = last_number + 1, messages = messages + 1, \
               bytes = bytes + ?2, unread = unread + ?3, has_own = max(has_own, ?4), \
               changed = ?5, peer_name = ?6 WHERE id = ?1 RETURNING last_number";
    let name = conversation.with.as_ref().map(ClientName::as_str);
    let bytes = message.text.len() as u64;
    let values = params![id, bytes.cast_signed(), !is_own, is_own, micros(message.at), name];
    let mut rows = transaction.prepare_cached(sql)?;
    let number: u64 = rows.query_row(values, |row| value(row, "last_number"))?;
    let sql = "INSERT INTO conversation_messages \
               (conversation, number, text, at, state, answer, why) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let (state, answer, why) = match message.sent {
        Some(sent) => (Some(state_number(sent.state)), sent.answer.as_ref(), sent.why.as_ref()),
        None => (None, None, None),
    };
    let values =
        params![id, number.cast_signed(), message.text, micros(message.at), state, answer, why];
    transaction.prepare_cached(sql)?.execute(values)?;
    trim(transaction, id)?;
    trim_all(transaction, id)?;
    Ok(number)
}

/// Removes the oldest messages of a conversation beyond its limits.
fn trim(transaction: &Transaction<'_>, id: i64) -> Result<()> {
    loop {
        let sql = "SELECT messages, bytes FROM conversations WHERE id = ?1";
        let mut rows = transaction.prepare_cached(sql)?;
        let read = |row: &Row<'_>| Ok((value::<u64>(row, "messages")?, value(row, "bytes")?));
        let (messages, bytes): (u64, u64) = rows.query_row([id], read)?;
        if messages <= 1 || (messages <= MAX_MESSAGES && bytes <= MAX_BYTES) {
            return Ok(());
        }
        let sql = "DELETE FROM conversation_messages WHERE conversation = ?1 AND number = \
                   (SELECT min(number) FROM conversation_messages WHERE conversation = ?1) \
                   RETURNING length(CAST(text AS BLOB)) + length(CAST(ifnull(answer, '') AS BLOB)) \
                   AS bytes";
        let mut removed = transaction.prepare_cached(sql)?;
        let bytes: u64 = removed.query_row([id], |row| value(row, "bytes"))?;
        let sql = "UPDATE conversations SET messages = messages - 1, bytes = max(0, bytes - ?2) \
                   WHERE id = ?1";
        transaction.prepare_cached(sql)?.execute(params![id, bytes.cast_signed()])?;
    }
}

/// Removes other conversations while all of them are too large together.
fn trim_all(transaction: &Transaction<'_>, id: i64) -> Result<()> {
    loop {
        let sql = "SELECT ifnull(sum(bytes), 0) AS bytes FROM conversations";
        let mut rows = transaction.prepare_cached(sql)?;
        let bytes: u64 = rows.query_row([], |row| value(row, "bytes"))?;
        let sql = "DELETE FROM conversations WHERE id = (SELECT id FROM conversations \
                   WHERE id <> ?1 ORDER BY has_own, changed, id LIMIT 1)";
        if bytes <= MAX_TOTAL_BYTES || transaction.prepare_cached(sql)?.execute([id])? == 0 {
            return Ok(());
        }
    }
}

/// Records what became of a message of this person. Returns whether it is still there.
pub(super) fn settle(
    transaction: &Transaction<'_>,
    conversation: &ConversationRef,
    number: u64,
    at: Timestamp,
    outcome: &SentOutcome,
) -> Result<bool> {
    let Some(id) = find(transaction, conversation)? else { return Ok(false) };
    // After the history was cleared, another message may have the number.
    let sql = "UPDATE conversation_messages SET state = ?4, answer = ?5, why = ?6 \
               WHERE conversation = ?1 AND number = ?2 AND at = ?3 AND state IS NOT NULL";
    let (SentOutcome { state, answer, why }, number) = (outcome, number.cast_signed());
    let values = params![id, number, micros(at), state_number(*state), answer, why];
    let is_there = transaction.prepare_cached(sql)?.execute(values)? == 1;
    if let Some(answer) = answer.as_ref().filter(|_| is_there) {
        let sql = "UPDATE conversations SET bytes = bytes + ?2 WHERE id = ?1";
        let bytes = (answer.len() as u64).cast_signed();
        transaction.prepare_cached(sql)?.execute(params![id, bytes])?;
    }
    Ok(is_there)
}

pub(super) fn end_unfinished(
    transaction: &Transaction<'_>,
    server: Fingerprint,
    own_name: &ClientName,
) -> Result<()> {
    let sql = "UPDATE conversation_messages SET state = ?3 WHERE state = ?4 AND conversation IN \
               (SELECT id FROM conversations WHERE server = ?1 AND own_key = ?2)";
    let (unknown, sending) = (state_number(SentState::Unknown), state_number(SentState::Sending));
    transaction.execute(sql, params![server.0, own_name.key(), unknown, sending])?;
    Ok(())
}

/// Messages before a number, oldest first.
pub(super) fn page(
    transaction: &Transaction<'_>,
    conversation: &ConversationRef,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<KeptMessage>> {
    let Some(id) = find(transaction, conversation)? else { return Ok(Vec::new()) };
    let sql = "SELECT * FROM conversation_messages WHERE conversation = ?1 AND number < ?2 \
               ORDER BY number DESC LIMIT ?3";
    let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = transaction.prepare_cached(sql)?;
    let mut page: Vec<_> =
        rows.query_map(params![id, before, limit], message)?.collect::<Result<_>>()?;
    page.reverse();
    Ok(page)
}

pub(super) fn conversations(
    transaction: &Transaction<'_>,
    server: Fingerprint,
    own_name: &ClientName,
) -> Result<Vec<KeptConversation>> {
    let sql = "SELECT * FROM conversations JOIN conversation_messages \
               ON conversation = conversations.id AND number = \
               (SELECT max(number) FROM conversation_messages WHERE conversation = conversations.id) \
               WHERE server = ?1 AND own_key = ?2 ORDER BY changed DESC";
    let mut rows = transaction.prepare_cached(sql)?;
    let read = |row: &Row<'_>| {
        Ok(KeptConversation {
            with: optional(row, "peer_name")?,
            unread: value(row, "unread")?,
            last: message(row)?,
        })
    };
    rows.query_map(params![server.0, own_name.key()], read)?.collect()
}

fn message(row: &Row<'_>) -> Result<KeptMessage> {
    let sent = match row.get::<_, Option<i64>>("state")? {
        None => None,
        Some(state) => Some(SentOutcome {
            state: parse_state(state)?,
            answer: row.get("answer")?,
            why: row.get("why")?,
        }),
    };
    let (number, at) = (value(row, "number")?, value(row, "at")?);
    Ok(KeptMessage { number, text: row.get("text")?, at, sent })
}

fn state_number(state: SentState) -> i64 {
    match state {
        SentState::Sending => 0,
        SentState::Acknowledged => 1,
        SentState::Delivered => 2,
        SentState::NotDelivered => 3,
        SentState::Unknown => 4,
    }
}

fn parse_state(number: i64) -> Result<SentState> {
    let state = STATES.into_iter().find(|state| state_number(*state) == number);
    state.ok_or(rusqlite::Error::IntegralValueOutOfRange(0, number))
}
