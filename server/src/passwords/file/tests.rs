//! Password files, line by line, and their permissions.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use quiver_protocol::Secret;
use tempfile::TempDir;

use super::*;
use crate::passwords::SALT;

fn hash(cost: Cost) -> String {
    StoredHash::create(&Secret::new("hunter2".to_owned()), cost, [7; SALT]).unwrap()
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
fn accounts_stand_one_a_line_among_blank_lines_and_comments() {
    let hash = hash(Cost::CHEAP);
    let file =
        read(format!("# the team\n\nRon:{hash}\n  \n#Pete:{hash}\r\nben:{hash}\r\n\r\n")).unwrap();
    assert_eq!(file.accounts().len(), 2);
    let ron = file.account(&name("rON")).unwrap();
    assert_eq!((ron.name.as_str(), ron.line), ("Ron", 3));
    assert_eq!(file.account(&name("Ben")).unwrap().line, 6);
    assert!(file.account(&name("Pete")).is_none());
    assert_eq!(file.costs(), [Cost::CHEAP]);
}

#[test]
fn an_account_may_read_and_no_more_unless_its_line_says_so() {
    let hash = hash(Cost::CHEAP);
    let file = read(format!("a:{hash}\nb:{hash}:read\nc:{hash}:upload\r\n")).unwrap();
    let may = |account| file.account(&name(account)).unwrap().may;
    assert_eq!(
        [may("a"), may("b"), may("C")],
        [AccountPermission::Read, AccountPermission::Read, AccountPermission::Upload]
    );
}

#[test]
fn the_last_line_needs_no_end() {
    assert_eq!(read(format!("Ron:{}", hash(Cost::CHEAP))).unwrap().accounts().len(), 1);
}

#[test]
fn a_file_without_accounts_is_a_good_one_with_the_default_cost() {
    for content in ["", "\n", "# nobody yet"] {
        let file = read(content).unwrap();
        assert_eq!((file.accounts().len(), file.costs()), (0, &[Cost::DEFAULT][..]));
    }
}

#[test]
fn a_wrong_line_is_named_by_its_number_and_never_shown() {
    let good = hash(Cost::CHEAP);
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
fn bytes_that_are_no_text_are_an_error_of_their_line() {
    let error = read(b"# caf\xe9\n").unwrap_err();
    assert!(matches!(
        error,
        PasswordFileError::Line { line: 1, problem: LineProblem::NotText, .. }
    ));
}

#[test]
fn a_file_has_few_costs_beside_the_default() {
    let cheap = hash(Cost::CHEAP);
    let mut content = format!("a:{}\n", hash(Cost::DEFAULT));
    for cost in 0..OTHER_COSTS {
        let text = cheap.replace("m=8", &format!("m={}", 8 + cost));
        content += &format!("b{cost}:{text}\nc{cost}:{text}\n");
    }
    assert_eq!(read(&content).unwrap().costs().len(), OTHER_COSTS + 1);
    content += &format!("d:{}\n", cheap.replace("t=1", "t=2"));
    assert!(matches!(
        read(&content).unwrap_err(),
        PasswordFileError::Line { line: 10, problem: LineProblem::TooManyCosts, .. }
    ));
}

#[test]
fn a_file_that_others_may_read_is_refused_with_the_chmod_to_type() {
    let (_folder, path) = write("");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let error = PasswordFile::read(&path).unwrap_err();
    assert!(matches!(error, PasswordFileError::Shared { mode: 0o644, .. }));
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
fn what_is_not_a_regular_file_is_refused_without_waiting() {
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
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none");
    let text = PasswordFile::read(&path).unwrap_err().to_string();
    assert!(text.starts_with(&format!("cannot read {}: No such file", path.display())), "{text}");
}

#[test]
fn a_file_may_have_a_mebibyte_and_no_byte_more() {
    let mut content = vec![b'#'; LONGEST];
    read(&content).unwrap();
    content.push(b'#');
    assert!(matches!(read(&content).unwrap_err(), PasswordFileError::TooLong { .. }));
}

#[test]
fn a_change_is_seen_even_where_size_and_times_stay() {
    let (one, other) = (hash(Cost::CHEAP), hash(Cost::OTHER));
    let (_folder, path) = write(format!("Ron:{one}\n"));
    let file = PasswordFile::read(&path).unwrap();
    assert!(file.read_if_changed(&path).unwrap().is_none());

    let times = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, format!("Ben:{one}\n")).unwrap();
    fs::File::open(&path).unwrap().set_modified(times).unwrap();
    let file = file.read_if_changed(&path).unwrap().unwrap();
    assert!(file.account(&name("Ben")).is_some() && file.account(&name("Ron")).is_none());

    fs::write(&path, format!("Ben:{other}\n")).unwrap();
    assert_eq!(file.read_if_changed(&path).unwrap().unwrap().costs(), [Cost::OTHER]);
}

#[test]
fn a_file_does_not_show_its_content() {
    let shown = format!("{:?}", read(format!("Ron:{}\n", hash(Cost::CHEAP))).unwrap());
    assert!(!shown.contains("Ron") && !shown.contains("argon2"), "{shown}");
}
