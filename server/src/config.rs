//! What the server is meant to do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::metrics::host::HostName;

/// The settings of a running server; none changes while it runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen, as it was typed. An IPv6 wildcard takes IPv4 too. Where absent: [`DEFAULT_ADDRESS`], or
    /// [`DEFAULT_ADDRESS_V4`] where the system has no IPv6.
    pub listen: Option<SocketAddr>,
    /// The folder whose files clients may get.
    pub files: PathBuf,
    /// The folder with `server.pem` and `server.key`.
    pub certs: PathBuf,
    /// How many clients may be connected at once.
    pub max_clients: usize,
    /// The password file; without one, clients name themselves.
    pub passwords: Option<PathBuf>,
    /// What clients may store; nothing where absent.
    pub uploads: Option<Uploads>,
    /// Bytes of memory for answers that wait to be read, all connections together.
    pub buffer_budget: u64,
    /// Where the metrics can be read, over HTTP and by everybody; nowhere where absent.
    pub metrics: Option<SocketAddr>,
    /// The names that readers of the metrics may ask for, beside addresses and `localhost`.
    pub metrics_hosts: Vec<HostName>,
}

/// What clients may store.
#[derive(Debug, Clone)]
pub struct Uploads {
    /// The folder with what the server remembers of stored files.
    pub state: PathBuf,
    /// Bytes of one file; only the disk is the limit where absent.
    pub max_file_size: Option<u64>,
    /// Bytes of all files that one account or key has stored; no limit where absent.
    pub quota: Option<u64>,
    /// Bytes that stay free on the disk.
    pub keep_free: u64,
    /// How long a put may go without a byte, before its content begins and meanwhile, on a connection that
    /// lives. Whoever wants to hold its permits, and the room it was granted, for longer can send a byte now
    /// and then; this ends what hangs unnoticed. A dead connection's puts end with it, after
    /// [`IDLE_TIMEOUT`](quiver_transport::endpoint::IDLE_TIMEOUT).
    pub put_patience: Duration,
}

/// Where a server listens if nothing else was typed: IPv6 and IPv4 on one socket.
pub const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), DEFAULT_PORT);

/// The same without IPv6.
pub const DEFAULT_ADDRESS_V4: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), DEFAULT_PORT);

const DEFAULT_PORT: u16 = 4433;

/// How long a guest may take for its handshake, and again for its hello.
pub const GUEST_PATIENCE: Duration = Duration::from_secs(10);

/// How long a member may take to send the one frame of its request.
pub const REQUEST_PATIENCE: Duration = Duration::from_secs(10);

/// How long a receiver may take to flush what it got. A large file on a slow disk takes minutes;
/// nothing but the stream is held meanwhile.
pub const RECEIVED_PATIENCE: Duration = Duration::from_secs(600);

/// How long a last word may take to arrive before a connection is closed.
pub const LAST_WORD_PATIENCE: Duration = Duration::from_secs(2);

/// How long running commands may go on once the server is told to stop. With what follows it stays
/// under ten seconds.
pub const GRACE: Duration = Duration::from_secs(8);

/// How long after the first signal the process is gone at the latest, but for its log's last lines: work that still
/// waits for a disk then is left behind.
pub const STOP: Duration = Duration::from_millis(9250);

/// Guests at once; one more sends the oldest away. A guest costs 38 KB.
pub const GUESTS: usize = 128;

/// Handshakes at once; one more sends the oldest away.
pub const HANDSHAKES: usize = 256;

/// Handshakes from which on an address must prove itself first (Retry; RFC 9000, 8.1.2).
pub const HANDSHAKES_UNPROVEN: usize = HANDSHAKES / 4;

/// Files a member may be sent at once, over all streams of a connection; a further get waits. Each holds
/// three blocks: the first four of them whole ones of 256 KiB, the others a quarter of that. With the
/// send window of at most 1 MiB a busy member costs 6.25 MiB, as the memory budget has it.
pub const CONTENT_STREAMS: usize = 16;

/// What a member's content may hold in memory, in bytes, beside the send window: sixteen gets, or three
/// puts, or hundreds of small ones. A put takes what may wait unread (up to the stream window, so that
/// content that was let in cannot use up the connection's window) and two blocks. A process with few
/// transfers holds up to 10 MiB more, all members together (transfer/src/batching.rs).
pub const CONTENT_MEMORY: usize = 21 * 256 * 1024;

/// The stream window: more of a put never waits unread. Bytes.
pub const LARGEST_PUT_WINDOW: u64 = 1024 * 1024;

/// How long a client may take to hear that the server is ready for its put.
pub const READY_PATIENCE: Duration = Duration::from_secs(30);

/// How fast a client must at least read what the server kept of its file, before it goes on. Bytes a
/// second.
pub const PROVING_RATE: u64 = 10 * 1024 * 1024;

/// How often a put hears how far it is.
pub const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// How often the cleanup runs.
pub const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// Threads that list folders, at low priority: so many clients are listed a folder at once.
pub const LIST_THREADS: usize = 4;

/// Threads that hash what is here of a file before the rest of it is sent, at low priority: so many clients'
/// files at once.
pub const PROOF_THREADS: usize = 2;

/// How many times as long as they hashed these threads rest while content moves: hashing at full speed would
/// cost a get a fifth of its rate, at low priority too (scripts/bench --only misuse).
pub const PROOF_REST: u32 = 4;

/// How long a stream that its client gave up counts as open. Else a client could ask and give up without end, and
/// have the thread that drives QUIC to itself: so it does 2,000 times a second, over all of its connections.
pub const GIVEN_UP: Duration = Duration::from_millis(250);

/// How long a client may read nothing of an answer that is no content, before its stream is reset.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Connections that said goodbye and hold nothing but their last packets; one more closes the oldest.
pub const LEAVING: usize = 16;
/// How often the certificate's dates are looked at. A machine that sleeps would miss a longer time.
pub const EXPIRY_EVERY: Duration = Duration::from_secs(3600);

/// Bytes of the longest file that is sent although its file system does not tell its size, as procfs does not:
/// it is copied to a temporary file first.
pub const SPOOL: u64 = 16 * 1024 * 1024;

/// Such files at once, over all members: a GiB of temporary files at most.
pub const SPOOLS: usize = 64;

/// Clients that status remembers.
pub const REMEMBERED_CLIENTS: usize = 10_000;
