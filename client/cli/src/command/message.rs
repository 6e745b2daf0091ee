//! `message`: sends a message to the server and prints its reply.

use quiver_protocol::text::display_safe;

use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::RowWriter;

/// Sends a message and prints the server's reply.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(interface: &mut Interface, text: &str) -> Result<(), Failure> {
    interface.connect().await?;
    let client = interface.client.clone();
    let reply = interface.drive(client.message(text)).await??;
    let mut rows = RowWriter::reply(&interface.output);
    rows.push(&display_safe(&reply)).await?;
    rows.finish().await
}
