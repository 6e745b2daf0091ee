//! The served folder on a real disk: what is found, listed, stored and cleaned up.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use quiver_protocol::FolderPath;
use quiver_transfer::BackgroundPool;
use quiver_transfer::is_partial_name;
use quiver_transfer::list::EntrySource as _;

use super::*;
use crate::buffer_budget::BufferBudget;

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

/// The paths in a folder, and how many names are not served.
async fn listed(files: &Files, folder: &FolderPath) -> Result<(Vec<String>, u64), FilesError> {
    let pool = BackgroundPool::new(1);
    let memory = BufferBudget::new(1 << 20).reserve(1 << 20).await;
    let mut listing = files.list(folder, pool.lane(1), memory).await?;
    let mut paths = Vec::new();
    loop {
        let batch = listing.next_batch().await?;
        if batch.is_empty() {
            return Ok((paths, listing.not_served()));
        }
        paths.extend(batch.iter().map(|entry| entry.path.to_string()));
    }
}

async fn names(files: &Files, folder: &str) -> Vec<String> {
    listed(files, &FolderPath::parse(folder).unwrap()).await.unwrap().0
}

async fn kept(staged: &StagedFile) -> u64 {
    let pool = BackgroundPool::new(1);
    staged.kept(&pool.lane(1)).await.unwrap().length()
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
    assert!(matches!(listed(&files, &file).await, Err(FilesError::NotAFolder)));
    let (paths, not_served) = listed(&files, &FolderPath::ROOT).await.unwrap();
    assert_eq!((paths.len(), not_served), (2, 2));
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
    assert!(matches!(listed(&files, &linked).await, Err(FilesError::Link)));
    assert_eq!(listed(&files, &FolderPath::ROOT).await.unwrap().1, 4);
}

#[tokio::test]
async fn parts_of_transfers_are_nobodys_files() {
    let (temporary, files) = folder();
    let name = ".quiver-0123456789abcdef.part";
    fs::write(temporary.path().join("root").join(name), "half").unwrap();
    assert!(matches!(files.open(&path(name)).await, Err(FilesError::NotFound)));
    assert_eq!(names(&files, "").await, ["a.txt", "sub"]);
    assert_eq!(listed(&files, &FolderPath::ROOT).await.unwrap().1, 1);
}

#[tokio::test]
async fn a_list_is_in_byte_order_and_leaves_illegal_names_out() {
    let (temporary, files) = folder();
    let sub = temporary.path().join("root/sub");
    for name in ["é", "Z", "a-b", "a", "nul", "ends.", "two\nlines"] {
        fs::write(sub.join(name), "").unwrap();
    }
    let (paths, not_served) = listed(&files, &FolderPath::parse("sub").unwrap()).await.unwrap();
    assert_eq!(paths, ["sub/Z", "sub/a", "sub/a-b", "sub/b.txt", "sub/é"]);
    assert_eq!(not_served, 3);
}

fn with_store(root: &Path) -> (tempfile::TempDir, Files) {
    let state = tempfile::tempdir().unwrap();
    let quota_db = QuotaDb::open(state.path(), None).unwrap();
    let limits = StoreLimits { max_file_size: u64::MAX, keep_free: 0 };
    (state, Files::open_root(root).unwrap().with_store(quota_db, limits))
}

fn put(name: &str, size: u64) -> PutRequest {
    PutRequest {
        path: path(name),
        size: Some(size),
        modified: None,
        executable: false,
        replace: false,
    }
}

/// Begins a put.
async fn stage(files: &Files, put: &PutRequest, owner: Owner) -> StagedFile {
    files.stage(put, owner, None, IfLocked::StartOver).await.unwrap().unwrap()
}

/// Puts so much of a file, and stops.
async fn leave(files: &Files, put: &PutRequest, bytes: &[u8]) {
    let staged = stage(files, put, owner()).await;
    let mut sink = staged.sink(0).await.unwrap();
    sink.write_all(bytes).unwrap();
}

/// More than what comes whole.
const LARGE: u64 = 100_000;

fn owner() -> Owner {
    Owner::account(&quiver_protocol::ClientName::parse("Ron").unwrap())
}

