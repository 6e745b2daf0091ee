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
    if arguments.json {
        let mut rows = RowWriter::plain(&output);
        for offer in &incoming {
            rows.push(&json::line(&json::peers::OfferRow::incoming(offer))).await?;
        }
        for offer in &outgoing {
            rows.push(&json::line(&json::peers::OfferRow::outgoing(offer))).await?;
        }
        return rows.finish().await;
    }
    let incoming = incoming.iter().map(|offer| human::offers::incoming_row(offer, &Local));
    let outgoing = outgoing.iter().map(|offer| human::offers::outgoing_row(offer, &Local));
    let rows: Vec<_> = incoming.chain(outgoing).collect();
    output.table(&rows).await?;
    if rows.is_empty() {
        output.say("no open offers").await;
    }
    Ok(())
}
