//! Which hash states are kept and found.

use std::fs::{self, File};

use quiver_transport::Role;
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
    recorder.record(&state(length).hasher, length, None);
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

#[test]
fn the_states_reach_back_as_far_as_a_receiver_may_lack_content() {
    let window = Role::Peer.limits(false).stream_window;
    // With blocks that were read ahead, and those that are not written yet.
    assert!(MAX_STATES * BLOCK >= window as usize + 7 * BLOCK);
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

fn frames(length: u64) -> Bytes {
    Bytes::copy_from_slice(&length.to_le_bytes())
}

fn record_block(recorder: &PrefixRecorder, length: u64) {
    recorder.record(&state(length).hasher, length, Some(&frames(length)));
}

/// Records blocks from the start of the file on.
fn record_blocks(recorder: &PrefixRecorder, count: usize) {
    for number in 1..=count as u64 {
        record_block(recorder, number * BLOCK_BYTES);
    }
}

fn is_taken(recorder: &PrefixRecorder, offset: u64) -> bool {
    recorder.take_block(offset).is_some_and(|CachedBlock { framed, end }| {
        let length = offset + BLOCK_BYTES;
        framed == frames(length) && end.prefix() == state(length).prefix()
    })
}

fn block_count(cache: &PrefixCache) -> usize {
    cache.0.files.lock().files.iter().map(CachedFile::block_count).sum()
}

#[tokio::test]
async fn another_transfer_of_the_unchanged_file_takes_a_block_once() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), PrefixCache::default());
    let file = source(&folder, "file");
    let first = cache.start_recording(&file, &HashedPrefix::empty()).unwrap();
    record_blocks(&first, 3);
    let other = cache.start_recording(&source(&folder, "other"), &state(BLOCK_BYTES)).unwrap();
    fs::write(folder.path().join("file"), "file and more").unwrap();
    let changed = cache.start_recording(&source(&folder, "file"), &state(BLOCK_BYTES)).unwrap();
    let second = cache.start_recording(&file, &state(BLOCK_BYTES)).unwrap();
    for recorder in [&first, &other, &changed] {
        assert!(!is_taken(recorder, BLOCK_BYTES));
    }
    // The first transfer may still run.
    assert!(is_taken(&second, BLOCK_BYTES) && !is_taken(&second, BLOCK_BYTES));
    drop(first);
    assert!(!is_taken(&second, BLOCK_BYTES + 1) && is_taken(&second, 2 * BLOCK_BYTES));
    assert!(!is_taken(&second, 3 * BLOCK_BYTES) && is_taken(&second, 0));
}

#[tokio::test]
async fn a_full_cache_replaces_blocks_of_ended_transfers_and_then_of_the_file_with_the_most() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), PrefixCache::default());
    let sources = ["a", "b", "c", "d", "e", "f"].map(|name| source(&folder, name));
    let [ended, a, b, c, new, newer] =
        sources.each_ref().map(|file| cache.start_recording(file, &HashedPrefix::empty()).unwrap());
    const EACH: usize = MAX_BLOCKS / 4;
    for recorder in [&ended, &a, &b, &c] {
        record_blocks(recorder, EACH);
    }
    assert_eq!(block_count(&cache), MAX_BLOCKS);
    drop(ended);
    record_blocks(&new, EACH);
    assert_eq!(block_count(&cache), MAX_BLOCKS);
    let continued = cache.start_recording(&sources[0], &HashedPrefix::empty()).unwrap();
    let is_left = |number: usize| is_taken(&continued, number as u64 * BLOCK_BYTES);
    assert!(!(0..EACH).any(is_left));

    record_blocks(&newer, EACH);
    let cached = cache.0.files.lock();
    let counts: Vec<_> = cached.files.iter().map(CachedFile::block_count).collect();
    assert_eq!((counts.iter().sum::<usize>(), counts[0]), (MAX_BLOCKS, 0), "{counts:?}");
    let others = counts[1..].iter();
    assert!(others.clone().max().unwrap() - others.min().unwrap() <= 1, "{counts:?}");
}

#[tokio::test]
async fn all_files_share_the_states_and_the_one_with_the_most_loses_its_oldest() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), PrefixCache::default());
    let recorders: Vec<_> = (0..MAX_FILES)
        .map(|number| {
            let file = source(&folder, &number.to_string());
            cache.start_recording(&file, &HashedPrefix::empty()).unwrap()
        })
        .collect();
    let counts = || -> Vec<usize> {
        cache.0.files.lock().files.iter().map(|file| file.states.len()).collect()
    };
    for recorder in recorders.iter().take(MAX_ALL_STATES / MAX_STATES) {
        record_blocks(recorder, MAX_STATES);
    }
    assert_eq!(counts()[0], MAX_STATES);
    for recorder in &recorders {
        record_blocks(recorder, MAX_STATES);
    }
    assert_eq!(counts().iter().sum::<usize>(), MAX_ALL_STATES);
    assert_eq!(counts().len(), MAX_FILES);
    assert!(counts().iter().all(|count| *count >= 4), "{:?}", counts());
}

#[tokio::test(start_paused = true)]
async fn blocks_are_dropped_some_time_after_their_transfer_ended() {
    let (folder, cache) = (tempfile::tempdir().unwrap(), PrefixCache::default());
    let [running, first, second] = ["a", "b", "c"].map(|name| {
        let file = source(&folder, name);
        let recorder = cache.start_recording(&file, &HashedPrefix::empty()).unwrap();
        record_blocks(&recorder, 2);
        recorder
    });
    let dropping = async {
        cache.drop_idle_blocks().await;
        unreachable!("it never returns")
    };
    let check = async {
        let (step, tick) = (MAX_BLOCKS_IDLE / 2, Duration::from_millis(5));
        let mut counts = Vec::new();
        for ended in [Some(first), Some(second), None, None] {
            drop(ended);
            tokio::time::sleep(step).await;
            tokio::time::sleep(tick).await;
            counts.push(block_count(&cache));
        }
        // Idle states are kept for longer.
        assert!(is_found(&cache, &source(&folder, "b"), BLOCK_BYTES));
        drop(running);
        counts
    };
    let counts = tokio::select! {
        counts = check => counts,
        never = dropping => never,
    };
    assert_eq!(counts, [6, 4, 2, 2]);
}
