//! Incoming offers: what other clients offer to this person, and what became of it. Only recording and answering them
//! is done here; no file is fetched.

mod rows;

pub(super) use rows::{by_number, set_state};
use std::path::{Path, PathBuf};

use quiver_protocol::{ClientName, Fingerprint, Offer, OfferId, OfferedEntry, Timestamp};
use rusqlite::params;

use super::offers::{self, OfferCounts, OfferNumber};
use super::{PeerStore, PeerStoreError};
use crate::journal::ServerRef;

/// An offer as another client has announced it.
#[derive(Debug, Clone, Copy)]
pub struct AnnouncedOffer<'a> {
    /// The server that introduced the sender.
    pub server: &'a ServerRef,
    /// The sender's name.
    pub sender: &'a ClientName,
    /// The sender's key.
    pub key: Fingerprint,
    /// The offer.
    pub offer: &'a Offer,
}

/// An offer that another client has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingOffer {
    /// Its number, for this person.
    pub number: OfferNumber,
    /// Its id, for the sender.
    pub id: OfferId,
    /// The server that introduced the sender.
    pub server: ServerRef,
    /// The sender's name.
    pub sender: ClientName,
    /// The sender's key. The offer is of this key only.
    pub key: Fingerprint,
    /// The first top-level files and folders, as they were first announced.
    pub entries: Vec<OfferedEntry>,
    /// How much is offered, as it was first announced or [updated](PeerStore::set_incoming_counts).
    pub counts: OfferCounts,
    /// When it was first announced.
    pub received: Timestamp,
    /// When it was last announced.
    pub last_announced: Timestamp,
    /// Its state.
    pub state: IncomingState,
}

/// The state of an incoming offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncomingState {
    /// This person has not answered yet.
    Open,
    /// This person has accepted, and does not have everything yet.
    Accepted {
        /// The absolute path of the folder to store it in.
        folder: PathBuf,
    },
    /// Everything is stored.
    Stored {
        /// Files that this client has now.
        files: u64,
        /// Their bytes.
        bytes: u64,
        /// When the last one was stored.
        at: Timestamp,
    },
    /// This person does not want it.
    Declined,
    /// The sender has withdrawn it.
    Withdrawn,
    /// It cannot be stored, for this reason.
    Failed(String),
    /// It was not stored within 7 days.
    Expired,
}

impl IncomingState {
    /// Whether the offer has ended.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self, Self::Open | Self::Accepted { .. })
    }

    /// The state as the end of a sentence about the offer, for a change that it does not allow.
    pub(super) fn as_outcome(&self) -> &'static str {
        match self {
            Self::Open => "is not accepted",
            Self::Accepted { .. } => "was accepted already",
            Self::Stored { .. } => "was stored already",
            Self::Declined => "was declined already",
            Self::Withdrawn => "was withdrawn by its sender",
            Self::Failed(_) => "has failed",
            Self::Expired => "has expired",
        }
    }
}

impl PeerStore {
    /// Records an offer, or that it is announced again, and returns it with its present state. Another announcement
    /// with the same server, key and id changes neither entries nor counts, because a person may have seen them.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::RelativePath`], and [`PeerStoreError::TooManyOffers`] for a new
    /// offer while 64 are unsettled, or 16 of this sender.
    pub fn record_incoming(
        &self,
        announced: AnnouncedOffer<'_>,
        now: Timestamp,
    ) -> Result<IncomingOffer, PeerStoreError> {
        if let Some(path) = announced.server.certificate.as_ref().filter(|path| path.is_relative())
        {
            return Err(PeerStoreError::RelativePath { path: path.clone() });
        }
        let (cleanup, offer) = self.write(|transaction| {
            let cleanup = offers::clean_up(transaction, now)?;
            Ok((cleanup, rows::record(transaction, announced, now)?))
        })?;
        self.finish_cleanup(&cleanup);
        Ok(offer)
    }

