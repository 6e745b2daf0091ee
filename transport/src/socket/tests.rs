//! Sends and receives batches of datagrams over real sockets.

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::time::Duration;

use quinn::udp::EcnCodepoint;
use tokio::time::timeout;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(10);

const MAX_PAYLOAD: u16 = 65_507;

fn socket() -> Arc<BatchSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Arc::new(BatchSocket::new(socket, MAX_PAYLOAD).unwrap())
}

/// Bytes in which no two segments are equal.
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

/// Receives datagrams of `length` bytes together. Returns them and their ECN marks.
async fn receive(socket: &BatchSocket, length: usize) -> (Vec<Vec<u8>>, Vec<Option<EcnCodepoint>>) {
    let (mut datagrams, mut marks, mut received) = (Vec::new(), Vec::new(), 0);
    let mut buffer = vec![0; usize::from(MAX_PAYLOAD) * socket.max_receive_segments()];
    while received < length {
        let mut meta = [RecvMeta::default()];
        let receive = poll_fn(|context| {
            socket.poll_recv(context, &mut [IoSliceMut::new(&mut buffer)], &mut meta)
        });
        let count = timeout(TIMEOUT, receive).await.expect("all datagrams are received").unwrap();
        assert_eq!(count, 1);
        received += meta[0].len;
        for datagram in buffer[..meta[0].len].chunks(meta[0].stride) {
            datagrams.push(datagram.to_vec());
            marks.push(meta[0].ecn);
        }
    }
    (datagrams, marks)
}

/// Sends a batch, and checks that it is received in datagrams of the length of a segment.
async fn check_batch(length: usize, segment_length: Option<usize>) {
    let (from, to) = (socket(), socket());
    let contents = contents(length);
    let batch = batch(&to, &contents, segment_length);
    send(&from, &batch).await;
    let (datagrams, marks) = receive(&to, length).await;
    let expected: Vec<&[u8]> = contents.chunks(segment_length.unwrap_or(length)).collect();
    assert!(datagrams == expected, "{length} bytes in segments of {segment_length:?}");
    assert!(marks.iter().all(|mark| *mark == Some(EcnCodepoint::Ect0)), "{marks:?}");
}

#[tokio::test]
async fn a_batch_is_received_in_its_segments() {
    check_batch(1200, None).await;
    check_batch(10 * 1452 - 1, Some(1452)).await;
    check_batch(10 * 6500, Some(6500)).await;
}

#[tokio::test]
async fn a_batch_too_long_for_one_call_is_received_in_its_segments() {
    // One datagram too many for one call, a second call for one short datagram, one datagram a
    // call.
    check_batch(10 * 6551, Some(6551)).await;
    check_batch(9 * 8952 + 1, Some(8952)).await;
    check_batch(7 * 8952 + 1, Some(8952)).await;
    // No longer ones, because the system's default receive buffers may hold no more.
    check_batch(2 * 65_488, Some(65_488)).await;
    check_batch(65_507 + 77, Some(65_507)).await;
}

#[tokio::test]
async fn only_the_unsent_rest_of_a_partial_batch_is_sent() {
    let (from, to) = (socket(), socket());
    let contents = contents(10 * 8952);
    from.remember(PartialBatch { prefix: [9; 32], sent: 1 });
    from.remember(PartialBatch { prefix: batch_prefix(&contents), sent: 7 * 8952 });
    let batch = batch(&to, &contents, Some(8952));
    send(&from, &batch).await;
    let (datagrams, _) = receive(&to, 3 * 8952).await;
    let expected: Vec<&[u8]> = contents.chunks(8952).skip(7).collect();
    assert!(datagrams == expected);
    // The socket forgets a batch once it is sent: the same bytes would be a new batch.
    assert_eq!(from.take_sent(&batch_prefix(&contents)), 0);
    assert_eq!(from.take_sent(&[9; 32]), 1);
}

#[tokio::test]
async fn the_oldest_partial_batch_is_forgotten_if_there_are_too_many() {
    let socket = socket();
    for number in 0..=MAX_PARTIAL_BATCHES {
        socket.remember(PartialBatch { prefix: [number as u8; 32], sent: number + 1 });
    }
    assert_eq!(socket.take_sent(&[0; 32]), 0);
    assert_eq!(socket.take_sent(&[1; 32]), 2);
    assert_eq!(socket.take_sent(&[MAX_PARTIAL_BATCHES as u8; 32]), MAX_PARTIAL_BATCHES + 1);
}

#[tokio::test]
async fn a_sender_waits_while_the_socket_buffer_is_full() {
    // A kernel buffer for one datagram or two, and a batch of ten: every datagram is received once,
    // however many the kernel accepts in one call.
    let small = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket2::SockRef::from(&small).set_send_buffer_size(1).unwrap();
    let from = Arc::new(BatchSocket::new(small, MAX_PAYLOAD).unwrap());
    let to = socket();
    let contents = contents(10 * 8952);
    let batch = batch(&to, &contents, Some(8952));
    let (_, (datagrams, _)) = tokio::join!(send(&from, &batch), receive(&to, contents.len()));
    assert!(datagrams == contents.chunks(8952).collect::<Vec<_>>());
}
