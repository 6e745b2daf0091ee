//! Which hash states are kept and found.

use std::fs::{self, File};

use tempfile::TempDir;

use super::*;

const BLOCK_BYTES: u64 = BLOCK as u64;

/// A file of a few bytes in a folder.
fn source(folder: &TempDir, name: &str) -> Source {
    let path = folder.path().join(name);
    if !path.exists() {
        fs::write(&path, name).unwrap();
    }
    Source::new(File::open(path).unwrap()).unwrap()
}

/// A state as after hashing `length` bytes of some content.
fn state(length: u64) -> HashedPrefix {
    let HashedPrefix { hasher, .. } = HashedPrefix::hash_bytes(&length.to_le_bytes());
    HashedPrefix { hasher, length }
}

fn record(recorder: &PrefixRecorder, length: u64) {
    recorder.record(&state(length).hasher, length);
}

fn is_found(cache: &PrefixCache, source: &Source, length: u64) -> bool {
    cache.find(source, state(length).prefix()).is_some_and(|found| found.length == length)
}

#[tokio::test]
async fn states_at_block_boundaries_of_the_last_blocks_are_found() {
    const START: u64 = 77;
    let (folder, cache) = (tempfile::tempdir().unwrap(), PrefixCache::default());
    let file = source(&folder, "file");
    let recorder = cache.start_recording(&file, &state(START)).unwrap();
    assert!(is_found(&cache, &file, START));
    let count = MAX_STATES as u64 + 2;
    for number in 1..count {
        record(&recorder, START + number * BLOCK_BYTES);
        record(&recorder, START + number * BLOCK_BYTES + BLOCK_BYTES / 4);
    }
    for number in 0..count {
        let length = START + number * BLOCK_BYTES;
        assert_eq!(is_found(&cache, &file, length), number >= 2, "{number}");
        assert!(!is_found(&cache, &file, length + BLOCK_BYTES / 4));
    }
    let last = START + (count - 1) * BLOCK_BYTES;
    let other_hash = ContentPrefix { size: last, ..state(1).prefix() };
    assert!(cache.find(&file, other_hash).is_none());
    assert!(!is_found(&cache, &source(&folder, "other"), last));
}

#[tokio::test]
async fn a_file_is_found_until_its_receiver_has_confirmed_it() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), PrefixCache::default());
    let file = source(&folder, "file");
    let [first, second] =
        [1, 2].map(|_| cache.start_recording(&file, &HashedPrefix::empty()).unwrap());
    record(&first, BLOCK_BYTES);
    record(&second, 2 * BLOCK_BYTES);
    drop(first);
    assert!(is_found(&cache, &file, BLOCK_BYTES) && is_found(&cache, &file, 2 * BLOCK_BYTES));
    second.remove();
    assert!(is_found(&cache, &file, BLOCK_BYTES) && !is_found(&cache, &file, 2 * BLOCK_BYTES));
}

#[tokio::test(start_paused = true)]
async fn a_file_is_removed_some_time_after_its_transfer_ended() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), PrefixCache::default());
    let [ended, running, new] = ["a", "b", "c"].map(|name| source(&folder, name));
    let running_recorder = cache.start_recording(&running, &HashedPrefix::empty()).unwrap();
    record(&running_recorder, BLOCK_BYTES);
    record(&cache.start_recording(&ended, &HashedPrefix::empty()).unwrap(), BLOCK_BYTES);
    for is_kept in [true, false] {
        record(&cache.start_recording(&new, &HashedPrefix::empty()).unwrap(), BLOCK_BYTES);
        assert_eq!(is_found(&cache, &ended, BLOCK_BYTES), is_kept);
        assert!(is_found(&cache, &running, BLOCK_BYTES));
        tokio::time::advance(MAX_IDLE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_cache_replaces_the_file_whose_transfer_ended_first() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), PrefixCache::default());
    let sources: Vec<_> =
        (0..MAX_FILES + 3).map(|number| source(&folder, &number.to_string())).collect();
    let (ended, running) = sources.split_at(2);
    let mut recorders: Vec<_> = sources
        .iter()
        .map(|file| cache.start_recording(file, &HashedPrefix::empty()).unwrap())
        .collect();
    for recorder in &recorders[..MAX_FILES] {
        record(recorder, BLOCK_BYTES);
    }
    for recorder in recorders.drain(..ended.len()).rev() {
        drop(recorder);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    // The second file has ended before the first one.
    for (new, are_kept) in [[true, false], [false, false], [false, false]].iter().enumerate() {
        record(&recorders[MAX_FILES - ended.len() + new], BLOCK_BYTES);
        let are_found: Vec<_> =
            ended.iter().map(|file| is_found(&cache, file, BLOCK_BYTES)).collect();
        assert_eq!(are_found, are_kept);
    }
    let found = running.iter().filter(|file| is_found(&cache, file, BLOCK_BYTES)).count();
    assert_eq!((found, running.len()), (MAX_FILES, MAX_FILES + 1), "the last one has no space");
}
