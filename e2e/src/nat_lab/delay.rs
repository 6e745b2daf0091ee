//! A connection between two namespaces that delays packets: a TUN interface at each end, and a thread in each
//! direction. In user space, because not every kernel has netem. Never reorders packets.

use std::collections::VecDeque;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{read, write};

use crate::namespace::{Namespace, create_tun};

/// Packets that are delayed in one direction, at most; more are dropped, as a full router does.
const QUEUE_LIMIT: usize = 16_384;
/// Packets that are read in a row before due ones are written.
const BATCH: usize = 64;
/// The two interfaces and threads. A drop ends the threads and removes the interfaces.
#[derive(Debug)]
pub(crate) struct DelayedConnection {
    delay: Arc<AtomicU64>,
    /// The threads end once it is closed.
    stop: Option<PipeWriter>,
    threads: Vec<JoinHandle<()>>,
}

impl DelayedConnection {
    /// Creates an interface at each end: its namespace and its name.
    ///
    /// # Panics
    /// If an interface cannot be created.
    pub(crate) fn create(ends: [(&Namespace, &str); 2], delay: Duration) -> Self {
        let [first, second] = ends.map(|(namespace, name)| {
            let device = namespace.run(|| create_tun(name));
            Arc::new(device.unwrap_or_else(|error| panic!("TUN interface {name}: {error}")))
        });
        let (stopped, stop) = std::io::pipe().expect("a pipe");
        let delay = Arc::new(AtomicU64::new(microseconds(delay)));
        let start = |from: &Arc<OwnedFd>, to: &Arc<OwnedFd>| {
            let (from, to, delay) = (from.clone(), to.clone(), delay.clone());
            let stopped = stopped.try_clone().expect("a descriptor");
            std::thread::spawn(move || forward(&from, &to, &delay, &stopped))
        };
        let threads = vec![start(&first, &second), start(&second, &first)];
        Self { delay, stop: Some(stop), threads }
    }

    /// Changes the delay of packets that arrive from now on.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.delay.store(microseconds(delay), Ordering::SeqCst);
    }
}

impl Drop for DelayedConnection {
    fn drop(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            // A panic was printed already, and the test noticed missing packets.
            let _ = thread.join();
        }
    }
}

fn microseconds(delay: Duration) -> u64 {
    u64::try_from(delay.as_micros()).expect("a delay below centuries")
}

fn forward(from: &OwnedFd, to: &OwnedFd, delay: &AtomicU64, stopped: &PipeReader) {
    let mut queue: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut packet = vec![0; 65_536];
    loop {
        let wait = queue.front().map(|(due, _)| due.saturating_duration_since(Instant::now()));
        let timeout = wait.map(|wait| Timespec::try_from(wait).expect("a short wait"));
        let mut events =
            [PollFd::new(from, PollFlags::IN), PollFd::new(stopped, PollFlags::empty())];
        match poll(&mut events, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("waiting for packets: {error}"),
        }
        if !events[1].revents().is_empty() {
            return;
        }
        let delay = Duration::from_micros(delay.load(Ordering::SeqCst));
        for _ in 0..BATCH {
            let Ok(length) = read(from, &mut packet) else { break };
            if queue.len() < QUEUE_LIMIT {
                queue.push_back((Instant::now() + delay, packet[..length].to_vec()));
            }
        }
        while let Some((_, packet)) = queue.pop_front_if(|(due, _)| *due <= Instant::now()) {
            // Fails if the interface is down, which loses the packet as elsewhere.
            let _ = write(to, &packet);
        }
    }
}
