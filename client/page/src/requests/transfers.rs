//! Requests that start and steer transfers.

use std::path::PathBuf;
use std::sync::Arc;

use quiver_client::Client;
use quiver_client::error::InvalidRequest;
use quiver_client::peer_store::OfferNumber;
use quiver_client::request::{
    AcceptRequest, ConflictPolicy, Destination, DownloadRequest, TransferOptions, UploadContent,
    UploadRequest,
};
use quiver_client::transfers::TransferId;
use quiver_client::tree::Decision;
use quiver_client::{ClientError, PreparedTransfer};
use quiver_control::client_source::{steer_transfer, transfer_files, unknown};
use quiver_control::facts::TransferFacts;
use quiver_control::view::TransferKind;
use quiver_control::{CommandText, Failure, Steering, TransferName};
use serde_json::json;

use super::{Outcome, call, lease_drop, reply, unfinished};
use crate::context::{ActiveClient, PageContext};
use crate::messages::OnConflict;
use crate::spool::DropUse;
use crate::transfer_records::{SERVER, TransferRecord, TransferRequest};

pub(super) async fn get(
    context: &Arc<PageContext>,
    paths: Vec<String>,
    folder: Option<&str>,
    on_conflict: OnConflict,
) -> Outcome {
    let folder = target_folder(context, folder)?;
    start(context, TransferRequest::Get { paths, folder, on_conflict }).await
}

pub(super) async fn put(
    context: &Arc<PageContext>,
    paths: &[String],
    to: String,
    on_conflict: OnConflict,
) -> Outcome {
    let paths = paths.iter().map(|path| context.local_path(path)).collect::<Result<_, _>>()?;
    start(context, TransferRequest::Put { paths, to, on_conflict }).await
}

pub(super) async fn accept(
    context: &Arc<PageContext>,
    offer: u64,
    folder: Option<&str>,
) -> Outcome {
    let folder = target_folder(context, folder)?;
    start(context, TransferRequest::Accept { offer, folder }).await
}

fn target_folder(context: &PageContext, folder: Option<&str>) -> Result<PathBuf, Failure> {
    match folder {
        Some(folder) => context.local_path(folder),
        None => Ok(PathBuf::from(&context.model().settings().folder)),
    }
}

/// Starts a transfer, and records how to repeat it.
pub(super) async fn start(context: &Arc<PageContext>, request: TransferRequest) -> Outcome {
    let active = context.active()?;
    let record = record(context, &active, &request);
    let lease = match &request {
        TransferRequest::PutSpooled { dropped, .. } => Some(lease_drop(context, *dropped).await?),
        _ => None,
    };
    let dropped = lease.as_ref().map(|lease| lease.paths.clone()).unwrap_or_default();
    let copy = request.clone();
    let started = call(context, &active, |client| start_on_client(client, copy, dropped)).await;
    // An offer may be accepted without that its sender can be reached now.
    active.notify_changed();
    let id = started?;
    if active.has_ended() {
        // The numbers of the next client's transfers begin again.
        return Err(Failure::interrupted());
    }
    if let Some(lease) = lease {
        lease.set_use(DropUse::Transfer(id));
    }
    context.records.lock().add(id, record);
    active.notify_changed();
    reply("transfer", TransferName::own(id).to_string())
}

async fn start_on_client(
    client: Client,
    request: TransferRequest,
    dropped: Vec<PathBuf>,
) -> Result<TransferId, ClientError> {
    let mut prepared = match request {
        TransferRequest::Get { paths, folder, on_conflict } => {
            let destination = Destination::Folder(folder);
            let options = options(on_conflict);
            client.prepare_download(DownloadRequest { paths, destination, options }).await?
        }
        TransferRequest::Put { paths, to, on_conflict } => {
            prepare_upload(&client, paths, to, options(on_conflict)).await?
        }
        TransferRequest::PutSpooled { to, on_conflict, .. } => {
            // A later run could not resume it: the content goes with this process.
            let options = TransferOptions { journal: false, ..options(on_conflict) };
            prepare_upload(&client, dropped, to, options).await?
        }
        TransferRequest::Accept { offer, folder } => {
            let request = AcceptRequest { folder, ..AcceptRequest::default() };
            return Ok(client.accept_offer(OfferNumber(offer), request).await?.id);
        }
    };
    client.check_with_server(&mut prepared).await?;
    start_prepared(&client, prepared)
}

