//! `send`: offers files to another client, and serves them until it has stored them all.

use std::sync::{Arc, Weak};
use std::time::Duration;

use quiver_client::error::PeerError;
use quiver_client::peer_store::{OfferNumber, OfferedContent, OutgoingOffer};
use quiver_client::request::{OfferRequest, UploadContent};
use quiver_client::{Client, ClientError};
use tokio::time::timeout;

use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::human::progress_line::ProgressState;
use crate::output::json::events::EventLine;
use crate::output::{ProgressSource, human};
use crate::ui_mode::UiMode;
use crate::unix;

/// How long the recipient may take to learn that an offer is withdrawn.
const WITHDRAW_TIMEOUT: Duration = Duration::from_secs(5);

/// An offer of this person, and how its command was typed.
#[derive(Debug, Clone)]
pub struct SentOffer {
    /// The offer.
    pub offer: OutgoingOffer,
    json: bool,
}

/// Offers files and waits until the recipient has stored them, or withdraws an offer.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::SendArgs,
) -> Result<(), Failure> {
    if let Some(number) = arguments.cancel {
        return withdraw(interface, number, arguments.json).await;
    }
    let request = request(arguments, interface.output.mode())?;
    interface.connect().await?;
    interface.listen().await?;
    let sent = make_offer(interface, request, arguments.json).await?;
    let interrupts = interface.interrupts.clone();
    interrupts.enable();
    let delivery = deliver(interface, &sent, arguments.wait);
    let delivered = tokio::select! {
        delivered = delivery => Some(delivered?),
        () = interrupts.next() => None,
    };
    interrupts.disable();
    match delivered {
        Some(delivered) => finish(interface, &sent, delivered).await,
        None => Err(interrupted(interface, &sent, arguments.wait).await),
    }
}

/// Checks the arguments, without a connection.
///
/// # Errors
/// [`Failure`].
pub fn request(arguments: &cli::SendArgs, mode: UiMode) -> Result<OfferRequest, Failure> {
    let Some(to) = arguments.recipient.clone() else {
        return Err(Failure::usage("the recipient is missing", "send NAME PATH..."));
    };
    let content = if arguments.has_stdin() {
        if arguments.paths.len() > 1 {
            let what = "standard input and files cannot be sent by one command";
            return Err(Failure::usage(what, "use two commands; ./- is the file called -"));
        }
        if arguments.offered_as.is_none() {
            let what = "standard input has no name";
            return Err(Failure::usage(what, "send NAME - --as NAME sets it"));
        }
        if mode != UiMode::OneShot {
            let what = "send NAME - cannot read the input of the prompt";
            return Err(Failure::usage(what, "send NAME PATH sends a file"));
        }
        let stdin = unix::raw_stdin();
        let failed = |source| Failure::system("cannot read standard input", source);
        UploadContent::Stream(Box::new(stdin.map_err(failed)?))
    } else {
        UploadContent::Paths(arguments.paths.clone())
    };
    Ok(OfferRequest { to, content, offered_as: arguments.offered_as.clone() })
}

/// Makes an offer and says so.
///
/// # Errors
/// [`Failure`].
pub async fn make_offer(
    interface: &mut Interface,
    request: OfferRequest,
    json: bool,
) -> Result<SentOffer, Failure> {
    let client = interface.client.clone();
    let offer = interface.drive(client.offer(request)).await??;
    interface.peer_display().await_offer(offer.number);
    if json {
        interface.peer_line(&EventLine::offering(&offer)).await?;
    } else {
        interface.output.say(human::offers::offering(&offer)).await;
    }
    Ok(SentOffer { offer, json })
}

/// Waits until an offer is settled, with its progress. The outer result is that of the output.
async fn deliver(
    interface: &mut Interface,
    sent: &SentOffer,
    wait: bool,
) -> Result<Result<(), ClientError>, Failure> {
    let (client, output) = (interface.client.clone(), interface.output.clone());
    let number = sent.offer.number;
    // Dropped at the end, as the display learns with the next look.
    let delivering = Arc::new(());
    output.show_progress(progress_of(client.clone(), number, Arc::downgrade(&delivering)));
    interface.drive(client.deliver(number, wait)).await
}

/// How much of an offer is sent, as long as it is delivered.
fn progress_of(client: Client, number: OfferNumber, delivering: Weak<()>) -> ProgressSource {
    Box::new(move || {
        if delivering.strong_count() == 0 {
            return ProgressState::Over;
        }
        let served = client.served_offers().into_iter().find(|offer| offer.number == number);
        served.map_or(ProgressState::Starting, |offer| ProgressState::of_offer(&offer))
    })
}

