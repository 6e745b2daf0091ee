//! Keeps the model current while a client exists: its events, the people of the server, offers and transfers. Nothing is
//! asked for again without an event; running transfers are read four times a second.

mod offers;
mod people;
mod questions;
mod schedule;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quiver_client::event::{ClientEvent, ConnectionState, EventKind, EventReceiver};
use quiver_client::peer_event::PeerEvent;
use quiver_client::peer_store::IncomingState;
use quiver_client::transfers::{TransferEvent, TransferId, TransferState};
use quiver_control::Failure;
use quiver_control::facts::served_offer_view;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use self::offers::{LoadedOffers, OfferBook};
pub(crate) use self::people::reason;
use self::people::{LoadedPeople, PeopleList};
use self::questions::content;
use self::schedule::Schedule;
use crate::context::{ActiveClient, PageContext};
use crate::lifecycle;
use crate::messages::PageEvent;
use crate::notices;
use crate::peer_name::PeerName;
use crate::transfer_board::TransferOrigin;
use crate::transfer_records::{PROCESS, TransferRequest};
use crate::views::LinkState;

/// A client that has just connected can be reached only a little later, and no event says so.
const REACHABLE_DELAY: Duration = Duration::from_secs(2);

/// Follows a client until it ends.
pub(crate) async fn watch(
    context: Arc<PageContext>,
    active: Arc<ActiveClient>,
    events: EventReceiver,
) {
    let watcher = Watcher {
        context,
        active,
        jobs: JoinSet::new(),
        people: PeopleList::default(),
        people_due: Schedule::default(),
        people_again_at: None,
        offers: OfferBook::default(),
        offers_due: Schedule::default(),
        transfers_due: Schedule::default(),
        is_reconnecting: false,
    };
    watcher.run(events).await;
}

struct Watcher {
    context: Arc<PageContext>,
    active: Arc<ActiveClient>,
    jobs: JoinSet<FinishedJob>,
    people: PeopleList,
    people_due: Schedule,
    /// When the people are loaded once more.
    people_again_at: Option<Instant>,
    offers: OfferBook,
    offers_due: Schedule,
    transfers_due: Schedule,
    is_reconnecting: bool,
}

enum FinishedJob {
    People(Result<LoadedPeople, Failure>),
    Offers(Result<LoadedOffers, Failure>),
    Reconnected,
}

impl Watcher {
    async fn run(mut self, mut events: EventReceiver) {
        let active = self.active.clone();
        loop {
            let due = [&self.people_due, &self.offers_due, &self.transfers_due];
            let due = due.into_iter().filter_map(Schedule::next).chain(self.people_again_at).min();
            // Without one, the branch below is disabled.
            let wake_up = due.unwrap_or_else(Instant::now);
            tokio::select! {
                // A client that has ended changes nothing that is shown any more, and many events must not keep the rest
                // from being done.
                biased;
                () = active.ended() => return,
                () = sleep_until(wake_up), if due.is_some() => self.run_due(),
                Some(job) = self.jobs.join_next() => self.finish(job),
                () = active.changed() => self.request_all(),
                event = events.next() => match event {
                    Some(event) => tokio::select! {
                        biased;
                        () = active.ended() => return,
                        () = self.apply(event) => {}
                    },
                    None => return,
                },
            }
        }
    }

    fn request_all(&mut self) {
        let now = Instant::now();
        self.people_due.request(now);
        self.offers_due.request(now);
        self.transfers_due.request(now);
    }

    fn run_due(&mut self) {
        let now = Instant::now();
        if self.people_again_at.is_some_and(|time| time <= now) {
            self.people_again_at = None;
            self.people_due.request(now);
        }
        if self.people_due.take(now) {
            self.people_due.is_running = true;
            let (context, client) = (self.context.clone(), self.active.client.clone());
            self.jobs.spawn(async move {
                let loaded = context.on_client(people::load(client)).await;
                FinishedJob::People(loaded.and_then(|loaded| loaded))
            });
        }
        if self.offers_due.take(now) {
            self.offers_due.is_running = true;
            let (context, client) = (self.context.clone(), self.active.client.clone());
            self.jobs.spawn(async move {
                let loaded = context.on_client(offers::load(client)).await;
                FinishedJob::Offers(loaded.and_then(|loaded| loaded))
            });
        }
        if self.transfers_due.take(now) {
            self.show_transfers(now);
        }
    }

