//! Writing blocks to sinks that are full or slow.

use std::time::Duration;

use super::*;

/// A sink that is full after `capacity` bytes.
struct LimitedSink {
    content: Vec<u8>,
    capacity: usize,
}

impl Write for LimitedSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.content.len() + bytes.len() > self.capacity {
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

fn writer(capacity: usize, hashing_thread: HashingThread) -> BlockWriter<LimitedSink> {
    let sink = LimitedSink { content: Vec::new(), capacity };
    BlockWriter::new(sink, HashedPrefix::empty(), u64::MAX, hashing_thread)
}

#[tokio::test]
async fn blocks_are_written_in_order() {
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
        let (sink, hash, _) = writer.close(block).await.unwrap();
        assert_eq!(sink.content, expected);
        assert_eq!(hash, ContentHash(*blake3::hash(&expected).as_bytes()));
    }
}

#[tokio::test]
async fn the_hash_includes_the_prefix() {
    for hashing_thread in HASHING_THREADS {
        let (sink, before) = (
            LimitedSink { content: Vec::new(), capacity: 100 },
            HashedPrefix::hash_bytes(b"before "),
        );
        let writer = BlockWriter::new(sink, before, 3, hashing_thread);
        let (_, hash, _) = writer.close(b"now".to_vec()).await.unwrap();
        assert_eq!(hash, ContentHash(*blake3::hash(b"before now").as_bytes()));
    }
}

#[tokio::test]
async fn a_full_disk_fails_a_later_write() {
    for hashing_thread in HASHING_THREADS {
        let mut writer = writer(2500, hashing_thread);
        let mut writes = 0;
        let error = loop {
            match writer.write(vec![7; 1000]).await {
                Ok(_) => writes += 1,
                Err(error) => break error,
            }
            assert!(writes < batching::UNWRITTEN_BLOCKS + 4, "the full disk was not reported");
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        // Writes after the failure fail too.
        assert!(writer.close(vec![7]).await.is_err());
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_last_block() {
    for hashing_thread in HASHING_THREADS {
        let error = writer(3, hashing_thread).close(vec![7; 4]).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}

/// A sink that takes 20 ms for each block.
struct SlowSink(std::sync::mpsc::Receiver<()>);

impl Write for SlowSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The sender never sends.
        assert!(self.0.recv_timeout(Duration::from_millis(20)).is_err());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_slow_disk_is_reported_as_bottleneck() {
    let (_sender, receiver) = std::sync::mpsc::channel();
    let mut writer = BlockWriter::new(
        SlowSink(receiver),
        HashedPrefix::empty(),
        u64::MAX,
        HashingThread::Network,
    );
    for _ in 0..20 {
        writer.write(vec![7; 1000]).await.unwrap();
    }
    let (_, _, timings) = writer.close(Vec::new()).await.unwrap();
    assert_eq!(timings.bottleneck(timings.elapsed()), Some(quiver_protocol::Bottleneck::Disk));
}

/// A sink that records when it is dropped.
struct ObservedSink(Arc<Mutex<bool>>);

impl Write for ObservedSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ObservedSink {
    fn drop(&mut self) {
        *self.0.lock() = true;
    }
}

#[tokio::test]
async fn abandoning_a_writer_closes_its_sink() {
    for _ in 0..1000 {
        let closed = Arc::default();
        let sink = ObservedSink(Arc::clone(&closed));
        let mut writer =
            BlockWriter::new(sink, HashedPrefix::empty(), u64::MAX, HashingThread::Network);
        writer.write(vec![7; 1000]).await.unwrap();
        writer.abandon().await;
        assert!(*closed.lock());
    }
}

#[tokio::test]
async fn an_abandoned_writer_returns_the_hash_of_what_it_wrote() {
    for (count, hashing_thread) in
        (0..=5_u8).flat_map(|count| HASHING_THREADS.map(|hashing_thread| (count, hashing_thread)))
    {
        let sink = LimitedSink { content: Vec::new(), capacity: usize::MAX };
        let before = HashedPrefix::hash_bytes(b"before ");
        let mut writer = BlockWriter::new(sink, before, u64::MAX, hashing_thread);
        let mut expected = b"before ".to_vec();
        for number in 0..count {
            expected.extend_from_slice(&[number; 1000]);
            writer.write(vec![number; 1000]).await.unwrap();
        }
        // An incomplete block, of which a part is already hashed.
        writer.hash_ahead(&[7; HASH_BATCH + 1]);
        let prefix = writer.abandon().await.unwrap();
        assert_eq!(prefix.prefix(), HashedPrefix::hash_bytes(&expected).prefix());
    }
}

#[tokio::test]
async fn an_abandoned_writer_whose_disk_is_full_returns_no_hash() {
    for hashing_thread in HASHING_THREADS {
        let mut writer = writer(1500, hashing_thread);
        // The second write may be reported or not.
        let _ = writer.write(vec![7; 1000]).await;
        let _ = writer.write(vec![7; 1000]).await;
        assert!(writer.abandon().await.is_none());
    }
}