/// Reports how an offer has ended. An offer that its recipient never saw is withdrawn: it would be a surprise later.
///
/// # Errors
/// The failure of the offer.
pub async fn finish(
    interface: &mut Interface,
    sent: &SentOffer,
    delivered: Result<(), ClientError>,
) -> Result<(), Failure> {
    let number = sent.offer.number;
    // Events about it are shown first.
    interface.show_pending().await?;
    if let Err(error) = delivered {
        let was_asked = interface.peer_display().was_asked(number);
        if !was_asked || is_input_unread(interface, number).await? {
            withdraw_quietly(interface, number).await?;
        }
        return Err(error.into());
    }
    // The size of a pipe is known only now.
    let client = interface.client.clone();
    let (_, outgoing) = interface.drive(client.offers()).await??;
    let offer = outgoing.into_iter().find(|offer| offer.number == number);
    let OutgoingOffer { recipient, counts, .. } = offer.unwrap_or_else(|| sent.offer.clone());
    if sent.json {
        let (files, bytes) = (counts.files, counts.bytes);
        let line =
            EventLine::Stored { number: number.0, to: Some(&recipient), from: None, files, bytes };
        return interface.peer_line(&line).await;
    }
    let counts = human::offers::counts(&counts);
    interface.output.say(format!("{recipient} has stored {counts}.")).await;
    Ok(())
}

/// After Ctrl-C: withdraws an offer that the recipient has not been told of, or whose pipe is not read to its end. For
/// any other offer, the failure names the commands that continue or withdraw it.
async fn interrupted(interface: &mut Interface, sent: &SentOffer, wait: bool) -> Failure {
    let number = sent.offer.number;
    let is_unread = match is_input_unread(interface, number).await {
        Ok(is_unread) => is_unread,
        Err(failure) => return failure,
    };
    let is_unknown = !wait && !interface.peer_display().was_asked(number);
    if !is_unknown && !is_unread {
        return Failure::Continuable { hint: human::offers::open_offer_hint(number) };
    }
    if let Err(failure) = withdraw_quietly(interface, number).await {
        return failure;
    }
    if is_unread && !is_unknown {
        interface.output.say(human::offers::withdrawn_unread(number)).await;
    }
    Failure::Interrupted(None)
}

/// Whether an offer is of standard input that this process has not read to its end: no other process can continue it.
async fn is_input_unread(interface: &mut Interface, number: OfferNumber) -> Result<bool, Failure> {
    let client = interface.client.clone();
    let (_, outgoing) = interface.drive(client.offers()).await??;
    let is_unread = |offer: &OutgoingOffer| {
        matches!(offer.content, OfferedContent::Spool(_)) && offer.counts.bytes.is_none()
    };
    Ok(outgoing.iter().any(|offer| offer.number == number && is_unread(offer)))
}

async fn withdraw_quietly(interface: &mut Interface, number: OfferNumber) -> Result<(), Failure> {
    let client = interface.client.clone();
    let withdrawal = timeout(WITHDRAW_TIMEOUT, client.withdraw_offer(number));
    // Fails if it is settled, or after the timeout: it is withdrawn in the records then.
    let _ = interface.drive(withdrawal).await?;
    Ok(())
}

/// Withdraws an offer, and tells its recipient if that is possible.
async fn withdraw(
    interface: &mut Interface,
    number: OfferNumber,
    json: bool,
) -> Result<(), Failure> {
    let client = interface.client.clone();
    let (_, outgoing) = interface.drive(client.offers()).await??;
    let offer = outgoing.into_iter().find(|offer| offer.number == number);
    let offer = offer.ok_or(ClientError::from(PeerError::UnknownOffer(number)))?;
    // The recipient can be told only over the server. Without it, the offer is withdrawn all the same.
    if offer.key.is_some() && !offer.state.is_settled() && !client.is_connected() {
        let _ = interface.drive(client.connect()).await?;
    }
    interface.drive(client.withdraw_offer(number)).await??;
    if json {
        return interface.peer_line(&EventLine::Withdrawn { number: number.0 }).await;
    }
    let to = &offer.recipient;
    interface.output.say(format!("Offer {number} to {to} is withdrawn.")).await;
    Ok(())
}
