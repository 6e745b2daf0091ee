//! `status`: lists connected clients and earlier ones.

use std::collections::VecDeque;

use chrono::Local;
use quiver_protocol::reply::ClientRow;

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
        let mut last = VecDeque::new();
        while let Some(row) = clients.next().await? {
            if arguments.here && row.end.is_some() {
                continue;
            }
            let Some(count) = arguments.last else {
                rows.push(&line(&row, arguments.json)).await?;
                continue;
            };
            if last.len() == count as usize {
                last.pop_front();
            }
            last.push_back(row);
        }
        for row in last {
            rows.push(&line(&row, arguments.json)).await?;
        }
        rows.finish().await
    };
    interface.drive(status).await?
}

fn line(row: &ClientRow, as_json: bool) -> String {
    if as_json { json::line(&json::ClientLine::new(row)) } else { human::client_row(row, &Local) }
}