    fn finish(&mut self, job: Result<FinishedJob, JoinError>) {
        match job {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
            // Without a connection; the next one loads them again.
            Ok(FinishedJob::People(Err(_))) => self.people_due.is_running = false,
            Ok(FinishedJob::People(Ok(loaded))) => {
                self.people_due.is_running = false;
                self.people.set(loaded);
                self.show_people();
                self.show_offers();
            }
            Ok(FinishedJob::Offers(loaded)) => {
                self.offers_due.is_running = false;
                if let Ok(loaded) = loaded {
                    self.context.spool.settle_offers(&loaded.settled);
                    self.offers.set(loaded);
                    self.show_offers();
                    self.transfers_due.request(Instant::now());
                }
            }
            Ok(FinishedJob::Reconnected) => self.is_reconnecting = false,
        }
    }

    async fn apply(&mut self, event: ClientEvent) {
        match event.kind {
            EventKind::Snapshot(snapshot) => {
                self.show_connection(&snapshot.connection).await;
                // Messages were missed.
                self.load_conversations(false).await;
                let open: BTreeSet<_> = snapshot.questions.iter().map(|(id, _)| *id).collect();
                let mut model = self.context.model();
                model.retain_questions(|id| open.contains(&id));
                for (id, question) in &snapshot.questions {
                    model.add_question(*id, content(question));
                }
                drop(model);
                self.request_all();
            }
            EventKind::Connection(state) => self.show_connection(&state).await,
            EventKind::ServerStopping(_) => {
                let stopping = LinkState::Stopping;
                self.context.model().change_connection(|connection| connection.state = stopping);
            }
            EventKind::SignInRefused(error) => {
                let failure = Failure::from(error);
                self.context.model().change_connection(|connection| {
                    connection.failure = Some(failure);
                });
            }
            EventKind::Failed(error) => {
                let Failure { code, text, .. } = error.into();
                self.context.model().publish(&PageEvent::Notice { code, text });
            }
            EventKind::Notice(notice) => {
                if let Some(text) = notices::text(&notice) {
                    self.context.model().publish(&PageEvent::Notice { code: "other".into(), text });
                }
            }
            EventKind::Question(id, question) => {
                self.context.model().add_question(id, content(&question));
            }
            EventKind::QuestionSettled(id) => self.context.model().settle_question(id),
            EventKind::Transfer(id, event) => self.apply_transfer(id, &event),
            EventKind::Peer(event) => self.apply_peer(event),
        }
    }

    async fn show_connection(&mut self, state: &ConnectionState) {
        match state {
            ConnectionState::Disconnected => {}
            ConnectionState::SigningIn => self.context.model().change_connection(|connection| {
                if connection.state == LinkState::Connecting {
                    (connection.state, connection.failure) = (LinkState::SigningIn, None);
                }
            }),
            ConnectionState::Connected(welcome) | ConnectionState::Reconnected(welcome) => {
                // First, because messages are received from now on.
                self.load_conversations(true).await;
                let key = self.active.client.server_key().ok();
                self.context.model().change_connection(|connection| {
                    lifecycle::show_welcome(connection, welcome, key);
                });
                self.request_all();
            }
            ConnectionState::Lost(why) => {
                self.context.model().change_connection(|connection| {
                    connection.state = LinkState::Reconnecting;
                    connection.failure = Some(Failure::new("connection", why));
                });
                if !std::mem::replace(&mut self.is_reconnecting, true) {
                    let (context, active) = (self.context.clone(), self.active.clone());
                    self.jobs.spawn(async move {
                        lifecycle::reconnect(context, active).await;
                        FinishedJob::Reconnected
                    });
                }
            }
        }
    }

    async fn load_conversations(&self, are_current: bool) {
        let loaded = self.context.load_conversations(&self.active, are_current).await;
        if let Err(Failure { code, text, .. }) = loaded {
            self.context.model().publish(&PageEvent::Notice { code, text });
        }
    }

