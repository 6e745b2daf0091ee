//! Offered files on a real disk: what is served of them, and what is not.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::{Duration, UNIX_EPOCH};

use quiver_protocol::reply::FolderEntry;

use super::*;
use crate::BackgroundPool;
use crate::list::EntrySource as _;
use crate::served_folder::FixedMemory;

/// A folder with `secret`, `a.txt`, and `photos` with `one` and `sub/two`; the last two are offered.
fn offered() -> (tempfile::TempDir, OfferedFiles) {
    let temporary = tempfile::tempdir().unwrap();
    let at = |name: &str| temporary.path().join(name);
    fs::create_dir_all(at("photos/sub")).unwrap();
    fs::write(at("photos/one"), "1").unwrap();
    fs::write(at("photos/sub/two"), "22").unwrap();
    fs::write(at("a.txt"), "content").unwrap();
    fs::write(at("secret"), "secret").unwrap();
    let mut files = OfferedFiles::default();
    for name in ["photos", "a.txt"] {
        files.add(name, OfferedContent::Path(at(name))).unwrap();
    }
    (temporary, files)
}

fn add(files: &mut OfferedFiles, name: &str, path: PathBuf) -> Result<(), OfferError> {
    files.add(name, OfferedContent::Path(path))
}

fn open(files: &OfferedFiles, path: &str) -> Result<Source, ServedPathError> {
    files.open(&FilePath::parse(path).unwrap())
}

fn size(files: &OfferedFiles, path: &str) -> u64 {
    open(files, path).unwrap().size().unwrap()
}

/// The entries of a folder, listed as below `offer`, and how many names are not served.
async fn list(
    files: &Arc<OfferedFiles>,
    folder: &str,
) -> Result<(Vec<FolderEntry>, u64), ServedPathError> {
    let (pool, memory) = (BackgroundPool::new(1), FixedMemory::new(64 * 1024));
    let listed_as = FolderPath::parse(format!("offer/{folder}").trim_end_matches('/')).unwrap();
    let folder = FolderPath::parse(folder).unwrap();
    let mut listing = files.list(&folder, listed_as, pool.lane(1), memory).await?;
    let mut entries = Vec::new();
    loop {
        let batch = listing.next_batch().await?;
        if batch.is_empty() {
            return Ok((entries, listing.not_served().count));
        }
        entries.extend(batch);
    }
}

fn paths(entries: &[FolderEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.path.as_str()).collect()
}

#[tokio::test]
async fn offered_files_and_folders_are_opened_and_listed_below_their_names() {
    let (temporary, mut files) = offered();
    add(&mut files, "Z", temporary.path().join("photos/sub")).unwrap();
    add(&mut files, "é", temporary.path().join("photos/one")).unwrap();
    let files = Arc::new(files);
    for (path, length) in
        [("a.txt", 7), ("photos/one", 1), ("photos/sub/two", 2), ("Z/two", 2), ("é", 1)]
    {
        assert_eq!(size(&files, path), length, "{path}");
    }
    let (entries, not_served) = list(&files, "").await.unwrap();
    assert_eq!(paths(&entries), ["offer/Z", "offer/a.txt", "offer/photos", "offer/é"]);
    assert_eq!(not_served, 0);
    assert_eq!(entries[1].size, 7);
    let (entries, _) = list(&files, "photos").await.unwrap();
    assert_eq!(paths(&entries), ["offer/photos/one", "offer/photos/sub"]);
    let (entries, _) = list(&files, "photos/sub").await.unwrap();
    assert_eq!(paths(&entries), ["offer/photos/sub/two"]);
}

