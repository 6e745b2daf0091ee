//! Closing connections with a code, and the reasons why a connection ended.

use quinn::{Connection, ConnectionError, TransportErrorCode, VarInt};
use quiver_protocol::CloseCode;
use quiver_protocol::text::display_remark;
use thiserror::Error;

use crate::congestion;

/// How often other tasks may run before a closed connection has sent its last packet. It needs few of them; a socket that
/// takes no packets must not keep a program.
const CLOSE_TURNS: usize = 1000;

/// Closes a connection with a code and its reason text.
pub fn close(connection: &Connection, code: CloseCode) {
    congestion::remove_limit(connection);
    connection.close(VarInt::from_u32(code as u32), code.reason().as_bytes());
}

/// Closes a connection, and returns when the packet that says so was passed to the socket. A program may then end at once:
/// quinn's own end takes three probe timeouts. A socket that takes no packets loses it, and the other side learns of the
/// end from its idle timeout.
pub async fn close_now(connection: &Connection, code: CloseCode) {
    close(connection, code);
    // All packets after this one are of a connection that is closed.
    let sent = connection.stats().udp_tx.datagrams;
    for _ in 0..CLOSE_TURNS {
        if connection.stats().udp_tx.datagrams > sent {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Why a connection ended, or could not be established.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectionEnd {
    /// This side closed it.
    #[error("closed locally")]
    ClosedLocally,
    /// The other side closed it with a known code.
    #[error("{}", .0.reason())]
    ClosedByPeer(CloseCode),
    /// The other side closed it with an unknown code.
    #[error("closed with code {0}")]
    UnknownCode(u64),
    /// The other side sent nothing for the length of the idle timeout.
    #[error("no sign of life")]
    TimedOut,
    /// The other side does not know the connection any more, as after a restart.
    #[error("reset by the other side")]
    Reset,
    /// The other side refuses connections.
    #[error("connection refused")]
    Refused,
    /// The other side supports none of the protocols that this side offers.
    #[error("no common protocol: {}", display_remark(.0))]
    NoCommonProtocol(String),
    /// The path has lost too many packets at once for either side's QUIC: more than 1024 separate
    /// parts of one stream were missing at the same time. The windows of the next connection are
    /// smaller ([`WindowPolicy`](crate::WindowPolicy)).
    #[error("the path lost too many packets at once")]
    TooManyGaps,
    /// QUIC or TLS failed, with the reason as either side gave it.
    #[error("{}", display_remark(.0))]
    Failed(String),
}

/// The TLS alert for no common ALPN protocol (RFC 7301, 3.2), as a QUIC error (RFC 9001, 4.8).
const NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;

/// QUIC's CONNECTION_REFUSED (RFC 9000, 20.1).
const CONNECTION_REFUSED: u64 = 0x2;

/// QUIC's INTERNAL_ERROR (RFC 9000, 20.1), and the reason with which quinn-proto's receiver closes a
/// connection in whose streams too much is missing. The sender gets both from its CONNECTION_CLOSE.
const INTERNAL_ERROR: u64 = 0x1;
const TOO_MANY_GAPS: &[u8] = b"too many gaps in stream buffer";

impl From<ConnectionError> for ConnectionEnd {
    fn from(error: ConnectionError) -> Self {
        let from_error_code = |code: u64, reason: String| match code {
            NO_APPLICATION_PROTOCOL => Self::NoCommonProtocol(reason),
            CONNECTION_REFUSED => Self::Refused,
            _ => Self::Failed(reason),
        };
        match error {
            ConnectionError::LocallyClosed => Self::ClosedLocally,
            ConnectionError::ApplicationClosed(closed) => {
                let code = closed.error_code.into_inner();
                CloseCode::from_wire(code).map_or(Self::UnknownCode(code), Self::ClosedByPeer)
            }
            ConnectionError::TimedOut => Self::TimedOut,
            ConnectionError::Reset => Self::Reset,
            ConnectionError::ConnectionClosed(closed)
                if is_too_many_gaps(closed.error_code, &closed.reason) =>
            {
                Self::TooManyGaps
            }
            ConnectionError::TransportError(error)
                if is_too_many_gaps(error.code, error.reason.as_bytes()) =>
            {
                Self::TooManyGaps
            }
            ConnectionError::ConnectionClosed(closed) => {
                from_error_code(u64::from(closed.error_code), closed.to_string())
            }
            ConnectionError::TransportError(error) => {
                from_error_code(u64::from(error.code), error.to_string())
            }
            ConnectionError::VersionMismatch => {
                Self::NoCommonProtocol("no common version of QUIC".to_owned())
            }
            ConnectionError::CidsExhausted => Self::Failed("out of connection ids".to_owned()),
        }
    }
}

fn is_too_many_gaps(code: TransportErrorCode, reason: &[u8]) -> bool {
    u64::from(code) == INTERNAL_ERROR && reason == TOO_MANY_GAPS
}
