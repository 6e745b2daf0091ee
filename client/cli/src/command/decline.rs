//! `decline`: declines an offer of another client. Needs no server: a process of this person that is connected tells
//! the sender, or the next one.

use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::json::events::EventLine;

/// Declines an offer.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::DeclineArgs,
) -> Result<(), Failure> {
    let client = interface.client.clone();
    let offer = interface.drive(client.decline_offer(arguments.number)).await??;
    let (number, from) = (offer.number, &offer.sender);
    if arguments.json {
        return interface.peer_line(&EventLine::Declined { number: number.0, from }).await;
    }
    interface.output.say(format!("Offer {number} from {from} is declined.")).await;
    Ok(())
}