/// Looks at local files, which the thread that drives QUIC must not wait for.
async fn prepare_upload(
    client: &Client,
    paths: Vec<PathBuf>,
    to: String,
    options: TransferOptions,
) -> Result<PreparedTransfer, ClientError> {
    let (client, content) = (client.clone(), UploadContent::Paths(paths));
    let prepared = quiver_transfer::blocking::run(move || {
        client.prepare_upload(UploadRequest { content, to, stored_as: None, options })
    });
    prepared.await.map_err(|_| ClientError::Interrupted)?
}

fn start_prepared(client: &Client, prepared: PreparedTransfer) -> Result<TransferId, ClientError> {
    match prepared.nothing_to_do() {
        Some(reason) => Err(reason),
        None => Ok(client.start(prepared)?.id),
    }
}

fn options(on_conflict: OnConflict) -> TransferOptions {
    let on_conflict = match on_conflict {
        OnConflict::Ask => ConflictPolicy::Ask,
        OnConflict::Replace => ConflictPolicy::Decided(Decision::Replace),
        OnConflict::KeepBoth => ConflictPolicy::Decided(Decision::KeepBoth),
        OnConflict::Skip => ConflictPolicy::Decided(Decision::Skip),
    };
    TransferOptions { recursive: true, on_conflict, ..TransferOptions::default() }
}

fn record(
    context: &PageContext,
    active: &ActiveClient,
    request: &TransferRequest,
) -> TransferRecord {
    let settings = active.client.settings();
    let own_name = context.model().connection().name.clone();
    let mut command = CommandText::new("quiver");
    command.option("--server", &active.server);
    command.path_option("--cert", settings.certificate.as_deref());
    command.option("--name", own_name.as_ref().map_or("", |name| name.as_str()));
    let conflict_flag = |on_conflict| match on_conflict {
        OnConflict::Ask => None,
        OnConflict::Replace => Some("--overwrite"),
        OnConflict::KeepBoth => Some("--keep-both"),
        OnConflict::Skip => Some("--skip"),
    };
    let (kind, with) = match request {
        TransferRequest::Get { paths, folder, on_conflict } => {
            command.words(["get", "--recursive"]).words(conflict_flag(*on_conflict));
            command.path_option("--output", Some(folder)).operands(paths);
            (TransferKind::Download, SERVER.to_owned())
        }
        TransferRequest::Put { paths, to, on_conflict } => {
            command.words(["put", "--recursive"]).words(conflict_flag(*on_conflict));
            command.option("--to", to);
            command.operands(paths.iter().map(|path| path.to_string_lossy()));
            (TransferKind::Upload, SERVER.to_owned())
        }
        TransferRequest::PutSpooled { .. } => {
            // No command has the content.
            command = CommandText::new("");
            (TransferKind::Upload, SERVER.to_owned())
        }
        TransferRequest::Accept { offer, folder } => {
            command.words(["accept"]);
            command.operands([offer.to_string().into(), folder.to_string_lossy()]);
            let sender = context.model().incoming(*offer).map(|offer| offer.from.clone());
            let with = sender.map(|name| format!("@{name}")).unwrap_or_default();
            (TransferKind::Receive, with)
        }
    };
    let (command, local) = (command.finish(), request.local());
    let facts = TransferFacts { kind, with, command, local, is_listed: true, is_repeatable: true };
    TransferRecord { facts, request: Some(request.clone()) }
}

