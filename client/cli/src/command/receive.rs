//! `receive`: waits for offers of other clients, asks about each, and stores their files. Reconnects by itself.

use std::collections::HashSet;
use std::time::Duration;

use quiver_client::ClientError;
use quiver_client::error::PeerError;
use quiver_client::event::ConnectionState;
use quiver_client::peer_store::{IncomingOffer, IncomingState, OfferNumber};
use quiver_client::request::AcceptRequest;
use quiver_protocol::ClientName;

use super::accept;
use crate::cli;
use crate::failure::Failure;
use crate::interface::{Interface, TransferStyle};
use crate::output::human;
use crate::output::json::events::EventLine;
use crate::ui_mode::UiMode;

/// A run of `receive`.
struct Receiver<'a> {
    interface: &'a mut Interface,
    arguments: &'a cli::ReceiveArgs,
    /// Offers that were considered, so that none is asked about twice.
    considered: HashSet<OfferNumber>,
    /// The offer whose files are stored now, for the hint after Ctrl-C.
    current: Option<OfferNumber>,
}

/// How an offer was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfferAnswer {
    /// It was stored or declined.
    Settled,
    /// It stays open.
    LeftOpen,
}

/// Receives offers until Ctrl-C, or until one is settled.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::ReceiveArgs,
) -> Result<(), Failure> {
    check_folder(arguments)?;
    let interrupts = interface.interrupts.clone();
    interface.peer_display().queue_offers();
    let style = TransferStyle { json: arguments.json, ..TransferStyle::default() };
    interface.set_default_style(style);
    interface.connect().await?;
    let (considered, current) = (HashSet::new(), None);
    let mut receiver = Receiver { interface, arguments, considered, current };
    interrupts.enable();
    let result = tokio::select! {
        result = receiver.run() => Some(result),
        () = interrupts.next() => None,
    };
    interrupts.disable();
    match (result, receiver.current) {
        (Some(result), _) => result,
        (None, Some(number)) => {
            let hint = format!("quiver accept {number}, or quiver receive, continues");
            Err(Failure::Continuable { hint })
        }
        (None, None) => Err(Failure::Interrupted(None)),
    }
}

/// Checks that files can be stored there, before anything is accepted.
fn check_folder(arguments: &cli::ReceiveArgs) -> Result<(), Failure> {
    let failed = |source| ClientError::Target { path: arguments.output.clone(), source };
    let metadata = std::fs::metadata(&arguments.output).map_err(failed)?;
    if metadata.is_dir() {
        Ok(())
    } else {
        Err(failed(std::io::ErrorKind::NotADirectory.into()).into())
    }
}

