//! Requests about files of this computer, below the home folder: the lists to choose from, and "show in folder".

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use quiver_protocol::Timestamp;
use quiver_protocol::reply::EntryKind;
use quiver_transfer::blocking;
use serde::Serialize;
use serde_json::json;

use super::Outcome;
use crate::browser;
use crate::context::PageContext;
use quiver_control::Failure;

/// Entries of a page of a folder.
const MAX_PAGE: usize = 5000;

/// A file or folder of this computer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LocalEntry {
    /// The absolute path.
    path: String,
    name: String,
    kind: EntryKind,
    size: u64,
    /// When its content was last modified, if the file system tells.
    modified: Option<Timestamp>,
    readable: bool,
}

/// A page of a folder's entries.
#[derive(Debug, PartialEq, Eq)]
struct LocalPage {
    /// The folder without links.
    folder: String,
    /// Files and folders, in byte order of their names.
    entries: Vec<LocalEntry>,
    has_more: bool,
    /// Entries that cannot be chosen: neither files nor folders, or with a name that is not UTF-8.
    left_out: usize,
}

/// Lists a folder below the home folder; the empty text is the home folder.
pub(super) async fn list(
    context: &PageContext,
    folder: &str,
    after: Option<String>,
    limit: usize,
) -> Outcome {
    let path = if folder.is_empty() { context.home.clone() } else { context.local_path(folder)? };
    let (home, limit) = (context.home.clone(), limit.clamp(1, MAX_PAGE));
    let shown = path.clone();
    let work = move || read_page(&home, &path, after.as_deref(), limit);
    let page = blocking::run(work).await.map_err(|_| Failure::interrupted())?;
    let page = page.map_err(|error| {
        let code = if error.kind() == io::ErrorKind::NotFound { "not_found" } else { "local_disk" };
        Failure::new(code, format!("cannot list {}: {error}", shown.display()))
    })?;
    let is_home = is_same_folder(Path::new(&page.folder), &context.home);
    let parent = Path::new(&page.folder).parent().and_then(Path::to_str).filter(|_| !is_home);
    let mut listed = json!({
        "folder": page.folder,
        "parent": parent,
        "entries": page.entries,
        "more": page.has_more,
    });
    if page.left_out > 0 {
        let what = if page.left_out == 1 { "entry" } else { "entries" };
        listed["partial_note"] = format!("{} {what} cannot be chosen", page.left_out).into();
    }
    Ok(listed)
}

fn is_same_folder(folder: &Path, home: &Path) -> bool {
    home.canonicalize().is_ok_and(|home| folder == home)
}

/// Reads the entries after a name. A link may lead to another place below the home folder, but not out of it.
fn read_page(
    home: &Path,
    folder: &Path,
    after: Option<&str>,
    limit: usize,
) -> io::Result<LocalPage> {
    let folder = folder.canonicalize()?;
    if !folder.starts_with(home.canonicalize()?) {
        let why = "it is not below your home folder";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    // Messages of the page are UTF-8.
    let folder = folder.into_os_string().into_string().map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidFilename, "its name is not valid UTF-8")
    })?;
    let (mut names, mut left_out) = (Vec::new(), 0);
    for entry in fs::read_dir(&folder)? {
        match entry?.file_name().into_string() {
            Ok(name) if after.is_none_or(|after| name.as_str() > after) => names.push(name),
            Ok(_) => {}
            Err(_) => left_out += 1,
        }
    }
    names.sort_unstable();
    let mut page = LocalPage { folder, entries: Vec::new(), has_more: false, left_out };
    for name in names {
        if page.entries.len() == limit {
            page.has_more = true;
            break;
        }
        match inspect(Path::new(&page.folder), name) {
            Some(entry) => page.entries.push(entry),
            None => page.left_out += 1,
        }
    }
    Ok(page)
}

