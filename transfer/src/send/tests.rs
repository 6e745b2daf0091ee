//! Reading blocks from files that are unchanged, grow, shrink or are rewritten.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::time::SystemTime;

use quiver_protocol::chunk::FRAMED_BLOCK;
use tempfile::NamedTempFile;

use super::*;
use crate::source::OpenFile;
use crate::{PrefixCache, SMALL};

fn source(content: &[u8]) -> (tempfile::NamedTempFile, OpenFile) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    // A day ago, so that any write is noticed regardless of the clock's resolution.
    let yesterday = SystemTime::now() - std::time::Duration::from_secs(86_400);
    file.as_file().set_modified(yesterday).unwrap();
    let Source(ContentSource::File(open)) = Source::new(file.reopen().unwrap()).unwrap() else {
        panic!("expected an open file")
    };
    (file, open)
}

#[test]
fn appended_bytes_are_ignored() {
    let (mut file, mut source) = source(b"content");
    file.write_all(b" and more").unwrap();
    source.check_unchanged().unwrap();
    file.write_all(b" and more").unwrap();
    source.check_unchanged().unwrap();
    assert_eq!(source.size, 7);
}

#[test]
fn a_file_that_shrinks_or_is_rewritten_has_changed() {
    let (file, mut shrunk) = source(b"content");
    file.as_file().set_len(3).unwrap();
    assert!(matches!(shrunk.check_unchanged(), Err(SendError::Changed)));

    let (file, mut rewritten) = source(b"content");
    file.as_file().write_all_at(b"CON", 0).unwrap();
    assert!(matches!(rewritten.check_unchanged(), Err(SendError::Changed)));
}

#[test]
fn a_new_file_under_the_same_name_is_ignored() {
    let (file, mut source) = source(b"content");
    let mut other = tempfile::NamedTempFile::new().unwrap();
    other.write_all(b"x").unwrap();
    other.persist(file.path()).unwrap();
    source.check_unchanged().unwrap();
}

#[test]
fn the_pool_keeps_as_many_buffers_as_a_step_needs() {
    let buffers = BufferPool::default();
    buffers.set_capacity(2);
    let lent = [BLOCK; 3].map(|length| buffers.lend(buffers.take(length), 10));
    assert_eq!((lent[0].len(), buffers.lock().buffers.len()), (10, 0));
    drop(lent);
    assert_eq!(buffers.lock().buffers.len(), 2);
    assert_eq!(buffers.take(5).len(), FRAMED_BLOCK);
    buffers.set_capacity(0);
    assert!(buffers.lock().buffers.is_empty());
}

/// The block lengths of each step, and the size and hash of all content.
fn steps(source: Source, max_blocks: usize) -> (Vec<Vec<usize>>, u64, ContentHash) {
    let mut reader = BlockReader::new(source, HashedPrefix::empty(), BLOCK);
    let mut lengths = Vec::new();
    loop {
        let step = reader.read_step(max_blocks).unwrap();
        lengths.push(step.blocks.iter().map(|block| block.length).collect());
        reader = step.reader;
        if step.is_last {
            return (lengths, reader.offset, ContentHash(*reader.hasher.finalize().as_bytes()));
        }
    }
}

#[test]
fn a_step_reads_as_many_blocks_as_allowed() {
    let content: Vec<u8> = (0..5 * BLOCK + 7).map(|at| (at % 251) as u8).collect();
    let hash = ContentHash(*blake3::hash(&content).as_bytes());
    for (max_blocks, expected) in [
        (1, vec![vec![BLOCK]; 5].into_iter().chain([vec![7]]).collect::<Vec<_>>()),
        (4, vec![vec![BLOCK; 4], vec![BLOCK, 7]]),
        (6, vec![vec![BLOCK, BLOCK, BLOCK, BLOCK, BLOCK, 7]]),
    ] {
        let (_file, open) = source(&content);
        let (lengths, size, found) = steps(Source(ContentSource::File(open)), max_blocks);
        assert_eq!((lengths, size), (expected, content.len() as u64));
        assert_eq!(found, hash);
    }
}