    /// The offers to this person, by number.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn incoming_offers(&self, now: Timestamp) -> Result<Vec<IncomingOffer>, PeerStoreError> {
        self.read(|transaction| Ok(rows::select(transaction, "1 = 1", &[], now)?))
    }

    /// The offers that this person has accepted and that are not stored yet, by number: to fetch when the sender is
    /// connected, unless another process [has the lock](Self::lock_offer).
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn unfinished_accepted(
        &self,
        now: Timestamp,
    ) -> Result<Vec<IncomingOffer>, PeerStoreError> {
        self.read(|transaction| {
            let values = params![offers::ACCEPTED];
            let mut found = rows::select(transaction, "state = ?1", values, now)?;
            found.retain(|offer| !offer.state.is_settled());
            Ok(found)
        })
    }

    /// The offer to this person with this number.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::UnknownOffer`].
    pub fn incoming_offer(
        &self,
        number: OfferNumber,
        now: Timestamp,
    ) -> Result<IncomingOffer, PeerStoreError> {
        self.read(|transaction| rows::by_number(transaction, number, now))
    }

    /// Accepts an open offer, and returns it. Of several processes that answer an offer, one succeeds.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::UnknownOffer`], [`PeerStoreError::IncomingSettled`] with the state
    /// if it was answered, withdrawn or expired, and [`PeerStoreError::RelativePath`].
    pub fn accept_offer(
        &self,
        number: OfferNumber,
        folder: &Path,
        now: Timestamp,
    ) -> Result<IncomingOffer, PeerStoreError> {
        if folder.is_relative() {
            return Err(PeerStoreError::RelativePath { path: folder.to_owned() });
        }
        self.change(number, now, |state| match state {
            IncomingState::Open => Some(IncomingState::Accepted { folder: folder.to_owned() }),
            _ => None,
        })
    }

    /// Takes back that an offer was accepted, as before this person's answer, and returns it. The caller has the
    /// [lock](Self::lock_offer) of the offer.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::UnknownOffer`] and [`PeerStoreError::IncomingSettled`].
    pub fn reopen_offer(
        &self,
        number: OfferNumber,
        now: Timestamp,
    ) -> Result<IncomingOffer, PeerStoreError> {
        self.change(number, now, |state| (!state.is_settled()).then_some(IncomingState::Open))
    }

    /// Declines an offer that is not settled, and returns it. Of several processes that answer an offer, one succeeds.
    /// The caller has the [lock](Self::lock_offer) of an accepted offer, so that no process fetches it.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::UnknownOffer`] and [`PeerStoreError::IncomingSettled`].
    pub fn decline_offer(
        &self,
        number: OfferNumber,
        now: Timestamp,
    ) -> Result<IncomingOffer, PeerStoreError> {
        self.change(number, now, |state| (!state.is_settled()).then_some(IncomingState::Declined))
    }

    /// Records that everything of an accepted offer is stored, also if it has expired meanwhile.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::UnknownOffer`], and [`PeerStoreError::IncomingSettled`] if the
    /// offer was not accepted, or is settled.
    pub fn mark_stored(
        &self,
        number: OfferNumber,
        files: u64,
        bytes: u64,
        now: Timestamp,
    ) -> Result<IncomingOffer, PeerStoreError> {
        self.write(|transaction| {
            let offer = rows::by_number(transaction, number, now)?;
            let was_accepted = match &offer.state {
                IncomingState::Accepted { .. } => true,
                IncomingState::Expired => rows::has_folder(transaction, number)?,
                _ => false,
            };
            if !was_accepted {
                return Err(PeerStoreError::IncomingSettled { number, state: offer.state }.into());
            }
            let state = IncomingState::Stored { files, bytes, at: now };
            rows::set_state(transaction, number, &state, now)?;
            Ok(IncomingOffer { state, ..offer })
        })
    }

    /// Records that an offer cannot be stored, now or later.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::UnknownOffer`], and [`PeerStoreError::IncomingSettled`] if the
    /// offer is settled.
    pub fn mark_failed(
        &self,
        number: OfferNumber,
        why: &str,
        now: Timestamp,
    ) -> Result<IncomingOffer, PeerStoreError> {
        self.change(number, now, |state| {
            (!state.is_settled()).then(|| IncomingState::Failed(why.to_owned()))
        })
    }

    /// Records that the sender has withdrawn an offer. Returns the offer, whose state is unchanged if it was settled;
    /// `None` if it is not known.
    ///
    /// # Errors
    /// [`PeerStoreError`].
    pub fn withdraw_incoming(
        &self,
        server: Fingerprint,
        key: Fingerprint,
        id: OfferId,
        now: Timestamp,
    ) -> Result<Option<IncomingOffer>, PeerStoreError> {
        self.write(|transaction| {
            let Some(offer) = rows::by_id(transaction, server, key, id, now)? else {
                return Ok(None);
            };
            if offer.state.is_settled() {
                return Ok(Some(offer));
            }
            let state = IncomingState::Withdrawn;
            rows::set_state(transaction, offer.number, &state, now)?;
            Ok(Some(IncomingOffer { state, ..offer }))
        })
    }

    /// Records that the person has agreed to other counts than were announced.
    ///
    /// # Errors
    /// [`PeerStoreError`], also [`PeerStoreError::UnknownOffer`].
    pub fn set_incoming_counts(
        &self,
        number: OfferNumber,
        counts: OfferCounts,
    ) -> Result<(), PeerStoreError> {
        self.write(|transaction| offers::set_counts(transaction, number, true, counts))
    }

    /// Changes the state of an offer in one transaction; `next` returns `None` for a state that cannot change so.
    fn change(
        &self,
        number: OfferNumber,
        now: Timestamp,
        next: impl FnOnce(&IncomingState) -> Option<IncomingState>,
    ) -> Result<IncomingOffer, PeerStoreError> {
        self.write(|transaction| {
            let offer = rows::by_number(transaction, number, now)?;
            let Some(state) = next(&offer.state) else {
                return Err(PeerStoreError::IncomingSettled { number, state: offer.state }.into());
            };
            rows::set_state(transaction, number, &state, now)?;
            Ok(IncomingOffer { state, ..offer })
        })
    }
}
