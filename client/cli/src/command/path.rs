//! `path`: shows how the connection with another client runs.

use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::{RowWriter, human, json};

/// Connects with another client, and shows the path.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::PathArgs,
) -> Result<(), Failure> {
    interface.connect().await?;
    let client = interface.client.clone();
    let status = interface.drive(client.connect_peer(&arguments.client)).await??;
    let mut rows = RowWriter::plain(&interface.output);
    if arguments.json {
        rows.push(&json::line(&json::peers::PathRow::new(&status))).await?;
    } else {
        rows.push(&human::peers::path_report(&status)).await?;
    }
    rows.finish().await
}
