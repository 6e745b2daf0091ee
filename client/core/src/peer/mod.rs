//! Connections with other clients, which the server introduces: who they are, what they may do, and what both sides
//! say to each other. Starts no downloads: accepted offers are passed on.
//!
//! | module | contents |
//! |---|---|
//! | `listener` | introductions that other clients ask for |
//! | `trust`, `key_permits` | whether the key of a client is that of its name, and what it may take up |
//! | `link`, `opening` | the connection with one client, and its tasks |
//! | `used_introductions` | the introductions that cannot be used again |
//! | `direct`, `direct_path`, `dial_rounds`, `dialling`, `candidates` | direct connections: when, how, and to which addresses |
//! | `dial_budget`, `path_choice` | how many addresses are dialled at once, and which connection is used |
//! | `conversation` | requests to the other client |
//! | `requests` | what the other client asks for on a link |
//! | `messages`, `verification` | both ends of `tell` and `verify` |
//! | `outgoing`, `announcement`, `incoming`, `offer_tracking` | both ends of `offer` |
//! | `new_offer`, `offered_paths`, `serving` | the files of an offer: counted, opened, served |
//! | `refusals` | recipients that cannot take an offer |

mod announcement;
mod candidates;
mod conversation;
mod dial_budget;
mod dial_rounds;
mod dialling;
mod direct;
mod direct_path;
mod incoming;
mod key_permits;
mod link;
mod listener;
mod messages;
mod new_offer;
mod offer_source;
mod offer_tracking;
mod offered_paths;
mod opening;
mod outgoing;
mod path_choice;
mod receive_policy;
mod refusals;
mod requests;
mod serving;
mod source;
mod trust;
mod used_introductions;
mod verification;