/// The transfer of this name.
fn parse(name: &str) -> Result<TransferName, Failure> {
    let unknown = || Failure::new("not_found", format!("there is no transfer {name}"));
    name.parse().map_err(|_| unknown())
}

/// The transfer of this process with this name.
fn find_own(name: &str) -> Result<TransferId, Failure> {
    match parse(name)? {
        own @ TransferName::Transfer { id, .. } if own.is_own() => Ok(id),
        name => Err(unknown(name)),
    }
}

/// Pauses, resumes or cancels a transfer of this or another process, or resumes an unfinished one.
pub(super) async fn steer(context: &PageContext, name: &str, steering: Steering) -> Outcome {
    let name = parse(name)?;
    match name {
        TransferName::Unfinished(id) if steering == Steering::Resume => {
            unfinished::resume(context, id).await
        }
        TransferName::Unfinished(_) => {
            Err(Failure::invalid("the transfer is not running: it can be resumed or removed"))
        }
        name if name.is_own() => steer_own(context, name, steering).await,
        name => {
            let processes = context.processes();
            match steering {
                Steering::Pause => processes.pause(name).await,
                Steering::Resume => processes.resume(name).await,
                Steering::Cancel => processes.cancel(name).await,
            }
        }
    }
}

/// Pauses, resumes or cancels a transfer of this process.
pub(crate) async fn steer_own(
    context: &PageContext,
    name: TransferName,
    steering: Steering,
) -> Outcome {
    let active = context.active()?;
    match (name, steering) {
        (TransferName::Transfer { id, .. }, steering) => {
            steer_transfer(&active.client, id, steering)?;
        }
        (TransferName::Offer { number, .. }, Steering::Cancel) => {
            let work = |client: Client| async move { client.withdraw_offer(number).await };
            call(context, &active, work).await?;
            active.notify_changed();
        }
        (TransferName::Offer { .. } | TransferName::Unfinished(_), _) => {
            return Err(Failure::invalid("the sender of an offer cannot pause it"));
        }
    }
    Ok(json!({}))
}

/// Repeats a transfer that has ended. Files that are there already are not transferred again.
pub(super) async fn retry(context: &Arc<PageContext>, name: &str) -> Outcome {
    let (active, id) = (context.active()?, find_own(name)?);
    if !active.client.transfer(id)?.state.is_over() {
        return Err(InvalidRequest::UnknownTransfer(id.0).into());
    }
    let request = context.records.lock().request(id);
    let request = request.ok_or(InvalidRequest::UnknownTransfer(id.0))?;
    let started = start(context, request).await?;
    context.records.lock().remove(id);
    active.notify_changed();
    Ok(started)
}

/// Removes a transfer that has ended from the list, or an unfinished one with its partial file.
pub(super) async fn remove(context: &PageContext, name: &str) -> Outcome {
    if let TransferName::Unfinished(id) = parse(name)? {
        return unfinished::remove(context, id).await;
    }
    let (active, id) = (context.active()?, find_own(name)?);
    if !active.client.transfer(id)?.state.is_over() {
        return Err(Failure::invalid("the transfer is running"));
    }
    context.records.lock().remove(id);
    active.notify_changed();
    Ok(json!({}))
}

pub(super) async fn files(context: &PageContext, name: &str, after: u64, limit: usize) -> Outcome {
    match parse(name)? {
        own if own.is_own() => own_files(context, own, after, limit).await,
        // It is not known before it is resumed.
        TransferName::Unfinished(_) => Ok(json!({ "files": [], "more": false })),
        other => context.processes().files(other, after, limit).await,
    }
}

/// A page of the files of a transfer of this process.
pub(crate) async fn own_files(
    context: &PageContext,
    name: TransferName,
    after: u64,
    limit: usize,
) -> Outcome {
    let TransferName::Transfer { id, .. } = name else { return Err(unknown(name)) };
    let client = context.active()?.client.clone();
    context.on_client(async move { transfer_files(&client, id, after, limit).await }).await?
}
