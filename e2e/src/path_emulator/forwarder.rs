//! The thread that moves packets between the two interfaces of a path, through a link in each direction.

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{read, write};

use super::counters::LinkCounters;
use super::link::EmulatedLink;
use super::settings::{Direction, LinkSettings, PathSettings};

/// Packets that are read in a row from one interface before due ones are written.
const BATCH: usize = 256;
/// After packets were moved, the thread waits for so long, and then moves all that have arrived or became due meanwhile,
/// instead of waking up for each: as interfaces of Ethernet with interrupt moderation do.
const REST: Duration = Duration::from_micros(100);
/// The thread's priority among real-time threads (sched(7)). Any is above all other threads.
const PRIORITY: &str = "10";

/// The two ends of a path: the client's interface, then the server's.
pub(crate) type Interfaces = [OwnedFd; 2];

/// A running thread. A drop ends it and removes the interfaces.
#[derive(Debug)]
pub(crate) struct Forwarder {
    /// Dropped before the thread is joined.
    requests: Option<Sender<Request>>,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Request {
    Change(Direction, LinkSettings, Sender<()>),
    Report(Direction, Sender<LinkCounters>),
    RestartPeaks(Direction, Sender<()>),
}

impl Forwarder {
    pub(crate) fn start(interfaces: Interfaces, settings: &PathSettings) -> Self {
        let (requests, received) = channel();
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let wake = Arc::new(eventfd(0, flags).expect("an eventfd"));
        let mut worker = Worker {
            interfaces,
            links: Direction::BOTH.map(|direction| {
                // Neither direction repeats the numbers of the other.
                let seed = settings.seed.wrapping_mul(2).wrapping_add(direction as u64);
                EmulatedLink::new(*settings.link(direction), seed)
            }),
            spare: Vec::new(),
            mtu: settings.mtu as usize,
            wake: wake.clone(),
            requests: received,
            start: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("path_emulator".to_owned())
            .spawn(move || worker.run())
            .expect("a thread");
        Self { requests: Some(requests), wake, thread: Some(thread) }
    }

    /// Changes the settings of one direction. They are in force when this returns.
    pub(crate) fn change(&self, direction: Direction, settings: LinkSettings) {
        self.ask(|done| Request::Change(direction, settings, done));
    }

    pub(crate) fn counters(&self, direction: Direction) -> LinkCounters {
        self.ask(|reply| Request::Report(direction, reply))
    }

    pub(crate) fn restart_peaks(&self, direction: Direction) {
        self.ask(|done| Request::RestartPeaks(direction, done));
    }

    fn ask<T>(&self, request: impl FnOnce(Sender<T>) -> Request) -> T {
        let (reply, received) = channel();
        let requests = self.requests.as_ref().expect("it is not dropped");
        // Fails if the thread has panicked, and then the answer is missing too.
        let _ = requests.send(request(reply));
        self.wake_up();
        received.recv().expect("the thread of the path emulator runs")
    }

    fn wake_up(&self) {
        // Fails only if it is full, and then the thread wakes up anyway.
        let _ = write(&*self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.requests = None;
        self.wake_up();
        if let Some(thread) = self.thread.take() {
            // A panic was printed already, and the test noticed missing packets.
            let _ = thread.join();
        }
    }
}

/// A packet in a buffer that is used again.
#[derive(Debug)]
struct PacketBuffer {
    buffer: Box<[u8]>,
    length: usize,
}

/// What the thread owns.
struct Worker {
    interfaces: Interfaces,
    links: [EmulatedLink<PacketBuffer>; 2],
    /// Buffers of delivered packets. There are never more than packets at one time.
    spare: Vec<Box<[u8]>>,
    mtu: usize,
    wake: Arc<OwnedFd>,
    requests: Receiver<Request>,
    start: Instant,
}

/// What a round has left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// No packet has arrived, and none was due.
    Idle,
    /// Packets were moved.
    Moved,
    /// There are more packets to read.
    MoreToRead,
}

impl Worker {
    fn run(&mut self) {
        prefer_this_thread();
        let mut progress = Progress::Idle;
        loop {
            if self.wait(progress) && !self.obey() {
                return;
            }
            progress = self.move_packets();
        }
    }

