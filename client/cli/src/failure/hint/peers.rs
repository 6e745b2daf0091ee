//! Hints for errors between this client and another one.

use quiver_client::ClientError;
use quiver_client::error::PeerError;
use quiver_client::peer_store::{OfferNumber, PeerStoreError};
use quiver_protocol::RefusalCode;

/// What the user can do about the error, if anything.
pub(super) fn hint(error: &PeerError) -> Option<String> {
    Some(match error {
        PeerError::Store(error) => return store_hint(error),
        PeerError::KeyChanged { name, .. } => format!(
            "someone may pose as {name}. If {name} has a new key: quiver contacts forget {name}"
        ),
        PeerError::UnknownMachine { name, .. } => {
            format!("at a terminal you are asked whether {name} uses another machine")
        }
        PeerError::Blocked(name) => format!("quiver contacts unblock {name} ends the block"),
        PeerError::UnknownContact(_) => "quiver contacts lists them".to_owned(),
        PeerError::NotVerified(name) => format!("quiver verify {name} compares the keys"),
        PeerError::NoPath { .. } | PeerError::Stream { .. } => {
            "try again; quiver peers lists the clients that can be reached".to_owned()
        }
        PeerError::NotDelivered { .. } => "try again".to_owned(),
        PeerError::MessageUnknown { name } => {
            format!("ask {name} before you send it again")
        }
        PeerError::NotStored { name, refusal } => match refusal.code {
            RefusalCode::NoSpace => {
                format!(
                    "{name} has to free space or choose another folder, and accept the offer again"
                )
            }
            RefusalCode::RateLimited => format!("{name} has to answer other offers first"),
            _ => format!("send the files again, or ask {name}"),
        },
        PeerError::Withdrawn(_) | PeerError::Expired(_) | PeerError::OfferFailed { .. } => {
            "send the files again".to_owned()
        }
        PeerError::UnknownOffer(_) | PeerError::OfferInProgress(_) => offers_hint(),
        PeerError::MoreThanOffered { from } => {
            format!("the files have changed since; ask {from} to send them again")
        }
        PeerError::LessThanOffered { from, .. } => {
            format!("ask {from} to send the missing files again")
        }
        PeerError::BadOfferName { .. } => "--as NAME offers it under another name".to_owned(),
        PeerError::DigitsDiffer(name) => {
            format!("send nothing confidential to {name}, and tell the server's operator")
        }
        PeerError::Declined(_) | PeerError::NotOfferable { .. } => return None,
    })
}

/// How to continue an accepted offer.
pub(super) fn offer_hint(number: OfferNumber, error: &ClientError) -> String {
    let hint = super::client_hint(error).map_or_else(String::new, |hint| hint + "; ");
    format!("{hint}quiver accept {number} continues, or the next time that the sender is connected")
}

fn store_hint(error: &PeerStoreError) -> Option<String> {
    Some(match error {
        PeerStoreError::NoFolder(_) => "set XDG_STATE_HOME to a folder for them".to_owned(),
        PeerStoreError::UnknownOffer { .. }
        | PeerStoreError::IncomingSettled { .. }
        | PeerStoreError::OutgoingSettled { .. } => offers_hint(),
        PeerStoreError::TooManyOffers { .. } => "answer some of them first".to_owned(),
        PeerStoreError::TooManyContacts { .. } => {
            "quiver contacts forget NAME removes one".to_owned()
        }
        PeerStoreError::Version { .. } => "use the newer version of quiver".to_owned(),
        PeerStoreError::Corrupt { .. } => "move that file away to start without it".to_owned(),
        PeerStoreError::Open { .. }
        | PeerStoreError::Database { .. }
        | PeerStoreError::NotAdmitted { .. }
        | PeerStoreError::RelativePath { .. } => return None,
    })
}

fn offers_hint() -> String {
    "quiver offers --all lists all offers".to_owned()
}
