//! Generated source trees in a temporary folder, for the tests of the rules.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

#[derive(Debug)]
pub(crate) struct SourceTree {
    folder: TempDir,
}

impl SourceTree {
    /// Writes these files, each a path below the folder and its text.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}
