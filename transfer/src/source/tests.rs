//! Sources whose length is wrong or unknown.

use std::fs;
use std::io::{Seek as _, Write as _};

use super::*;

/// A file of a few bytes that procfs reports as empty.
const PROCFS: &str = "/proc/sys/kernel/ostype";

/// A file of a few bytes that sysfs reports with 4096 bytes.
const SYSFS: &str = "/sys/class/net/lo/mtu";

fn open(path: &str) -> Source {
    Source::new(File::open(path).unwrap()).unwrap()
}

/// Reads all content of a source in pieces.
fn read_all(mut source: Source) -> Result<Vec<u8>, SendError> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 100 * 1024]);
    loop {
        let max = buffer.len();
        let length = source.read(&mut buffer, all.len() as u64, max)?;
        source.check_unchanged()?;
        if length == 0 {
            return Ok(all);
        }
        all.extend_from_slice(&buffer[..length]);
    }
}

/// A file with this content, and a source that got another size from its file system.
fn source_of_wrong_size(content: &[u8], size: u64) -> (File, Source) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    let stamp = ContentStamp::from_metadata(&file.metadata().unwrap()).unwrap();
    let (executable, modified) = (false, stamp.modified);
    let open = OpenFile {
        file: file.try_clone().unwrap(),
        size,
        executable,
        modified,
        stamp,
        identity: None,
    };
    (file, Source(ContentSource::File(open)))
}

#[test]
fn a_size_of_0_is_believed_only_if_nothing_can_be_read() {
    let empty = Source::new(tempfile::tempfile().unwrap()).unwrap();
    assert_eq!(empty.size(), Some(0));
    assert!(matches!(empty.0, ContentSource::File(_)));
    let source = open(PROCFS);
    assert_eq!(source.size(), None);
    assert!(source.modified().is_some());
    let content = fs::read(PROCFS).unwrap();
    assert_eq!(read_all(source).unwrap(), content);
    let loaded = open(PROCFS).load().unwrap();
    assert_eq!(loaded.size(), Some(content.len() as u64));
    assert_eq!(read_all(loaded).unwrap(), content);
}

#[tokio::test]
async fn a_small_file_that_ends_before_its_size_has_its_actual_size() {
    let content = fs::read(SYSFS).unwrap();
    assert!(content.len() < 4096);
    let source = open(SYSFS).load().unwrap();
    assert_eq!(source.size(), Some(content.len() as u64));
    let whole = source.hash_all().await.unwrap().unwrap();
    assert_eq!(whole.prefix(), HashedPrefix::hash_bytes(&content).prefix());
}

#[test]
fn a_large_file_of_wrong_size_is_read_to_its_end() {
    let content = vec![7; 300 * 1024];
    let (mut file, mut source) = source_of_wrong_size(&content, 1024 * 1024);
    let (mut offset, mut buffer) = (0, vec![0; 100 * 1024]);
    let error = loop {
        match source.read(&mut buffer, offset, 100 * 1024) {
            Ok(length) => offset += length as u64,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SendError::WrongSize), "{error}");
    file.rewind().unwrap();
    assert_eq!(read_all(Source::without_size(file).unwrap()).unwrap(), content);
}

#[test]
fn a_truncated_file_has_changed() {
    for size in [300 * 1024, 1000] {
        let content = vec![7; size];
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        let source = Source::new(file.try_clone().unwrap()).unwrap();
        file.set_len(500).unwrap();
        let source = source.load().unwrap();
        assert!(matches!(read_all(source), Err(SendError::Changed)), "{size}");
    }
}

#[tokio::test]
async fn a_file_of_unknown_size_is_copied_up_to_a_limit() {
    let content = fs::read("/proc/kallsyms").unwrap();
    let length = content.len() as u64;
    assert!(length > SMALL);
    let copy = |limit| {
        let source = open("/proc/kallsyms").load().unwrap();
        assert_eq!(source.size(), None);
        source.copy_to_file(tempfile::tempfile().unwrap(), limit).unwrap()
    };
    assert!(copy(length - 1).is_none());
    let source = copy(length).unwrap();
    assert_eq!(source.size(), Some(length));
    assert!(source.modified().is_some());
    let prefix = HashedPrefix::hash_bytes(&content[..1000]).prefix();
    assert_eq!(source.verify_prefix(prefix, None).await.unwrap().unwrap().length(), 1000);
    assert!(read_all(source).unwrap() == content);
    let whole = open("/proc/kallsyms").hash_all().await.unwrap().unwrap();
    assert_eq!(whole.prefix(), HashedPrefix::hash_bytes(&content).prefix());
}
