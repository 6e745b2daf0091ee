//! Direct connections: both clients dial each other at the same time, so that the address translation on both sides
//! lets the packets in (hole punching; the synchronisation is that of DCUtR, libp2p's specification "Direct
//! Connection Upgrade through Relay").

use std::net::SocketAddr;
use std::time::Duration;

use quiver_protocol::{
    DialRequest, Introduction, IntroductionId, PeerReply, PeerRequest, PlainEnd, RefusalCode,
};
use quiver_transport::{Channel, StreamError};
use tokio::time::{Instant, sleep, timeout};
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

/// The pause before a round is asked for again, if the other side was busy.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// How long a person may take to agree to a direct connection.
pub(super) const PERSON_TIMEOUT: Duration = Duration::from_secs(120);

impl Peers {
    /// Tries to connect directly while the link has no direct path: when this side has accepted the contact and when
    /// this machine's addresses change; on the side that asked for the introduction also every [`RETRY_INTERVAL`].
    /// Looks for a better path when the addresses change while there is a direct one.
    pub(super) async fn manage_direct(self, link: PeerLink) {
        let is_requester = link.side() == Side::Requester;
        // If both sides have accepted before, the requester starts.
        let mut is_due = is_requester || !link.is_accepted();
        let mut waits_for_requester = !is_due;
        loop {
            while !link.is_accepted() {
                let changed = link.changed();
                if link.is_accepted() {
                    break;
                }
                changed.await;
            }
            if link.has_direct() {
                self.improve_direct(&link).await;
                is_due = true;
                continue;
            }
            let (links, started) = (local_networks(), Instant::now());
            if is_due {
                self.try_rounds(&link).await;
            }
            let retry_after = match link.side() {
                Side::Requester => Some(RETRY_INTERVAL),
                Side::Responder if waits_for_requester => Some(ADDRESS_INTERVAL),
                Side::Responder => None,
            };
            is_due = true;
            if !link.has_direct() {
                let has_other_addresses = wait_for_retry(&link, &links, started, retry_after).await;
                // A requester that has not begun has not accepted, or does not connect directly: its answer tells.
                let has_begun = link.is_accepted_by_other().is_some() && !link.has_direct();
                is_due = !waits_for_requester || has_other_addresses || !has_begun;
            }
            waits_for_requester = false;
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
        if !self.has_round(link).await {
            return;
        }
        link.set_not_direct(NotDirect::Trying);
        loop {
            let next = link.dial_rounds().next();
            let Some((introduction, round)) = next else { break };
            match self.request_round(link, introduction, round).await {
                Ok(()) if link.has_direct() => return,
                Ok(()) => {}
                // The other side asks or dials itself. Its own request may have been refused, because it came before this
                // person accepted: then no other one follows.
                Err(StreamError::Refused(refusal)) if refusal.code == RefusalCode::Busy => {
                    sleep(BUSY_PAUSE).await;
                    if link.has_direct() {
                        return;
                    }
                }
                Err(StreamError::Refused(refusal)) if is_unwilling(refusal.code) => {
                    // Another introduction does not stay open until the other side has accepted.
                    if introduction != link.id() {
                        link.dial_rounds().skip(introduction);
                    }
                    return link.set_declined(refusal.code == RefusalCode::Declined);
                }
                Err(error) => {
                    debug!(%error, round, "a round of direct dials has failed");
                    link.dial_rounds().skip(introduction);
                }
            }
        }
        link.set_not_direct(NotDirect::Unreachable);
    }

    /// Waits until this machine's addresses change, and then looks for a better direct path once. Returns early when the
    /// direct path is lost.
    async fn improve_direct(&self, link: &PeerLink) {
        let (networks, started) = (local_networks(), Instant::now());
        while link.has_direct() {
            // Ends early when the path changes.
            let _ = timeout(ADDRESS_INTERVAL, link.changed()).await;
            if started.elapsed() >= ADDRESS_INTERVAL && local_networks() != networks {
                return self.try_better_path(link).await;
            }
        }
    }

    /// Runs one round while there is a direct path, which a better one replaces.
    async fn try_better_path(&self, link: &PeerLink) {
        let _turn = match link.side() {
            Side::Requester => Some(link.dialling().lock().await),
            Side::Responder => None,
        };
        if !self.has_round(link).await {
            return;
        }
        let next = link.dial_rounds().next();
        let Some((introduction, round)) = next else { return };
        if let Err(error) = self.request_round(link, introduction, round).await {
            debug!(%error, round, "no round for a better direct path");
        }
    }

    /// Whether there is another round of direct dials, with another introduction if need be.
    async fn has_round(&self, link: &PeerLink) -> bool {
        let next = link.dial_rounds().next();
        if next.is_none()
            && let Err(error) = self.introduce_again(link).await
        {
            debug!(%error, "cannot be introduced again");
            return false;
        }
        true
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
        // The direct path, if the server is gone.
        let channel = link.relayed().map_or_else(|| link.channel(), Ok)?;
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
        let order = candidates::dial_order(&links, observed, &listed, round);
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
        link.set_accepted_by_other(true);
        if self.0.paths == PathPolicy::RelayOnly {
            let message = "this client connects over the relay only";
            return Err(RequestError::refused(RefusalCode::Forbidden, message));
        }
        if !link.is_accepted() {
            let message = "this person has not accepted you yet";
            return Err(RequestError::refused(RefusalCode::Declined, message));
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
        let order = candidates::dial_order(&links, observed, listed, round);
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
        let agreed = agreed.map_err(|error| match error {
            StreamError::Refused(refusal) if refusal.code == RefusalCode::Declined => {
                no_path("the other person does not agree to a direct connection")
            }
            // It has declined before this request arrived, or has disconnected.
            StreamError::Refused(refusal) if refusal.code == RefusalCode::NotFound => {
                no_path("the other client has declined or disconnected")
            }
            error => no_path(&error.to_string()),
        });
        let observed = agreed?.other;
        let links = local_networks();
        let order = candidates::dial_order(&links, Some(observed), &[], 0);
        let round = self.start_round(introduction, 0);
        let mut round = round.map_err(|error| no_path(&error.to_string()))?;
        let connected = round.run(&order, None).await;
        connected.ok_or_else(|| no_path("the networks do not let the two clients reach each other"))
    }

    /// Lets the server introduce both connections again, for further rounds.
    async fn introduce_again(&self, link: &PeerLink) -> Result<(), ClientError> {
        let server = self.server()?;
        let (name, again) = (link.name().clone(), Some(link.id()));
        let introduced = exchange::introduce(&server.connection, name.clone(), true, again).await;
        let introduction = introduced.map_err(|error| Self::no_path(&name, &error))?;
        self.use_introduction(&introduction)?;
        let is_same = introduction.key == link.key() && link.is_with(&introduction.name);
        if !is_same || introduction.again != again {
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
        round.run(order, link.direct_round_trip()).await
    }
}

/// Whether a refusal of `dial` means that the other client takes part in no round now.
fn is_unwilling(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::Declined | RefusalCode::Forbidden)
}

/// Waits until another attempt may succeed: after a change of this machine's addresses, or after a while. Returns
/// whether the addresses have changed.
async fn wait_for_retry(
    link: &PeerLink,
    links: &[LocalNetwork],
    started: Instant,
    retry_after: Option<Duration>,
) -> bool {
    loop {
        // Ends early when the link has got a direct path.
        let _ = timeout(ADDRESS_INTERVAL, link.changed()).await;
        let is_over = retry_after.is_some_and(|limit| started.elapsed() >= limit);
        let has_other_addresses =
            started.elapsed() >= ADDRESS_INTERVAL && local_networks() != links;
        if link.has_direct() || is_over || has_other_addresses {
            return has_other_addresses;
        }
    }
}

/// The networks of this machine.
fn local_networks() -> Vec<LocalNetwork> {
    if_addrs::get_if_addrs().map(LocalNetwork::all).unwrap_or_default()
}