impl Receiver<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        if let (true, Some(from)) = (self.arguments.yes, &self.arguments.from) {
            self.require_verified(from, None).await?;
        }
        let client = self.interface.client.clone();
        self.interface.drive(client.listen()).await??;
        let from =
            self.arguments.from.as_ref().map_or_else(String::new, |name| format!(" from {name}"));
        if self.arguments.json {
            self.interface.peer_line(&EventLine::Listening).await?;
        } else {
            let text = format!("Waiting for offers{from}. Ctrl-C ends this.");
            self.interface.output.say(text).await;
        }
        for offer in self.open_offers().await? {
            if self.consider(&offer).await? {
                return Ok(());
            }
        }
        loop {
            while let Some(offer) = self.interface.peer_display().next_offer() {
                if self.consider(&offer).await? {
                    return Ok(());
                }
            }
            let Some(event) = self.interface.next().await else { return Ok(()) };
            if let Some(ConnectionState::Lost(why)) = self.interface.show(event).await?
                && !self.interface.client.is_connected()
            {
                self.reconnect(&why).await?;
            }
        }
    }

    /// Offers that an earlier process has received, and whose senders are connected.
    async fn open_offers(&mut self) -> Result<Vec<IncomingOffer>, Failure> {
        let client = self.interface.client.clone();
        let find = async {
            let (mut offers, _) = client.offers().await?;
            let server = client.server_key()?;
            offers.retain(|offer| {
                offer.state == IncomingState::Open && offer.server.fingerprint == server
            });
            if offers.is_empty() {
                return Ok(offers);
            }
            let (mut rows, mut connected) = (client.status().await?, HashSet::new());
            while let Some(row) = rows.next().await? {
                if row.end.is_none() && row.reachable {
                    connected.insert(row.name.key());
                }
            }
            offers.retain(|offer| connected.contains(&offer.sender.key()));
            Ok::<_, ClientError>(offers)
        };
        Ok(self.interface.drive(find).await??)
    }

    /// Answers an offer, and reports failures. Returns whether the command ends.
    async fn consider(&mut self, offer: &IncomingOffer) -> Result<bool, Failure> {
        if !self.considered.insert(offer.number) {
            return Ok(false);
        }
        match self.answer(offer).await {
            Ok(OfferAnswer::LeftOpen) => Ok(false),
            Ok(OfferAnswer::Settled) => Ok(self.arguments.once),
            Err(failure) if failure.is_output_failure() || self.arguments.once => Err(failure),
            Err(failure) => {
                self.current = None;
                self.interface.output.failure(&failure).await;
                Ok(false)
            }
        }
    }

    async fn answer(&mut self, offer: &IncomingOffer) -> Result<OfferAnswer, Failure> {
        let from = self.arguments.from.as_ref();
        if from.is_some_and(|name| name.key() != offer.sender.key()) {
            self.leave_open(offer).await;
            return Ok(OfferAnswer::LeftOpen);
        }
        if self.arguments.yes {
            self.require_verified(&offer.sender, Some(offer)).await?;
            self.interface.output.say(human::offers::offer(offer)).await;
        } else if !self.interface.output.can_ask() {
            self.leave_open(offer).await;
            return Ok(OfferAnswer::LeftOpen);
        } else if !self.interface.confirm(&human::offers::offer_question(offer)).await? {
            self.decline(offer).await?;
            return Ok(OfferAnswer::Settled);
        }
        self.accept(offer).await?;
        Ok(OfferAnswer::Settled)
    }

    /// Says how to answer an offer with another command.
    async fn leave_open(&self, offer: &IncomingOffer) {
        // As JSON, its event has been printed.
        if !self.arguments.json {
            let text = human::offers::offer_with_commands(offer, UiMode::OneShot);
            self.interface.output.say(text).await;
        }
    }

    async fn decline(&mut self, offer: &IncomingOffer) -> Result<(), Failure> {
        let client = self.interface.client.clone();
        self.interface.drive(client.decline_offer(offer.number)).await??;
        if self.arguments.json {
            let (number, from) = (offer.number.0, &offer.sender);
            self.interface.peer_line(&EventLine::Declined { number, from }).await?;
        }
        Ok(())
    }

    async fn accept(&mut self, offer: &IncomingOffer) -> Result<(), Failure> {
        let arguments = self.arguments;
        let request = AcceptRequest {
            folder: arguments.output.clone(),
            on_conflict: arguments.conflicts.policy(),
            retry_for: Duration::from_secs(arguments.retry.retry_timeout),
            report_files: arguments.json,
        };
        let number = offer.number;
        self.current = Some(number);
        let mut running = accept::start_request(self.interface, number, request).await?;
        accept::finish(self.interface, number, &mut running, arguments.json).await?;
        self.current = None;
        Ok(())
    }

    /// Fails unless a key of this client was verified: that of the offer, or any.
    async fn require_verified(
        &mut self,
        name: &ClientName,
        offer: Option<&IncomingOffer>,
    ) -> Result<(), Failure> {
        let client = self.interface.client.clone();
        let contact = match self.interface.drive(client.contact(name)).await? {
            Ok(contact) => contact,
            Err(ClientError::Peer(PeerError::UnknownContact(_))) => {
                return Err(ClientError::from(PeerError::NotVerified(name.clone())).into());
            }
            Err(error) => return Err(error.into()),
        };
        let mut keys = contact.keys.iter().filter(|known| known.verified.is_some());
        if keys.any(|known| offer.is_none_or(|offer| offer.key == known.key)) {
            return Ok(());
        }
        Err(ClientError::from(PeerError::NotVerified(name.clone())).into())
    }

    /// Connects again, and tries until it succeeds.
    async fn reconnect(&mut self, why: &str) -> Result<(), Failure> {
        if self.arguments.json {
            self.interface.peer_line(&EventLine::ConnectionLost { why }).await?;
        } else {
            self.interface.output.say(format!("Connection lost: {why}: trying again.")).await;
        }
        let client = self.interface.client.clone();
        self.interface.drive(client.connect_again(|_| {})).await??;
        if self.arguments.json {
            self.interface.peer_line(&EventLine::Reconnected).await
        } else {
            self.interface.output.say("Connected to the server again.").await;
            Ok(())
        }
    }
}
