//! The served folder on a real disk: storing and cleaning up files.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::time::Duration;

use quiver_protocol::FolderPath;
use quiver_transfer::BackgroundPool;
use quiver_transfer::list::EntrySource as _;
use quiver_transfer::{is_partial_name, partial_name};
use quiver_transport::BufferBudget;

use super::*;

fn served_folder() -> (tempfile::TempDir, Files) {
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

/// The paths in a folder.
async fn names(files: &Files, folder: &str) -> Vec<String> {
    let pool = BackgroundPool::new(1);
    let memory = BufferBudget::new(1 << 20).reserve(1 << 20).await;
    let folder = FolderPath::parse(folder).unwrap();
    let mut listing = files.list(&folder, pool.lane(1), memory).await.unwrap();
    let mut paths = Vec::new();
    loop {
        let batch = listing.next_batch().await.unwrap();
        if batch.is_empty() {
            return paths;
        }
        paths.extend(batch.iter().map(|entry| entry.path.to_string()));
    }
}

async fn resumable_length(staged: &StagedFile) -> u64 {
    let pool = BackgroundPool::new(1);
    staged.hash_partial_file(&pool.lane(1)).await.unwrap().length()
}

#[tokio::test]
async fn files_are_opened_and_listed_by_their_paths() {
    let (_temporary, files) = served_folder();
    assert_eq!(files.open(&path("a.txt")).await.unwrap().size(), Some(7));
    assert!(matches!(files.open(&path("sub")).await, Err(FilesError::NotAFile)));
    assert_eq!(names(&files, "").await, ["a.txt", "sub"]);
    assert_eq!(names(&files, "sub").await, ["sub/b.txt"]);
}

fn with_store(root: &Path) -> (tempfile::TempDir, Files) {
    let state = tempfile::tempdir().unwrap();
    let quota_db = QuotaDb::open(state.path(), None).unwrap();
    let limits = StoreLimits { max_file_size: u64::MAX, keep_free: 0 };
    (state, Files::open_root(root).unwrap().with_store(quota_db, limits))
}

fn put_request(name: &str, size: u64) -> PutRequest {
    PutRequest {
        path: path(name),
        size: Some(size),
        modified: None,
        executable: false,
        replace: false,
    }
}

/// Stages an upload that starts over if its partial file is locked.
async fn stage(files: &Files, request: &PutRequest, owner: Owner) -> StagedFile {
    files.stage(request, owner, None, LockedPolicy::StartOver).await.unwrap().unwrap()
}

/// Uploads the start of a file, and stops.
async fn interrupt_upload(files: &Files, request: &PutRequest, bytes: &[u8]) {
    let staged = stage(files, request, owner()).await;
    let mut sink = staged.sink(0).await.unwrap();
    sink.write_all(bytes).unwrap();
}

/// The size of a file that is too large to be written in one step.
const LARGE: u64 = 100_000;

fn owner() -> Owner {
    Owner::account(&quiver_protocol::ClientName::parse("Ron").unwrap())
}

#[tokio::test]
async fn the_cleanup_removes_old_partial_files_that_no_upload_has() {
    let (temporary, _) = served_folder();
    let root = temporary.path().join("root");
    let (_state, files) = with_store(&root);
    let (old, new) = (put_request("sub/old", LARGE), put_request("new", LARGE));
    interrupt_upload(&files, &old, b"old").await;
    interrupt_upload(&files, &new, b"new").await;
    let count = |folder: &Path| {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| is_partial_name(name.to_str().unwrap())).count()
    };
    let now = SystemTime::now();
    let week = Duration::from_secs(7 * 24 * 3600);
    assert_eq!(files.sweep(now).await.unwrap(), SweepSummary { removed: 0, remaining: 2 });
    let running = stage(&files, &new, owner()).await;
    let later = now + week + Duration::from_secs(60);
    assert_eq!(files.sweep(later).await.unwrap(), SweepSummary { removed: 1, remaining: 1 });
    assert_eq!((count(&root), count(&root.join("sub"))), (1, 0));
    drop(running);
    assert_eq!(files.sweep(later).await.unwrap(), SweepSummary { removed: 1, remaining: 0 });
    assert_eq!((count(&root), count(&root.join("sub"))), (0, 0));
    // Names that only resemble a partial file's, and links, are left alone.
    fs::write(root.join(".quiver-0123456789ABCDEF.part"), "x").unwrap();
    symlink("a.txt", root.join(".quiver-0123456789abcdef.part")).unwrap();
    assert_eq!(files.sweep(later).await.unwrap().removed, 0);
    assert_eq!(count(&root), 2);
}

