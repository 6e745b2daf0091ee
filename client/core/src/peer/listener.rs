//! Introductions that other clients ask for, and clients that come and go: the `listen` stream of the session with
//! the server, again after each reconnection.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use quiver_protocol::{
    ClientName, Fingerprint, Introduction, IntroductionId, RefusalCode, Timestamp,
};
use quiver_transport::StreamError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::Peers;
use super::link::Side;
use super::trust::Admission;
use crate::error::{ClientError, ErrorCode, is_transient};
use crate::exchange::{self, ListenEvent, Listening};
use crate::peer_event::PeerEvent;

/// The pauses before the client listens again on the same connection: the first, doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(15);

/// Introductions that are answered at once.
const MAX_ANSWERS: usize = 32;

/// How often, and with which first pause, the recipient of an offer is tried when it has connected: for a minute, after
/// which the server admits introductions again.
const REACH_ATTEMPTS: u32 = 8;
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
        let (mut first, mut pause) = (Some(first), FIRST_PAUSE);
        // Whether the server has taken a listener, and whether the person knows that it takes none since.
        let (mut has_listened, mut is_reported) = (false, false);
        loop {
            let Ok(server) = self.server() else { return };
            match exchange::listen(&server.connection, server.timeout).await {
                Ok(listening) => {
                    (has_listened, is_reported, pause) = (true, false, FIRST_PAUSE);
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
                    // Other refusals end. A bad request is a stream whose end the server has not noticed yet.
                    let is_lasting = matches!(&error, StreamError::Refused(refusal)
                        if !is_transient(refusal.code) && refusal.code != RefusalCode::BadRequest);
                    // An older server, or one that this client has no key for.
                    let is_final = is_lasting && !has_listened;
                    if is_final {
                        self.0.state.lock().is_listening = false;
                    }
                    match first.take() {
                        Some(first) => drop(first.send(Err(error))),
                        None if is_lasting && !std::mem::replace(&mut is_reported, true) => {
                            let error = Arc::new(cannot_listen(error));
                            self.publish(PeerEvent::ListenRefused(error)).await;
                        }
                        None => {}
                    }
                    if is_final {
                        return;
                    }
                }
            }
            // On another connection it listens at once. The interface or a transfer reconnects.
            let _ = timeout(pause, server.connection.closed()).await;
            let Ok(session) = self.session() else { return };
            session.wait_until_connected().await;
            let is_same = session.handle().connection.stable_id() == server.connection.stable_id();
            pause = if is_same { (2 * pause).min(LAST_PAUSE) } else { FIRST_PAUSE };
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
                        if let Err(error) = peers.answer(introduction, permit).await {
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
            let mut recipients = HashMap::new();
            for offer in offers.unwrap_or_default() {
                let is_wanted =
                    joined.as_ref().is_none_or(|name| name.key() == offer.recipient.key());
                if is_wanted {
                    // Offers of one name may be for several machines.
                    recipients.insert((offer.recipient.key(), offer.key), offer.recipient);
                }
            }
            for ((_, key), name) in recipients {
                let peers = peers.clone();
                peers.clone().spawn(async move { peers.reach_recipient(&name, key).await });
            }
        });
    }

    /// Connects with a client that may not listen yet, because it has just connected. With a key, no other machine of
    /// the account counts.
    async fn reach_recipient(&self, name: &ClientName, key: Option<Fingerprint>) {
        let mut pause = REACH_PAUSE;
        for _ in 0..REACH_ATTEMPTS {
            match self.connect_to(name, key).await {
                Err(error) if error.code() == ErrorCode::Connection || error.is_transient() => {
                    debug!(%error, "the recipient of an offer cannot be reached");
                    sleep(pause).await;
                    pause *= 2;
                }
                _ => return,
            }
        }
    }

    /// Answers an introduction, opens its link, and waits for the end of it. The permit is for the answer.
    async fn answer(
        &self,
        introduction: Introduction,
        answer_permit: OwnedSemaphorePermit,
    ) -> Result<(), ClientError> {
        self.use_introduction(&introduction)?;
        if let Some(again) = introduction.again {
            return self.answer_again(&introduction, again).await;
        }
        let is_accepted = self.has_accepted(&introduction.name, introduction.key).await;
        let link_permit = self.0.link_permits.try_acquire(introduction.key, is_accepted);
        let admission = match &link_permit {
            Some(_) => self.check_foreign_introduction(&introduction).await?,
            None => Admission::Refuse,
        };
        let directly = if introduction.relay {
            Admission::Admit
        } else {
            self.admit_without_relay(&introduction).await
        };
        let accept = admission != Admission::Refuse && directly != Admission::Refuse;
        self.send_answer(&introduction, accept).await?;
        drop(answer_permit);
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
        self.open_link(introduction, Side::Responder).await?.closed().await;
        drop(link_permit);
        Ok(())
    }

    /// Answers an introduction of the connections of an open link once more: for direct dials with a new id.
    async fn answer_again(
        &self,
        introduction: &Introduction,
        again: IntroductionId,
    ) -> Result<(), ClientError> {
        let link = self.0.state.lock().links.get(&again).cloned();
        let accept = link.is_some_and(|link| {
            let is_same = link.key() == introduction.key && link.is_with(&introduction.name);
            is_same && link.replace_dial_introduction(introduction.id)
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
