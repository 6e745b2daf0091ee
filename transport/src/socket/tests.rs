//! Datagrams through real sockets, many in one call.

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::time::Duration;

use quinn::udp::EcnCodepoint;
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

const LARGEST: u16 = 65_507;

fn socket() -> Arc<BatchSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Arc::new(BatchSocket::new(socket, LARGEST).unwrap())
}

/// Bytes in which every segment is known by its place.
fn contents(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index / 7 * 31 % 251) as u8).collect()
}

fn batch<'a>(to: &BatchSocket, contents: &'a [u8], segment_size: Option<usize>) -> Transmit<'a> {
    Transmit {
        destination: to.local_addr().unwrap(),
        ecn: Some(EcnCodepoint::Ect0),
        contents,
        segment_size,
        src_ip: None,
    }
}

async fn send(from: &Arc<BatchSocket>, batch: &Transmit<'_>) {
    let mut poller = from.clone().create_io_poller();
    loop {
        poll_fn(|context| poller.as_mut().poll_writable(context)).await.unwrap();
        match from.try_send(batch) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return sent.unwrap(),
        }
    }
}

/// The datagrams that come, as many as there are in `bytes` bytes, and the marks they bear.
async fn receive(at: &BatchSocket, bytes: usize) -> (Vec<Vec<u8>>, Vec<Option<EcnCodepoint>>) {
    let (mut datagrams, mut marks, mut had) = (Vec::new(), Vec::new(), 0);
    let mut buffer = vec![0; usize::from(LARGEST) * at.max_receive_segments()];
    while had < bytes {
        let mut meta = [RecvMeta::default()];
        let came = poll_fn(|context| {
            at.poll_recv(context, &mut [IoSliceMut::new(&mut buffer)], &mut meta)
        });
        let count = timeout(PATIENCE, came).await.expect("all datagrams come").unwrap();
        assert_eq!(count, 1);
        had += meta[0].len;
        for datagram in buffer[..meta[0].len].chunks(meta[0].stride) {
            datagrams.push(datagram.to_vec());
            marks.push(meta[0].ecn);
        }
    }
    (datagrams, marks)
}

async fn arrives_as_it_was_cut(length: usize, segment: Option<usize>) {
    let (from, to) = (socket(), socket());
    let contents = contents(length);
    let batch = batch(&to, &contents, segment);
    send(&from, &batch).await;
    let (datagrams, marks) = receive(&to, length).await;
    let expected: Vec<&[u8]> = contents.chunks(segment.unwrap_or(length)).collect();
    assert!(datagrams == expected, "{length} bytes, cut at {segment:?}");
    assert!(marks.iter().all(|mark| *mark == Some(EcnCodepoint::Ect0)), "{marks:?}");
}

#[tokio::test]
async fn batches_arrive_as_they_were_cut() {
    arrives_as_it_was_cut(1200, None).await;
    arrives_as_it_was_cut(10 * 1452 - 1, Some(1452)).await;
    arrives_as_it_was_cut(10 * 6500, Some(6500)).await;
}

#[tokio::test]
async fn batches_too_long_for_one_call_arrive_too() {
    // One datagram too many, a lone short one left over, one datagram for each call.
    arrives_as_it_was_cut(10 * 6551, Some(6551)).await;
    arrives_as_it_was_cut(9 * 8952 + 1, Some(8952)).await;
    arrives_as_it_was_cut(7 * 8952 + 1, Some(8952)).await;
    // No longer, for the system's own receive buffers may hold no more.
    arrives_as_it_was_cut(2 * 65_488, Some(65_488)).await;
    arrives_as_it_was_cut(65_507 + 77, Some(65_507)).await;
}

#[tokio::test]
async fn the_rest_of_a_half_sent_batch_follows_and_nothing_twice() {
    let (from, to) = (socket(), socket());
    let contents = contents(10 * 8952);
    from.remember(PartialBatch { beginning: [9; 32], sent: 1 });
    from.remember(PartialBatch { beginning: beginning(&contents), sent: 7 * 8952 });
    let batch = batch(&to, &contents, Some(8952));
    send(&from, &batch).await;
    let (datagrams, _) = receive(&to, 3 * 8952).await;
    let expected: Vec<&[u8]> = contents.chunks(8952).skip(7).collect();
    assert!(datagrams == expected);
    // What has left is forgotten: the same bytes would be a new batch.
    assert_eq!(from.sent_before(&beginning(&contents)), 0);
    assert_eq!(from.sent_before(&[9; 32]), 1);
}

#[tokio::test]
async fn half_sent_batches_of_lost_connections_are_forgotten() {
    let socket = socket();
    for number in 0..=HALF_SENT {
        socket.remember(PartialBatch { beginning: [number as u8; 32], sent: number + 1 });
    }
    assert_eq!(socket.sent_before(&[0; 32]), 0);
    assert_eq!(socket.sent_before(&[1; 32]), 2);
    assert_eq!(socket.sent_before(&[HALF_SENT as u8; 32]), HALF_SENT + 1);
}

#[tokio::test]
async fn a_full_socket_makes_the_sender_wait() {
    // A kernel buffer for one datagram or two, and a batch of ten: whatever the kernel makes of it,
    // every datagram arrives once.
    let small = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket2::SockRef::from(&small).set_send_buffer_size(1).unwrap();
    let from = Arc::new(BatchSocket::new(small, LARGEST).unwrap());
    let to = socket();
    let contents = contents(10 * 8952);
    let batch = batch(&to, &contents, Some(8952));
    let (_, (datagrams, _)) = tokio::join!(send(&from, &batch), receive(&to, contents.len()));
    assert!(datagrams == contents.chunks(8952).collect::<Vec<_>>());
}
