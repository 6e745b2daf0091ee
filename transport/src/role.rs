//! The limits of a connection by role: windows, stream counts, datagrams. Each number states its
//! cost; quinn's defaults are not meant for servers. No timeouts, sockets or paths in here.

use std::time::Duration;

use quinn::{Connection, TransportConfig, VarInt};
use quiver_protocol::limits;

/// Content streams that a client or peer reads at once. Its connection window holds the full
/// windows of all of them and one stream window more.
pub const CLIENT_CONTENT_STREAMS: u32 = 8;

/// Bytes that a guest may send before the server reads them, and unacknowledged bytes that the
/// server may have sent to it: enough for a hello and the response.
const GUEST_WINDOW: u32 = 64 * 1024;

/// Unread bytes that one stream may hold on a network, and the largest window of a connection. At 1
/// Gbit/s and a round trip of 200 ms, 25 MB are in flight, and a lost packet waits for 1.25 round
/// trips: 56 MB. The connection's receive window bounds all streams and grows with the path
/// ([`crate::windows`]), so a large stream window costs no memory.
pub(crate) const LARGEST_WINDOW: u32 = 64 * 1024 * 1024;

/// The smallest stream window on a network, after connections have lost too many packets at once.
/// With datagrams of 1200 bytes or more, not even every other one is 1024 gaps in it.
pub(crate) const SMALLEST_STREAM_WINDOW: u32 = 2 * 1024 * 1024;

/// Unread bytes that one stream of a member on the same machine may hold: enough for the short round
/// trip, and after a kill of the server a put has less to send again.
const LOOPBACK_MEMBER_STREAM_WINDOW: u32 = 448 * 1024;

/// Unread bytes that all streams of a member together may hold, while no more is needed for a long
/// path. On loopback that is 2 MiB of requests and the content of puts, of which the server allows
/// at most 4 MiB at once (CONTENT_MEMORY in server/src/config.rs), so that content never uses up the
/// part that requests need.
const MEMBER_RECEIVE_WINDOW: u32 = 6 * 1024 * 1024;

/// Unacknowledged bytes that the server may have sent to a member, while no more is needed for a long
/// path. Bounds the server's memory, and how long a message waits behind content: at 500 MB/s these bytes take two milliseconds.
const MEMBER_SEND_WINDOW: u64 = 1024 * 1024;

/// A ninth of the unread bytes that all streams to a client may hold, while no more is needed for a
/// long path.
const CLIENT_STREAM_SHARE: u32 = 2 * 1024 * 1024;

/// Unread bytes that one stream to a client may hold if the server is on the same machine. A client
/// has few streams of content and reads them at full speed. It sends the server a packet for every
/// eighth of this window that it reads, so a smaller window costs packets. With the three blocks
/// that the client may have read and not yet written, a kill of the client loses at most 2 MiB and
/// a block.
const LOOPBACK_CLIENT_STREAM_WINDOW: u32 = 1536 * 1024;

/// Unacknowledged bytes that a client may have sent to its server.
const CLIENT_SEND_WINDOW: u64 = 2 * 1024 * 1024;

/// Streams that a server may open to a client at once, for events.
const EVENT_STREAMS: u32 = 8;

/// Unacknowledged bytes on a short path, for every role, while several streams carry content: one
/// of them always has data ready, so a smaller window is enough to use the whole throughput.
const SHARED_SEND_WINDOW: u64 = 384 * 1024;

/// A path is short if its round-trip time is below this: one machine or building, under any load.
pub(crate) const SHORT_PATH: Duration = Duration::from_millis(5);

/// The relation of the two sides of a connection, from this side's view. Which side dialled does
/// not matter: the protocol, and what the other side has proved, determine the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The other side dialled and is not identified yet. It may only send a hello.
    Guest,
    /// This side is the server, and the other side is a client that has signed in.
    Member,
    /// This side is a client, and the other side is its server.
    Client,
    /// Both sides are clients, which exchange content with each other.
    Peer,
}

/// The limits that one side of a connection sets for the other, and for its own unacknowledged
/// data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleLimits {
    /// Unread bytes that one stream may hold. Costs no additional memory: the receive window bounds
    /// all streams together. On a network it is larger than that, because it cannot grow: fixed when a connection starts (RFC 9000, 18.2; quinn has no setter).
    pub stream_window: u32,
    /// Unread bytes that all streams together may hold: the memory that the other side can make
    /// this side use.
    pub receive_window: u32,
    /// Bytes that this side may have sent without an acknowledgement, which it keeps in memory.
    pub send_window: u64,
    /// Bidirectional streams that the other side may have open at once. Each costs less than 1 KiB
    /// while idle.
    pub bidirectional_streams: u32,
    /// Unidirectional streams that the other side may have open at once.
    pub unidirectional_streams: u32,
    /// Bytes of unread datagrams (RFC 9221) that are kept; `None` accepts no datagrams. Fixed when
    /// a connection starts.
    pub datagram_buffer: Option<usize>,
}

