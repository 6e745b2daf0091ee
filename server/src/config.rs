//! The server's settings, timeouts and limits.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use quiver_transport::CongestionControl;

use crate::listen_address::ListenAddress;
use crate::metrics::host::HostName;
use crate::relay::RelayLimits;

/// The settings of a running server; none changes while it runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: ListenAddress,
    /// The folder whose files clients may get.
    pub files: PathBuf,
    /// The folder with `server.pem` and `server.key`.
    pub certs: PathBuf,
    /// Maximum number of connected clients.
    pub max_clients: usize,
    /// The password file; without one, clients choose their names.
    pub passwords: Option<PathBuf>,
    /// Uploads; absent if the server does not allow them.
    pub uploads: Option<UploadConfig>,
    /// Memory in bytes for responses that clients have not read yet, for all connections together.
    pub buffer_budget: u64,
    /// What the server relays between clients; absent if it does not relay.
    pub relay: Option<RelayLimits>,
    /// The congestion control of what the server sends.
    pub congestion: CongestionControl,
    /// The address of the metrics page, which has no authentication; absent if there is none.
    pub metrics: Option<SocketAddr>,
    /// The host names under which the metrics may be read, in addition to addresses and
    /// `localhost`.
    pub metrics_hosts: Vec<HostName>,
}

/// The settings for uploads.
#[derive(Debug, Clone)]
pub struct UploadConfig {
    /// The folder of the quota database.
    pub state: PathBuf,
    /// Maximum size of a file in bytes; if absent, only the disk limits it.
    pub max_file_size: Option<u64>,
    /// Maximum bytes that one account or key may have stored; if absent, there is no limit.
    pub quota: Option<u64>,
    /// Bytes that stay free on the disk.
    pub keep_free: u64,
    /// How long a put may receive nothing, before its content starts and between its bytes, while
    /// its connection is alive. It ends uploads that hang unnoticed, and is no protection against a
    /// client that wants to hold permits and space: such a client can send a byte from time to
    /// time. The puts of a dead connection end with it, after
    /// [`IDLE_TIMEOUT`](quiver_transport::endpoint::IDLE_TIMEOUT).
    pub put_timeout: Duration,
}

/// Timeout of a guest's handshake, and of its hello.
pub const GUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of a member's request, which is one frame.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to flush a file that it got, and to confirm it. A large file on a slow
/// disk takes minutes; the server holds only the stream meanwhile.
pub const RECEIVED_TIMEOUT: Duration = Duration::from_secs(600);

/// How long the client may take to acknowledge the last reply (a goodbye or a refusal) before the
/// connection is closed.
pub const FINAL_REPLY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long running commands may continue after the first stop signal. The whole shutdown takes
/// less than ten seconds.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(8);

/// The process ends at most this long after the first stop signal, apart from writing the last log
/// lines. Work that still waits for a disk is abandoned.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(9250);

/// Maximum number of guests; one more closes the oldest. A guest takes 38 KB.
pub const MAX_GUESTS: usize = 128;

/// Maximum number of handshakes; one more closes the oldest.
pub const MAX_HANDSHAKES: usize = 256;

/// With so many handshakes, the server validates a client's address first (Retry; RFC 9000, 8.1.2).
pub const ADDRESS_VALIDATION_THRESHOLD: usize = MAX_HANDSHAKES / 4;

/// Files that a connection may get at once; a further get waits. Each holds three blocks: of 256
/// KiB for the first four files, of a quarter of that for the others. With the send window of at
/// most 1 MiB a busy connection takes 6.25 MiB.
pub const MAX_CONTENT_STREAMS: usize = 16;

/// Memory in bytes that the content of one connection may use, without the send window: for sixteen
/// gets, or three puts, or hundreds of small ones. A put uses memory for its unread content (up to
/// `STREAM_WINDOW`) and two blocks.
/// A process with few transfers uses up to 10 MiB more, for all connections together
/// (transfer/src/batching.rs).
pub const CONTENT_MEMORY: usize = 21 * 256 * 1024;

/// Memory that a put reserves for its unread content, in bytes: more than a stream window holds on
/// the same machine. Over a network the windows of the connection bound it (transport/src/role.rs).
pub const STREAM_WINDOW: u64 = 1024 * 1024;

/// How long the client of a put may take to receive Ready: one that does not read must not keep its
/// reservation.
pub const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// Minimum rate at which a client must hash its file's prefix before it resumes an upload, in bytes
/// per second.
pub const MIN_PROOF_RATE: u64 = 10 * 1024 * 1024;

/// How often the client of a put receives the progress.
pub const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// How often the cleanup runs.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// Threads that list folders, at low priority: so many clients can list at once.
pub const LIST_THREADS: usize = 4;

/// Threads that hash the prefix of a file before the rest is transferred, at low priority: for so
/// many clients at once.
pub const PROOF_THREADS: usize = 2;

/// While content is transferred, the hashing threads rest this many times as long as they worked.
/// At full speed, even at low priority, they would slow a get by a fifth (scripts/bench --only
/// misuse).
pub const PROOF_REST_FACTOR: u32 = 4;

/// How long a stream still counts as open after the client has cancelled it. Without this, a client
/// could use up the thread that drives QUIC by sending and cancelling requests; with it, a client
/// can do so at most 2,000 times a second, over all of its connections.
pub const CANCELLED_STREAM_DELAY: Duration = Duration::from_millis(250);

/// How long a client may read nothing of a response before its stream is reset. Not for the content
/// of files.
pub const RESPONSE_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum number of connections that were sent a goodbye and are not closed yet; one more closes
/// the oldest.
pub const MAX_LEAVING_CONNECTIONS: usize = 16;

/// How often the certificate's dates are checked. A machine that sleeps would miss a longer
/// interval.
pub const EXPIRY_CHECK_INTERVAL: Duration = Duration::from_secs(3600);

/// Maximum size in bytes of a file whose file system does not tell its size, as procfs does not: it
/// is copied to a temporary file (a spool) first.
pub const MAX_SPOOL_SIZE: u64 = 16 * 1024 * 1024;

/// Maximum number of spools of all clients: at most a GiB of temporary files.
pub const MAX_SPOOLS: usize = 64;

/// Number of moves to other disks of all clients at once: each reads and writes as fast as it can.
pub const MAX_MOVES: usize = 2;

/// Names that are read at start to count the served files.
pub const MAX_COUNTED_NAMES: usize = 10_000;

/// Time for counting the served files at start.
pub const COUNT_TIMEOUT: Duration = Duration::from_millis(250);

/// Number of clients in the history that `status` shows.
pub const HISTORY_CAPACITY: usize = 10_000;
