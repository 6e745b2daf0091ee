//! Direct connections: both clients dial each other at the same time, so that the address translation on both sides
//! lets the packets in (hole punching; the synchronisation is that of DCUtR, libp2p's specification "Direct
//! Connection Upgrade through Relay").

use std::net::SocketAddr;
use std::time::Duration;

use quiver_protocol::{
    CloseCode, DialRequest, Introduction, IntroductionId, PeerReply, PeerRequest, PlainEnd,
    RefusalCode,
};
use quiver_transport::{Channel, StreamError, close};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::debug;

use super::candidates::{self, LocalNetwork};
use super::conversation::{Conversation, PeerPart};
use super::dial_rounds::DialRounds;
use super::dialling::Round;
use super::link::Side;
use super::requests::RequestError;
use super::{PathPolicy, PeerLink, Peers};
use crate::error::{ClientError, PeerError};
use crate::exchange::{self, unexpected_reply};
use crate::peer_path::NotDirect;

/// The pause before further rounds, with a new introduction, while the link is relayed.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// How often this machine's addresses are compared with those of the last round, and the shortest pause between
/// rounds because of a change.
const ADDRESS_INTERVAL: Duration = Duration::from_secs(5);

/// How long the server may take to tell the addresses: the other client is asked meanwhile.
const AGREE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a person may take to agree to a direct connection.
pub(super) const PERSON_TIMEOUT: Duration = Duration::from_secs(120);

/// When no packet comes over a direct path for this long, although this side has sent some, the link stops using it.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(3);

/// How often the counts of packets on a direct path are read.
const PATH_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How long transfers have to move from a path before it is closed.
const MOVE_TIMEOUT: Duration = Duration::from_secs(2);

impl Peers {
    /// Tries to connect directly while the link has no direct path: when this side has accepted the contact and when
    /// this machine's addresses change; on the side that asked for the introduction also every [`RETRY_INTERVAL`].
    pub(super) async fn manage_direct(self, link: PeerLink) {
        let is_requester = link.side() == Side::Requester;
        // If both sides have accepted before, the requester starts.
        let mut is_due = is_requester || !link.is_accepted();
        loop {
            while !link.is_accepted() || link.has_direct() {
                let changed = link.changed();
                if link.is_accepted() && !link.has_direct() {
                    break;
                }
                changed.await;
            }
            let (links, started) = (local_networks(), Instant::now());
            if std::mem::replace(&mut is_due, true) {
                self.try_rounds(&link).await;
            }
            let retry_after = is_requester.then_some(RETRY_INTERVAL);
            if !link.has_direct() {
                wait_for_retry(&link, &links, started, retry_after).await;
            }
        }
    }

    /// Tries to connect directly in several rounds. If the other side has not accepted yet, it tries once it does.
    async fn try_rounds(&self, link: &PeerLink) {
        let _turn = match link.side() {
            Side::Requester => Some(link.dialling().lock().await),
            Side::Responder => None,
        };
        if link.has_direct() {
            return;
        }
        let next = link.dial_rounds().next();
        if next.is_none()
            && let Err(error) = self.introduce_again(link).await
        {
            return debug!(%error, "cannot be introduced again");
        }
        link.set_not_direct(NotDirect::Trying);
        loop {
            let next = link.dial_rounds().next();
            let Some((introduction, round)) = next else { break };
            match self.request_round(link, introduction, round).await {
                Ok(()) if link.has_direct() => return,
                Ok(()) => {}
                // The other side dials already.
                Err(StreamError::Refused(refusal)) if refusal.code == RefusalCode::Busy => return,
                Err(StreamError::Refused(refusal)) if refusal.code == RefusalCode::Declined => {
                    // Another introduction does not stay open until the other side has accepted.
                    if introduction != link.id() {
                        link.dial_rounds().skip(introduction);
                    }
                    return link.set_not_direct(NotDirect::Declined);
                }
                Err(error) => {
                    debug!(%error, round, "a round of direct dials has failed");
                    link.dial_rounds().skip(introduction);
                }
            }
        }
        link.set_not_direct(NotDirect::Unreachable);
    }

