use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;

fn folder() -> (tempfile::TempDir, Files) {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("root");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(root.join("a.txt"), "content").unwrap();
    fs::write(root.join("sub/b.txt"), "more").unwrap();
    fs::write(temporary.path().join("secret"), "secret").unwrap();
    let files = Files::open_root(&root).unwrap();
    (temporary, files)
}

fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

async fn names(files: &Files, folder: &str) -> Vec<String> {
    let listing = files.list(&FolderPath::parse(folder).unwrap()).await.unwrap();
    listing.entries.iter().map(|entry| entry.path.to_string()).collect()
}

#[tokio::test]
async fn files_are_found_by_their_parts() {
    let (_temporary, files) = folder();
    assert_eq!(files.open(&path("a.txt")).await.unwrap().size(), Some(7));
    assert_eq!(files.open(&path("sub/b.txt")).await.unwrap().size(), Some(4));
    assert_eq!(names(&files, "").await, ["a.txt", "sub"]);
    assert_eq!(names(&files, "sub").await, ["sub/b.txt"]);
}

#[tokio::test]
async fn what_is_no_file_is_not_opened() {
    let (temporary, files) = folder();
    let root = temporary.path().join("root");
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    let pipe = root.join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for name in ["socket", "pipe", "sub"] {
        assert!(matches!(files.open(&path(name)).await, Err(FilesError::NotAFile)), "{name}");
    }
    for name in ["missing", "sub/missing", "missing/a", &"x".repeat(255)] {
        assert!(matches!(files.open(&path(name)).await, Err(FilesError::NotFound)), "{name}");
    }
    assert!(matches!(files.open(&path("a.txt/b")).await, Err(FilesError::NotAFolder)));
    let file = FolderPath::parse("a.txt").unwrap();
    assert!(matches!(files.list(&file).await, Err(FilesError::NotAFolder)));
    let listing = files.list(&FolderPath::ROOT).await.unwrap();
    assert_eq!((listing.entries.len(), listing.not_served), (2, 2));
}

#[tokio::test]
async fn no_link_is_followed() {
    let (temporary, files) = folder();
    let root = temporary.path().join("root");
    symlink("../secret", root.join("out")).unwrap();
    symlink("a.txt", root.join("in")).unwrap();
    symlink("sub", root.join("folder")).unwrap();
    symlink("missing", root.join("dangling")).unwrap();
    for name in ["out", "in", "folder", "folder/b.txt", "dangling"] {
        assert!(matches!(files.open(&path(name)).await, Err(FilesError::Link)), "{name}");
    }
    let linked = FolderPath::parse("folder").unwrap();
    assert!(matches!(files.list(&linked).await, Err(FilesError::Link)));
    assert_eq!(files.list(&FolderPath::ROOT).await.unwrap().not_served, 4);
}

#[tokio::test]
async fn parts_of_transfers_are_nobodys_files() {
    let (temporary, files) = folder();
    let name = ".quiver-0123456789abcdef.part";
    fs::write(temporary.path().join("root").join(name), "half").unwrap();
    assert!(matches!(files.open(&path(name)).await, Err(FilesError::NotFound)));
    assert_eq!(names(&files, "").await, ["a.txt", "sub"]);
    assert_eq!(files.list(&FolderPath::ROOT).await.unwrap().not_served, 1);
}

#[tokio::test]
async fn a_list_is_in_byte_order_and_leaves_illegal_names_out() {
    let (temporary, files) = folder();
    let sub = temporary.path().join("root/sub");
    for name in ["é", "Z", "a-b", "a", "nul", "ends.", "two\nlines"] {
        fs::write(sub.join(name), "").unwrap();
    }
    let listing = files.list(&FolderPath::parse("sub").unwrap()).await.unwrap();
    let names: Vec<_> = listing.entries.iter().map(|entry| entry.path.file_name()).collect();
    assert_eq!(names, ["Z", "a", "a-b", "b.txt", "é"]);
    assert_eq!(listing.not_served, 3);
}
