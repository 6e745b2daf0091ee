//! `contacts`: lists known clients and their keys, and forgets or blocks them. Needs no server, only its known key.

use chrono::Local;

use crate::cli;
use crate::cli::ContactsAction;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::{RowWriter, human, json};

/// Lists or changes contacts.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::ContactsArgs,
) -> Result<(), Failure> {
    let client = interface.client.clone();
    let (name, result) = match &arguments.action {
        None | Some(ContactsAction::List) => return list(interface, arguments.json).await,
        Some(ContactsAction::Forget(changed)) => {
            interface.drive(client.forget_contact(&changed.contact)).await??;
            (&changed.contact, "forgotten")
        }
        Some(ContactsAction::Block(changed)) => {
            interface.drive(client.set_blocked(&changed.contact, true)).await??;
            (&changed.contact, "blocked")
        }
        Some(ContactsAction::Unblock(changed)) => {
            interface.drive(client.set_blocked(&changed.contact, false)).await??;
            (&changed.contact, "unblocked")
        }
    };
    if arguments.json {
        let line = json::line(&json::peers::ContactChange { name, result });
        return interface.output.data(line + "\n").await;
    }
    interface.output.say(format!("{name}: {result}")).await;
    Ok(())
}

/// Lists the contacts of all servers. Needs no server.
async fn list(interface: &mut Interface, as_json: bool) -> Result<(), Failure> {
    let (client, output) = (interface.client.clone(), interface.output.clone());
    let mut contacts = interface.drive(client.contacts()).await??;
    contacts.sort_by_key(|contact| (contact.server, contact.name.key()));
    let has_several = contacts.windows(2).any(|pair| pair[0].server != pair[1].server);
    let (mut rows, mut server) = (RowWriter::plain(&output), None);
    for contact in &contacts {
        if as_json {
            rows.push(&json::line(&json::peers::ContactRow::new(contact))).await?;
            continue;
        }
        if has_several && server.replace(contact.server) != Some(contact.server) {
            rows.push(&format!("Server {}:", contact.server)).await?;
        }
        rows.push(&human::peers::contact(contact, output.data_width(), &Local)).await?;
    }
    rows.finish().await?;
    if contacts.is_empty() && !as_json {
        output.say("no contacts").await;
    }
    Ok(())
}
