//! The requests with which a client meets another one at the server: `listen`, `introduce`, `answer`, `agreed` and
//! `relay`. What the clients say to each other is in `peer`.

use std::time::Duration;

use quiver_protocol::{
    ClientName, ClientRef, Introduction, IntroductionId, ObservedAddresses, PlainEnd, Reply,
    Request,
};
use quiver_transport::{Channel, CommandStream, StreamError};

use super::{ResponsePart, ResponseReader, unexpected_reply};

/// How long a `listen` stream may be silent: nothing may happen for long. The loss of the connection ends it sooner.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long the server may take to answer `introduce`: it asks up to four connections for 2 seconds each.
const INTRODUCE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the other side may take to open the relay, and how long the server waits for it.
const RELAY_TIMEOUT: Duration = Duration::from_secs(15);

/// A `listen` stream.
#[derive(Debug)]
pub(crate) struct Listening(ResponseReader);

/// What the server reports to a connection that listens.
#[derive(Debug)]
pub(crate) enum ListenEvent {
    /// Another client wants a connection.
    Introduction(Introduction),
    /// A client has connected.
    Joined(ClientRef),
    /// A client has disconnected.
    Left(ClientRef),
}

/// Opens a `listen` stream. When this returns, the connection takes introductions.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn listen(
    connection: &Channel,
    timeout: Duration,
) -> Result<Listening, StreamError> {
    let mut response = ResponseReader::send_request(connection, &Request::Listen, timeout).await?;
    match response.next::<PlainEnd>().await? {
        ResponsePart::Reply(Reply::Listening) => {}
        _ => return Err(unexpected_reply("expected listening")),
    }
    Ok(Listening(response.with_idle_timeout(LISTEN_TIMEOUT)))
}

impl Listening {
    /// Waits for the next event; `None` if the server has ended the stream.
    ///
    /// # Errors
    /// [`StreamError`].
    pub(crate) async fn next(&mut self) -> Result<Option<ListenEvent>, StreamError> {
        match self.0.next::<PlainEnd>().await? {
            ResponsePart::Reply(Reply::Introduction(introduction)) => {
                Ok(Some(ListenEvent::Introduction(introduction)))
            }
            ResponsePart::Reply(Reply::Joined(client)) => Ok(Some(ListenEvent::Joined(client))),
            ResponsePart::Reply(Reply::Left(client)) => Ok(Some(ListenEvent::Left(client))),
            ResponsePart::Reply(_) => Err(unexpected_reply("expected an introduction")),
            ResponsePart::End(_) => Ok(None),
        }
    }
}

/// Asks for a connection with another client.
///
/// # Errors
/// [`StreamError`], also if the server introduces a client of another name, whose key would be compared with those of
/// that name, or relays although it must not.
pub(crate) async fn introduce(
    connection: &Channel,
    name: ClientName,
    relay: bool,
    again: Option<IntroductionId>,
) -> Result<Introduction, StreamError> {
    let request = Request::Introduce { name: name.clone(), relay, again };
    let response = ResponseReader::send_request(connection, &request, INTRODUCE_TIMEOUT).await?;
    match response.single_reply().await? {
        Reply::Introduced(introduced) if introduced.name.key() != name.key() => {
            Err(unexpected_reply(&format!("the server has introduced {}", introduced.name)))
        }
        Reply::Introduced(introduced) if introduced.relay && !relay => {
            Err(unexpected_reply("the server relays although it must not"))
        }
        Reply::Introduced(introduced) => Ok(introduced),
        _ => Err(unexpected_reply("expected introduced")),
    }
}

/// Answers an introduction.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn answer(
    connection: &Channel,
    id: IntroductionId,
    accept: bool,
    timeout: Duration,
) -> Result<(), StreamError> {
    let request = Request::Answer { id, accept };
    let mut response = ResponseReader::send_request(connection, &request, timeout).await?;
    match response.next::<PlainEnd>().await? {
        ResponsePart::End(_) => Ok(()),
        ResponsePart::Reply(_) => Err(unexpected_reply("expected the end")),
    }
}

/// Agrees that the other client learns this one's address, and waits until it agrees too.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn agree(
    connection: &Channel,
    id: IntroductionId,
    timeout: Duration,
) -> Result<ObservedAddresses, StreamError> {
    let request = Request::Agreed { id };
    let response = ResponseReader::send_request(connection, &request, timeout).await?;
    match response.single_reply().await? {
        Reply::Addresses(addresses) => Ok(addresses),
        _ => Err(unexpected_reply("expected addresses")),
    }
}

/// Opens the relay of an introduction, and waits until the other client has opened it too.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn open_relay(
    connection: &Channel,
    id: IntroductionId,
) -> Result<CommandStream, StreamError> {
    let request = Request::Relay { id };
    let mut response = ResponseReader::send_request(connection, &request, RELAY_TIMEOUT).await?;
    match response.next::<PlainEnd>().await? {
        ResponsePart::Reply(Reply::Relaying) => Ok(response.into_stream()),
        _ => Err(unexpected_reply("expected relaying")),
    }
}
