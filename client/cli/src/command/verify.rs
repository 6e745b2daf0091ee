//! `verify`: compares keys with another client. Both people see the same digits.

use quiver_client::ClientError;
use quiver_client::error::PeerError;

use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::{human, json};

/// Compares keys.
///
/// # Errors
/// [`Failure`], also if one of the two people sees other digits.
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::VerifyArgs,
) -> Result<(), Failure> {
    if !interface.output.has_person() {
        let what = "verify shows digits to compare, which needs a terminal";
        return Err(Failure::usage(what, "run it at a terminal, without a pipe"));
    }
    interface.connect().await?;
    let (client, name) = (interface.client.clone(), &arguments.client);
    let is_verified = interface.drive(client.verify(name)).await??;
    if arguments.json {
        let line = json::line(&json::peers::VerifiedLine { name, verified: is_verified });
        interface.output.data(line + "\n").await?;
    }
    if is_verified {
        interface.output.say(human::peers::verified(name)).await;
        Ok(())
    } else {
        Err(ClientError::from(PeerError::DigitsDiffer(name.clone())).into())
    }
}
