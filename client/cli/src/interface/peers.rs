//! Shows what other clients do, and keeps their offers for a command that answers them.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use quiver_client::peer_event::PeerEvent;
use quiver_client::peer_store::{IncomingOffer, OfferNumber};

use super::Interface;
use crate::failure::Failure;
use crate::output::{human, json};

/// How events about other clients are shown.
#[derive(Debug, Default)]
pub struct PeerDisplay {
    /// Announce clients that connect and disconnect.
    pub announce: bool,
    /// Report how the connections with other clients run.
    pub paths: bool,
    /// Whether incoming offers are queued for a command that answers them.
    queues_offers: bool,
    queued: VecDeque<Arc<IncomingOffer>>,
    /// Offers of this person whose recipients were asked.
    asked: HashSet<OfferNumber>,
    /// Offers of this person whose end a command reports.
    awaited: HashSet<OfferNumber>,
}

impl Interface {
    /// Sets how events about other clients are shown.
    pub fn peer_display(&mut self) -> &mut PeerDisplay {
        &mut self.peer_display
    }

    /// Lets other clients reach this one. Warns if the server refuses it, because everything else works.
    ///
    /// # Errors
    /// [`Failure`] if the output fails.
    pub async fn listen(&mut self) -> Result<(), Failure> {
        let client = self.client.clone();
        if let Err(error) = self.drive(client.listen()).await?
            && let Some(text) = human::peers::unreachable(&error)
        {
            self.output.warn("not_reachable", text).await;
        }
        Ok(())
    }

    /// Prints a JSON line about other clients.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub async fn peer_line(&self, line: &json::events::EventLine<'_>) -> Result<(), Failure> {
        self.output.data(json::line(line) + "\n").await
    }

    /// Shows an event about other clients. A message is data, because its sender learns that it was delivered.
    pub(super) async fn show_peer(&mut self, event: PeerEvent) -> Result<(), Failure> {
        self.peer_display.record(&event);
        let is_json = self.output.json().is_on();
        if !self.peer_display.shows(&event, is_json) {
            return Ok(());
        }
        if is_json {
            return match json::events::EventLine::of(&event) {
                Some(line) => self.peer_line(&line).await,
                None => Ok(()),
            };
        }
        let Some(text) = human::peers::event(&event, self.output.mode()) else { return Ok(()) };
        match event {
            PeerEvent::Message { .. } => self.output.data(text + "\n").await?,
            PeerEvent::KeyRefused { .. }
            | PeerEvent::Compared { is_verified: false, .. }
            | PeerEvent::ListenRefused(_) => {
                self.output.warn("peer_event", text).await;
            }
            _ => self.output.say(text).await,
        }
        Ok(())
    }
}

impl PeerDisplay {
    /// Queues incoming offers from now on. They are then not shown.
    pub fn queue_offers(&mut self) {
        self.queues_offers = true;
    }

    /// The next queued offer.
    pub fn next_offer(&mut self) -> Option<Arc<IncomingOffer>> {
        self.queued.pop_front()
    }

    /// Leaves the end of an offer of this person to its command.
    pub fn await_offer(&mut self, number: OfferNumber) {
        self.awaited.insert(number);
    }

    /// Whether the recipient of an offer of this person was asked, as far as this process knows.
    #[must_use]
    pub fn was_asked(&self, number: OfferNumber) -> bool {
        self.asked.contains(&number)
    }

    fn record(&mut self, event: &PeerEvent) {
        match event {
            PeerEvent::OfferReceived(offer) if self.queues_offers => {
                self.queued.push_back(offer.clone());
            }
            // Answered by another process, or withdrawn.
            PeerEvent::OfferSettled(offer) => {
                self.queued.retain(|queued| queued.number != offer.number);
            }
            PeerEvent::OfferPending { number, .. } | PeerEvent::OfferAccepted { number, .. } => {
                self.asked.insert(*number);
            }
            _ => {}
        }
    }

    fn shows(&self, event: &PeerEvent, is_json: bool) -> bool {
        match event {
            PeerEvent::Joined(_) | PeerEvent::Left(_) => self.announce,
            PeerEvent::PathChanged { .. } => self.paths,
            PeerEvent::OfferReceived(_) => !self.queues_offers || is_json,
            PeerEvent::OfferEnded { number, .. } => !self.awaited.contains(number),
            _ => true,
        }
    }
}