    /// The requester's side of one round.
    async fn request_round(
        &self,
        link: &PeerLink,
        introduction: IntroductionId,
        round: u32,
    ) -> Result<(), StreamError> {
        let links = local_networks();
        let request = PeerRequest::Dial(DialRequest {
            introduction,
            round,
            addresses: self.own_addresses(&links),
        });
        let channel = link.relayed().ok_or(StreamError::Reset)?;
        let ask = async {
            let mut conversation = Conversation::start(&channel, &request, AGREE_TIMEOUT).await?;
            match conversation.next::<PlainEnd>().await? {
                PeerPart::Reply(PeerReply::Addresses { addresses }) => {
                    Ok((conversation, addresses))
                }
                _ => Err(unexpected_reply("expected addresses")),
            }
        };
        let observe = self.observed_address(introduction);
        let observe = async { Ok(observe.await) };
        let ((mut conversation, listed), observed) = tokio::try_join!(ask, observe)?;
        let order = candidates::dial_order(&links, observed, &listed);
        // Not while it asks: the other side, which has precedence, may ask at the same time, and is answered.
        let _turn = match link.side() {
            Side::Requester => None,
            Side::Responder => Some(link.dialling().lock().await),
        };
        if !link.dial_rounds().start(introduction, round) {
            // The other side has started this round meanwhile.
            return Err(StreamError::Reset);
        }
        let mut dials = self.prepare_round(link, introduction, round)?;
        conversation.reply(&PeerReply::Start).await?;
        sleep(channel.rtt() / 2).await;
        let connected = self.run_round(link, &mut dials, &order).await;
        if let Some(channel) = connected {
            self.use_direct(link, channel).await;
        }
        conversation.stream.writer.finish();
        Ok(())
    }

    /// The responder's side of one round.
    pub(super) async fn respond_dial(
        &self,
        link: &PeerLink,
        dial: DialRequest,
        conversation: &mut Conversation,
    ) -> Result<(), RequestError> {
        if self.0.paths == PathPolicy::RelayOnly || !link.is_accepted() {
            return Err(RequestError::refused(RefusalCode::Declined, "no direct connection now"));
        }
        let _turn = match link.side() {
            Side::Requester => link
                .dialling()
                .try_lock()
                .map_err(|_| RequestError::refused(RefusalCode::Busy, "this side dials already"))?,
            // The last round may end a little later here than at the requester, who has precedence.
            Side::Responder => link.dialling().lock().await,
        };
        let DialRequest { introduction, round, addresses: listed } = dial;
        if !link.dial_rounds().start(introduction, round) {
            return Err(RequestError::refused(RefusalCode::NotFound, "there is no such round"));
        }
        link.set_not_direct(NotDirect::Trying);
        let connected = self.answer_round(link, introduction, round, &listed, conversation).await;
        if !link.has_direct() {
            link.set_not_direct(NotDirect::Unreachable);
        }
        connected
    }

    async fn answer_round(
        &self,
        link: &PeerLink,
        introduction: IntroductionId,
        round: u32,
        listed: &[SocketAddr],
        conversation: &mut Conversation,
    ) -> Result<(), RequestError> {
        let links = local_networks();
        let observed = self.observed_address(introduction).await;
        let addresses = self.own_addresses(&links);
        let order = candidates::dial_order(&links, observed, listed);
        let mut dials = self.prepare_round(link, introduction, round)?;
        conversation.reply(&PeerReply::Addresses { addresses }).await?;
        match conversation.next::<PlainEnd>().await? {
            PeerPart::Reply(PeerReply::Start) => {}
            _ => return Err(unexpected_reply("expected start").into()),
        }
        let connected = self.run_round(link, &mut dials, &order).await;
        if let Some(channel) = connected {
            self.use_direct(link, channel).await;
        }
        Ok(conversation.end(&PlainEnd {}).await?)
    }

    /// Connects directly after an introduction without a relay. The other person may be asked meanwhile.
    pub(super) async fn connect_directly(
        &self,
        introduction: &Introduction,
    ) -> Result<Channel, ClientError> {
        let no_path = |why: &str| {
            let (name, why) = (introduction.name.clone(), why.to_owned());
            ClientError::from(PeerError::NoPath { name, why })
        };
        if self.0.paths == PathPolicy::RelayOnly {
            return Err(no_path("the server does not relay, and direct connections are off"));
        }
        let server = self.server()?;
        let agreed = exchange::agree(&server.connection, introduction.id, PERSON_TIMEOUT).await;
        let observed = agreed.map_err(|error| no_path(&error.to_string()))?.other;
        let links = local_networks();
        let order = candidates::dial_order(&links, Some(observed), &[]);
        let round = self.start_round(introduction, 0);
        let mut round = round.map_err(|error| no_path(&error.to_string()))?;
        let connected = round.run(&order).await;
        connected.ok_or_else(|| no_path("the networks do not let the two clients reach each other"))
    }

    /// Lets the server introduce both connections again, for further rounds.
    async fn introduce_again(&self, link: &PeerLink) -> Result<(), ClientError> {
        let server = self.server()?;
        let (name, again) = (link.name().clone(), Some(link.id()));
        let introduced = exchange::introduce(&server.connection, name.clone(), true, again).await;
        let introduction = introduced.map_err(|error| Self::no_path(&name, &error))?;
        if introduction.key != link.key() {
            let why = "the server has introduced another client".to_owned();
            return Err(PeerError::NoPath { name, why }.into());
        }
        *link.dial_rounds() = DialRounds::new(introduction.id, Instant::now());
        Ok(())
    }