#[tokio::test]
async fn the_janitor_takes_old_parts_that_nobody_has() {
    let (temporary, _) = folder();
    let root = temporary.path().join("root");
    let (_state, files) = with_store(&root);
    let (old, new) = (put("sub/old", LARGE), put("new", LARGE));
    leave(&files, &old, b"old").await;
    leave(&files, &new, b"new").await;
    let count = |folder: &Path| {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| is_partial_name(name.to_str().unwrap())).count()
    };
    let now = SystemTime::now();
    let week = Duration::from_secs(7 * 24 * 3600);
    assert_eq!(files.sweep(now).await.unwrap(), SweepSummary { removed: 0, kept: 2 });
    let held = stage(&files, &new, owner()).await;
    let later = now + week + Duration::from_secs(60);
    assert_eq!(files.sweep(later).await.unwrap(), SweepSummary { removed: 1, kept: 1 });
    assert_eq!((count(&root), count(&root.join("sub"))), (1, 0));
    drop(held);
    assert_eq!(files.sweep(later).await.unwrap(), SweepSummary { removed: 1, kept: 0 });
    assert_eq!((count(&root), count(&root.join("sub"))), (0, 0));
    // What only looks like a part of ours stays.
    fs::write(root.join(".quiver-0123456789ABCDEF.part"), "x").unwrap();
    symlink("a.txt", root.join(".quiver-0123456789abcdef.part")).unwrap();
    assert_eq!(files.sweep(later).await.unwrap().removed, 0);
    assert_eq!(count(&root), 2);
}

#[tokio::test]
async fn a_put_goes_on_with_its_own_part_and_no_other() {
    let (temporary, _) = folder();
    let (_state, files) = with_store(&temporary.path().join("root"));
    let big = put("big", LARGE);
    leave(&files, &big, b"content").await;
    let first = stage(&files, &big, owner()).await;
    assert_eq!(kept(&first).await, 7);
    // Another one at the same time has a part of its own, and so has another owner.
    let second = stage(&files, &big, owner()).await;
    assert_eq!(kept(&second).await, 0);
    drop((first, second));
    let other = stage(&files, &big, Owner::nobody()).await;
    assert_eq!(kept(&other).await, 0);
    // A file that is shorter than what is here cannot go on with it.
    let small = stage(&files, &put("big", 6), owner()).await;
    assert_eq!(kept(&small).await, 0);
}

#[tokio::test]
async fn a_folder_that_was_moved_meanwhile_gets_no_file() {
    let (temporary, _) = folder();
    let root = temporary.path().join("root");
    let (_state, files) = with_store(&root);
    let staged = stage(&files, &put("sub/new", LARGE), owner()).await;
    staged.sink(0).await.unwrap().write_all(b"new").unwrap();
    files.rename(&path("sub"), &path("elsewhere"), false).await.unwrap();
    files.make_folder(&path("sub"), None, owner()).await.unwrap();
    assert!(matches!(staged.commit(LARGE, |_| {}).await, Err(FilesError::NotFound)));
    assert_eq!(names(&files, "sub").await, [""; 0]);
    assert_eq!(names(&files, "elsewhere").await, ["elsewhere/b.txt"]);
    assert_eq!(fs::read_dir(root.join("elsewhere")).unwrap().count(), 1, "no part is left");
}

#[tokio::test]
async fn a_small_file_is_nowhere_before_it_is_there() {
    let (temporary, _) = folder();
    let root = temporary.path().join("root");
    let (_state, files) = with_store(&root);
    let staged = stage(&files, &put("sub/new", 3), owner()).await;
    let other = stage(&files, &put("sub/new", 5), owner()).await;
    assert_eq!(fs::read_dir(root.join("sub")).unwrap().count(), 1);
    staged.commit_small(b"new".to_vec(), |_| {}).await.unwrap();
    assert_eq!(fs::read(root.join("sub/new")).unwrap(), b"new");
    let late = other.commit_small(b"other".to_vec(), |_| {}).await;
    assert!(matches!(late, Err(FilesError::Exists)));
    let replacing = PutRequest { replace: true, ..put("sub/new", 5) };
    let staged = stage(&files, &replacing, owner()).await;
    staged.commit_small(b"other".to_vec(), |_| {}).await.unwrap();
    assert_eq!(fs::read(root.join("sub/new")).unwrap(), b"other");
    assert_eq!(fs::read_dir(root.join("sub")).unwrap().count(), 2, "no part is left");
}

/// The owner's quota rows, and the files and folders below the root but for the operator's.
async fn counted(files: &Files) -> u64 {
    QUOTA - files.space(owner()).await.unwrap().available.min(QUOTA)
}

const QUOTA: u64 = 1_000_000;

fn with_quota(root: &Path, state: &Path) -> Files {
    let quota_db = QuotaDb::open(state, Some(QUOTA)).unwrap();
    let limits = StoreLimits { max_file_size: u64::MAX, keep_free: 0 };
    let files = Files::open_root(root).unwrap().with_store(quota_db, limits);
    files.settle_unfinished().unwrap();
    files
}