#[test]
fn a_small_file_is_read_in_one_step() {
    let (_file, small) = source(b"content");
    assert_eq!(steps(Source(ContentSource::File(small)), 1).0, [[7]]);
    let (_file, empty) = source(b"");
    assert_eq!(steps(Source(ContentSource::File(empty)), 1).0, [Vec::<usize>::new()]);
}

#[test]
fn a_loaded_file_is_sent_as_it_was_read() {
    let (file, small) = source(b"content");
    let small = Source(ContentSource::File(small)).load().unwrap();
    file.as_file().write_all_at(b"CON", 0).unwrap();
    assert_eq!(small.remaining_in_memory(&HashedPrefix::empty(), CHUNK), Some(&b"content"[..]));
    assert_eq!(
        small.remaining_in_memory(&HashedPrefix::hash_bytes(b"con"), CHUNK),
        Some(&b"tent"[..])
    );
    // Content of more than one block is sent in steps.
    assert_eq!(small.remaining_in_memory(&HashedPrefix::empty(), 6), None);
    assert_eq!(steps(small, 1).0, [[7]]);
    let (_file, large) = source(&vec![1; SMALL as usize + 1]);
    let large = Source(ContentSource::File(large)).load().unwrap();
    assert_eq!(large.remaining_in_memory(&HashedPrefix::empty(), BLOCK), None);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_sent() {
    let (file, rewritten) = source(b"content");
    file.as_file().write_all_at(b"CON", 0).unwrap();
    let (file, shrunk) = source(b"content");
    file.as_file().set_len(3).unwrap();
    for changed in [rewritten, shrunk] {
        let source = Source(ContentSource::File(changed)).load().unwrap();
        let step = BlockReader::new(source, HashedPrefix::empty(), BLOCK).read_step(1);
        assert!(matches!(step.err(), Some(SendError::Changed)));
    }
}

#[test]
fn a_block_of_a_pipe_is_sent_without_waiting_for_the_next() {
    let pipe = Source::from_pipe(io::Cursor::new(vec![1; BLOCK + 1]));
    assert_eq!(steps(pipe, 4).0, [vec![BLOCK], vec![1], vec![]]);
}

#[test]
fn a_file_that_changes_between_steps_is_not_sent() {
    let (file, open) = source(&vec![1; 3 * BLOCK]);
    let step = BlockReader::new(Source(ContentSource::File(open)), HashedPrefix::empty(), BLOCK)
        .read_step(1);
    file.as_file().set_len(BLOCK as u64).unwrap();
    let next = step.unwrap().reader.read_step(2);
    assert!(matches!(next.err(), Some(SendError::Changed)));
}

#[test]
fn a_block_that_another_transfer_has_read_is_sent_without_reading_it() {
    let content: Vec<u8> = (0..5 * BLOCK + 7).map(|at| (at % 251) as u8).collect();
    let (cache, file) = (PrefixCache::default(), NamedTempFile::new().unwrap());
    fs::write(file.path(), &content).unwrap();
    let start = |block_size| {
        let source = Source::new(file.reopen().unwrap()).unwrap();
        let recorder = cache.start_recording(&source, &HashedPrefix::empty()).map(Arc::new);
        BlockReader { recorder, ..BlockReader::new(source, HashedPrefix::empty(), block_size) }
    };
    let first = start(BLOCK).read_step(3).unwrap();
    // Smaller blocks are not shared.
    let small = start(BLOCK / 2).read_step(1).unwrap();
    assert_eq!(small.blocks[0].length, BLOCK / 2);
    let second = start(BLOCK).read_step(9).unwrap();
    assert!(second.is_last);
    let is_shared = |index: usize| {
        let [first, second] = [&first, &second].map(|step| step.blocks.get(index));
        first.is_some_and(|first| first.framed.as_ptr() == second.unwrap().framed.as_ptr())
    };
    assert_eq!([0, 1, 2, 3, 4, 5].map(is_shared), [true, true, true, false, false, false]);
    let lengths: Vec<_> = second.blocks.iter().map(|block| block.length).collect();
    assert_eq!(lengths, [BLOCK, BLOCK, BLOCK, BLOCK, BLOCK, 7]);
    assert_eq!(second.reader.hasher.finalize(), blake3::hash(&content));
}
