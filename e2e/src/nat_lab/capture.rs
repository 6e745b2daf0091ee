//! Counts the packets at an interface, and searches them for plaintext. Loses none: a report compares the number
//! of captured packets with the interface's own counters.

use std::collections::BTreeMap;
use std::fs;
use std::io::{PipeReader, PipeWriter, Read as _};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use memchr::memmem::Finder;
use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::netdevice::name_to_index;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::packet::{Flow, parse};
use crate::deadline::TIMEOUT;
use crate::namespace::Namespace;

/// Bytes of packets that wait to be counted.
const BUFFER: usize = 64 * 1024 * 1024;

/// A running capture. A drop ends it.
#[derive(Debug)]
pub struct Capture {
    namespace: Namespace,
    interface: String,
    /// What the interface had counted when the capture started.
    packets_before: u64,
    state: Arc<CaptureState>,
    /// The thread ends once it is closed.
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct CaptureState {
    report: Mutex<CaptureReport>,
    changed: Condvar,
}

/// The packets that were captured so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaptureReport {
    /// All packets, including those that are not of IP.
    packets: u64,
    flows: BTreeMap<Flow, FlowTotal>,
    plaintexts: Vec<PlaintextFound>,
}

/// The traffic of one or more flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowTotal {
    /// Number of packets.
    pub packets: u64,
    /// Bytes of the packets with their IP headers.
    pub bytes: u64,
    /// Bytes after the headers of IP and UDP.
    pub payload_bytes: u64,
}

/// A packet that contains one of the plaintexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaintextFound {
    /// The position of the plaintext among those that the capture searches for.
    pub plaintext: usize,
    /// The packet's flow.
    pub flow: Flow,
}

impl CaptureReport {
    /// Each flow with its traffic.
    #[must_use]
    pub fn flows(&self) -> &BTreeMap<Flow, FlowTotal> {
        &self.flows
    }

    /// The traffic of the flows that `is_included` chooses.
    #[must_use]
    pub fn total(&self, is_included: impl Fn(&Flow) -> bool) -> FlowTotal {
        let mut total = FlowTotal::default();
        for (_, flow) in self.flows.iter().filter(|(flow, _)| is_included(flow)) {
            total.packets += flow.packets;
            total.bytes += flow.bytes;
            total.payload_bytes += flow.payload_bytes;
        }
        total
    }

    /// The packets that contain a plaintext, in order. A plaintext that is divided between two packets is not
    /// found, so tests repeat it in what they send.
    #[must_use]
    pub fn plaintexts(&self) -> &[PlaintextFound] {
        &self.plaintexts
    }

    fn add(&mut self, packet: &[u8], plaintexts: &[Finder<'_>]) {
        self.packets += 1;
        let Some((flow, payload)) = parse(packet) else { return };
        let total = self.flows.entry(flow).or_default();
        total.packets += 1;
        total.bytes += packet.len() as u64;
        total.payload_bytes += payload.len() as u64;
        for (plaintext, finder) in plaintexts.iter().enumerate() {
            if finder.find(packet).is_some() {
                self.plaintexts.push(PlaintextFound { plaintext, flow });
            }
        }
    }
}

impl Capture {
    pub(crate) fn start(namespace: &Namespace, interface: &str, plaintexts: &[&[u8]]) -> Self {
        assert!(plaintexts.iter().all(|plaintext| !plaintext.is_empty()), "an empty plaintext");
        let socket = namespace.run(|| open_socket(interface)).expect("a packet socket");
        let packets_before = count_packets(namespace, interface);
        let finders: Vec<_> =
            plaintexts.iter().map(|text| Finder::new(text).into_owned()).collect();
        let (stopped, stop) = std::io::pipe().expect("a pipe");
        let state: Arc<CaptureState> = Arc::default();
        let for_thread = state.clone();
        let thread =
            std::thread::spawn(move || run_capture(socket, &stopped, &finders, &for_thread));
        Self {
            namespace: namespace.clone(),
            interface: interface.to_owned(),
            packets_before,
            state,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// All packets that passed the interface until now.
    ///
    /// # Panics
    /// If packets were lost.
    #[must_use]
    pub fn report(&self) -> CaptureReport {
        let passed = count_packets(&self.namespace, &self.interface) - self.packets_before;
        self.wait_until("packets that the interface has counted", |report| report.packets >= passed)
    }

    /// Waits until `is_complete`, and returns the packets until then.
    ///
    /// # Panics
    /// If it is not true within [`TIMEOUT`]; the message names `what`.
    #[must_use]
    pub fn wait_until(
        &self,
        what: &str,
        mut is_complete: impl FnMut(&CaptureReport) -> bool,
    ) -> CaptureReport {
        let deadline = Instant::now() + TIMEOUT;
        let mut report = self.state.report.lock();
        while !is_complete(&report) {
            let wait = self.state.changed.wait_until(&mut report, deadline);
            assert!(!wait.timed_out(), "waited {TIMEOUT:?} for {what} at {}", self.interface);
        }
        report.clone()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic was printed already.
            let _ = thread.join();
        }
    }
}

/// A socket that receives all packets at one interface in both directions, each without the header of Ethernet.
fn open_socket(interface: &str) -> std::io::Result<Socket> {
    /// `ETH_P_ALL` of linux/if_ether.h: all protocols, in both directions.
    const ALL_PROTOCOLS: u16 = 3;
    /// `SKF_AD_OFF + SKF_AD_IFINDEX` of linux/filter.h: where a filter finds the number of the interface.
    const INTERFACE_INDEX: u32 = 0xffff_f000 + 8;
    /// Load a word, jump if equal, return a constant (linux/bpf_common.h).
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let protocol = Protocol::from(i32::from(ALL_PROTOCOLS.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
    let index = name_to_index(&socket, interface)?;
    // A filter instead of bind(2), whose address no crate builds safely.
    socket.attach_filter(&[
        SockFilter::new(LOAD, 0, 0, INTERFACE_INDEX),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, index),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ])?;
    set_socket_recv_buffer_size_force(&socket, BUFFER)?;
    socket.set_nonblocking(true)?;
    // Packets of all interfaces that arrived before the filter was set.
    while (&socket).read(&mut [0]).is_ok() {}
    Ok(socket)
}

fn run_capture(
    mut socket: Socket,
    stopped: &PipeReader,
    plaintexts: &[Finder<'_>],
    state: &CaptureState,
) {
    let mut packet = vec![0; 65_536];
    loop {
        let mut events =
            [PollFd::new(&socket, PollFlags::IN), PollFd::new(stopped, PollFlags::empty())];
        match poll(&mut events, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("waiting for packets: {error}"),
        }
        if !events[1].revents().is_empty() {
            return;
        }
        while let Ok(length) = socket.read(&mut packet) {
            state.report.lock().add(&packet[..length], plaintexts);
        }
        state.changed.notify_all();
    }
}

/// The packets that an interface has received and sent (proc(5): `/proc/net/dev`).
fn count_packets(namespace: &Namespace, interface: &str) -> u64 {
    let table = namespace.run(|| fs::read_to_string("/proc/thread-self/net/dev"));
    let table = table.expect("the counters of interfaces");
    let mut rows = table.lines().filter_map(|line| line.trim_start().split_once(':'));
    let row = rows.find_map(|(name, row)| (name == interface).then_some(row));
    let columns: Vec<&str> = row.expect("the interface").split_whitespace().collect();
    [columns[1], columns[9]].iter().map(|column| column.parse::<u64>().expect("a number")).sum()
}
