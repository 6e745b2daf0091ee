//! One round of direct dials: both sides dial and accept at once, and the side with the smaller fingerprint chooses
//! one of the connections. Also ignores everything that is not a dial of a running round.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::{
    CloseCode, Fingerprint, Introduction, IntroductionId, PeerRequest, PlainEnd,
};
use quiver_transport::endpoint::EndpointError;
use quiver_transport::trust::peer_fingerprint;
use quiver_transport::{
    Channel, Connection, DialId, Endpoint, Identity, Protocol, Role, StreamError, close,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::conversation::{Conversation, PeerPart};
use super::dial_budget::{DialSlot, RoundNumber};
use super::{Peers, path_choice};
use crate::exchange::unexpected_reply;

/// How long a round takes, at most.
const ROUND_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an address is dialled. QUIC sends two packets at once, and again after 0.3, 0.9 and 2.1 seconds: eight in
/// all, so that three rounds send at most 24 packets to an address.
const DIAL_TIMEOUT: Duration = Duration::from_secs(4);

/// The same for addresses that wait for their turn.
const SHORT_DIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Addresses that are dialled for the whole round: the most likely ones.
const LONG_DIALS: usize = 6;

/// The addresses that further rounds begin with come this many places later, so that all of many have a turn.
const ROTATION: usize = 8;

/// Numbers of dials in a round.
const DIALS_PER_ROUND: u32 = 64;

/// Connections of a round that wait to be used.
const QUEUE: usize = 16;

/// How long the other side may take to nominate a connection, or to confirm that.
const NOMINATION_TIMEOUT: Duration = Duration::from_secs(3);

/// A round that accepts dials of the other side. Dropping it ends that.
pub(super) struct Round {
    peers: Peers,
    endpoint: Endpoint,
    identity: Arc<Identity>,
    introduction: IntroductionId,
    key: Fingerprint,
    number: u32,
    budget_number: RoundNumber,
    accepted: mpsc::Receiver<Connection>,
}

impl Peers {
    /// Starts to accept the dials of a round.
    pub(super) fn start_round(
        &self,
        introduction: &Introduction,
        number: u32,
    ) -> Result<Round, EndpointError> {
        self.accept_dials()?;
        let (sender, accepted) = mpsc::channel(QUEUE);
        let mut state = self.0.state.lock();
        for id in expected_ids(introduction.id, introduction.key, number) {
            state.expected_dials.insert(id, (introduction.key, sender.clone()));
        }
        drop(state);
        Ok(Round {
            peers: self.clone(),
            endpoint: self.0.endpoint.clone(),
            identity: self.0.identity.clone(),
            introduction: introduction.id,
            key: introduction.key,
            number,
            budget_number: self.0.dial_budget.add_round(),
            accepted,
        })
    }

    /// Lets the socket accept connections of other clients, from the first round on.
    fn accept_dials(&self) -> Result<(), EndpointError> {
        if std::mem::replace(&mut self.0.state.lock().is_accepting, true) {
            return Ok(());
        }
        self.0.endpoint.start_accepting(&self.0.identity, &[Protocol::QUIVER_PEER_1])?;
        let peers = self.clone();
        self.spawn(async move { peers.run_acceptor().await });
        Ok(())
    }

    /// Completes the handshakes of expected dials, and ignores all other first packets without an answer.
    async fn run_acceptor(&self) {
        let mut handshakes = JoinSet::new();
        loop {
            let incoming = tokio::select! {
                incoming = self.0.endpoint.accept() => incoming,
                Some(_) = handshakes.join_next() => continue,
            };
            let Some(incoming) = incoming else { return };
            let expected = DialId::of(&incoming)
                // Each is accepted once: an id that was seen on its way is of no use to others.
                .and_then(|id| self.0.state.lock().expected_dials.remove(&id));
            let Some((key, round)) = expected else {
                incoming.ignore();
                continue;
            };
            let Ok(handshake) = self.0.endpoint.start_handshake(incoming) else { continue };
            handshakes.spawn(async move {
                let completed = timeout(ROUND_TIMEOUT, handshake.complete()).await;
                let Ok(Ok(accepted)) = completed else { return };
                if peer_fingerprint(&accepted.connection) != Some(key) {
                    return close(&accepted.connection, CloseCode::ProtocolViolation);
                }
                let connection = Connection::clone(&accepted.promote());
                if let Err(refused) = round.try_send(connection) {
                    close(&refused.into_inner(), CloseCode::Superseded);
                }
            });
        }
    }
}

impl Round {
    /// Dials these addresses, and accepts dials. Returns the connection that both sides use; `None` if there is none
    /// in time, or none that is better than the direct one with the round trip `current`.
    pub(super) async fn run(
        &mut self,
        order: &[SocketAddr],
        current: Option<Duration>,
    ) -> Option<Channel> {
        let mut opened = Vec::new();
        let ended = timeout(ROUND_TIMEOUT, self.dial_and_choose(order, current, &mut opened));
        let chosen = ended.await.ok();
        for channel in opened {
            let is_chosen =
                chosen.as_ref().is_some_and(|chosen| chosen.stable_id() == channel.stable_id());
            if !is_chosen {
                close(&channel, CloseCode::Superseded);
            }
        }
        chosen
    }

    /// Dials until a connection is chosen, and collects all that open.
    async fn dial_and_choose(
        &mut self,
        order: &[SocketAddr],
        current: Option<Duration>,
        opened: &mut Vec<Channel>,
    ) -> Channel {
        let is_nominator = self.identity.fingerprint() < self.key;
        let (mut waiting, mut dials) = (self.numbered(order), JoinSet::new());
        let mut nominations: JoinSet<Option<Channel>> = JoinSet::new();
        // The connections of which the nominator chooses one, and when it does.
        let (mut candidates, mut choice): (Vec<Channel>, _) = (Vec::new(), None);
        let choose = |candidates: &[Channel]| {
            path_choice::choose(candidates.iter().map(|one| one.stats().path.min_rtt), current)
        };
        loop {
            let budget = self.peers.0.dial_budget.clone();
            // No further address is dialled while there is a connection that may be used.
            let is_dialling =
                !waiting.is_empty() && nominations.is_empty() && choose(&candidates).is_none();
            let connection = tokio::select! {
                slot = budget.slot(self.budget_number), if is_dialling => {
                    if let Some((place, address)) = waiting.pop_front() {
                        self.start_dial(&mut dials, slot, place, address);
                    }
                    continue;
                }
                Some(dialled) = dials.join_next() => dialled.ok().flatten(),
                Some(accepted) = self.accepted.recv() => Some(accepted),
                Some(nominated) = nominations.join_next() => match nominated {
                    Ok(Some(channel)) => return channel,
                    _ => continue,
                },
                () = sleep_until(choice.unwrap_or_else(Instant::now)), if choice.is_some() => {
                    // One connection at a time is nominated: the first one that the other side confirms.
                    if let Some(index) = choose(&candidates) {
                        let channel = candidates.remove(index);
                        if self.is_nominated(&channel).await {
                            return channel;
                        }
                    }
                    choice = match choose(&candidates) {
                        Some(_) => Some(Instant::now()),
                        None if candidates.is_empty() => None,
                        None => Some(Instant::now() + path_choice::COMPARISON_INTERVAL),
                    };
                    continue;
                }
            };
            let Some(connection) = connection else { continue };
            let windows = &self.endpoint.settings().windows;
            let channel = Channel::with_windows(connection, Role::Peer, windows);
            debug!(address = %channel.remote_address(), rtt = ?channel.rtt(), "connected directly");
            opened.push(channel.clone());
            if !is_nominator {
                let introduction = self.introduction;
                nominations.spawn(async move {
                    let nominated = await_nomination(&channel, introduction);
                    matches!(timeout(NOMINATION_TIMEOUT, nominated).await, Ok(Ok(())))
                        .then_some(channel)
                });
            } else {
                let choice_time = path_choice::choice_time(channel.rtt());
                choice.get_or_insert_with(|| Instant::now() + choice_time);
                candidates.push(channel);
            }
        }
    }

    /// Nominates a connection. Returns whether the other side has confirmed.
    async fn is_nominated(&self, channel: &Channel) -> bool {
        let nominated = timeout(NOMINATION_TIMEOUT, nominate(channel, self.introduction));
        matches!(nominated.await, Ok(Ok(())))
    }

    /// The addresses with their places in the round. Later rounds begin with the addresses that had no turn before.
    fn numbered(&self, order: &[SocketAddr]) -> VecDeque<(u32, SocketAddr)> {
        let mut order = order.to_vec();
        if order.len() > LONG_DIALS {
            let others = &mut order[LONG_DIALS..];
            let turn = (ROTATION * self.number as usize) % others.len();
            others.rotate_left(turn);
        }
        (0..DIALS_PER_ROUND).zip(order).collect()
    }

    fn start_dial(
        &self,
        dials: &mut JoinSet<Option<Connection>>,
        slot: DialSlot,
        place: u32,
        address: SocketAddr,
    ) {
        let number = self.number * DIALS_PER_ROUND + place;
        let id = DialId::derive(self.introduction, self.identity.fingerprint(), number);
        let (endpoint, identity, key) = (self.endpoint.clone(), self.identity.clone(), self.key);
        let limit = if (place as usize) < LONG_DIALS { DIAL_TIMEOUT } else { SHORT_DIAL_TIMEOUT };
        dials.spawn(async move {
            let _slot = slot;
            match timeout(limit, endpoint.dial_peer(address, &identity, key, id)).await {
                Ok(Ok(connection)) => Some(connection),
                Ok(Err(error)) => {
                    debug!(%address, %error, "a direct dial has failed");
                    None
                }
                Err(_) => None,
            }
        });
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        let mut state = self.peers.0.state.lock();
        for id in expected_ids(self.introduction, self.key, self.number) {
            state.expected_dials.remove(&id);
        }
    }
}

/// The connection ids of the dials that the client with this key may make in a round.
fn expected_ids(
    introduction: IntroductionId,
    key: Fingerprint,
    round: u32,
) -> impl Iterator<Item = DialId> {
    let numbers = round * DIALS_PER_ROUND..(round + 1) * DIALS_PER_ROUND;
    numbers.map(move |number| DialId::derive(introduction, key, number))
}

/// Tells the other side to use this connection: 1. client -> Nominate  2. other -> Eof
async fn nominate(channel: &Channel, introduction: IntroductionId) -> Result<(), StreamError> {
    let request = PeerRequest::Nominate { introduction };
    let mut conversation = Conversation::start(channel, &request, NOMINATION_TIMEOUT).await?;
    conversation.stream.writer.finish();
    match conversation.next::<PlainEnd>().await? {
        PeerPart::End(_) => Ok(()),
        PeerPart::Reply(_) => Err(unexpected_reply("expected the end")),
    }
}

/// Waits until the other side says to use this connection.
async fn await_nomination(
    channel: &Channel,
    introduction: IntroductionId,
) -> Result<(), StreamError> {
    let stream = channel.accept().await?;
    let mut conversation = Conversation::answering(stream, channel.clone(), NOMINATION_TIMEOUT);
    match conversation.read_request().await? {
        PeerRequest::Nominate { introduction: nominated } if nominated == introduction => {
            conversation.end(&PlainEnd {}).await
        }
        _ => Err(unexpected_reply("expected a nomination")),
    }
}
