//! A partial file on a real disk, until it has its name or is gone.

use std::fs;

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
fn a_part_becomes_a_file_only_by_commit() {
    let (temporary, dir) = folder();
    let mut part = PartialFile::create(&dir, 0xab).unwrap();
    part.write_all(b"content").unwrap();
    assert_eq!(names(&temporary), [".quiver-00000000000000ab.part"]);
    assert!(is_partial_name(&names(&temporary)[0]));
    part.commit("a.txt", ReplacePolicy::Never, FileAttributes::default()).unwrap();
    assert_eq!(names(&temporary), ["a.txt"]);
    assert_eq!(fs::read(temporary.path().join("a.txt")).unwrap(), b"content");
}

#[test]
fn an_abandoned_part_leaves_nothing() {
    let (temporary, dir) = folder();
    drop(PartialFile::create(&dir, 1).unwrap());
    assert!(names(&temporary).is_empty());
}

#[test]
fn a_taken_name_is_replaced_only_when_told() {
    let (temporary, dir) = folder();
    fs::write(temporary.path().join("a"), "old").unwrap();
    let part = PartialFile::create(&dir, 1).unwrap();
    let refused = part.commit("a", ReplacePolicy::Never, FileAttributes::default()).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(temporary.path().join("a")).unwrap(), b"old");
    assert_eq!(names(&temporary), ["a"]);
    let part = PartialFile::create(&dir, 1).unwrap();
    part.commit("a", ReplacePolicy::Existing, FileAttributes::default()).unwrap();
    assert_eq!(fs::read(temporary.path().join("a")).unwrap(), b"");
}

#[test]
fn an_existing_part_is_not_touched() {
    let (temporary, dir) = folder();
    let name = ".quiver-0000000000000001.part";
    std::os::unix::fs::symlink("/dev/null", temporary.path().join(name)).unwrap();
    assert_eq!(PartialFile::create(&dir, 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_part_that_is_kept_goes_on_where_it_stopped() {
    let (temporary, dir) = folder();
    let mut part = PartialFile::open(&dir, 7).unwrap();
    part.write_all(b"content").unwrap();
    // Nobody else has it meanwhile.
    assert_eq!(PartialFile::open(&dir, 7).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(part);
    let part = PartialFile::open(&dir, 7).unwrap();
    let reader = part.content().unwrap();
    drop(part);
    // Nor does somebody who still reads what was there.
    let mut part = PartialFile::open(&dir, 7).unwrap();
    drop(reader);
    assert_eq!(part.length().unwrap(), 7);
    part.truncate_to(4).unwrap();
    part.write_all(b"act").unwrap();
    let modified = SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(1_234_567_891);
    let finish = FileAttributes { modified: Some(modified), executable: true };
    part.commit("a", ReplacePolicy::Never, finish).unwrap();
    let path = temporary.path().join("a");
    assert_eq!(fs::read(&path).unwrap(), b"contact");
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.modified().unwrap(), modified);
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&metadata) & 0o100, 0o100);
    assert_eq!(names(&temporary), ["a"]);
}

#[test]
fn a_kept_part_with_nothing_in_it_goes_and_so_does_a_discarded_one() {
    let (temporary, dir) = folder();
    drop(PartialFile::open(&dir, 1).unwrap());
    let mut part = PartialFile::open(&dir, 2).unwrap();
    part.write_all(b"content").unwrap();
    part.discard();
    assert!(names(&temporary).is_empty());
}

#[test]
fn what_is_no_file_is_no_part() {
    let (temporary, dir) = folder();
    let name = temporary.path().join(".quiver-0000000000000001.part");
    std::os::unix::fs::symlink("/dev/null", &name).unwrap();
    assert_eq!(PartialFile::open(&dir, 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    fs::remove_file(&name).unwrap();
    fs::create_dir(&name).unwrap();
    assert_eq!(PartialFile::open(&dir, 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn of_two_who_finish_the_same_part_at_once_each_has_a_file_of_its_own() {
    let (temporary, dir) = folder();
    std::thread::scope(|scope| {
        for writer in 0..8_u8 {
            let dir = dir.try_clone().unwrap();
            scope.spawn(move || {
                for round in 0..50 {
                    let Ok(mut part) = PartialFile::open(&dir, 7) else { continue };
                    part.truncate_to(0).unwrap();
                    part.write_all(&[writer; 100]).unwrap();
                    let name = format!("{writer}-{round}");
                    part.commit(&name, ReplacePolicy::Never, FileAttributes::default()).unwrap();
                }
            });
        }
    });
    for name in names(&temporary) {
        let writer: u8 = name.split('-').next().unwrap().parse().unwrap();
        assert_eq!(fs::read(temporary.path().join(name)).unwrap(), [writer; 100]);
    }
}
