//! The hash state that a partial file keeps between attempts.

use cap_std::ambient_authority;
use tempfile::TempDir;

use super::*;

async fn open() -> (TempDir, ResumableFile) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Dir::open_ambient_dir(temporary.path(), ambient_authority()).unwrap();
    let target = StorageTarget {
        folder: Arc::new(folder),
        name: "a".to_owned(),
        path: temporary.path().join("a"),
        replace: ReplacePolicy::Never,
    };
    let file = ResumableFile::open(&target, 1, false).await.unwrap();
    (temporary, file)
}

#[tokio::test]
async fn the_hash_of_the_whole_content_is_kept() {
    let (_folder, file) = open().await;
    assert!(file.kept_hash().await.unwrap().is_none());
    file.sink(0).await.unwrap().write_all(b"content").unwrap();
    let hashed = HashedPrefix::hash_bytes(b"content");
    file.keep_hash(&hashed);
    for _ in 0..2 {
        assert_eq!(file.kept_hash().await.unwrap().unwrap().prefix(), hashed.prefix());
    }
}

#[tokio::test]
async fn the_hash_of_other_content_is_not_kept() {
    let (_folder, file) = open().await;
    let mut sink = file.sink(0).await.unwrap();
    sink.write_all(b"content").unwrap();
    file.keep_hash(&HashedPrefix::hash_bytes(b"conten"));
    assert!(file.kept_hash().await.unwrap().is_none(), "a part of the content");
    // The last attempt can no longer write.
    sink.write_all(b"more").unwrap_err();

    let hashed = HashedPrefix::hash_bytes(b"content");
    file.keep_hash(&hashed);
    let mut sink = file.sink(7).await.unwrap();
    assert!(file.kept_hash().await.unwrap().is_none(), "the next attempt may have written");
    assert!(sink.write_all(b"more").is_err());

    let mut sink = file.sink(7).await.unwrap();
    file.keep_hash(&hashed);
    sink.write_all(b"more").unwrap();
    assert!(file.kept_hash().await.unwrap().is_none(), "more was written");
}

#[tokio::test]
async fn a_file_that_another_program_shortened_has_no_kept_hash() {
    let (folder, file) = open().await;
    file.sink(0).await.unwrap().write_all(b"content").unwrap();
    file.keep_hash(&HashedPrefix::hash_bytes(b"content"));
    let name = format!("{}{:016x}{}", crate::PARTIAL_PREFIX, 1, crate::PARTIAL_SUFFIX);
    let other = File::options().write(true).open(folder.path().join(name)).unwrap();
    other.set_len(3).unwrap();
    assert!(file.kept_hash().await.unwrap().is_none());
}