#[tokio::test]
async fn an_upload_resumes_only_its_own_partial_file() {
    let (temporary, _) = served_folder();
    let (_state, files) = with_store(&temporary.path().join("root"));
    let big = put_request("big", LARGE);
    interrupt_upload(&files, &big, b"content").await;
    let first = stage(&files, &big, owner()).await;
    assert_eq!(resumable_length(&first).await, 7);
    // A second upload at the same time has a partial file of its own, and so has another owner.
    let second = stage(&files, &big, owner()).await;
    assert_eq!(resumable_length(&second).await, 0);
    drop((first, second));
    let other = stage(&files, &big, Owner::anonymous()).await;
    assert_eq!(resumable_length(&other).await, 0);
    // A file that is shorter than its partial file cannot resume it.
    let small = stage(&files, &put_request("big", 6), owner()).await;
    assert_eq!(resumable_length(&small).await, 0);
}

#[tokio::test]
async fn an_upload_into_a_folder_that_was_moved_meanwhile_fails() {
    let (temporary, _) = served_folder();
    let root = temporary.path().join("root");
    let (_state, files) = with_store(&root);
    let staged = stage(&files, &put_request("sub/new", LARGE), owner()).await;
    staged.sink(0).await.unwrap().write_all(b"new").unwrap();
    files.rename(&path("sub"), &path("elsewhere"), false).await.unwrap();
    files.make_folder(&path("sub"), None, owner()).await.unwrap();
    assert!(matches!(staged.commit(LARGE, |_| {}).await, Err(FilesError::NotFound)));
    assert_eq!(names(&files, "sub").await, [""; 0]);
    assert_eq!(names(&files, "elsewhere").await, ["elsewhere/b.txt"]);
    assert_eq!(fs::read_dir(root.join("elsewhere")).unwrap().count(), 1, "no partial file is left");
}

#[tokio::test]
async fn a_small_file_has_no_partial_file() {
    let (temporary, _) = served_folder();
    let root = temporary.path().join("root");
    let (_state, files) = with_store(&root);
    let staged = stage(&files, &put_request("sub/new", 3), owner()).await;
    let other = stage(&files, &put_request("sub/new", 5), owner()).await;
    assert_eq!(fs::read_dir(root.join("sub")).unwrap().count(), 1);
    staged.commit_small(b"new".to_vec(), |_| {}).await.unwrap();
    assert_eq!(fs::read(root.join("sub/new")).unwrap(), b"new");
    let second = other.commit_small(b"other".to_vec(), |_| {}).await;
    assert!(matches!(second, Err(FilesError::AlreadyExists)));
    let replacing = PutRequest { replace: true, ..put_request("sub/new", 5) };
    let staged = stage(&files, &replacing, owner()).await;
    staged.commit_small(b"other".to_vec(), |_| {}).await.unwrap();
    assert_eq!(fs::read(root.join("sub/new")).unwrap(), b"other");
    assert_eq!(fs::read_dir(root.join("sub")).unwrap().count(), 2, "no partial file is left");
}