#[tokio::test]
async fn what_a_kill_left_undone_is_settled_by_what_is_there() {
    let (temporary, _) = folder();
    let (root, state) = (temporary.path().join("root"), temporary.path().join("state"));
    let files = with_quota(&root, &state);
    for name in ["moved", "unmoved", "old", "replaced"] {
        let staged = stage(&files, &put(name, 3), owner()).await;
        staged.commit_small(b"new".to_vec(), |_| {}).await.unwrap();
    }
    files.make_folder(&path("made/deeper"), None, owner()).await.unwrap();
    let before = 4 * 3 + 2 * crate::quota_db::FOLDER_SIZE;
    assert_eq!(counted(&files).await, before);
    let quota_db = files.store.as_ref().unwrap().quota_db();
    let ben = Owner::account(&quiver_protocol::ClientName::parse("Ben").unwrap());
    {
        let root = Dir::open_ambient_dir(&root, cap_std::ambient_authority()).unwrap();
        let inode = |name: &str| crate::unix::Inode::of(&root, name).unwrap().number;
        // As a process leaves it that is killed between the row and the name, or the name and the row.
        for (from, to) in [("moved", "there"), ("unmoved", "nowhere"), ("made", "after")] {
            quota_db.begin_rename(from, to, inode(from)).unwrap();
        }
        let reservation = quota_db.reserve(&ben, 20, None).unwrap();
        for name in ["old", "replaced"] {
            drop(reservation.record(name, 10, Some(inode(name))).unwrap());
        }
        drop(reservation.record("never", 10, None).unwrap());
    }
    fs::rename(root.join("moved"), root.join("there")).unwrap();
    fs::rename(root.join("made"), root.join("after")).unwrap();
    fs::write(root.join("other"), "0123456789").unwrap();
    fs::rename(root.join("other"), root.join("replaced")).unwrap();
    drop(files);

    let files = with_quota(&root, &state);
    assert_eq!(counted(&files).await, before - 3);
    let quota_db = files.store.as_ref().unwrap().quota_db();
    assert_eq!(quota_db.available(&ben), QUOTA - 20);
    files.sweep(SystemTime::now()).await.unwrap();
    assert_eq!(counted(&files).await, before - 3);
    let quota_db = files.store.as_ref().unwrap().quota_db();
    assert_eq!(quota_db.available(&ben), QUOTA - 10);
    let rows: Vec<_> =
        quota_db.files_after("", 100).unwrap().into_iter().map(|row| row.0).collect();
    assert_eq!(rows, ["after", "after/deeper", "old", "replaced", "there", "unmoved"]);
}

#[tokio::test]
async fn temporary_parts_of_a_killed_process_go_and_those_that_can_go_on_stay() {
    let (temporary, _) = folder();
    let (root, state) = (temporary.path().join("root"), temporary.path().join("state"));
    let files = with_quota(&root, &state);
    let pipe = PutRequest { size: None, ..put("pipe", 0) };
    let (piped, kept) = (stage(&files, &pipe, owner()).await, put("kept", LARGE));
    piped.sink(0).await.unwrap().write_all(b"half").unwrap();
    leave(&files, &kept, b"half").await;
    let parts = || {
        let names = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| is_partial_name(path.file_name().unwrap().to_str().unwrap()))
    };
    assert_eq!(parts().count(), 2);
    assert_eq!(files.sweep(SystemTime::now()).await.unwrap(), SweepSummary { removed: 0, kept: 2 });
    // A copy stays where the process is killed.
    let copies: Vec<_> = parts().map(|path| (fs::read(&path).unwrap(), path)).collect();
    drop((piped, files));
    let long_ago = SystemTime::now() - Duration::from_secs(60);
    let write = |path: &Path, content: &[u8]| {
        fs::write(path, content).unwrap();
        fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    };
    for (content, path) in copies {
        write(&path, &content);
    }
    write(&root.join(".quiver-0123456789abcdef.part"), b"");
    write(&root.join(".quiver-0123456789abcdee.part"), b"somebody else's");
    assert_eq!(parts().count(), 4);
    let files = with_quota(&root, &state);
    assert_eq!(files.sweep(SystemTime::now()).await.unwrap(), SweepSummary { removed: 2, kept: 2 });
    assert_eq!(self::kept(&stage(&files, &kept, owner()).await).await, 4);
    assert_eq!(counted(&files).await, 4);
}
