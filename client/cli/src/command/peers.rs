//! `peers`: lists the other connected clients, and whether they can be reached.

use std::collections::HashMap;

use quiver_client::peer_path::PeerPath;

use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::{RowWriter, human, json};
use crate::ui_mode::UiMode;

/// Lists the other connected clients.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::PeersArgs,
) -> Result<(), Failure> {
    interface.connect().await?;
    let (client, output) = (interface.client.clone(), interface.output.clone());
    let list = async {
        let (own, server) = (client.welcome()?.name.key(), client.server_key()?);
        let contacts = client.contacts().await?;
        let contacts: HashMap<_, _> = contacts
            .into_iter()
            .filter(|contact| contact.server == server && !contact.keys.is_empty())
            .map(|contact| (contact.name.key(), contact))
            .collect();
        let mut paths: HashMap<String, PeerPath> = HashMap::new();
        for status in client.peer_statuses() {
            if status.path != PeerPath::Closed {
                paths.insert(status.name.key(), status.path);
            }
        }
        let mut clients = client.status().await?;
        let mut json_rows = RowWriter::plain(&output);
        let (mut table, mut is_empty) = (Vec::new(), true);
        while let Some(row) = clients.next().await? {
            let key = row.name.key();
            if row.end.is_some() || key == own {
                continue;
            }
            is_empty = false;
            let contact = contacts.get(&key);
            let verified = contact.map(|known| known.keys.iter().any(|key| key.verified.is_some()));
            let (name, reachable, path) = (&row.name, row.reachable, paths.get(&key));
            if arguments.json {
                let path = path.map(json::peers::path_kind);
                let row = json::peers::PeerRow { name, reachable, verified, path };
                json_rows.push(&json::line(&row)).await?;
            } else {
                table.push(human::peers::peer(name, reachable, verified, path));
            }
        }
        json_rows.finish().await?;
        output.table(&table).await?;
        if is_empty && !arguments.json && output.mode() != UiMode::Batch {
            output.say("no other client is connected").await;
        }
        Ok(())
    };
    interface.drive(list).await?
}
