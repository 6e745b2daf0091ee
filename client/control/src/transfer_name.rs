//! The names of transfers over all processes of a user.

use std::fmt;
use std::process;
use std::str::FromStr;

use quiver_client::peer_store::OfferNumber;
use quiver_client::transfers::TransferId;

/// The name of a transfer: unique among the processes that run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferName {
    /// `PID:NUMBER`: a transfer of a process.
    Transfer {
        /// The process.
        process: u32,
        /// Its number there.
        id: TransferId,
    },
    /// `PID:offer-NUMBER`: an offer whose files a process serves.
    Offer {
        /// The process.
        process: u32,
        /// The number of the offer.
        number: OfferNumber,
    },
    /// `journal:ID`: an unfinished transfer that no process runs, by the id of its journal entry.
    Unfinished(u64),
}

/// The text is not the name of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATransferName;

impl TransferName {
    /// A transfer of this process.
    #[must_use]
    pub fn own(id: TransferId) -> Self {
        Self::Transfer { process: process::id(), id }
    }

    /// An offer that this process serves.
    #[must_use]
    pub fn own_offer(number: OfferNumber) -> Self {
        Self::Offer { process: process::id(), number }
    }

    /// The process that runs it.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        match self {
            Self::Transfer { process, .. } | Self::Offer { process, .. } => Some(*process),
            Self::Unfinished(_) => None,
        }
    }

    /// Whether this process runs it.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.process() == Some(process::id())
    }
}

impl fmt::Display for TransferName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transfer { process, id } => write!(f, "{process}:{id}"),
            Self::Offer { process, number } => write!(f, "{process}:offer-{number}"),
            Self::Unfinished(id) => write!(f, "journal:{id:016x}"),
        }
    }
}

impl FromStr for TransferName {
    type Err = NotATransferName;

    fn from_str(text: &str) -> Result<Self, NotATransferName> {
        let (owner, rest) = text.split_once(':').ok_or(NotATransferName)?;
        if owner == "journal" {
            let is_id = rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
            let id = u64::from_str_radix(rest, 16).ok().filter(|_| is_id);
            return id.map(Self::Unfinished).ok_or(NotATransferName);
        }
        let number = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u64>().ok().filter(|_| is_number)
        };
        let process = number(owner).and_then(|process| u32::try_from(process).ok());
        let process = process.ok_or(NotATransferName)?;
        let name = match rest.strip_prefix("offer-") {
            Some(offer) => {
                number(offer).map(|number| Self::Offer { process, number: OfferNumber(number) })
            }
            None => number(rest).map(|id| Self::Transfer { process, id: TransferId(id) }),
        };
        name.ok_or(NotATransferName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for name in [
            TransferName::Transfer { process: 17, id: TransferId(3) },
            TransferName::Offer { process: 17, number: OfferNumber(4) },
            TransferName::Unfinished(0x1f),
        ] {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        assert_eq!("17:3".parse(), Ok(TransferName::Transfer { process: 17, id: TransferId(3) }));
        assert!(TransferName::own(TransferId(1)).is_own());
        assert!(!TransferName::Unfinished(1).is_own());
    }

    #[test]
    fn other_texts_are_no_names() {
        for text in [
            "",
            "3",
            ":3",
            "x:3",
            "17:",
            "17:x",
            "17:-1",
            "17:+1",
            "17:offer-",
            "17:offer-x",
            "-1:3",
            "99999999999:3",
            "journal:",
            "journal:1f",
            "journal:000000000000001g",
            "17:3:4",
        ] {
            assert_eq!(text.parse::<TransferName>(), Err(NotATransferName), "{text}");
        }
    }
}
