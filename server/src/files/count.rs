//! How many files a folder has, for people, within bounds of time and number.

use std::time::{Duration, Instant};

use cap_std::fs::Dir;
use quiver_protocol::FilePath;
use quiver_transfer::is_partial_name;

/// The number of files in a folder and its subfolders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileCount {
    /// How many were found.
    pub files: u64,
    /// Whether these are all.
    pub is_complete: bool,
}

/// When counting stops.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountLimits {
    pub(super) names: usize,
    pub(super) time: Duration,
}

/// Counts the files that clients may get, as far as their names tell. What cannot be read has none.
pub(super) fn count_files(root: &Dir, limits: CountLimits) -> FileCount {
    let deadline = Instant::now() + limits.time;
    let (mut files, mut names) = (0, 0);
    let mut folders: Vec<Dir> = root.try_clone().into_iter().collect();
    while let Some(folder) = folders.pop() {
        for entry in folder.entries().into_iter().flatten().flatten() {
            if names == limits.names || Instant::now() >= deadline {
                return FileCount { files, is_complete: false };
            }
            names += 1;
            let name = entry.file_name();
            let is_served = |name: &str| FilePath::parse(name).is_ok() && !is_partial_name(name);
            let Ok(kind) = entry.file_type() else { continue };
            if !name.to_str().is_some_and(is_served) {
                continue;
            }
            if kind.is_file() {
                files += 1;
            } else if kind.is_dir() {
                folders.extend(entry.open_dir());
            }
        }
    }
    FileCount { files, is_complete: true }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use cap_std::ambient_authority;

    use super::*;

    #[test]
    fn files_that_are_served_are_counted_within_the_limits() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        for name in ["x", "a/y", "a/b/z", ".quiver-0123456789abcdef.part", "aux.txt"] {
            fs::write(folder.path().join(name), "content").unwrap();
        }
        symlink("x", folder.path().join("link")).unwrap();
        symlink(".", folder.path().join("loop")).unwrap();
        let root = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        let count = |names, time| count_files(&root, CountLimits { names, time });
        let long = Duration::from_secs(60);
        assert_eq!(count(1000, long), FileCount { files: 3, is_complete: true });
        let bounded = count(2, long);
        assert!(bounded.files <= 2 && !bounded.is_complete, "{bounded:?}");
        assert!(!count(1000, Duration::ZERO).is_complete);
    }
}