#[tokio::test]
async fn only_what_is_offered_can_be_named() {
    let (temporary, files) = offered();
    let files = Arc::new(files);
    for hostile in ["", "..", "/etc/passwd", "photos/../secret", "photos//one", "./a.txt"] {
        assert!(FilePath::parse(hostile).is_err(), "{hostile}");
    }
    let absolute = temporary.path().join("secret").to_str().unwrap()[1..].to_owned();
    for path in ["secret", "secret/x", "photos/secret", "photo", "A.TXT", "photos/a.txt", &absolute]
    {
        assert!(matches!(open(&files, path), Err(ServedPathError::NotFound)), "{path}");
    }
    for folder in ["secret", "photos/none", "phot"] {
        let listed = list(&files, folder).await;
        assert!(matches!(listed, Err(ServedPathError::NotFound)), "{folder}");
    }
    for path in ["photos", "photos/sub"] {
        assert!(matches!(open(&files, path), Err(ServedPathError::NotAFile)), "{path}");
    }
    for path in ["a.txt/x", "a.txt/secret", "photos/one/x"] {
        assert!(matches!(open(&files, path), Err(ServedPathError::NotAFolder)), "{path}");
    }
    for file in ["a.txt", "photos/one"] {
        assert!(matches!(list(&files, file).await, Err(ServedPathError::NotAFolder)), "{file}");
    }
}

#[tokio::test]
async fn no_link_in_an_offered_folder_is_followed() {
    let (temporary, files) = offered();
    let (files, photos) = (Arc::new(files), temporary.path().join("photos"));
    symlink("../secret", photos.join("out")).unwrap();
    symlink(temporary.path(), photos.join("parent")).unwrap();
    symlink("one", photos.join("in")).unwrap();
    symlink("sub", photos.join("folder")).unwrap();
    for path in ["out", "parent", "parent/secret", "in", "folder", "folder/two"] {
        let opened = open(&files, &format!("photos/{path}"));
        assert!(matches!(opened, Err(ServedPathError::SymbolicLink)), "{path}");
    }
    for folder in ["photos/parent", "photos/parent/photos", "photos/folder"] {
        let listed = list(&files, folder).await;
        assert!(matches!(listed, Err(ServedPathError::SymbolicLink)), "{folder}");
    }
    let (entries, not_served) = list(&files, "photos").await.unwrap();
    assert_eq!(paths(&entries), ["offer/photos/one", "offer/photos/sub"]);
    assert_eq!(not_served, 4);
}

#[tokio::test]
async fn partial_files_are_not_served_and_special_files_counted() {
    let (temporary, files) = offered();
    let (files, photos) = (Arc::new(files), temporary.path().join("photos"));
    let partial = ".quiver-0123456789abcdef.part";
    fs::write(photos.join(partial), "half").unwrap();
    let _socket = UnixListener::bind(photos.join("socket")).unwrap();
    let (entries, not_served) = list(&files, "photos").await.unwrap();
    assert_eq!((entries.len(), not_served), (2, 1));
    let opened = open(&files, &format!("photos/{partial}"));
    assert!(matches!(opened, Err(ServedPathError::NotFound)));
    assert!(matches!(open(&files, "photos/socket"), Err(ServedPathError::NotAFile)));
}

#[tokio::test]
async fn a_link_that_is_named_itself_is_followed_when_it_is_offered_and_not_later() {
    let (temporary, mut files) = offered();
    let at = |name: &str| temporary.path().join(name);
    symlink("a.txt", at("link")).unwrap();
    symlink("photos", at("album")).unwrap();
    symlink("missing", at("dangling")).unwrap();
    add(&mut files, "link", at("link")).unwrap();
    add(&mut files, "album", at("album")).unwrap();
    add(&mut files, "slash", at("album/")).unwrap();
    let missing = add(&mut files, "dangling", at("dangling"));
    assert!(matches!(missing, Err(OfferError::Content(ServedPathError::NotFound))), "{missing:?}");
    for link in ["link", "album"] {
        fs::remove_file(at(link)).unwrap();
        symlink("secret", at(link)).unwrap();
    }
    let files = Arc::new(files);
    assert_eq!(size(&files, "link"), 7);
    assert_eq!(size(&files, "album/one"), 1);
    assert_eq!(size(&files, "slash/one"), 1);
    // The target is a file of its own: it is not replaced by a link.
    fs::remove_file(at("a.txt")).unwrap();
    symlink("secret", at("a.txt")).unwrap();
    for name in ["link", "a.txt"] {
        assert!(matches!(open(&files, name), Err(ServedPathError::SymbolicLink)), "{name}");
    }
    let (entries, not_served) = list(&files, "").await.unwrap();
    assert_eq!(paths(&entries), ["offer/album", "offer/photos", "offer/slash"]);
    assert_eq!(not_served, 2);
}