/// `None` for what is neither a file nor a folder, and for what has gone meanwhile.
fn inspect(folder: &Path, name: String) -> Option<LocalEntry> {
    let path = folder.join(&name);
    let metadata = path.metadata().ok()?;
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => EntryKind::Folder,
        kind if kind.is_file() => EntryKind::File,
        _ => return None,
    };
    let modified = metadata.modified().ok().and_then(timestamp);
    let readable = rustix::fs::access(&path, rustix::fs::Access::READ_OK).is_ok();
    let size = if kind == EntryKind::File { metadata.len() } else { 0 };
    let path = path.into_os_string().into_string().ok()?;
    Some(LocalEntry { path, name, kind, size, modified, readable })
}

/// `None` for times that a timestamp cannot hold.
fn timestamp(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let seconds = i64::try_from(since.as_secs()).ok()?;
    DateTime::<Utc>::from_timestamp(seconds, since.subsec_nanos()).map(Timestamp)
}

/// Opens the folder of a path with the desktop's file manager.
pub(super) async fn show(context: &PageContext, path: &str) -> Outcome {
    let path = context.local_path(path)?;
    let look = path.clone();
    let folder = blocking::run(move || {
        let is_folder = look.metadata()?.is_dir();
        let parent = look.parent().map(Path::to_path_buf);
        io::Result::Ok(if is_folder { look } else { parent.unwrap_or_default() })
    });
    let folder = folder.await.map_err(|_| Failure::interrupted())?;
    let failed = |error: io::Error| {
        Failure::new("local_disk", format!("cannot show {}: {error}", path.display()))
    };
    let folder = folder.map_err(failed)?;
    browser::open_on_desktop(&folder).map_err(|error| {
        let text = format!("cannot open {} with xdg-open: {error}", folder.display());
        Failure::new("other", text)
    })?;
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(page: &LocalPage) -> Vec<&str> {
        page.entries.iter().map(|entry| entry.name.as_str()).collect()
    }

    #[test]
    fn pages_follow_each_other_in_the_order_of_names() {
        let home = tempfile::tempdir().unwrap();
        for name in ["b", "a", "d", "c"] {
            fs::write(home.path().join(name), name).unwrap();
        }
        fs::create_dir(home.path().join("B")).unwrap();
        let read = |after| read_page(home.path(), home.path(), after, 2).unwrap();
        let first = read(None);
        assert_eq!((names(&first), first.has_more), (vec!["B", "a"], true));
        assert_eq!((first.entries[0].kind, first.entries[0].size), (EntryKind::Folder, 0));
        assert_eq!((first.entries[1].kind, first.entries[1].size), (EntryKind::File, 1));
        assert!(first.entries[1].readable && first.entries[1].modified.is_some());
        let last = read(Some("b"));
        assert_eq!((names(&last), last.has_more), (vec!["c", "d"], false));
    }

    #[test]
    fn links_do_not_lead_out_of_the_home_folder() {
        let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("secret"), "").unwrap();
        symlink(other.path(), home.path().join("out")).unwrap();
        let refused = read_page(home.path(), &home.path().join("out"), None, 10).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_folder_whose_name_is_not_text_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(OsStr::from_bytes(b"\xff"));
        fs::create_dir(&folder).unwrap();
        // A page can name it through a link.
        let link = home.path().join("link");
        symlink(&folder, &link).unwrap();
        let refused = read_page(home.path(), &link, None, 10).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidFilename);
        let page = read_page(home.path(), home.path(), None, 10).unwrap();
        assert_eq!((names(&page), page.left_out), (vec!["link"], 1));
    }

    #[test]
    fn what_cannot_be_chosen_is_counted() {
        let home = tempfile::tempdir().unwrap();
        symlink("nowhere", home.path().join("broken")).unwrap();
        let pipe = home.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let page = read_page(home.path(), home.path(), None, 10).unwrap();
        assert_eq!((page.entries.len(), page.left_out), (0, 2));
    }
}