/// The bytes that count against the quota of `owner()`.
async fn used_quota(files: &Files) -> u64 {
    QUOTA - files.space(FolderPath::ROOT, owner()).await.unwrap().available.min(QUOTA)
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
async fn renames_and_replacements_of_a_killed_process_are_settled_by_inode() {
    let (temporary, _) = served_folder();
    let (root, state) = (temporary.path().join("root"), temporary.path().join("state"));
    let files = with_quota(&root, &state);
    for name in ["moved", "unmoved", "old", "replaced"] {
        let staged = stage(&files, &put_request(name, 3), owner()).await;
        staged.commit_small(b"new".to_vec(), |_| {}).await.unwrap();
    }
    files.make_folder(&path("made/deeper"), None, owner()).await.unwrap();
    let before = 4 * 3 + 2 * crate::quota_db::FOLDER_SIZE;
    assert_eq!(used_quota(&files).await, before);
    let quota_db = files.store.as_ref().unwrap().quota_db();
    let ben = Owner::account(&quiver_protocol::ClientName::parse("Ben").unwrap());
    {
        let root = Dir::open_ambient_dir(&root, cap_std::ambient_authority()).unwrap();
        let inode = |name: &str| crate::unix::PinnedInode::open(&root, name).unwrap().number;
        // The state that a process leaves if it is killed between writing the row and changing the
        // name, or between changing the name and settling the row.
        for (from, to) in [("moved", "there"), ("unmoved", "nowhere"), ("made", "after")] {
            quota_db.record_rename(from, to, inode(from)).unwrap();
        }
        let reservation = quota_db.reserve(&ben, 20, None).unwrap();
        for name in ["old", "replaced"] {
            drop(reservation.write_row(name, 10, Some(inode(name))).unwrap());
        }
        drop(reservation.write_row("never", 10, None).unwrap());
    }
    fs::rename(root.join("moved"), root.join("there")).unwrap();
    fs::rename(root.join("made"), root.join("after")).unwrap();
    fs::write(root.join("other"), "0123456789").unwrap();
    fs::rename(root.join("other"), root.join("replaced")).unwrap();
    drop(files);

    let files = with_quota(&root, &state);
    assert_eq!(used_quota(&files).await, before - 3);
    let quota_db = files.store.as_ref().unwrap().quota_db();
    assert_eq!(quota_db.available(&ben), QUOTA - 20);
    files.sweep(SystemTime::now()).await.unwrap();
    assert_eq!(used_quota(&files).await, before - 3);
    let quota_db = files.store.as_ref().unwrap().quota_db();
    assert_eq!(quota_db.available(&ben), QUOTA - 10);
    let rows: Vec<_> =
        quota_db.files_after("", 100).unwrap().into_iter().map(|row| row.0).collect();
    assert_eq!(rows, ["after", "after/deeper", "old", "replaced", "there", "unmoved"]);
}

#[tokio::test]
async fn the_cleanup_removes_orphaned_partial_files_and_keeps_resumable_ones() {
    let (temporary, _) = served_folder();
    let (root, state) = (temporary.path().join("root"), temporary.path().join("state"));
    let files = with_quota(&root, &state);
    let pipe = PutRequest { size: None, ..put_request("pipe", 0) };
    let piped = stage(&files, &pipe, owner()).await;
    let interrupted = put_request("kept", LARGE);
    piped.sink(0).await.unwrap().write_all(b"half").unwrap();
    interrupt_upload(&files, &interrupted, b"half").await;
    let partial_files = || {
        let names = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| is_partial_name(path.file_name().unwrap().to_str().unwrap()))
    };
    assert_eq!(partial_files().count(), 2);
    assert_eq!(
        files.sweep(SystemTime::now()).await.unwrap(),
        SweepSummary { removed: 0, remaining: 2 }
    );
    // The copies stand for the partial files that a killed process leaves.
    let copies: Vec<_> = partial_files().map(|path| (fs::read(&path).unwrap(), path)).collect();
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
    write(&root.join(".quiver-0123456789abcdee.part"), b"another server's");
    assert_eq!(partial_files().count(), 4);
    let files = with_quota(&root, &state);
    assert_eq!(
        files.sweep(SystemTime::now()).await.unwrap(),
        SweepSummary { removed: 2, remaining: 2 }
    );
    assert_eq!(resumable_length(&stage(&files, &interrupted, owner()).await).await, 4);
    assert_eq!(used_quota(&files).await, 4);
}

#[tokio::test]
async fn the_cleanup_removes_copies_that_a_killed_process_left() {
    let (temporary, _) = served_folder();
    let (root, state) = (temporary.path().join("root"), temporary.path().join("state"));
    let files = with_quota(&root, &state);
    let quota_db = files.store.as_ref().unwrap().quota_db();
    let [abandoned, used] = [(); 2].map(|()| root.join(partial_name(quota_db.new_temporary_id())));
    let foreign = root.join(partial_name(7));
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    for folder in [&abandoned, &used, &foreign] {
        fs::create_dir_all(folder.join("below")).unwrap();
        fs::write(folder.join("below/file"), "copied").unwrap();
        fs::File::open(folder).unwrap().set_modified(old).unwrap();
    }
    let handle = fs::File::open(&used).unwrap();
    let lock = quiver_transfer::file_system::try_lock(&handle).unwrap();
    assert_eq!(files.sweep(SystemTime::now()).await.unwrap().removed, 1);
    assert_eq!([&abandoned, &used, &foreign].map(|folder| folder.exists()), [false, true, true]);
    drop((lock, handle));
    assert_eq!(files.sweep(SystemTime::now()).await.unwrap().removed, 1);
    assert!(!used.exists());
}
