//! Why a connection was closed: the application error codes of CONNECTION_CLOSE (RFC 9000, 19.19).

/// The codes of `quiver/1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CloseCode {
    /// Either side is done.
    Goodbye = 0,
    /// All slots are taken; the hello's answer said so before.
    Busy = 1,
    /// The last allowed hello was refused.
    SignInRefused = 2,
    /// The peer did not keep to the protocol.
    ProtocolViolation = 3,
    /// The server stops.
    ShuttingDown = 4,
    /// The peer was silent for too long, or had to make room for others.
    TimedOut = 5,
    /// The client's slot was lost, as when an administrator took it away: connect again.
    SlotLost = 6,
}

impl CloseCode {
    /// The code for a number from the wire; `None` for one that `quiver/1` does not have.
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
            _ => return None,
        })
    }

    /// The words that travel with the code, for people who read captures.
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_the_wire() {
        for number in 0..=6 {
            assert_eq!(CloseCode::from_wire(number).unwrap() as u64, number);
        }
        assert_eq!(CloseCode::from_wire(7), None);
        assert_eq!(CloseCode::from_wire(u64::MAX), None);
    }
}
