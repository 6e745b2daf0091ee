//! `status`: lists connected clients and earlier ones.

use chrono::Local;

use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::{RowWriter, human, json};

/// Prints connected clients and earlier ones.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::StatusArgs,
) -> Result<(), Failure> {
    interface.connect().await?;
    let (client, output) = (interface.client.clone(), interface.output.clone());
    let status = async {
        let mut clients = client.status().await?;
        let mut rows = RowWriter::new(&output, arguments.json);
        while let Some(row) = clients.next().await? {
            let line =
                if arguments.json { json::line(&row) } else { human::client_row(&row, &Local) };
            rows.push(&line).await?;
        }
        rows.finish().await
    };
    interface.drive(status).await?
}
