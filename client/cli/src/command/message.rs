//! `message`: a text for the server, and its answer.

use quiver_protocol::text::display_safe;

use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::RowWriter;

/// Sends a message and prints the answer.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(interface: &mut Interface, text: &str) -> Result<(), Failure> {
    interface.connect().await?;
    let client = interface.client.clone();
    let answer = interface.drive(client.message(text)).await??;
    let mut rows = RowWriter::of_the_server(&interface.output);
    rows.push(&display_safe(&answer)).await?;
    rows.finish().await
}
