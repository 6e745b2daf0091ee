//! The lines and the permissions of password files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use quiver_protocol::Secret;
use tempfile::TempDir;

use super::*;
use crate::passwords::SALT_BYTES;

fn hash(cost: HashCost) -> String {
    StoredHash::create(&Secret::new("hunter2".to_owned()), cost, [7; SALT_BYTES]).unwrap()
}

fn write(content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passwords");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    (folder, path)
}

fn read(content: impl AsRef<[u8]>) -> Result<PasswordFile, PasswordFileError> {
    let (_folder, path) = write(content);
    PasswordFile::read(&path)
}

fn name(text: &str) -> ClientName {
    ClientName::parse(text).unwrap()
}

#[test]
fn a_file_has_one_account_a_line_and_blank_lines_and_comments() {
    let hash = hash(HashCost::CHEAP);
    let file =
        read(format!("# the team\n\nRon:{hash}\n  \n#Pete:{hash}\r\nben:{hash}\r\n\r\n")).unwrap();
    assert_eq!(file.accounts().len(), 2);
    let ron = file.account(&name("rON")).unwrap();
    assert_eq!((ron.name.as_str(), ron.line), ("Ron", 3));
    assert_eq!(file.account(&name("Ben")).unwrap().line, 6);
    assert!(file.account(&name("Pete")).is_none());
    assert_eq!(file.costs(), [HashCost::CHEAP]);
}

#[test]
fn an_account_may_only_read_unless_its_line_says_upload() {
    let hash = hash(HashCost::CHEAP);
    let file = read(format!("a:{hash}\nb:{hash}:read\nc:{hash}:upload\r\n")).unwrap();
    let permission = |account| file.account(&name(account)).unwrap().permission;
    assert_eq!(
        [permission("a"), permission("b"), permission("C")],
        [AccountPermission::Read, AccountPermission::Read, AccountPermission::Upload]
    );
}

#[test]
fn the_last_line_needs_no_line_ending() {
    assert_eq!(read(format!("Ron:{}", hash(HashCost::CHEAP))).unwrap().accounts().len(), 1);
}

#[test]
fn a_file_without_accounts_is_valid_and_has_the_default_cost() {
    for content in ["", "\n", "# no accounts yet"] {
        let file = read(content).unwrap();
        assert_eq!((file.accounts().len(), file.costs()), (0, &[HashCost::DEFAULT][..]));
    }
}

