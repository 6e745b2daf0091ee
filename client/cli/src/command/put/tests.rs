use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::failure::Exit;

fn put(files: &[PathBuf]) -> cli::Put {
    cli::Put {
        files: files.to_vec(),
        to: String::new(),
        stored_as: None,
        many: cli::Many::default(),
        overwrite: false,
        no_resume: false,
        hold: cli::Hold { patience: 0 },
        limit: None,
        json: false,
    }
}

fn paths(upload: &Upload) -> Vec<&str> {
    upload.items().iter().map(|item| item.path.as_str()).collect()
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
    let mut arguments = put(&files);
    assert_eq!(
        paths(&Upload::prepare(&arguments).unwrap()),
        ["-rf", "with space", ".hidden", "\u{1f980}", "link"]
    );
    arguments.to = "notes/2024/".to_owned();
    arguments.files.truncate(1);
    assert_eq!(paths(&Upload::prepare(&arguments).unwrap()), ["notes/2024/-rf"]);
    arguments.stored_as = Some("other".to_owned());
    assert_eq!(paths(&Upload::prepare(&arguments).unwrap()), ["notes/2024/other"]);
}

#[test]
fn what_cannot_be_put_is_refused_before_anything_is_dialled() {
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
    for (names, exit) in [
        (&["missing"][..], Exit::Disk),
        (&["broken"], Exit::Disk),
        (&["sub"], Exit::Disk),
        (&["pipe"], Exit::Disk),
        (&["to-a-pipe"], Exit::Disk),
        (&["/dev/null"], Exit::Disk),
        (&["sub/.."], Exit::Disk),
        (&["nul"], Exit::NotFound),
        (&["back\\slash"], Exit::NotFound),
        (&["line\nbreak"], Exit::NotFound),
        (&["dot."], Exit::NotFound),
        (&["a", "sub/a"], Exit::Usage),
    ] {
        let files: Vec<_> = names.iter().map(|name| at(name)).collect();
        let failure = Upload::prepare(&put(&files)).unwrap_err();
        assert_eq!(failure.exit(), exit, "{names:?}: {failure}");
    }
}

#[test]
fn standard_input_needs_a_name_and_stands_alone() {
    let typed = |files: &[&str], name: Option<&str>| {
        let files: Vec<_> = files.iter().map(PathBuf::from).collect();
        let mut arguments = put(&files);
        arguments.stored_as = name.map(str::to_owned);
        Upload::prepare(&arguments)
    };
    assert!(typed(&["-"], Some("name")).unwrap().is_streamed());
    for (files, name) in [
        (&["-"][..], None),
        (&["-", "a"], Some("name")),
        (&["-"], Some("a/b")),
        (&["-", "-"], Some("name")),
    ] {
        assert_eq!(typed(files, name).unwrap_err().exit(), Exit::Usage, "{files:?} {name:?}");
    }
    assert_eq!(typed(&["-"], Some("..")).unwrap_err().exit(), Exit::NotFound);
}