use std::collections::HashMap;
use std::sync::{Arc, Once, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::{ClientName, Fingerprint, Introduction, IntroductionId, OfferId, Refusal};
use quiver_transfer::{BackgroundPool, PrefixCache};
use quiver_transport::{Connection, DialId, Endpoint, Identity, StreamError};
use tokio::sync::{Notify, OnceCell, mpsc};
use tokio::task::JoinSet;

use self::dial_budget::DialBudget;
use self::key_permits::KeyPermits;
pub(crate) use self::link::PeerLink;
use self::offer_source::OfferSource;
use self::offer_tracking::{AwaitedAnswers, OfferConversations, ReportedOffers};
use self::receive_policy::ReceivePolicy;
pub(crate) use self::refusals::refusal_for;
pub(crate) use self::source::PeerSource;
use self::used_introductions::UsedIntroductions;
use crate::error::{ClientError, InvalidRequest, PeerError};
use crate::event::EventKind;
use crate::exchange;
use crate::folders::Folders;
use crate::peer_event::PeerEvent;
use crate::peer_path::PeerStatus;
use crate::peer_store::{OfferNumber, PeerStore, PeerStoreError};
use crate::reconnecting::{ReconnectingSession, SessionHandle};
use crate::reporter::Reporter;
use crate::settings::{ClientSettings, PathPolicy};
use crate::tasks::blocking;

/// Accepted offers that wait to be fetched. The interface's own requests are few.
const ACCEPTED_OFFERS: usize = 64;

/// The other clients that this one knows. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Peers(Arc<PeersShared>);

#[derive(Debug)]
struct PeersShared {
    endpoint: Endpoint,
    identity: Arc<Identity>,
    /// Which paths this client uses.
    paths: PathPolicy,
    folders: Folders,
    /// Opened at its first use.
    store: OnceCell<Arc<PeerStore>>,
    reporter: Reporter,
    /// Idle timeout of each request.
    timeout: Duration,
    state: Mutex<PeersState>,
    /// Bounds the direct dials of all links.
    dial_budget: Arc<DialBudget>,
    /// Notified when a client has connected to the server, or a link has opened.
    changed: Notify,
    /// Gets the offers that are accepted, and that the sender offers on a link now.
    accepted: mpsc::Sender<OfferNumber>,
    /// One for each question that another client may cause.
    question_permits: KeyPermits,
    /// One for each link that another client has asked for, from its introduction to its end.
    link_permits: KeyPermits,
    /// Lists the folders of offers.
    list_pool: BackgroundPool,
    /// Hashes the prefixes of offered files.
    proof_pool: BackgroundPool,
    /// Hash states and last blocks of the files that are sent, so that they can move between paths.
    prefix_cache: PrefixCache,
    /// Starts the task that drops idle blocks of that cache.
    idle_blocks: Once,
    /// Held for reading while the recipient of an offer is told that it is withdrawn.
    withdrawals: tokio::sync::RwLock<()>,
    policy: ReceivePolicy,
}

#[derive(Debug, Default)]
struct PeersState {
    /// The session with the server; `None` before the client has connected.
    session: Option<ReconnectingSession>,
    links: HashMap<IntroductionId, PeerLink>,
    used_introductions: UsedIntroductions,
    /// The dials that running rounds expect, with the key of the dialling client.
    expected_dials: HashMap<DialId, (Fingerprint, mpsc::Sender<Connection>)>,
    /// Whether the socket accepts connections of other clients.
    is_accepting: bool,
    /// The offers that this process serves.
    sources: HashMap<OfferId, OfferSource>,
    /// Refusals of recipients that could not take an offer.
    refusals: HashMap<OfferNumber, Refusal>,
    /// Why accepted offers could not be stored here, for their senders, and the link on which that happened.
    failures: HashMap<OfferNumber, (IntroductionId, Refusal)>,
    reported: ReportedOffers,
    offer_conversations: OfferConversations,
    awaited_answers: AwaitedAnswers,
    /// Held while a client is reached, by the key of its name: two callers share one link.
    reaching: HashMap<String, Weak<tokio::sync::Mutex<()>>>,
    tasks: JoinSet<()>,
    is_listening: bool,
}

impl Peers {
    /// Creates the state of a client that is not connected yet. Also returns the queue of offers to fetch.
    pub(crate) fn new(
        endpoint: Endpoint,
        identity: Arc<Identity>,
        folders: Folders,
        reporter: Reporter,
        settings: &ClientSettings,
    ) -> (Self, mpsc::Receiver<OfferNumber>) {
        let (accepted, offers) = mpsc::channel(ACCEPTED_OFFERS);
        let (state, changed) = (Mutex::default(), Notify::new());
        let (paths, timeout) = (settings.paths, settings.timeout);
        let shared = PeersShared {
            endpoint,
            identity,
            paths,
            folders,
            store: OnceCell::new(),
            reporter,
            timeout,
            state,
            dial_budget: Arc::default(),
            changed,
            accepted,
            question_permits: KeyPermits::for_questions(),
            link_permits: KeyPermits::for_links(),
            list_pool: BackgroundPool::new(1),
            proof_pool: BackgroundPool::new(1),
            prefix_cache: PrefixCache::default(),
            idle_blocks: Once::new(),
            withdrawals: tokio::sync::RwLock::new(()),
            policy: ReceivePolicy::default(),
        };
        (Self(Arc::new(shared)), offers)
    }

    /// What is done with messages and offers of others.
    pub(crate) fn policy(&self) -> &ReceivePolicy {
        &self.0.policy
    }

    /// Sets the session with the server.
    pub(crate) fn set_session(&self, session: ReconnectingSession) {
        self.0.state.lock().session = Some(session);
    }

    fn session(&self) -> Result<ReconnectingSession, ClientError> {
        self.0.state.lock().session.clone().ok_or_else(|| InvalidRequest::NotConnected.into())
    }

    fn timeout(&self) -> Duration {
        self.0.timeout
    }

    fn server(&self) -> Result<SessionHandle, ClientError> {
        Ok(self.session()?.handle())
    }

    fn server_key(&self) -> Result<Fingerprint, ClientError> {
        Ok(self.session()?.server_ref().fingerprint)
    }

    /// Runs blocking work on the records about other clients.
    pub(crate) async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PeerStore) -> Result<T, PeerStoreError> + Send + 'static,
    ) -> Result<T, ClientError> {
        let store = self.0.store.get_or_try_init(|| {
            let folders = self.0.folders.clone();
            blocking(move || {
                let store = PeerStore::from_folders(&folders).map_err(PeerError::from)?;
                Ok(Arc::new(store))
            })
        });
        let store = store.await?.clone();
        blocking(move || Ok(work(&store).map_err(PeerError::from)?)).await
    }

    /// Hash states and last blocks of the files that are sent. Idle blocks are dropped from now on.
    fn prefix_cache(&self) -> &PrefixCache {
        self.0.idle_blocks.call_once(|| {
            let cache = self.0.prefix_cache.clone();
            self.spawn(async move { cache.drop_idle_blocks().await });
        });
        &self.0.prefix_cache
    }

    async fn publish(&self, event: PeerEvent) {
        self.0.reporter.publish(EventKind::Peer(event)).await;
    }

    /// Starts a task that ends with this client.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.0.state.lock();
        while let Some(done) = state.tasks.try_join_next() {
            if let Err(error) = done
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        state.tasks.spawn(task);
    }

    /// Aborts all tasks, and waits until they have released their resources.
    pub(crate) async fn shut_down(&self) {
        let (mut tasks, links) = {
            let mut state = self.0.state.lock();
            (std::mem::take(&mut state.tasks), std::mem::take(&mut state.links))
        };
        for link in links.into_values() {
            link.close();
        }
        tasks.shutdown().await;
    }

    /// Resolves at the next change of links, offers or connected clients.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + Send + '_ {
        self.0.changed.notified()
    }

    /// Wakes all that wait for a change of offers.
    pub(crate) fn notify_changed(&self) {
        self.0.changed.notify_waiters();
    }

    /// The state of each link.
    pub(crate) fn statuses(&self) -> Vec<PeerStatus> {
        self.links().iter().map(PeerLink::status).collect()
    }

    /// Closes the links with a client.
    pub(crate) fn close_links_with(&self, name: &ClientName) {
        for link in self.links().iter().filter(|link| link.is_with(name)) {
            link.close();
        }
    }

    /// The open links.
    pub(crate) fn links(&self) -> Vec<PeerLink> {
        self.0.state.lock().links.values().cloned().collect()
    }

    /// The newest open link with a client; with a key, that of this machine of its account.
    pub(crate) fn link_with(
        &self,
        name: &ClientName,
        key: Option<Fingerprint>,
    ) -> Option<PeerLink> {
        let state = self.0.state.lock();
        let is_wanted = |link: &&PeerLink| {
            link.is_open() && link.is_with(name) && key.is_none_or(|key| link.key() == key)
        };
        state.links.values().filter(is_wanted).max_by_key(|link| link.opened()).cloned()
    }

    /// A link with the client of this name: an open one, or a new one through the server.
    ///
    /// # Errors
    /// [`ClientError`]: the server refuses the introduction, the key is not that of the contact, or there is no path.
    pub(crate) async fn connect(&self, name: &ClientName) -> Result<PeerLink, ClientError> {
        self.connect_to(name, None).await
    }

    /// As [`connect`](Self::connect). With a key, only a link with this machine of the account counts: offers are for
    /// one of them.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); [`PeerError::NoPath`] if the server introduces another machine, which it does
    /// while that one is the newest that listens.
    pub(crate) async fn connect_to(
        &self,
        name: &ClientName,
        key: Option<Fingerprint>,
    ) -> Result<PeerLink, ClientError> {
        let reaching = self.lock_for(name);
        let _reaching = reaching.lock().await;
        if let Some(link) = self.link_with(name, key)
            && self.keeps_link(&link).await?
        {
            return Ok(link);
        }
        self.check_not_blocked(name).await?;
        let server = self.server()?;
        let relay = self.0.paths != PathPolicy::DirectOnly;
        let introduced = exchange::introduce(&server.connection, name.clone(), relay, None).await;
        let introduction = introduced
            .map_err(|error| ClientError::stream(format!("cannot reach {name}"), error))?;
        self.use_introduction(&introduction)?;
        if key.is_some_and(|key| introduction.key != key) {
            let why = "another machine of this account answers".to_owned();
            return Err(PeerError::NoPath { name: name.clone(), why }.into());
        }
        self.check_own_introduction(&introduction).await?;
        self.open_link(introduction, link::Side::Requester).await
    }

    fn lock_for(&self, name: &ClientName) -> Arc<tokio::sync::Mutex<()>> {
        let mut state = self.0.state.lock();
        state.reaching.retain(|_, lock| lock.strong_count() > 0);
        let entry = state.reaching.entry(name.key()).or_default();
        let lock = entry.upgrade().unwrap_or_default();
        *entry = Arc::downgrade(&lock);
        lock
    }

    /// Records that this person has accepted a contact: it may learn this client's address.
    ///
    /// # Errors
    /// [`PeerError::UnknownContact`] if another process has forgotten it meanwhile, and those of the records.
    pub(crate) async fn accept_contact(&self, link: &PeerLink) -> Result<(), ClientError> {
        let (server, name, key) = (self.server_key()?, link.name().clone(), link.key());
        let accepted = self.with_store(move |store| store.accept_contact(server, &name, key));
        if !accepted.await? {
            return Err(PeerError::UnknownContact(link.name().clone()).into());
        }
        link.set_accepted();
        Ok(())
    }

    /// Records that an introduction is used.
    ///
    /// # Errors
    /// [`PeerError::NoPath`] if it was used before.
    fn use_introduction(&self, introduction: &Introduction) -> Result<(), ClientError> {
        if self.0.state.lock().used_introductions.record(introduction.id) {
            return Ok(());
        }
        let why = "the server has repeated an introduction".to_owned();
        Err(PeerError::NoPath { name: introduction.name.clone(), why }.into())
    }

    fn no_path(name: &ClientName, error: &StreamError) -> ClientError {
        PeerError::NoPath { name: name.clone(), why: error.to_string() }.into()
    }
}

/// Random bytes for an id that no other machine can guess.
fn random_id<const LENGTH: usize>() -> Result<[u8; LENGTH], ClientError> {
    let mut bytes = [0; LENGTH];
    let failed = |error: getrandom::Error| ClientError::System {
        what: "cannot get random bytes",
        source: std::io::Error::other(error.to_string()),
    };
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
