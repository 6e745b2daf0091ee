//! Blocks on their way to a disk that is full or slow.

use std::time::Duration;

use super::*;
use crate::HashedPrefix;

/// A sink that is full after so many bytes.
struct Disk {
    content: Vec<u8>,
    room: usize,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.content.len() + bytes.len() > self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.content.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const HASHING_THREADS: [HashingThread; 2] = [HashingThread::Network, HashingThread::Writer];

fn writer(room: usize, hashing_thread: HashingThread) -> BlockWriter<Disk> {
    let disk = Disk { content: Vec::new(), room };
    BlockWriter::new(disk, Box::default(), u64::MAX, hashing_thread)
}

#[tokio::test]
async fn blocks_are_written_in_their_order() {
    for (count, hashing_thread) in
        (0..=7_u8).flat_map(|count| HASHING_THREADS.map(|hashing_thread| (count, hashing_thread)))
    {
        let mut writer = writer(usize::MAX, hashing_thread);
        let mut block = writer.buffer();
        let mut expected = Vec::new();
        for number in 0..count {
            assert!(block.is_empty());
            block.extend_from_slice(&[number; 1000]);
            expected.extend_from_slice(&[number; 1000]);
            block = writer.write(block).await.unwrap();
        }
        assert!(writer.written() <= expected.len() as u64);
        block.extend_from_slice(b"last");
        expected.extend_from_slice(b"last");
        let (disk, hash, _) = writer.close(block).await.unwrap();
        assert_eq!(disk.content, expected);
        assert_eq!(hash, ContentHash(*blake3::hash(&expected).as_bytes()));
    }
}

#[tokio::test]
async fn what_was_hashed_before_counts() {
    for hashing_thread in HASHING_THREADS {
        let (disk, before) =
            (Disk { content: Vec::new(), room: 100 }, HashedPrefix::hash_bytes(b"before "));
        let writer = BlockWriter::new(disk, before.hasher, 3, hashing_thread);
        let (_, hash, _) = writer.close(b"now".to_vec()).await.unwrap();
        assert_eq!(hash, ContentHash(*blake3::hash(b"before now").as_bytes()));
    }
}

#[tokio::test]
async fn a_full_disk_ends_it_soon() {
    for hashing_thread in HASHING_THREADS {
        let mut writer = writer(2500, hashing_thread);
        let mut writes = 0;
        let error = loop {
            match writer.write(vec![7; 1000]).await {
                Ok(_) => writes += 1,
                Err(error) => break error,
            }
            assert!(writes < batching::BEHIND + 4, "nobody said that the disk is full");
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        // What comes after the failure fails too.
        assert!(writer.close(vec![7]).await.is_err());
    }
}

#[tokio::test]
async fn a_full_disk_is_found_by_the_last_block_too() {
    for hashing_thread in HASHING_THREADS {
        let error = writer(3, hashing_thread).close(vec![7; 4]).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}

/// A sink that takes its time over each block.
struct SlowDisk(std::sync::mpsc::Receiver<()>);

impl Write for SlowDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Nobody sends anything.
        assert!(self.0.recv_timeout(Duration::from_millis(20)).is_err());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn who_waits_for_a_slow_disk_knows_it() {
    let (_sender, receiver) = std::sync::mpsc::channel();
    let mut writer =
        BlockWriter::new(SlowDisk(receiver), Box::default(), u64::MAX, HashingThread::Network);
    for _ in 0..20 {
        writer.write(vec![7; 1000]).await.unwrap();
    }
    let (_, _, times) = writer.close(Vec::new()).await.unwrap();
    assert_eq!(times.bottleneck(times.took()), Some(quiver_protocol::Bottleneck::Disk));
}

/// A sink that tells when it is closed.
struct Door(Arc<Mutex<bool>>);

impl Write for Door {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        *self.0.lock() = true;
    }
}

#[tokio::test]
async fn the_sink_of_what_is_given_up_is_closed() {
    for _ in 0..1000 {
        let closed = Arc::default();
        let door = Door(Arc::clone(&closed));
        let mut writer = BlockWriter::new(door, Box::default(), u64::MAX, HashingThread::Network);
        writer.write(vec![7; 1000]).await.unwrap();
        writer.abandon().await;
        assert!(*closed.lock());
    }
}