    /// Waits until there is something to do; true if there are requests.
    fn wait(&self, progress: Progress) -> bool {
        let timeout = match progress {
            Progress::MoreToRead => Some(Duration::ZERO),
            Progress::Moved => Some(REST),
            Progress::Idle => self.until_next_delivery(),
        };
        let timeout = timeout.map(|timeout| Timespec::try_from(timeout).expect("a short wait"));
        let [client, server] = &self.interfaces;
        let mut events = [
            PollFd::new(&self.wake, PollFlags::IN),
            PollFd::new(client, PollFlags::IN),
            PollFd::new(server, PollFlags::IN),
        ];
        let watched = if progress == Progress::Idle { 3 } else { 1 };
        match poll(&mut events[..watched], timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("waiting for packets: {error}"),
        }
        !events[0].revents().is_empty()
    }

    fn until_next_delivery(&self) -> Option<Duration> {
        let next = self.links.iter().filter_map(EmulatedLink::next_delivery).min()?;
        Some(Duration::from_nanos(next.saturating_sub(self.now())))
    }

    /// Carries out all requests; false if the owner is gone.
    fn obey(&mut self) -> bool {
        let _ = read(&*self.wake, &mut [0; 8]);
        loop {
            match self.requests.try_recv() {
                Ok(Request::Change(direction, settings, done)) => {
                    let now = self.now();
                    self.links[direction as usize].change(now, settings);
                    let _ = done.send(());
                }
                Ok(Request::Report(direction, reply)) => {
                    let now = self.now();
                    let _ = reply.send(self.links[direction as usize].counters(now));
                }
                Ok(Request::RestartPeaks(direction, done)) => {
                    let now = self.now();
                    self.links[direction as usize].restart_peaks(now);
                    let _ = done.send(());
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => return true,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn move_packets(&mut self) -> Progress {
        let (mut read, mut written) = (0, 0);
        for direction in Direction::BOTH {
            read = read.max(self.take_packets(direction));
            written += self.deliver_packets(direction);
        }
        match (read, written) {
            (0, 0) => Progress::Idle,
            (BATCH, _) => Progress::MoreToRead,
            _ => Progress::Moved,
        }
    }

    /// Reads the packets that one end has sent. Returns their number.
    fn take_packets(&mut self, direction: Direction) -> usize {
        for number in 0..BATCH {
            let mut buffer =
                self.spare.pop().unwrap_or_else(|| vec![0; self.mtu].into_boxed_slice());
            let from = &self.interfaces[direction as usize];
            let Ok(length) = read(from, &mut *buffer) else {
                self.spare.push(buffer);
                return number;
            };
            let now = self.now();
            let dropped = self.links[direction as usize].offer(
                now,
                length as u64,
                PacketBuffer { buffer, length },
            );
            if let Some(packet) = dropped {
                self.spare.push(packet.buffer);
            }
        }
        BATCH
    }

    /// Writes the packets that are due at the other end. Returns their number.
    fn deliver_packets(&mut self, direction: Direction) -> usize {
        let mut number = 0;
        loop {
            let now = self.now();
            let link = &mut self.links[direction as usize];
            let Some(packet) = link.deliver(now) else { return number };
            let to = &self.interfaces[1 - direction as usize];
            if write(to, &packet.buffer[..packet.length]).is_err() {
                link.count_refusal();
            }
            self.spare.push(packet.buffer);
            number += 1;
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).expect("less than centuries")
    }
}

/// Lets the calling thread wake up on time, for which root is needed: it comes before all programs that have no real-time
/// priority. Where the kernel refuses that, packets are later, as the counters then say.
fn prefer_this_thread() {
    let thread = rustix::thread::gettid().as_raw_nonzero();
    let mut chrt = Command::new("chrt");
    chrt.args(["--fifo", "--pid", PRIORITY, &thread.to_string()]);
    let _ = chrt.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}
