//! Introductions that other clients ask for, and clients that come and go: the `listen` stream of the session with
//! the server, again after each reconnection.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use quiver_protocol::{ClientName, Introduction, IntroductionId, Timestamp};
use quiver_transport::StreamError;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;
use tracing::debug;

use super::link::Side;
use super::trust::Admission;
use super::{MAX_LINKS, Peers};
use crate::error::{ClientError, ErrorCode};
use crate::exchange::{self, ListenEvent, Listening};
use crate::peer_event::PeerEvent;

/// The pause before the client listens again on a new connection.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Introductions that are answered at once, until their links are open.
const MAX_ANSWERS: usize = 32;

/// How often, and with which first pause, the recipient of an offer is tried when it has connected.
const REACH_ATTEMPTS: u32 = 4;
const REACH_PAUSE: Duration = Duration::from_millis(500);

impl Peers {
    /// Takes introductions from now on, on every connection to the server. Returns once the server knows, or with the
    /// reason why it does not take it. Does nothing if this client listens already.
    pub(crate) async fn listen(&self) -> Result<(), ClientError> {
        if std::mem::replace(&mut self.0.state.lock().is_listening, true) {
            return Ok(());
        }
        let (sender, listening) = oneshot::channel();
        let peers = self.clone();
        self.spawn(async move { peers.run_listener(sender).await });
        listening.await.unwrap_or(Ok(())).map_err(cannot_listen)
    }

    async fn run_listener(&self, first: oneshot::Sender<Result<(), StreamError>>) {
        let mut first = Some(first);
        loop {
            let Ok(server) = self.server() else { return };
            match exchange::listen(&server.connection, server.timeout).await {
                Ok(listening) => {
                    if let Some(first) = first.take() {
                        // Fails if the caller does not wait any more.
                        let _ = first.send(Ok(()));
                    }
                    self.0.changed.notify_waiters();
                    self.reach_recipients(None);
                    self.take_introductions(listening).await;
                }
                Err(error) => {
                    debug!(%error, "the server does not take a listener");
                    let is_refused = matches!(error, StreamError::Refused(_));
                    if is_refused {
                        // An older server, or one that this client has no key for.
                        self.0.state.lock().is_listening = false;
                    }
                    match first.take() {
                        Some(first) => drop(first.send(Err(error))),
                        None if is_refused => {
                            let error = Arc::new(cannot_listen(error));
                            self.publish(PeerEvent::ListenRefused(error)).await;
                        }
                        None => {}
                    }
                    if is_refused {
                        return;
                    }
                }
            }
            // The interface or a transfer reconnects.
            let Ok(session) = self.session() else { return };
            session.wait_until_connected().await;
            sleep(RETRY_PAUSE).await;
        }
    }

    async fn take_introductions(&self, mut listening: Listening) {
        let permits = Arc::new(Semaphore::new(MAX_ANSWERS));
        loop {
            match listening.next().await {
                Ok(Some(ListenEvent::Introduction(introduction))) => {
                    // Without a permit the introduction is not answered.
                    let Ok(permit) = permits.clone().try_acquire_owned() else { continue };
                    let peers = self.clone();
                    self.spawn(async move {
                        let _permit = permit;
                        if let Err(error) = peers.answer(introduction).await {
                            debug!(%error, "an introduction has failed");
                        }
                    });
                }
                Ok(Some(ListenEvent::Joined(client))) => {
                    self.0.changed.notify_waiters();
                    self.reach_recipients(Some(client.name.clone()));
                    self.publish(PeerEvent::Joined(client)).await;
                }
                Ok(Some(ListenEvent::Left(client))) => {
                    self.publish(PeerEvent::Left(client)).await;
                }
                Ok(None) => return,
                Err(error) => return debug!(%error, "the listen stream has ended"),
            }
        }
    }

    /// Connects with the recipients of this person's open offers, or with one of them, so that the offers of earlier
    /// processes are announced too.
    fn reach_recipients(&self, joined: Option<ClientName>) {
        let peers = self.clone();
        self.spawn(async move {
            let Ok(server) = peers.server_key() else { return };
            let now = Timestamp(Utc::now());
            let offers = peers.with_store(move |store| store.unsettled_outgoing(server, now)).await;
            let mut names = HashMap::new();
            for offer in offers.unwrap_or_default() {
                let is_wanted =
                    joined.as_ref().is_none_or(|name| name.key() == offer.recipient.key());
                if is_wanted {
                    names.insert(offer.recipient.key(), offer.recipient);
                }
            }
            for name in names.into_values() {
                let peers = peers.clone();
                peers.clone().spawn(async move { peers.reach_recipient(&name).await });
            }
        });
    }

    /// Connects with a client that may not listen yet, because it has just connected.
    async fn reach_recipient(&self, name: &ClientName) {
        let mut pause = REACH_PAUSE;
        for _ in 0..REACH_ATTEMPTS {
            match self.connect(name).await {
                Err(error) if error.code() == ErrorCode::Connection => {
                    debug!(%error, "the recipient of an offer cannot be reached");
                    sleep(pause).await;
                    pause *= 2;
                }
                _ => return,
            }
        }
    }

    /// Answers an introduction, and opens its link.
    async fn answer(&self, introduction: Introduction) -> Result<(), ClientError> {
        let links = self.links();
        self.use_introduction(&introduction)?;
        if let Some(again) = introduction.again {
            return self.answer_again(&introduction, again).await;
        }
        let admission = if links.len() < MAX_LINKS {
            self.check_foreign_introduction(&introduction).await?
        } else {
            Admission::Refuse
        };
        let directly = if introduction.relay {
            Admission::Admit
        } else {
            self.admit_without_relay(&introduction).await
        };
        let accept = admission != Admission::Refuse && directly != Admission::Refuse;
        self.send_answer(&introduction, accept).await?;
        if !accept {
            return Ok(());
        }
        let asked = match admission {
            Admission::Ask => self.ask_about(&introduction).await,
            Admission::Admit | Admission::Refuse => Ok(()),
        };
        let agrees = asked.is_ok()
            && (directly != Admission::Ask || self.ask_to_connect_directly(&introduction).await);
        if !agrees {
            // Otherwise the other client would wait for this one. Older servers refuse a second answer.
            self.send_answer(&introduction, false).await?;
            return asked;
        }
        self.open_link(introduction, Side::Responder).await.map(drop)
    }

    /// Answers an introduction of the connections of an open link once more: for direct dials with a new id.
    async fn answer_again(
        &self,
        introduction: &Introduction,
        again: IntroductionId,
    ) -> Result<(), ClientError> {
        let link = self.0.state.lock().links.get(&again).cloned();
        let accept = link.is_some_and(|link| {
            link.key() == introduction.key && link.replace_dial_introduction(introduction.id)
        });
        self.send_answer(introduction, accept).await
    }

    async fn send_answer(
        &self,
        introduction: &Introduction,
        accept: bool,
    ) -> Result<(), ClientError> {
        let server = self.server()?;
        let answered =
            exchange::answer(&server.connection, introduction.id, accept, server.timeout).await;
        answered.map_err(|error| Self::no_path(&introduction.name, &error))
    }
}

fn cannot_listen(error: StreamError) -> ClientError {
    ClientError::stream("other clients cannot reach you", error)
}