    /// The address of the other client as the server sees it; `None` if the server is gone.
    async fn observed_address(&self, introduction: IntroductionId) -> Option<SocketAddr> {
        let server = self.server().ok()?;
        match exchange::agree(&server.connection, introduction, AGREE_TIMEOUT).await {
            Ok(addresses) => Some(addresses.other),
            Err(error) => {
                debug!(%error, "the server tells no address");
                None
            }
        }
    }

    fn own_addresses(&self, links: &[LocalNetwork]) -> Vec<SocketAddr> {
        let port = self.0.endpoint.local_addr().map_or(0, |address| address.port());
        candidates::own_addresses(links, port)
    }

    fn prepare_round(
        &self,
        link: &PeerLink,
        introduction: IntroductionId,
        round: u32,
    ) -> Result<Round, StreamError> {
        let described = Introduction { id: introduction, ..link.introduction().clone() };
        self.start_round(&described, round).map_err(|error| {
            debug!(%error, "this client cannot accept direct connections");
            StreamError::Reset
        })
    }

    async fn run_round(
        &self,
        link: &PeerLink,
        round: &mut Round,
        order: &[SocketAddr],
    ) -> Option<Channel> {
        debug!(name = %link.name(), ?order, "dialling directly");
        round.run(order).await
    }

    /// Makes a direct connection the path of a link, and watches it.
    async fn use_direct(&self, link: &PeerLink, channel: Channel) {
        let changed = link.set_direct(channel.clone());
        self.report_path(link, changed).await;
        let (peers, served, serving) = (self.clone(), link.clone(), channel.clone());
        self.spawn(async move { peers.serve_channel(served, serving).await });
        let (peers, link) = (self.clone(), link.clone());
        self.spawn(async move { peers.watch_direct(link, channel).await });
    }

    /// Leaves a direct path on which nothing is acknowledged any more. Without a relay there is nothing to move to: then
    /// QUIC's idle timeout decides.
    async fn watch_direct(&self, link: PeerLink, channel: Channel) {
        let mut polls = interval(PATH_POLL_INTERVAL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut silence = Silence::default();
        // When transfers were told to move from this path.
        let mut left: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = polls.tick() => {}
                _ = channel.closed() => return,
            }
            let statistics = channel.stats();
            let (received, sent) = (statistics.udp_rx.datagrams, statistics.udp_tx.datagrams);
            let now = Instant::now();
            let is_silent = silence.update(received, sent, now) >= SILENCE_TIMEOUT;
            let must_leave = is_silent && link.relayed().is_some();
            let changed = match left {
                None if must_leave => {
                    left = Some(now);
                    link.suspect_direct()
                }
                // Packets arrive again, or the relay is gone too.
                Some(_) if !must_leave => {
                    left = None;
                    link.restore_direct()
                }
                Some(since) if now.duration_since(since) >= MOVE_TIMEOUT => {
                    return close(&channel, CloseCode::TimedOut);
                }
                None | Some(_) => None,
            };
            self.report_path(&link, changed).await;
        }
    }
}

/// How long the other side of a path has been silent, although this side has sent packets.
#[derive(Debug, Default)]
struct Silence {
    received: u64,
    sent: u64,
    /// When the first packet was sent after the last received one.
    since: Option<Instant>,
}

impl Silence {
    /// Takes the numbers of packets so far, and returns how long the silence lasts.
    fn update(&mut self, received: u64, sent: u64, now: Instant) -> Duration {
        if received != self.received {
            self.since = None;
        } else if sent != self.sent {
            self.since.get_or_insert(now);
        }
        (self.received, self.sent) = (received, sent);
        self.since.map_or(Duration::ZERO, |since| now.duration_since(since))
    }
}

/// Waits until another attempt may succeed: after a change of this machine's addresses, or after a while.
async fn wait_for_retry(
    link: &PeerLink,
    links: &[LocalNetwork],
    started: Instant,
    retry_after: Option<Duration>,
) {
    loop {
        // Ends early when the link has got a direct path.
        let _ = timeout(ADDRESS_INTERVAL, link.changed()).await;
        let is_over = retry_after.is_some_and(|limit| started.elapsed() >= limit);
        let has_other_addresses =
            || started.elapsed() >= ADDRESS_INTERVAL && local_networks() != links;
        if link.has_direct() || is_over || has_other_addresses() {
            return;
        }
    }
}

/// The networks of this machine.
fn local_networks() -> Vec<LocalNetwork> {
    if_addrs::get_if_addrs().map(LocalNetwork::all).unwrap_or_default()
}
