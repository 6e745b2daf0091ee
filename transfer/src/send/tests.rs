//! Blocks read from files that stay, grow, shrink or are rewritten.

use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::time::SystemTime;

use quiver_protocol::chunk::FRAMED_BLOCK;

use super::*;
use crate::SMALL;
use crate::source::OpenFile;

fn source(content: &[u8]) -> (tempfile::NamedTempFile, OpenFile) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    // A day ago, so that any write is seen whatever the clock's grain.
    let yesterday = SystemTime::now() - std::time::Duration::from_secs(86_400);
    file.as_file().set_modified(yesterday).unwrap();
    let Source(ContentSource::File(open)) = Source::new(file.reopen().unwrap()).unwrap() else {
        panic!("a file is a file")
    };
    (file, open)
}

#[test]
fn what_is_appended_does_not_matter() {
    let (mut file, mut source) = source(b"content");
    file.write_all(b" and more").unwrap();
    source.check().unwrap();
    file.write_all(b" and more").unwrap();
    source.check().unwrap();
    assert_eq!(source.size, 7);
}

#[test]
fn what_shrinks_or_is_rewritten_has_changed() {
    let (file, mut shrunk) = source(b"content");
    file.as_file().set_len(3).unwrap();
    assert!(matches!(shrunk.check(), Err(SendError::Changed)));

    let (file, mut rewritten) = source(b"content");
    file.as_file().write_all_at(b"CON", 0).unwrap();
    assert!(matches!(rewritten.check(), Err(SendError::Changed)));
}

#[test]
fn a_new_file_under_the_name_does_not_matter() {
    let (file, mut source) = source(b"content");
    let mut other = tempfile::NamedTempFile::new().unwrap();
    other.write_all(b"x").unwrap();
    other.persist(file.path()).unwrap();
    source.check().unwrap();
}

#[test]
fn as_many_buffers_come_back_as_a_hop_needs() {
    let buffers = Buffers::default();
    buffers.keep(2);
    let lent = [BLOCK; 3].map(|length| buffers.lend(buffers.take(length), 10));
    assert_eq!((lent[0].len(), buffers.lock().buffers.len()), (10, 0));
    drop(lent);
    assert_eq!(buffers.lock().buffers.len(), 2);
    assert_eq!(buffers.take(5).len(), FRAMED_BLOCK);
    buffers.keep(0);
    assert!(buffers.lock().buffers.is_empty());
}

/// The file bytes of each step's blocks, and what the end has to say.
fn steps(source: Source, most: usize) -> (Vec<Vec<usize>>, u64, ContentHash) {
    let mut reader = BlockReader::new(source, HashedPrefix::empty(), BLOCK);
    let mut lengths = Vec::new();
    loop {
        let step = reader.step(most).unwrap();
        lengths.push(step.blocks.iter().map(|block| block.length).collect());
        reader = step.reader;
        if step.ended {
            return (lengths, reader.offset, ContentHash(*reader.hasher.finalize().as_bytes()));
        }
    }
}

#[test]
fn a_step_reads_as_many_blocks_as_it_may() {
    let content: Vec<u8> = (0..5 * BLOCK + 7).map(|at| (at % 251) as u8).collect();
    let hash = ContentHash(*blake3::hash(&content).as_bytes());
    for (most, expected) in [
        (1, vec![vec![BLOCK]; 5].into_iter().chain([vec![7]]).collect::<Vec<_>>()),
        (4, vec![vec![BLOCK; 4], vec![BLOCK, 7]]),
        (6, vec![vec![BLOCK, BLOCK, BLOCK, BLOCK, BLOCK, 7]]),
    ] {
        let (_file, open) = source(&content);
        let (lengths, size, found) = steps(Source(ContentSource::File(open)), most);
        assert_eq!((lengths, size), (expected, content.len() as u64));
        assert_eq!(found, hash);
    }
}

#[test]
fn a_small_file_is_one_step() {
    let (_file, small) = source(b"content");
    assert_eq!(steps(Source(ContentSource::File(small)), 1).0, [[7]]);
    let (_file, empty) = source(b"");
    assert_eq!(steps(Source(ContentSource::File(empty)), 1).0, [Vec::<usize>::new()]);
}

#[test]
fn what_is_in_memory_is_sent_as_it_was_read() {
    let (file, small) = source(b"content");
    let small = Source(ContentSource::File(small)).load().unwrap();
    file.as_file().write_all_at(b"CON", 0).unwrap();
    assert_eq!(small.rest(&HashedPrefix::empty(), CHUNK), Some(&b"content"[..]));
    assert_eq!(small.rest(&HashedPrefix::hash_bytes(b"con"), CHUNK), Some(&b"tent"[..]));
    // A block at a time, where that is all that may leave at once.
    assert_eq!(small.rest(&HashedPrefix::empty(), 6), None);
    assert_eq!(steps(small, 1).0, [[7]]);
    let (_file, large) = source(&vec![1; SMALL as usize + 1]);
    let large = Source(ContentSource::File(large)).load().unwrap();
    assert_eq!(large.rest(&HashedPrefix::empty(), BLOCK), None);
}

#[test]
fn what_changes_while_it_is_read_is_not_taken_for_whole() {
    let (file, rewritten) = source(b"content");
    file.as_file().write_all_at(b"CON", 0).unwrap();
    let (file, shrunk) = source(b"content");
    file.as_file().set_len(3).unwrap();
    for changed in [rewritten, shrunk] {
        let source = Source(ContentSource::File(changed)).load().unwrap();
        let step = BlockReader::new(source, HashedPrefix::empty(), BLOCK).step(1);
        assert!(matches!(step.err(), Some(SendError::Changed)));
    }
}

#[test]
fn what_a_pipe_gives_does_not_wait_for_what_follows() {
    let pipe = Source::from_pipe(io::Cursor::new(vec![1; BLOCK + 1]));
    assert_eq!(steps(pipe, 4).0, [vec![BLOCK], vec![1], vec![]]);
}

#[test]
fn a_step_of_a_changed_file_is_not_sent() {
    let (file, open) = source(&vec![1; 3 * BLOCK]);
    let step =
        BlockReader::new(Source(ContentSource::File(open)), HashedPrefix::empty(), BLOCK).step(1);
    file.as_file().set_len(BLOCK as u64).unwrap();
    let next = step.unwrap().reader.step(2);
    assert!(matches!(next.err(), Some(SendError::Changed)));
}
