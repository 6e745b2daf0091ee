//! Connections over real sockets: dialled and accepted on one socket, routed by ALPN, limited by role, closed.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod closing;
mod network;
mod routing;
mod windows;
