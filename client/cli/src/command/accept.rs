//! `accept`: accepts an offer of another client, and stores its files.

use std::time::Duration;

use quiver_client::request::AcceptRequest;
use quiver_client::{ClientError, RunningTransfer, TransferEnd};

use crate::cli;
use crate::failure::Failure;
use crate::interface::{Interface, TransferStyle};

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
    let end = tokio::select! {
        end = interface.drive(running.wait()) => end?,
        () = interrupts.next() => {
            let hint = format!("quiver accept {} continues", arguments.number);
            return Err(Failure::Continuable { hint });
        }
    };
    match end {
        TransferEnd::Done => Ok(()),
        TransferEnd::Failed(error) => Err(Failure::Client(error)),
        TransferEnd::Cancelled => Err(ClientError::Interrupted.into()),
    }
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
    let client = interface.client.clone();
    let accepted = interface.drive(client.accept_offer(arguments.number, request)).await?;
    let running = accepted?;
    let style = TransferStyle { json: arguments.json, ..TransferStyle::default() };
    interface.set_style(running.id, style);
    Ok(running)
}
