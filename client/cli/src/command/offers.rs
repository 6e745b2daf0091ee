//! `offers`: lists offers from and to other clients, as this machine has recorded them. Needs no server.

use chrono::Local;

use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::{RowWriter, human, json};

/// Lists offers.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::OffersArgs,
) -> Result<(), Failure> {
    let (client, output) = (interface.client.clone(), interface.output.clone());
    let (mut incoming, mut outgoing) = interface.drive(client.offers()).await??;
    if !arguments.all {
        incoming.retain(|offer| !offer.state.is_settled());
        outgoing.retain(|offer| !offer.state.is_settled());
    }
    let mut rows = RowWriter::plain(&output);
    for offer in &incoming {
        let row = if arguments.json {
            json::line(&json::peers::OfferRow::incoming(offer))
        } else {
            human::offers::incoming_row(offer, &Local)
        };
        rows.push(&row).await?;
    }
    for offer in &outgoing {
        let row = if arguments.json {
            json::line(&json::peers::OfferRow::outgoing(offer))
        } else {
            human::offers::outgoing_row(offer, &Local)
        };
        rows.push(&row).await?;
    }
    rows.finish().await?;
    if incoming.is_empty() && outgoing.is_empty() && !arguments.json {
        output.say("no open offers").await;
    }
    Ok(())
}