#[tokio::test]
async fn a_folder_that_replaces_an_offered_one_is_not_served() {
    let (temporary, files) = offered();
    let files = Arc::new(files);
    let at = |name: &str| temporary.path().join(name);
    fs::rename(at("photos"), at("moved")).unwrap();
    fs::create_dir(at("photos")).unwrap();
    fs::write(at("photos/one"), "another").unwrap();
    fs::write(at("photos/new"), "new").unwrap();
    assert_eq!(size(&files, "photos/one"), 1);
    assert!(matches!(open(&files, "photos/new"), Err(ServedPathError::NotFound)));
    let (entries, _) = list(&files, "photos").await.unwrap();
    assert_eq!(paths(&entries), ["offer/photos/one", "offer/photos/sub"]);

    fs::remove_dir_all(at("photos")).unwrap();
    symlink(temporary.path(), at("photos")).unwrap();
    assert!(matches!(open(&files, "photos/secret"), Err(ServedPathError::NotFound)));

    fs::remove_dir_all(at("moved")).unwrap();
    assert!(matches!(open(&files, "photos/one"), Err(ServedPathError::NotFound)));
    assert!(matches!(list(&files, "photos").await, Err(ServedPathError::NotFound)));
    let (entries, not_served) = list(&files, "").await.unwrap();
    assert_eq!((paths(&entries), not_served), (vec!["offer/a.txt"], 1));
}

#[tokio::test]
async fn a_file_that_replaces_an_offered_one_is_served_and_nothing_else_in_its_place() {
    let (temporary, files) = offered();
    let files = Arc::new(files);
    let file = temporary.path().join("a.txt");
    fs::write(temporary.path().join("new"), "new").unwrap();
    fs::rename(temporary.path().join("new"), &file).unwrap();
    assert_eq!(size(&files, "a.txt"), 3);
    fs::remove_file(&file).unwrap();
    assert!(matches!(open(&files, "a.txt"), Err(ServedPathError::NotFound)));
    fs::create_dir(&file).unwrap();
    fs::write(file.join("inside"), "").unwrap();
    assert!(matches!(open(&files, "a.txt"), Err(ServedPathError::NotAFile)));
    assert!(matches!(open(&files, "a.txt/inside"), Err(ServedPathError::NotAFolder)));
    let (entries, not_served) = list(&files, "").await.unwrap();
    assert_eq!((paths(&entries), not_served), (vec!["offer/photos"], 1));
}

#[tokio::test]
async fn an_open_file_without_a_name_is_served_with_the_given_name_and_time() {
    let (_temporary, mut files) = offered();
    let modified = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for (name, length) in [("empty", 0), ("small", 5), ("large", 100_000)] {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'x'; length]).unwrap();
        files.add(name, OfferedContent::OpenFile { file, modified }).unwrap();
    }
    let files = Arc::new(files);
    // Each request has content of its own.
    for _ in 0..2 {
        for (name, length) in [("empty", 0), ("small", 5), ("large", 100_000)] {
            let source = open(&files, name).unwrap();
            assert_eq!(
                (source.size(), source.modified()),
                (Some(length), Some(modified)),
                "{name}"
            );
            assert_eq!(source.hash_all().await.unwrap().unwrap().length(), length, "{name}");
        }
    }
    assert!(matches!(open(&files, "small/x"), Err(ServedPathError::NotAFolder)));
    let (entries, _) = list(&files, "").await.unwrap();
    let small = entries.iter().find(|entry| entry.path.file_name() == "small").unwrap();
    assert_eq!((small.size, small.modified), (5, modified.into()));
}

