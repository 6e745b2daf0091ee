//! `accept`: accepts an offer of another client, and stores its files.

use std::time::Duration;

use quiver_client::error::PeerError;
use quiver_client::peer_store::{IncomingOffer, IncomingState, OfferNumber};
use quiver_client::request::AcceptRequest;
use quiver_client::{ClientError, RunningTransfer, TransferEnd};

use crate::cli;
use crate::failure::Failure;
use crate::interface::{Interface, TransferStyle};
use crate::output::human;
use crate::output::json::events::EventLine;

/// Accepts an offer, and waits until its files are stored.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::AcceptArgs,
) -> Result<(), Failure> {
    interface.connect().await?;
    let mut running = start(interface, arguments).await?;
    let interrupts = interface.interrupts.clone();
    interrupts.enable();
    let number = arguments.number;
    let end = tokio::select! {
        end = finish(interface, number, &mut running, arguments.json) => Some(end),
        () = interrupts.next() => None,
    };
    interrupts.disable();
    end.unwrap_or_else(|| {
        Err(Failure::Continuable { hint: format!("quiver accept {number} continues") })
    })
}

/// Accepts an offer, and starts to store its files.
///
/// # Errors
/// [`Failure`].
pub async fn start(
    interface: &mut Interface,
    arguments: &cli::AcceptArgs,
) -> Result<RunningTransfer, Failure> {
    let request = AcceptRequest {
        folder: arguments.folder.clone(),
        on_conflict: arguments.conflicts.policy(),
        retry_for: Duration::from_secs(arguments.retry.retry_timeout),
        report_files: arguments.json,
    };
    start_request(interface, arguments.number, request).await
}

/// Accepts an offer, and starts to store its files, as a request says.
///
/// # Errors
/// [`Failure`].
pub(super) async fn start_request(
    interface: &mut Interface,
    number: OfferNumber,
    request: AcceptRequest,
) -> Result<RunningTransfer, Failure> {
    let (client, json) = (interface.client.clone(), request.report_files);
    let folder = request.folder.clone();
    match interface.drive(client.accept_offer(number, request)).await? {
        Ok(running) => {
            let style = TransferStyle { json, is_foreground: false, offer: Some(number) };
            interface.set_style(running.id, style);
            if json && let Some(offer) = find(interface, number).await? {
                interface.peer_line(&EventLine::accepting(&offer, &folder)).await?;
            }
            Ok(running)
        }
        Err(error @ ClientError::Peer(PeerError::OfferInProgress(_))) => Err(error.into()),
        Err(error) => {
            // It may be accepted although its sender cannot be reached now.
            if let Some(offer) = find(interface, number).await?
                && matches!(offer.state, IncomingState::Accepted { .. })
            {
                if json {
                    interface.peer_line(&EventLine::accepting(&offer, &folder)).await?;
                } else {
                    let text = human::offers::accepted_for_later(number, &offer.sender);
                    interface.output.say(text).await;
                }
            }
            Err(error.into())
        }
    }
}

/// Waits until the files of an offer are stored.
///
/// # Errors
/// [`Failure`].
pub(super) async fn finish(
    interface: &mut Interface,
    number: OfferNumber,
    running: &mut RunningTransfer,
    json: bool,
) -> Result<(), Failure> {
    let error = match interface.drive(running.wait()).await? {
        TransferEnd::Done if json => return report_stored(interface, number).await,
        TransferEnd::Done => return Ok(()),
        TransferEnd::Failed(error) => error,
        TransferEnd::Cancelled => ClientError::Interrupted.into(),
    };
    if json && let Some(offer) = find(interface, number).await? {
        let (from, why) = (&offer.sender, error.to_string());
        let line = EventLine::Failed { number: number.0, from, error: error.code(), why };
        interface.peer_line(&line).await?;
    }
    Err(Failure::Offer { number, error })
}

async fn report_stored(interface: &mut Interface, number: OfferNumber) -> Result<(), Failure> {
    let Some(offer) = find(interface, number).await? else { return Ok(()) };
    let (files, bytes) = match offer.state {
        IncomingState::Stored { files, bytes, .. } => (files, Some(bytes)),
        _ => (offer.counts.files, offer.counts.bytes),
    };
    let from = Some(&offer.sender);
    let line = EventLine::Stored { number: number.0, to: None, from, files, bytes };
    interface.peer_line(&line).await
}

/// The offer as it is recorded now; `None` if the records fail, because other errors say more then.
async fn find(
    interface: &mut Interface,
    number: OfferNumber,
) -> Result<Option<IncomingOffer>, Failure> {
    let client = interface.client.clone();
    let offers = interface.drive(client.offers()).await?;
    let found = offers.ok().map(|(incoming, _)| incoming);
    Ok(found.into_iter().flatten().find(|offer| offer.number == number))
}
