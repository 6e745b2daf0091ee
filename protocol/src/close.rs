//! Application error codes that close a connection: CONNECTION_CLOSE (RFC 9000, 19.19).

/// The codes of `quiver/1` and `quiver-peer/1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CloseCode {
    /// The client or the server has finished.
    Goodbye = 0,
    /// All slots are taken; the response to the hello has said so.
    Busy = 1,
    /// The server refused the last hello that the connection was allowed.
    SignInRefused = 2,
    /// The peer violated the protocol.
    ProtocolViolation = 3,
    /// The server is stopping.
    ShuttingDown = 4,
    /// The peer sent nothing for too long, or was the oldest of too many guests.
    TimedOut = 5,
    /// The client has lost its slot, as when an administrator took it away: connect again.
    SlotLost = 6,
    /// Two clients use another connection with each other.
    Superseded = 7,
}

impl CloseCode {
    /// The code for a number from the wire; `None` for a number that neither protocol defines.
    #[must_use]
    pub fn from_wire(code: u64) -> Option<Self> {
        Some(match code {
            0 => Self::Goodbye,
            1 => Self::Busy,
            2 => Self::SignInRefused,
            3 => Self::ProtocolViolation,
            4 => Self::ShuttingDown,
            5 => Self::TimedOut,
            6 => Self::SlotLost,
            7 => Self::Superseded,
            _ => return None,
        })
    }

    /// The reason text sent with the code, for people who read packet captures.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::Busy => "server is busy",
            Self::SignInRefused => "sign-in refused",
            Self::ProtocolViolation => "protocol violation",
            Self::ShuttingDown => "shutting down",
            Self::TimedOut => "timed out",
            Self::SlotLost => "slot lost, connect again",
            Self::Superseded => "superseded by another connection",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_from_its_number() {
        for number in 0..=7 {
            assert_eq!(CloseCode::from_wire(number).unwrap() as u64, number);
        }
        assert_eq!(CloseCode::from_wire(8), None);
        assert_eq!(CloseCode::from_wire(u64::MAX), None);
    }
}