impl Role {
    /// The limits of this role, on loopback or on any other path.
    ///
    /// No role has unidirectional streams, because every command needs a response, or datagrams,
    /// because they may be lost.
    #[must_use]
    pub fn limits(self, is_loopback: bool) -> RoleLimits {
        let select = |loopback, network| if is_loopback { loopback } else { network };
        let member_stream = select(LOOPBACK_MEMBER_STREAM_WINDOW, LARGEST_WINDOW);
        let client_stream = select(LOOPBACK_CLIENT_STREAM_WINDOW, LARGEST_WINDOW);
        // On loopback, content streams that the application does not read fill only their own
        // windows, so one stream window is left for control streams. On a network, one stream may
        // use the whole window of its connection, and `crate::windows` says how control traffic
        // passes. Costs at most 18 MiB a connection, 13.5 MiB on loopback, beside what a long path
        // needs.
        let client_share = select(LOOPBACK_CLIENT_STREAM_WINDOW, CLIENT_STREAM_SHARE);
        let client_receive = (CLIENT_CONTENT_STREAMS + 1) * client_share;
        let (stream_window, receive_window, send_window, bidirectional_streams) = match self {
            // The stream window is a member's, because it cannot change when the guest becomes one.
            Self::Guest => (member_stream, GUEST_WINDOW, GUEST_WINDOW.into(), 1),
            Self::Member => {
                (member_stream, MEMBER_RECEIVE_WINDOW, MEMBER_SEND_WINDOW, limits::STREAMS)
            }
            Self::Client => (client_stream, client_receive, CLIENT_SEND_WINDOW, EVENT_STREAMS),
            // A peer receives content as a client does, so it has a client's windows. It sends
            // content to few others, so it does not need the small send window with which a server
            // bounds its memory for many members. It opens commands as a member does. Costs at most
            // 20 MiB a peer, 15.5 MiB on loopback.
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

    /// Applies the limits of this role to a connection, except those that cannot change after the
    /// handshake: the stream window and datagrams.
    pub fn apply_to(self, connection: &Connection) {
        let is_loopback = connection.remote_address().ip().to_canonical().is_loopback();
        let limits = self.limits(is_loopback);
        connection.set_max_concurrent_bi_streams(limits.bidirectional_streams.into());
        connection.set_receive_window(limits.receive_window.into());
        connection.set_send_window(limits.send_window);
    }

    /// Bytes that this side may have sent without an acknowledgement, by the number of streams that
    /// carry content and the round-trip time of the path.
    pub(crate) fn send_window(self, content_streams: usize, round_trip: Duration) -> u64 {
        if content_streams > 1 && round_trip < SHORT_PATH {
            SHARED_SEND_WINDOW
        } else {
            // Loopback and other paths have the same.
            self.limits(false).send_window
        }
    }
}

impl RoleLimits {
    /// Raises the limits that are fixed when a connection starts to those of `other`, for a
    /// connection that may get either set of limits later.
    #[must_use]
    pub(crate) fn raise_fixed_limits(self, other: &Self) -> Self {
        Self {
            stream_window: self.stream_window.max(other.stream_window),
            datagram_buffer: self.datagram_buffer.max(other.datagram_buffer),
            ..self
        }
    }

    /// Bounds the stream window, for a connection over a path that loses many packets at once.
    #[must_use]
    pub(crate) fn bound_stream_window(self, largest: u32) -> Self {
        Self { stream_window: self.stream_window.min(largest), ..self }
    }

    /// Writes these limits to the settings of a new connection.
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
    fn each_role_has_its_own_windows_on_loopback_and_on_networks() {
        let windows = |role: Role, is_loopback| {
            let limits = role.limits(is_loopback);
            let send = u32::try_from(limits.send_window).unwrap();
            (limits.stream_window, limits.receive_window, send, limits.bidirectional_streams)
        };
        let network = ROLES.map(|role| windows(role, false));
        assert_eq!(
            network,
            [
                (64 * MIB, 64 * KIB, 64 * KIB, 1),
                (64 * MIB, 6 * MIB, MIB, 64),
                (64 * MIB, 18 * MIB, 2 * MIB, 8),
                (64 * MIB, 18 * MIB, 2 * MIB, 64),
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
            let default = role.limits(true).send_window;
            assert_eq!(role.send_window(1, short), default);
            assert_eq!(role.send_window(2, long), default);
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
