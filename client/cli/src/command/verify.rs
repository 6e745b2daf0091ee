//! `verify`: compares keys with another client. Both people see the same digits.

use quiver_client::ClientError;
use quiver_client::error::PeerError;

use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::human;

/// Compares keys.
///
/// # Errors
/// [`Failure`], also if one of the two people sees other digits.
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::VerifyArgs,
) -> Result<(), Failure> {
    if !interface.output.can_ask() {
        let what = "verify shows digits to compare, which needs a terminal";
        return Err(Failure::usage(what, "run it at a terminal, without a pipe"));
    }
    interface.connect().await?;
    let (client, name) = (interface.client.clone(), &arguments.client);
    if interface.drive(client.verify(name)).await?? {
        interface.output.say(human::peers::verified(name)).await;
        Ok(())
    } else {
        Err(ClientError::from(PeerError::DigitsDiffer(name.clone())).into())
    }
}
