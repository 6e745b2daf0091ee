//! A partial file on a real disk, until it is committed or removed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn folder() -> (tempfile::TempDir, Dir) {
    let temporary = tempfile::tempdir().unwrap();
    let dir = Dir::open_ambient_dir(temporary.path(), cap_std::ambient_authority()).unwrap();
    (temporary, dir)
}

fn names(folder: &tempfile::TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_partial_file_becomes_a_file_only_by_commit() {
    let (temporary, dir) = folder();
    let mut partial = PartialFile::create(&dir, 0xab).unwrap();
    partial.write_all(b"content").unwrap();
    assert_eq!(names(&temporary), [".quiver-00000000000000ab.part"]);
    assert!(is_partial_name(&names(&temporary)[0]));
    partial.commit("a.txt", ReplacePolicy::Never, FileAttributes::default()).unwrap();
    assert_eq!(names(&temporary), ["a.txt"]);
    assert_eq!(fs::read(temporary.path().join("a.txt")).unwrap(), b"content");
}

#[test]
fn a_dropped_new_partial_file_is_removed() {
    let (temporary, dir) = folder();
    drop(PartialFile::create(&dir, 1).unwrap());
    assert!(names(&temporary).is_empty());
}

#[test]
fn an_existing_file_is_replaced_only_on_request() {
    let (temporary, dir) = folder();
    fs::write(temporary.path().join("a"), "old").unwrap();
    let partial = PartialFile::create(&dir, 1).unwrap();
    let refused = partial.commit("a", ReplacePolicy::Never, FileAttributes::default()).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(temporary.path().join("a")).unwrap(), b"old");
    assert_eq!(names(&temporary), ["a"]);
    let partial = PartialFile::create(&dir, 1).unwrap();
    partial.commit("a", ReplacePolicy::Existing, FileAttributes::default()).unwrap();
    assert_eq!(fs::read(temporary.path().join("a")).unwrap(), b"");
}

#[test]
fn a_replaced_file_keeps_its_permissions() {
    let (temporary, dir) = folder();
    let path = |name: &str| temporary.path().join(name);
    let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode() & 0o7777;
    for (old, partial, program, new) in [
        (0o600, 0o600, false, 0o600),
        (0o440, 0o640, false, 0o440),
        (0o4755, 0o644, false, 0o755),
        (0o640, 0o640, true, 0o750),
        (0o666, 0o644, false, 0o666),
    ] {
        fs::write(path("a"), "old").unwrap();
        fs::set_permissions(path("a"), Permissions::from_mode(old)).unwrap();
        let file = PartialFile::create(&dir, 1).unwrap();
        let name = ".quiver-0000000000000001.part";
        fs::set_permissions(path(name), Permissions::from_mode(0o644)).unwrap();
        file.restrict_to("a").unwrap();
        assert_eq!(mode(name), partial, "{old:o}");
        let attributes = FileAttributes { executable: program, ..FileAttributes::default() };
        let unset = file.commit("a", ReplacePolicy::Existing, attributes).unwrap();
        assert!(unset.is_empty(), "{unset}");
        assert_eq!(mode("a"), new, "{old:o}");
        fs::remove_file(path("a")).unwrap();
    }
}

#[test]
fn a_new_file_has_the_default_permissions_whatever_is_beside_it() {
    let (temporary, dir) = folder();
    fs::create_dir(temporary.path().join("folder")).unwrap();
    let file = PartialFile::create(&dir, 1).unwrap();
    file.restrict_to("folder").unwrap();
    file.restrict_to("missing").unwrap();
    file.commit("new", ReplacePolicy::Existing, FileAttributes::default()).unwrap();
    fs::write(temporary.path().join("other"), "").unwrap();
    let mode = |name: &str| fs::metadata(temporary.path().join(name)).unwrap().permissions();
    assert_eq!(mode("new"), mode("other"));
}

#[test]
fn create_refuses_an_existing_partial_file() {
    let (temporary, dir) = folder();
    let name = ".quiver-0000000000000001.part";
    std::os::unix::fs::symlink("/dev/null", temporary.path().join(name)).unwrap();
    assert_eq!(PartialFile::create(&dir, 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_kept_partial_file_resumes_at_its_offset() {
    let (temporary, dir) = folder();
    let mut partial = PartialFile::open(&dir, 7).unwrap();
    partial.write_all(b"content").unwrap();
    // Another transfer cannot open it meanwhile.
    assert_eq!(PartialFile::open(&dir, 7).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(partial);
    let partial = PartialFile::open(&dir, 7).unwrap();
    let reader = partial.content().unwrap();
    drop(partial);
    // A handle that still reads the old content does not keep the lock.
    let mut partial = PartialFile::open(&dir, 7).unwrap();
    drop(reader);
    assert_eq!(partial.length().unwrap(), 7);
    partial.truncate_to(4).unwrap();
    partial.write_all(b"act").unwrap();
    let modified = SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(1_234_567_891);
    let attributes = FileAttributes { modified: Some(modified), executable: true };
    partial.commit("a", ReplacePolicy::Never, attributes).unwrap();
    let path = temporary.path().join("a");
    assert_eq!(fs::read(&path).unwrap(), b"contact");
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.modified().unwrap(), modified);
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&metadata) & 0o100, 0o100);
    assert_eq!(names(&temporary), ["a"]);
}

#[test]
fn empty_and_discarded_partial_files_are_removed() {
    let (temporary, dir) = folder();
    drop(PartialFile::open(&dir, 1).unwrap());
    let mut partial = PartialFile::open(&dir, 2).unwrap();
    partial.write_all(b"content").unwrap();
    partial.discard();
    assert!(names(&temporary).is_empty());
}

#[test]
fn only_a_regular_file_is_opened_as_partial_file() {
    let (temporary, dir) = folder();
    let name = temporary.path().join(".quiver-0000000000000001.part");
    std::os::unix::fs::symlink("/dev/null", &name).unwrap();
    assert_eq!(PartialFile::open(&dir, 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    fs::remove_file(&name).unwrap();
    fs::create_dir(&name).unwrap();
    assert_eq!(PartialFile::open(&dir, 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn concurrent_commits_of_one_partial_file_each_store_their_own_file() {
    let (temporary, dir) = folder();
    std::thread::scope(|scope| {
        for writer in 0..8_u8 {
            let dir = dir.try_clone().unwrap();
            scope.spawn(move || {
                for round in 0..50 {
                    let Ok(mut partial) = PartialFile::open(&dir, 7) else { continue };
                    partial.truncate_to(0).unwrap();
                    partial.write_all(&[writer; 100]).unwrap();
                    let name = format!("{writer}-{round}");
                    partial.commit(&name, ReplacePolicy::Never, FileAttributes::default()).unwrap();
                }
            });
        }
    });
    for name in names(&temporary) {
        let writer: u8 = name.split('-').next().unwrap().parse().unwrap();
        assert_eq!(fs::read(temporary.path().join(name)).unwrap(), [writer; 100]);
    }
}
