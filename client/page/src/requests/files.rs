//! Requests about the server's files.

use quiver_client::commands::parse_path;
use quiver_client::{Client, ClientError, ListItem};
use quiver_protocol::reply::FolderEntry;
use serde_json::json;

use super::{Outcome, call, reply, report_changed_folder};
use crate::context::PageContext;
use crate::views::EntryView;
use quiver_control::Failure;

/// Entries of a page of a folder.
const MAX_PAGE: usize = 5000;

/// Paths that one request removes.
const MAX_REMOVED: usize = 10_000;

/// A page of a folder.
#[derive(Debug)]
struct FolderPage {
    entries: Vec<FolderEntry>,
    has_more: bool,
    /// Names that the server does not serve; known at the end of the folder.
    not_served: u64,
}

/// Lists the entries after a name, in byte order.
pub(super) async fn list(
    context: &PageContext,
    folder: String,
    after: Option<String>,
    limit: usize,
) -> Outcome {
    let active = context.active()?;
    let limit = limit.clamp(1, MAX_PAGE);
    let work = |client| load_page(client, folder, after, limit);
    let page = call(context, &active, work).await?;
    let entries: Vec<_> = page.entries.into_iter().map(view).collect();
    let mut listed = json!({ "entries": entries, "more": page.has_more });
    if page.not_served > 0 {
        listed["partial_note"] = not_served(page.not_served).into();
    }
    Ok(listed)
}

async fn load_page(
    client: Client,
    folder: String,
    after: Option<String>,
    limit: usize,
) -> Result<FolderPage, ClientError> {
    let mut page = FolderPage { entries: Vec::new(), has_more: false, not_served: 0 };
    let mut listed = client.list(&folder).await?;
    loop {
        match listed.next().await? {
            ListItem::Entry(entry) => {
                let is_before =
                    after.as_deref().is_some_and(|after| entry.path.file_name() <= after);
                if is_before {
                    continue;
                }
                if page.entries.len() == limit {
                    page.has_more = true;
                    return Ok(page);
                }
                page.entries.push(entry);
            }
            ListItem::End(end) => {
                page.not_served = end.not_served;
                return Ok(page);
            }
        }
    }
}

fn view(entry: FolderEntry) -> EntryView {
    EntryView {
        path: entry.path.to_string(),
        name: entry.path.file_name().to_owned(),
        kind: entry.kind,
        size: entry.size,
        modified: entry.modified,
    }
}

fn not_served(names: u64) -> String {
    match names {
        1 => "1 entry is not listed: the server does not serve it".to_owned(),
        names => format!("{names} entries are not listed: the server does not serve them"),
    }
}

pub(super) async fn make_folder(context: &PageContext, path: &str) -> Outcome {
    let active = context.active()?;
    active.client.require_upload_permission("cannot make a folder")?;
    let folder = parse_path(path, "make")?;
    let shown = folder.to_string();
    let work = |client: Client| async move { client.make_folder(&folder).await };
    if !call(context, &active, work).await? {
        return Err(ClientError::FolderExists { path: shown }.into());
    }
    report_changed_folder(context, &shown);
    Ok(json!({}))
}

pub(super) async fn rename(context: &PageContext, from: &str, to: &str) -> Outcome {
    let active = context.active()?;
    let (source, target) = (parse_path(from, "move")?, to.to_owned());
    let work = |client: Client| async move { client.rename(&source, &target, false).await };
    let renamed = call(context, &active, work).await?;
    report_changed_folder(context, from);
    report_changed_folder(context, renamed.as_str());
    reply("path", renamed.as_str())
}

/// Removes files and empty folders, one after the other. Only a lost connection ends this early; other failures are collected.
pub(super) async fn remove(context: &PageContext, paths: Vec<String>) -> Outcome {
    let active = context.active()?;
    active.client.require_upload_permission("cannot remove files")?;
    if paths.len() > MAX_REMOVED {
        return Err(Failure::invalid(format!("at most {MAX_REMOVED} paths at once")));
    }
    let (mut removed, mut failed) = (0, Vec::new());
    let mut rest = paths.into_iter();
    for path in rest.by_ref() {
        let outcome = async {
            let path = parse_path(&path, "remove")?;
            let work = |client: Client| async move { client.remove(&path).await };
            call(context, &active, work).await
        };
        match outcome.await {
            Ok(()) => {
                removed += 1;
                report_changed_folder(context, &path);
            }
            Err(failure) => {
                let is_lost = failure.code == "connection";
                failed.push(failure);
                if is_lost {
                    break;
                }
            }
        }
    }
    failed.extend(rest.map(|path| Failure::new("connection", format!("{path} was not removed"))));
    Ok(json!({ "removed": removed, "failed": failed }))
}