#[test]
fn the_error_for_an_invalid_line_has_its_number_and_never_its_content() {
    let good = hash(HashCost::CHEAP);
    let cases = [
        ("s3cret".to_owned(), "not of the form"),
        ("s3cret:s3cret".to_owned(), "argon2id"),
        (format!(":{good}"), "1 to 32 characters"),
        (format!(" s3cret:{good}"), "1 to 32 characters"),
        (format!("s3cret :{good}"), "1 to 32 characters"),
        (format!("s3cret: {good}"), "argon2id"),
        (format!("s3cret:{good} "), "$argon2id$v=19$"),
        (format!("s3cret:{good}:"), ":read or :upload"),
        (format!("s3cret:{good}:admin"), ":read or :upload"),
        (format!("s3cret:{good}:Upload"), ":read or :upload"),
        (format!("s3cret:{good}:upload:read"), ":read or :upload"),
        (format!("s3cret:{}", good.replace("argon2id", "argon2i")), "argon2id"),
        (format!("s3cret:{}", good.replace("m=8", "m=262145")), "256 MiB"),
        (format!("s3cret:{}", good.replace("t=1", "t=11")), "10 passes"),
        (format!("s3cret:{}", good.replace("m=8,t=1,p=1", "m=64,t=1,p=5")), "4 lanes"),
        (format!("s3cret:{}", good.replace("m=8", "m=7")), "cannot compute"),
        (format!("rOn:{good}"), "on line 2 already"),
    ];
    for (line, reason) in cases {
        let (_folder, path) = write(format!("# team\nRon:{good}\n{line}\nBen:{good}\n"));
        let error = PasswordFile::read(&path).unwrap_err();
        assert!(matches!(error, PasswordFileError::Line { line: 3, .. }), "{line}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("{}, line 3: ", path.display())), "{text}");
        assert!(text.contains(reason), "{text}");
        for shown in [text, format!("{error:?}")] {
            assert!(!shown.contains("s3cret") && !shown.contains("rOn"), "{shown}");
            assert!(!shown.contains(&good[good.len() - 20..]), "{shown}");
        }
    }
}

#[test]
fn a_line_that_is_not_utf_8_is_invalid() {
    let error = read(b"# caf\xe9\n").unwrap_err();
    assert!(matches!(
        error,
        PasswordFileError::Line { line: 1, problem: LineProblem::NotText, .. }
    ));
}

#[test]
fn a_file_has_at_most_four_costs_beside_the_default() {
    let cheap = hash(HashCost::CHEAP);
    let mut content = format!("a:{}\n", hash(HashCost::DEFAULT));
    for cost in 0..MAX_OTHER_COSTS {
        let text = cheap.replace("m=8", &format!("m={}", 8 + cost));
        content += &format!("b{cost}:{text}\nc{cost}:{text}\n");
    }
    assert_eq!(read(&content).unwrap().costs().len(), MAX_OTHER_COSTS + 1);
    content += &format!("d:{}\n", cheap.replace("t=1", "t=2"));
    assert!(matches!(
        read(&content).unwrap_err(),
        PasswordFileError::Line { line: 10, problem: LineProblem::TooManyCosts, .. }
    ));
}

#[test]
fn the_error_for_a_file_that_others_can_read_has_the_chmod_command() {
    let (_folder, path) = write("");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let error = PasswordFile::read(&path).unwrap_err();
    assert!(matches!(error, PasswordFileError::TooPermissive { mode: 0o644, .. }));
    let text = error.to_string();
    assert!(text.contains("(mode 0644)"), "{text}");
    assert!(text.ends_with(&format!("type `chmod 600 {}`", path.display())), "{text}");
}

#[test]
fn a_symbolic_link_is_not_followed() {
    let (folder, path) = write("");
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    let error = PasswordFile::read(&link).unwrap_err();
    assert!(matches!(error, PasswordFileError::SymbolicLink { .. }), "{error}");
}

#[test]
fn a_path_that_is_not_a_regular_file_is_rejected_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for path in [pipe.as_path(), folder.path(), Path::new("/dev/null")] {
        let error = PasswordFile::read(path).unwrap_err();
        assert!(matches!(error, PasswordFileError::NotAFile { .. }), "{error}");
    }
}

#[test]
fn the_error_for_a_missing_file_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none");
    let text = PasswordFile::read(&path).unwrap_err().to_string();
    assert!(text.starts_with(&format!("cannot read {}: No such file", path.display())), "{text}");
}

#[test]
fn a_file_has_at_most_one_mebibyte() {
    let mut content = vec![b'#'; MAX_FILE_BYTES];
    read(&content).unwrap();
    content.push(b'#');
    assert!(matches!(read(&content).unwrap_err(), PasswordFileError::TooLong { .. }));
}

#[test]
fn a_change_is_detected_where_size_and_times_are_the_same() {
    let (one, other) = (hash(HashCost::CHEAP), hash(HashCost::OTHER));
    let (_folder, path) = write(format!("Ron:{one}\n"));
    let file = PasswordFile::read(&path).unwrap();
    assert!(file.read_if_changed(&path).unwrap().is_none());

    let times = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, format!("Ben:{one}\n")).unwrap();
    fs::File::open(&path).unwrap().set_modified(times).unwrap();
    let file = file.read_if_changed(&path).unwrap().unwrap();
    assert!(file.account(&name("Ben")).is_some() && file.account(&name("Ron")).is_none());

    fs::write(&path, format!("Ben:{other}\n")).unwrap();
    assert_eq!(file.read_if_changed(&path).unwrap().unwrap().costs(), [HashCost::OTHER]);
}

#[test]
fn the_debug_output_of_a_file_does_not_contain_its_content() {
    let shown = format!("{:?}", read(format!("Ron:{}\n", hash(HashCost::CHEAP))).unwrap());
    assert!(!shown.contains("Ron") && !shown.contains("argon2"), "{shown}");
}