#[test]
fn a_name_or_a_path_that_cannot_be_served_is_not_offered() {
    let (temporary, mut files) = offered();
    let at = |name: &str| temporary.path().join(name);
    for name in ["", "..", "a/b", "nul", "two\nlines"] {
        assert!(matches!(add(&mut files, name, at("secret")), Err(OfferError::Name(_))), "{name}");
    }
    let partial = add(&mut files, ".quiver-0123456789abcdef.part", at("secret"));
    assert!(matches!(partial, Err(OfferError::ReservedName)));
    let duplicate = add(&mut files, "a.txt", at("secret"));
    assert!(matches!(duplicate, Err(OfferError::DuplicateName)));
    assert_eq!(size(&files, "a.txt"), 7);
    let _socket = UnixListener::bind(at("socket")).unwrap();
    let socket = add(&mut files, "socket", at("socket"));
    assert!(matches!(socket, Err(OfferError::Content(ServedPathError::NotAFile))), "{socket:?}");
    let missing = add(&mut files, "missing", at("missing"));
    assert!(matches!(missing, Err(OfferError::Content(ServedPathError::NotFound))), "{missing:?}");
    let below = add(&mut files, "below", at("a.txt/x"));
    assert!(matches!(below, Err(OfferError::Content(ServedPathError::NotAFolder))), "{below:?}");
    // A local name may be any, and so may a path without a name.
    fs::write(at("nul"), "0123").unwrap();
    add(&mut files, "renamed", at("nul")).unwrap();
    assert_eq!(size(&files, "renamed"), 4);
    add(&mut files, "parent", at("photos/sub/..")).unwrap();
    assert_eq!(size(&files, "parent/sub/two"), 2);
    add(&mut files, "root", PathBuf::from("/")).unwrap();
    assert!(matches!(open(&files, "root"), Err(ServedPathError::NotAFile)));
}

#[tokio::test]
async fn ten_thousand_entries_are_listed_once_and_in_order() {
    let (temporary, mut files) = offered();
    let many = temporary.path().join("many");
    fs::create_dir(&many).unwrap();
    let mut names: Vec<_> = (0..10_000).map(|number| format!("{number:x}-{number}")).collect();
    for name in &names {
        fs::write(many.join(name), "").unwrap();
        add(&mut files, name, many.join(name)).unwrap();
    }
    // Two batches of names of which none is served.
    names.sort();
    let (removed, served) = names.split_at(600);
    add(&mut files, "many", many.clone()).unwrap();
    for name in removed {
        fs::remove_file(many.join(name)).unwrap();
    }
    let files = Arc::new(files);
    let expected: Vec<_> = served.iter().map(|name| format!("offer/many/{name}")).collect();
    // With 64 KiB of memory in about a dozen pages.
    let (entries, not_served) = list(&files, "many").await.unwrap();
    assert!(paths(&entries) == expected && not_served == 0);
    let mut expected: Vec<_> = served.iter().map(|name| format!("offer/{name}")).collect();
    expected.extend(["offer/a.txt", "offer/many", "offer/photos"].map(str::to_owned));
    expected.sort();
    let (entries, not_served) = list(&files, "").await.unwrap();
    assert!(paths(&entries) == expected && not_served == removed.len() as u64);
}

#[tokio::test]
async fn a_path_that_would_be_too_long_with_the_id_is_not_listed_and_counted() {
    let (temporary, files) = offered();
    let deep = vec!["x".repeat(250); 16].join("/");
    let photos = temporary.path().join("photos");
    // The path is too long for one system call.
    let mut folder = Dir::open_ambient_dir(&photos, ambient_authority()).unwrap();
    for part in deep.split('/') {
        folder.create_dir(part).unwrap();
        folder = folder.open_dir(part).unwrap();
    }
    folder.create_dir("y".repeat(67)).unwrap();
    folder.create_dir("y".repeat(68)).unwrap();
    let (entries, not_served) = list(&Arc::new(files), &format!("photos/{deep}")).await.unwrap();
    assert_eq!((entries.len(), not_served), (1, 1));
}
