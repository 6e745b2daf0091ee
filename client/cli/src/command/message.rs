//! `message`: sends a message to the server and prints its reply.

use quiver_protocol::text::display_safe;

use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::{RowWriter, json};

/// Sends a message and prints the server's reply.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    text: &str,
    as_json: bool,
) -> Result<(), Failure> {
    interface.connect().await?;
    let client = interface.client.clone();
    let reply = interface.drive(client.message(text)).await??;
    let mut rows = RowWriter::new(&interface.output, as_json);
    if as_json {
        rows.push(&json::line(&json::ReplyLine { reply: &reply })).await?;
    } else {
        rows.push(&display_safe(&reply)).await?;
    }
    rows.finish().await
}
