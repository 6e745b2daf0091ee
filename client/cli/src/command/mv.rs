//! `mv`: moves or renames a file or folder on the server.

use quiver_client::commands::parse_path;
use quiver_protocol::text::display_safe;

use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::json;

/// Moves a file or folder.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(interface: &mut Interface, arguments: &cli::MvArgs) -> Result<(), Failure> {
    interface.connect().await?;
    let from = parse_path(&arguments.from, "move")?;
    let (client, overwrite) = (interface.client.clone(), arguments.overwrite);
    let to = interface.drive(client.rename(&from, &arguments.to, overwrite)).await??;
    let output = &interface.output;
    if arguments.json {
        return output.data(json::line(&json::RenamedLine { from: &from, to: &to }) + "\n").await;
    }
    let (from, to) = (display_safe(from.as_str()), display_safe(to.as_str()));
    output.say(format!("{from} is now {to}")).await;
    Ok(())
}
