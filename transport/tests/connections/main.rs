//! Connections over real sockets: dialling and accepting on one socket, negotiated protocols,
//! limits by role, closing.

#![expect(clippy::unwrap_used, reason = "a failure fails the test")]

mod closing;
mod network;
mod routing;
mod windows;
