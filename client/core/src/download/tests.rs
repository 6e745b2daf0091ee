//! Checks of a download before its first request.

use std::fs;

use super::*;
use crate::error::ErrorCode;
use crate::request::Destination;

fn request(folder: &Path, paths: &[&str]) -> DownloadRequest {
    DownloadRequest {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        destination: Destination::Folder(folder.to_owned()),
        options: TransferOptions::default(),
    }
}

#[test]
fn a_file_is_stored_under_the_last_component_of_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a/b/-rf", "with space.txt"];
    let download = Download::prepare(request(folder.path(), &paths)).unwrap();
    let names = download.items().iter().map(|item| match &item.target {
        DownloadTarget::File(target, _) => target.name.as_str(),
        DownloadTarget::Stream => "-",
    });
    assert_eq!(names.collect::<Vec<_>>(), ["-rf", "with space.txt"]);
}

#[test]
fn a_file_may_be_stored_under_a_new_name() {
    let folder = tempfile::tempdir().unwrap();
    let renamed = |paths: &[&str], name: &str| DownloadRequest {
        destination: Destination::Renamed {
            folder: folder.path().to_owned(),
            name: name.to_owned(),
        },
        ..request(folder.path(), paths)
    };
    // The path of a single file is no pattern.
    let download = Download::prepare(renamed(&["/a/x*y"], "new")).unwrap();
    let [item] = download.items() else { panic!("{download:?}") };
    assert_eq!(item.path.as_str(), "a/x*y");
    assert_eq!(download.targets(), [folder.path().canonicalize().unwrap().join("new")]);
    for (paths, name) in [(&["a", "b"][..], "c"), (&["a"], "b/c"), (&["a"], ".."), (&["a"], "")] {
        let error = Download::prepare(renamed(paths, name)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRequest, "{name:?}: {error}");
    }
}

#[test]
fn prepare_rejects_a_target_that_cannot_be_stored() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("taken"), "").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let missing = folder.path().join("missing");
    for (folder, paths, code) in [
        (folder.path(), &["a/x", "b/x"][..], ErrorCode::InvalidRequest),
        (folder.path(), &["../x"], ErrorCode::InvalidRequest),
        (folder.path(), &["/"], ErrorCode::NotFound),
        (folder.path(), &["folder"], ErrorCode::Other),
        (folder.path(), &[".quiver-0123456789abcdef.part"], ErrorCode::LocalDisk),
        (missing.as_path(), &["x"], ErrorCode::LocalDisk),
    ] {
        let error = Download::prepare(request(folder, paths)).unwrap_err();
        assert_eq!(error.code(), code, "{paths:?}: {error}");
    }
    // An existing file is compared with the server's first.
    let download = Download::prepare(request(folder.path(), &["free", "taken"])).unwrap();
    let existing = download.items().iter().map(|item| item.has_target);
    assert_eq!(existing.collect::<Vec<_>>(), [false, true]);
}
