//! Checks of an upload before it connects.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::error::ErrorCode;

fn put(files: &[PathBuf]) -> UploadRequest {
    UploadRequest {
        content: UploadContent::Paths(files.to_vec()),
        to: String::new(),
        stored_as: None,
        options: TransferOptions::default(),
    }
}

fn paths(request: UploadRequest) -> Vec<String> {
    let upload = Upload::prepare(request).unwrap();
    upload.items().iter().map(|item| item.path.to_string()).collect()
}

#[test]
fn each_file_keeps_its_own_name_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["-rf", "with space", ".hidden", "\u{1f980}"] {
        fs::write(at(name), "").unwrap();
    }
    symlink("with space", at("link")).unwrap();
    let files = ["-rf", "with space", ".hidden", "\u{1f980}", "link"].map(at);
    assert_eq!(paths(put(&files)), ["-rf", "with space", ".hidden", "\u{1f980}", "link"]);
    let one = || UploadRequest { to: "notes/2024/".to_owned(), ..put(&files[..1]) };
    assert_eq!(paths(one()), ["notes/2024/-rf"]);
    let renamed = UploadRequest { stored_as: Some("other".to_owned()), ..one() };
    assert_eq!(paths(renamed), ["notes/2024/other"]);
}

#[test]
fn prepare_rejects_a_file_that_cannot_be_uploaded() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("sub")).unwrap();
    for name in ["a", "sub/a", "nul", "back\\slash", "line\nbreak", "dot."] {
        fs::write(at(name), "").unwrap();
    }
    let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap();
    assert!(made.success());
    symlink("nowhere", at("broken")).unwrap();
    symlink("pipe", at("to-a-pipe")).unwrap();
    for (names, code) in [
        (&["missing"][..], ErrorCode::NotFound),
        (&["broken"], ErrorCode::NotFound),
        (&["sub"], ErrorCode::NotFound),
        (&["pipe"], ErrorCode::NotFound),
        (&["to-a-pipe"], ErrorCode::NotFound),
        (&["/dev/null"], ErrorCode::NotFound),
        (&["sub/.."], ErrorCode::NotFound),
        (&["nul"], ErrorCode::InvalidRequest),
        (&["back\\slash"], ErrorCode::InvalidRequest),
        (&["line\nbreak"], ErrorCode::InvalidRequest),
        (&["dot."], ErrorCode::InvalidRequest),
        (&["a", "sub/a"], ErrorCode::InvalidRequest),
    ] {
        let files: Vec<_> = names.iter().map(|name| at(name)).collect();
        let failure = Upload::prepare(put(&files)).unwrap_err();
        assert_eq!(failure.code(), code, "{names:?}: {failure}");
    }
}

#[test]
fn a_stream_needs_a_name() {
    let streamed = |name: Option<&str>| {
        let content = UploadContent::Stream(Box::new(std::io::empty()));
        Upload::prepare(UploadRequest { content, stored_as: name.map(str::to_owned), ..put(&[]) })
    };
    assert!(streamed(Some("name")).unwrap().is_streamed());
    for (name, code) in [
        (None, ErrorCode::InvalidRequest),
        (Some("a/b"), ErrorCode::InvalidRequest),
        (Some(".."), ErrorCode::InvalidRequest),
    ] {
        assert_eq!(streamed(name).unwrap_err().code(), code, "{name:?}");
    }
}
