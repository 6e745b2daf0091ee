//! `trust`: lists the servers whose fingerprints were confirmed, and forgets one. Needs no server.

use chrono::Local;
use quiver_client::folders::Folders;
use quiver_client::known_servers::KnownServers;
use quiver_transfer::blocking;

use crate::cli::{TrustAction, TrustArgs};
use crate::config::ServerEntries;
use crate::failure::{Failure, TrustListError};
use crate::output::{Output, RowWriter, human, json, table};
use crate::server_choice::ServerChoice;

/// Lists or forgets known servers.
///
/// # Errors
/// [`Failure`]: [`TrustListError::Unknown`] if the server to forget is not known.
pub async fn run(
    folders: &Folders,
    entries: &ServerEntries,
    output: &Output,
    arguments: &TrustArgs,
) -> Result<(), Failure> {
    let known = folders.known_servers().map_err(|why| TrustListError::Folder(why.clone()))?;
    match &arguments.action {
        None | Some(TrustAction::List) => list(known, output, arguments.json).await,
        Some(TrustAction::Forget { host }) => {
            forget(known, entries, output, host, arguments.json).await
        }
    }
}

async fn list(known: KnownServers, output: &Output, as_json: bool) -> Result<(), Failure> {
    let servers = on_disk(move || Ok(known.list()?)).await?;
    let mut rows = RowWriter::plain(output);
    let cells: Vec<_> = servers.iter().map(|server| human::known_server(server, &Local)).collect();
    for (server, row) in servers.iter().zip(table::aligned(&cells, None)) {
        if as_json {
            rows.push(&json::line(&json::KnownServerLine::new(server))).await?;
        } else {
            rows.push(&row).await?;
            rows.push(&human::fingerprint_row(&server.fingerprint)).await?;
        }
    }
    rows.finish().await?;
    if servers.is_empty() && !as_json {
        output.say("no known servers").await;
    }
    Ok(())
}

async fn forget(
    known: KnownServers,
    entries: &ServerEntries,
    output: &Output,
    host: &ServerChoice,
    as_json: bool,
) -> Result<(), Failure> {
    let address = entries.address(host);
    let server = address.to_string();
    if !on_disk(move || Ok(known.forget(&address)?)).await? {
        return Err(TrustListError::Unknown(server).into());
    }
    if as_json {
        let line = json::line(&json::ForgottenServerLine { server: &server, result: "forgotten" });
        return output.data(line + "\n").await;
    }
    output.say(format!("{server}: forgotten")).await;
    Ok(())
}

/// Runs work with the file on a thread for such work.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TrustListError> + Send + 'static,
) -> Result<T, Failure> {
    match blocking::run(work).await {
        Ok(result) => Ok(result?),
        // Only while the runtime shuts down.
        Err(_) => Err(Failure::Interrupted(None)),
    }
}
