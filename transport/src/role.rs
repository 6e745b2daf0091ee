//! What the other side of a connection may use, by role: windows, stream counts, datagrams. Each number says what
//! it costs; quinn's defaults suit no server. Timeouts, sockets and paths are not in here.

use std::time::Duration;

use quinn::{Connection, TransportConfig, VarInt};
use quiver_protocol::limits;

/// Content streams that a client or peer reads at once. Its connection window holds all of them, full, and one
/// stream window more.
pub const CLIENT_CONTENT_STREAMS: u32 = 8;

/// What a guest may send before it is read, and what may be unacknowledged on the way to it: a hello and its
/// frames. Bytes.
const GUEST_WINDOW: u32 = 64 * 1024;

/// Unread bytes that one stream of a member may hold.
const MEMBER_STREAM_WINDOW: u32 = 1024 * 1024;

/// The same for a member on the same machine: enough where the round trip is short, and after a kill of the
/// server a put has less to send again.
const LOOPBACK_MEMBER_STREAM_WINDOW: u32 = 448 * 1024;

/// Unread bytes of a member, all streams together: 2 MiB of requests, and the content of puts, of which the
/// server lets in at most 4 MiB at once (CONTENT_MEMORY in server/src/config.rs), so that content never uses up
/// what requests need.
const MEMBER_RECEIVE_WINDOW: u32 = 6 * 1024 * 1024;

/// Unacknowledged bytes on the way to a member. Bounds the server's memory, and how long a message waits behind
/// content: at 500 MB/s this much passes in two milliseconds.
const MEMBER_SEND_WINDOW: u64 = 1024 * 1024;

/// Unread bytes that one stream to a client may hold. A client has few streams of content and reads them at full
/// speed. Every eighth of this is reported to the server in a packet of its own, so a smaller window costs packets.
const CLIENT_STREAM_WINDOW: u32 = 2 * 1024 * 1024;

/// The same where the server is on the same machine: with the three blocks that may be read and not yet written,
/// a kill of the client loses no more than `CLIENT_STREAM_WINDOW` and a block.
const LOOPBACK_CLIENT_STREAM_WINDOW: u32 = 1536 * 1024;

/// Unacknowledged bytes on the way from a client to its server.
const CLIENT_SEND_WINDOW: u64 = 2 * 1024 * 1024;

/// Streams that a server may open to a client at once, for events.
const EVENT_STREAMS: u32 = 8;

/// Unacknowledged bytes on a short path, for every role, where several streams carry content: one of them always
/// has data ready, so that less keeps the path full.
const SHARED_SEND_WINDOW: u64 = 384 * 1024;

/// Round-trip times below this are those of one machine or one building, whatever its load.
const SHORT_PATH: Duration = Duration::from_millis(5);

/// What the two sides of a connection are to each other, as this side sees it. Which of them dialled does not
/// matter: the role is chosen by the protocol and by what the other side has proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The other side dialled, and it is not yet known who it is: it may say hello, no more.
    Guest,
    /// This side is the server, and the other side a client that has signed in.
    Member,
    /// This side is the client of the server at the other side.
    Client,
    /// Both sides are clients and exchange content with each other.
    Peer,
}

/// What one side of a connection lets the other use, and what it sends ahead itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleLimits {
    /// Unread bytes that one stream may hold. Costs no memory of its own: the receive window bounds all streams
    /// together. Fixed when a connection begins (RFC 9000, 18.2, and no setter in quinn).
    pub stream_window: u32,
    /// Unread bytes that all streams together may hold: what the other side can make this side keep in memory.
    pub receive_window: u32,
    /// Bytes that this side may have on the way, unacknowledged, and so keeps in memory.
    pub send_window: u64,
    /// Bidirectional streams that the other side may have open at once. Each costs less than 1 KiB while idle.
    pub bidirectional_streams: u32,
    /// Unidirectional streams that the other side may have open at once.
    pub unidirectional_streams: u32,
    /// Bytes of datagrams (RFC 9221) that are kept until they are read; `None` takes no datagrams. Fixed when a
    /// connection begins.
    pub datagram_buffer: Option<usize>,
}