    fn apply_transfer(&mut self, id: TransferId, event: &TransferEvent) {
        let now = Instant::now();
        self.transfers_due.request(now);
        match event {
            TransferEvent::State(state) if state.is_over() => {
                self.offers_due.request(now);
                let request = self.context.records.lock().request(id);
                if let Some(folder) = request.as_ref().and_then(TransferRequest::server_folder)
                    && *state != TransferState::Cancelled
                {
                    let changed = PageEvent::FolderChanged { folder: folder.to_owned() };
                    self.context.model().publish(&changed);
                }
            }
            TransferEvent::LeftOut(left_out) => {
                let text = notices::left_out(left_out);
                self.context.model().publish(&PageEvent::Notice { code: "other".into(), text });
            }
            _ => {}
        }
    }

    fn apply_peer(&mut self, event: PeerEvent) {
        let now = Instant::now();
        match event {
            PeerEvent::Joined(_) => {
                self.people_due.request(now);
                self.people_again_at = Some(now + REACHABLE_DELAY);
            }
            PeerEvent::Left(_) => self.people_due.request(now),
            PeerEvent::ListenRefused(error) => {
                self.context.model().change_connection(|connection| {
                    connection.listening = false;
                    connection.not_listening_why = Some(error.to_string());
                });
            }
            PeerEvent::Message { from, text, at, number } => {
                let with = PeerName::Client(from);
                self.context.model().receive_message(with, text, at, number);
            }
            PeerEvent::OfferReceived(_) | PeerEvent::OfferSettled(_) => {
                if let PeerEvent::OfferReceived(offer) = event
                    && let IncomingState::Accepted { folder } = &offer.state
                {
                    let number = offer.number.0;
                    self.context.records.lock().add_accepted(number, folder.clone());
                }
                self.offers_due.request(now);
                self.people_due.request(now);
            }
            PeerEvent::OfferRefused { from, why } => {
                let text = format!("an offer of {from} was refused: {why}");
                self.context.model().publish(&PageEvent::Notice { code: "other".into(), text });
            }
            PeerEvent::OfferPending { number, .. } | PeerEvent::OfferAccepted { number, .. } => {
                self.offers.set_waiting(number, None);
                self.offers_due.request(now);
            }
            PeerEvent::OfferWaiting { number, why, .. } => {
                self.offers.set_waiting(number, Some(why.to_string()));
                self.show_offers();
            }
            PeerEvent::OfferEnded { number, .. } => {
                self.offers.set_waiting(number, None);
                self.offers_due.request(now);
            }
            PeerEvent::Compared { .. } => self.people_due.request(now),
            PeerEvent::KeyRefused { name, presented, known } => {
                let known: Vec<_> = known.iter().map(ToString::to_string).collect();
                let known = known.join(", ");
                let text = format!("{name} was refused: its key is {presented}, known {known}");
                self.people.add_changed_key(&name);
                self.show_people();
                self.context.model().publish(&PageEvent::Notice { code: "untrusted".into(), text });
            }
            PeerEvent::PathChanged { .. } => {
                self.show_people();
                self.people_due.request(now);
            }
        }
    }

    fn show_people(&mut self) {
        let own = self.context.model().connection().number;
        let people = self.people.views(own, &self.active.client.peer_statuses());
        self.context.model().set_people(people);
    }

    fn show_offers(&mut self) {
        let (incoming, outgoing) = self.offers.views(
            |offer| self.people.is_verified(&offer.sender, offer.key),
            |number| self.context.records.lock().transfer_of_offer(number),
            |id| self.active.client.sent_bytes(id),
        );
        let mut model = self.context.model();
        model.set_incoming(incoming);
        model.set_outgoing(outgoing);
    }

    fn show_transfers(&mut self, now: Instant) {
        let statuses = self.active.client.transfers();
        let is_sending = self.offers.is_sending();
        if is_sending {
            self.show_offers();
        }
        if is_sending || statuses.iter().any(|status| !status.state.is_over()) {
            self.transfers_due.request(now);
        }
        let mut model = self.context.model();
        let path_to = |name: &str| model.path_to(name);
        let folder_of = |number| model.incoming(number)?.folder.as_ref().map(PathBuf::from);
        let mut views = self.context.records.lock().views(&statuses, folder_of, path_to);
        let served = self.active.client.served_offers();
        let accepted = served.iter().filter(|offer| offer.is_accepted);
        views.extend(accepted.map(|offer| served_offer_view(PROCESS, offer, path_to)));
        model.set_transfers(TransferOrigin::Own, views);
        drop(model);
        let records = self.context.records.lock();
        self.context
            .spool
            .settle_transfers(|id| records.fate(statuses.iter().find(|status| status.id == id)));
    }
}
