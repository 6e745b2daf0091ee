//! A served folder on a real disk: opening and listing what is in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use quiver_protocol::{FilePath, FolderPath};

use super::*;
use crate::list::EntrySource as _;
use crate::{BackgroundPool, Source};

fn served_folder() -> (tempfile::TempDir, Arc<Dir>) {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("root");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(root.join("a.txt"), "content").unwrap();
    fs::write(root.join("sub/b.txt"), "more").unwrap();
    fs::write(temporary.path().join("secret"), "secret").unwrap();
    let root = Dir::open_ambient_dir(&root, ambient_authority()).unwrap();
    (temporary, Arc::new(root))
}

fn open(root: &Dir, path: &str) -> Result<Source, ServedPathError> {
    open_file(root, &FilePath::parse(path).unwrap())
}

/// The paths in a folder, and how many names are not served.
async fn list(root: &Arc<Dir>, folder: &str) -> Result<(Vec<String>, u64), ServedPathError> {
    let (pool, memory) = (BackgroundPool::new(1), FixedMemory::new(1 << 20));
    let folder = FolderPath::parse(folder).unwrap();
    let mut listing =
        FolderListing::start(root.clone(), folder.clone(), folder, pool.lane(1), memory).await?;
    let mut paths = Vec::new();
    loop {
        let batch = listing.next_batch().await?;
        if batch.is_empty() {
            return Ok((paths, listing.not_served().count));
        }
        paths.extend(batch.iter().map(|entry| entry.path.to_string()));
    }
}

async fn names(root: &Arc<Dir>, folder: &str) -> Vec<String> {
    list(root, folder).await.unwrap().0
}

#[tokio::test]
async fn files_are_opened_by_their_paths() {
    let (_temporary, root) = served_folder();
    assert_eq!(open(&root, "a.txt").unwrap().size(), Some(7));
    assert_eq!(open(&root, "sub/b.txt").unwrap().size(), Some(4));
    assert_eq!(names(&root, "").await, ["a.txt", "sub"]);
    assert_eq!(names(&root, "sub").await, ["sub/b.txt"]);
}

#[tokio::test]
async fn folders_and_special_files_are_not_opened_as_files() {
    let (temporary, root) = served_folder();
    let folder = temporary.path().join("root");
    let _socket = UnixListener::bind(folder.join("socket")).unwrap();
    let pipe = folder.join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for name in ["socket", "pipe", "sub"] {
        assert!(matches!(open(&root, name), Err(ServedPathError::NotAFile)), "{name}");
    }
    for name in ["missing", "sub/missing", "missing/a", &"x".repeat(255)] {
        assert!(matches!(open(&root, name), Err(ServedPathError::NotFound)), "{name}");
    }
    assert!(matches!(open(&root, "a.txt/b"), Err(ServedPathError::NotAFolder)));
    assert!(matches!(list(&root, "a.txt").await, Err(ServedPathError::NotAFolder)));
    let (paths, not_served) = list(&root, "").await.unwrap();
    assert_eq!((paths.len(), not_served), (2, 2));
}

#[tokio::test]
async fn no_link_is_followed() {
    let (temporary, root) = served_folder();
    let folder = temporary.path().join("root");
    symlink("../secret", folder.join("out")).unwrap();
    symlink("a.txt", folder.join("in")).unwrap();
    symlink("sub", folder.join("folder")).unwrap();
    symlink("missing", folder.join("dangling")).unwrap();
    for name in ["out", "in", "folder", "folder/b.txt", "dangling"] {
        assert!(matches!(open(&root, name), Err(ServedPathError::SymbolicLink)), "{name}");
    }
    assert!(matches!(list(&root, "folder").await, Err(ServedPathError::SymbolicLink)));
    assert_eq!(list(&root, "").await.unwrap().1, 4);
}

#[tokio::test]
async fn partial_files_are_neither_opened_nor_listed() {
    let (temporary, root) = served_folder();
    let name = ".quiver-0123456789abcdef.part";
    fs::write(temporary.path().join("root").join(name), "half").unwrap();
    assert!(matches!(open(&root, name), Err(ServedPathError::NotFound)));
    assert_eq!(names(&root, "").await, ["a.txt", "sub"]);
    assert_eq!(list(&root, "").await.unwrap().1, 0);
}

#[tokio::test]
async fn a_list_is_in_byte_order_and_omits_illegal_names() {
    let (temporary, root) = served_folder();
    let sub = temporary.path().join("root/sub");
    for name in ["é", "Z", "a-b", "a", "nul", "ends.", "two\nlines"] {
        fs::write(sub.join(name), "").unwrap();
    }
    let (paths, not_served) = list(&root, "sub").await.unwrap();
    assert_eq!(paths, ["sub/Z", "sub/a", "sub/a-b", "sub/b.txt", "sub/é"]);
    assert_eq!(not_served, 3);
}
