//! Connections over real sockets: dialling and accepting on one socket, negotiated protocols,
//! limits by role, relayed connections, closing.

#![expect(clippy::unwrap_used, reason = "a failure fails the test")]

mod closing;
mod first_packets;
mod network;
mod relayed;
mod routing;
mod windows;
