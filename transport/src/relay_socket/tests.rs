//! Tests of the socket's queues, without a stream.

use std::task::Wake;

use super::*;

/// The frames of packets, each filled with its number.
fn packets(lengths: &[usize]) -> Vec<u8> {
    let mut frames = Vec::new();
    for (number, length) in lengths.iter().enumerate() {
        frame::append(&mut frames, FrameKind::Packet, &vec![number as u8; *length]).unwrap();
    }
    frames
}

/// Receives at most this many packets into buffers of this size.
fn receive(socket: &RelaySocket, count: usize, size: usize) -> Vec<Vec<u8>> {
    let mut buffers = vec![vec![0; size]; count];
    let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
    let mut meta = vec![RecvMeta::default(); count];
    let mut context = Context::from_waker(Waker::noop());
    let received = match socket.poll_recv(&mut context, &mut slices, &mut meta) {
        Poll::Ready(received) => received.unwrap(),
        Poll::Pending => 0,
    };
    for (buffer, meta) in buffers.iter_mut().zip(&meta) {
        buffer.truncate(meta.len);
    }
    buffers.truncate(received);
    buffers
}

fn transmit(contents: &[u8], segment_size: Option<usize>) -> Transmit<'_> {
    Transmit { destination: REMOTE, ecn: None, contents, segment_size, src_ip: None }
}

#[test]
fn received_packets_are_the_same_wherever_the_stream_is_cut() {
    let lengths = [1, 1200, 4096, 2, 4096];
    let frames = packets(&lengths);
    for size in [1, 3, 1400, 5000, frames.len()] {
        let (socket, mut cutter) = (RelaySocket::default(), FrameCutter::new(check_frame));
        let mut received = Vec::new();
        // The queue wraps around in between.
        for _ in 0..3 {
            for piece in frames.chunks(size) {
                assert!(socket.push_incoming(&mut cutter, piece).is_none());
            }
            received.extend(receive(&socket, 4, 4096));
            received.extend(receive(&socket, 4, 4096));
        }
        assert_eq!(received.len(), 3 * lengths.len(), "in pieces of {size} bytes");
        for (index, packet) in received.iter().enumerate() {
            let number = index % lengths.len();
            assert_eq!(*packet, vec![number as u8; lengths[number]], "packet {index}");
        }
        assert!(receive(&socket, 4, 4096).is_empty());
    }
}

#[test]
fn a_packet_that_is_longer_than_the_buffer_is_cut_and_the_next_one_is_whole() {
    let (socket, mut cutter) = (RelaySocket::default(), FrameCutter::new(check_frame));
    assert!(socket.push_incoming(&mut cutter, &packets(&[5000, 7])).is_none());
    assert_eq!(receive(&socket, 2, 4096), [vec![0; 4096], vec![1; 7]]);
}

#[test]
fn a_frame_that_ends_the_relay_ends_it_after_the_packets_before_it() {
    let refusal = Refusal::new(quiver_protocol::RefusalCode::TooLarge, "too much");
    for (kind, payload) in [
        (FrameKind::Eof, b"{}".to_vec()),
        (FrameKind::Error, refusal.encode()),
        (FrameKind::Data, vec![1]),
    ] {
        let (socket, mut cutter) = (RelaySocket::default(), FrameCutter::new(check_frame));
        let mut stream = packets(&[9]);
        frame::append(&mut stream, kind, &payload).unwrap();
        stream.extend(packets(&[8]));
        let end = socket.push_incoming(&mut cutter, &stream).unwrap();
        match kind {
            FrameKind::Eof => assert!(matches!(end, StreamError::Reset), "{end}"),
            FrameKind::Error => assert!(matches!(end, StreamError::Refused(_)), "{end}"),
            _ => assert!(matches!(end, StreamError::Frame(_)), "{end}"),
        }
        assert_eq!(receive(&socket, 4, 4096), [vec![0; 9]]);
    }
}

#[tokio::test]
async fn the_stream_is_not_read_while_the_receive_queue_is_full() {
    let (socket, mut cutter) = (RelaySocket::default(), FrameCutter::new(check_frame));
    let packet = packets(&[4096]);
    while socket.incoming.lock().bytes.len() < MAX_RECEIVE_QUEUE {
        assert!(socket.push_incoming(&mut cutter, &packet).is_none());
    }
    let order = Mutex::new(Vec::new());
    let wait = async {
        socket.wait_for_space().await;
        order.lock().push("space");
    };
    let take = async {
        tokio::task::yield_now().await;
        order.lock().push("taken");
        assert_eq!(receive(&socket, 1, 4096).len(), 1);
    };
    tokio::join!(wait, take);
    assert_eq!(*order.lock(), ["taken", "space"]);
}

#[test]
fn a_batch_becomes_a_frame_for_each_packet() {
    let socket = RelaySocket::default();
    let contents = [vec![0; 1200], vec![1; 1200], vec![2; 300]].concat();
    socket.try_send(&transmit(&contents, Some(1200))).unwrap();
    socket.try_send(&transmit(&[3; 50], None)).unwrap();
    assert_eq!(socket.take_outgoing(), packets(&[1200, 1200, 300, 50]));
    assert!(socket.take_outgoing().is_empty());
}

#[test]
fn a_full_send_queue_refuses_packets_until_the_stream_takes_them() {
    #[derive(Default)]
    struct Woken(std::sync::atomic::AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let socket = Arc::<RelaySocket>::default();
    let batch = vec![7; BATCH * 4096];
    let mut sent = 0;
    while socket.try_send(&transmit(&batch, Some(4096))).is_ok() {
        sent += batch.len();
    }
    assert!(sent >= MAX_SEND_QUEUE && sent < MAX_SEND_QUEUE + batch.len(), "{sent} bytes");
    let woken = Arc::<Woken>::default();
    let (waker, mut poller) = (Waker::from(woken.clone()), socket.clone().create_io_poller());
    let mut context = Context::from_waker(&waker);
    assert!(poller.as_mut().poll_writable(&mut context).is_pending());
    assert!(socket.take_outgoing().len() > sent);
    assert!(woken.0.load(std::sync::atomic::Ordering::SeqCst));
    assert!(poller.as_mut().poll_writable(&mut context).is_ready());
    socket.try_send(&transmit(&[1], None)).unwrap();
}