impl Role {
    /// What this role may use, on the same machine or over any other path.
    ///
    /// No role has unidirectional streams, since every command needs an answer, or datagrams, since all that is
    /// sent must arrive.
    #[must_use]
    pub fn limits(self, is_loopback: bool) -> RoleLimits {
        let on_path = |loopback, network| if is_loopback { loopback } else { network };
        let member_stream = on_path(LOOPBACK_MEMBER_STREAM_WINDOW, MEMBER_STREAM_WINDOW);
        let client_stream = on_path(LOOPBACK_CLIENT_STREAM_WINDOW, CLIENT_STREAM_WINDOW);
        // Content streams that the application does not read fill their own windows, and one stream window is
        // left to control streams. Costs 18 MiB a connection at most, 13.5 MiB on loopback.
        let client_receive = (CLIENT_CONTENT_STREAMS + 1) * client_stream;
        let (stream_window, receive_window, send_window, bidirectional_streams) = match self {
            // The stream window is that of the member it may become.
            Self::Guest => (member_stream, GUEST_WINDOW, GUEST_WINDOW.into(), 1),
            Self::Member => {
                (member_stream, MEMBER_RECEIVE_WINDOW, MEMBER_SEND_WINDOW, limits::STREAMS)
            }
            Self::Client => (client_stream, client_receive, CLIENT_SEND_WINDOW, EVENT_STREAMS),
            // A peer receives content as a client does, so it has a client's windows, and it sends content to
            // few others, so it needs not the small send window by which a server bounds the memory of many
            // members. It opens commands as a member does. Costs 20 MiB a peer at most, 15.5 MiB on loopback.
            Self::Peer => (client_stream, client_receive, CLIENT_SEND_WINDOW, limits::STREAMS),
        };
        RoleLimits {
            stream_window,
            receive_window,
            send_window,
            bidirectional_streams,
            unidirectional_streams: 0,
            datagram_buffer: None,
        }
    }

    /// Lets the other side of a connection use what this role may, as far as that can change after the handshake:
    /// all but the stream window and datagrams.
    pub fn apply_to(self, connection: &Connection) {
        let is_loopback = connection.remote_address().ip().to_canonical().is_loopback();
        let limits = self.limits(is_loopback);
        connection.set_max_concurrent_bi_streams(limits.bidirectional_streams.into());
        connection.set_receive_window(limits.receive_window.into());
        connection.set_send_window(limits.send_window);
    }

    /// Bytes that this side may have on the way, unacknowledged, while so many streams carry content over a path
    /// of this round-trip time.
    pub(crate) fn send_window(self, content_streams: usize, round_trip: Duration) -> u64 {
        if content_streams > 1 && round_trip < SHORT_PATH {
            SHARED_SEND_WINDOW
        } else {
            // The same on every path.
            self.limits(false).send_window
        }
    }
}

impl RoleLimits {
    /// Raises what cannot change during a connection to what the other limits need, for a connection that may
    /// come to have either.
    #[must_use]
    pub(crate) fn with_fixed_limits_of(self, other: &Self) -> Self {
        Self {
            stream_window: self.stream_window.max(other.stream_window),
            datagram_buffer: self.datagram_buffer.max(other.datagram_buffer),
            ..self
        }
    }

    pub(crate) fn configure(&self, config: &mut TransportConfig) {
        config
            .max_concurrent_bidi_streams(VarInt::from_u32(self.bidirectional_streams))
            .max_concurrent_uni_streams(VarInt::from_u32(self.unidirectional_streams))
            .stream_receive_window(VarInt::from_u32(self.stream_window))
            .receive_window(VarInt::from_u32(self.receive_window))
            .send_window(self.send_window)
            .datagram_receive_buffer_size(self.datagram_buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u32 = 1024;
    const MIB: u32 = 1024 * KIB;
    const ROLES: [Role; 4] = [Role::Guest, Role::Member, Role::Client, Role::Peer];

    #[test]
    fn each_role_has_its_windows_on_loopback_and_on_networks() {
        let windows = |role: Role, is_loopback| {
            let limits = role.limits(is_loopback);
            let send = u32::try_from(limits.send_window).unwrap();
            (limits.stream_window, limits.receive_window, send, limits.bidirectional_streams)
        };
        let network = ROLES.map(|role| windows(role, false));
        assert_eq!(
            network,
            [
                (MIB, 64 * KIB, 64 * KIB, 1),
                (MIB, 6 * MIB, MIB, 64),
                (2 * MIB, 18 * MIB, 2 * MIB, 8),
                (2 * MIB, 18 * MIB, 2 * MIB, 64),
            ]
        );
        let loopback = ROLES.map(|role| windows(role, true));
        assert_eq!(
            loopback,
            [
                (448 * KIB, 64 * KIB, 64 * KIB, 1),
                (448 * KIB, 6 * MIB, MIB, 64),
                (1536 * KIB, 13_824 * KIB, 2 * MIB, 8),
                (1536 * KIB, 13_824 * KIB, 2 * MIB, 64),
            ]
        );
    }

    #[test]
    fn no_role_has_unidirectional_streams_or_datagrams() {
        for limits in ROLES.map(|role| role.limits(false)) {
            assert_eq!((limits.unidirectional_streams, limits.datagram_buffer), (0, None));
        }
    }

    #[test]
    fn several_content_streams_share_a_smaller_send_window_on_a_short_path() {
        let [short, long] = [1, 5].map(Duration::from_millis);
        for role in ROLES {
            let alone = role.limits(true).send_window;
            assert_eq!(role.send_window(1, short), alone);
            assert_eq!(role.send_window(2, long), alone);
            assert_eq!(role.send_window(2, short), 384 * 1024);
        }
    }

    #[test]
    fn a_guest_has_the_stream_window_of_the_member_it_becomes() {
        for is_loopback in [false, true] {
            let [guest, member] = [Role::Guest, Role::Member].map(|role| role.limits(is_loopback));
            assert_eq!(guest.stream_window, member.stream_window);
        }
    }
}
