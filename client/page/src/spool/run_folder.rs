//! The folder of one run of the process in the spool, `RUN/`, beside `RUN.lock`, which is locked while the process lives.
//! A later run removes what a run that has ended left.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use quiver_client::folders::create_private;
use quiver_transfer::file_system::{FileLock, try_lock};
use quiver_transport::random::random_bytes;

/// How often another name is tried, if another process takes the new lock for one that was left.
const MAX_ATTEMPTS: u32 = 8;

/// The folder of this run. Its content stays when this is dropped.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: FileLock,
    _file: File,
}

impl RunFolder {
    /// Creates a folder, for this user only.
    ///
    /// # Errors
    /// The system's error.
    pub(super) fn create(spool: &Path) -> io::Result<Self> {
        create_private(spool)?;
        for _ in 0..MAX_ATTEMPTS {
            let name = HEXLOWER.encode(&random_bytes::<8>());
            let (path, lock_path) = (spool.join(&name), lock_path(spool, &name));
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(&lock_path)?;
            let lock = match try_lock(&file) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                lock => lock?,
            };
            // Another process may have removed it before it was locked.
            if file.metadata()?.nlink() == 0 {
                continue;
            }
            DirBuilder::new().mode(0o700).create(&path)?;
            return Ok(Self { path, lock_path, _lock: lock, _file: file });
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes everything but what is to be kept.
    pub(super) fn remove_all_but(&self, is_kept: impl Fn(&Path) -> bool) {
        remove_content(&self.path, is_kept);
        remove_if_empty(&self.path, &self.lock_path);
    }
}

/// Removes what runs have left that have ended, but what is to be kept. Returns the paths of the latter. Ignores
/// failures: the next run tries again.
pub(super) fn sweep(spool: &Path, is_kept: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut kept = Vec::new();
    let Ok(entries) = fs::read_dir(spool) else { return kept };
    for entry in entries.flatten() {
        let Some(name) = entry.file_name().into_string().ok() else { continue };
        let Some(run) = name.strip_suffix(".lock").filter(|name| is_run_name(name)) else {
            continue;
        };
        let (path, lock_path) = (spool.join(run), entry.path());
        let Ok(file) = OpenOptions::new().write(true).open(&lock_path) else { continue };
        // Without a lock, the run may be alive.
        let Ok(_lock) = try_lock(&file) else { continue };
        kept.extend(remove_content(&path, &is_kept));
        remove_if_empty(&path, &lock_path);
    }
    kept
}

/// Removes the folder of a drop, and that of its run if it is empty then and the run has ended.
///
/// # Errors
/// The system's error.
pub(super) fn remove_drop(path: &Path) -> io::Result<()> {
    remove_tree(path)?;
    if let Some((run, spool)) = path.parent().zip(path.parent().and_then(Path::parent))
        && let Some(name) = run.file_name().and_then(|name| name.to_str())
    {
        let lock_path = lock_path(spool, name);
        let file = OpenOptions::new().write(true).open(&lock_path)?;
        // Fails for a run that is alive, such as this one.
        if let Ok(_lock) = try_lock(&file) {
            remove_if_empty(run, &lock_path);
        }
    }
    Ok(())
}

/// Removes a folder with its content; succeeds if there is none.
fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn lock_path(spool: &Path, run: &str) -> PathBuf {
    spool.join(format!("{run}.lock"))
}

fn is_run_name(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn remove_content(run: &Path, is_kept: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut kept = Vec::new();
    let Ok(entries) = fs::read_dir(run) else { return kept };
    for entry in entries.flatten() {
        if is_kept(&entry.path()) {
            kept.push(entry.path());
        } else {
            // A later run tries again.
            let _ = remove_tree(&entry.path());
        }
    }
    kept
}

/// The caller has the lock. It goes last, so that a folder without one is never left.
fn remove_if_empty(run: &Path, lock_path: &Path) {
    match fs::remove_dir(run) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {}
        _ => drop(fs::remove_file(lock_path)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_run_is_private_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("spool");
        let run = RunFolder::create(&spool).unwrap();
        for path in [&spool, run.path()] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
        }
        fs::create_dir_all(run.path().join("1/files")).unwrap();
        run.remove_all_but(|_| false);
        assert_eq!(names(&spool), [""; 0]);
    }

    #[test]
    fn only_runs_that_have_ended_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path();
        let (alive, dead) = (RunFolder::create(spool).unwrap(), RunFolder::create(spool).unwrap());
        for run in [&alive, &dead] {
            fs::create_dir_all(run.path().join("1/files")).unwrap();
            fs::create_dir_all(run.path().join("2/files")).unwrap();
        }
        fs::create_dir(spool.join("other")).unwrap();
        fs::write(spool.join("other.lock"), "").unwrap();
        let dead_path = dead.path().to_owned();
        drop(dead);
        let kept = sweep(spool, |path| path.ends_with("2"));
        assert_eq!(kept, [dead_path.join("2")]);
        assert_eq!(names(alive.path()), ["1", "2"]);
        assert_eq!(names(&dead_path), ["2"]);
        remove_drop(&kept[0]).unwrap();
        assert!(!dead_path.exists());
        assert_eq!(names(spool).len(), 4);
        remove_drop(&alive.path().join("1")).unwrap();
        assert_eq!(names(alive.path()), ["2"]);
    }
}
