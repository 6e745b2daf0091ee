//! `list`: lists a folder of the server.

use quiver_client::ListItem;

use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::{RowWriter, human, json};
use crate::ui_mode::UiMode;

/// Prints the entries of a folder.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::ListArgs,
) -> Result<(), Failure> {
    interface.connect().await?;
    let (client, output) = (interface.client.clone(), interface.output.clone());
    let list = async {
        let mut entries = client.list(&arguments.path).await?;
        let mut rows = RowWriter::new(&output, arguments.json);
        loop {
            match entries.next().await? {
                ListItem::Entry(entry) if arguments.json => rows.push(&json::line(&entry)).await?,
                ListItem::Entry(entry) => rows.push(&human::folder_entry(&entry)).await?,
                ListItem::End(end) => {
                    rows.finish().await?;
                    if end.entries == 0 && output.mode() == UiMode::Prompt && !arguments.json {
                        output.say("Server: the folder is empty").await;
                    }
                    if end.not_served > 0 {
                        output.say(human::not_served(end.not_served)).await;
                    }
                    return Ok(());
                }
            }
        }
    };
    interface.drive(list).await?
}
