//! The Quiver client as a library: what is connected, transferred and remembered. Requests in, events out; it
//! prints nothing and asks no terminal.

pub mod action;
pub mod address;
pub mod folders;
pub mod identity_store;
pub mod journal;
pub mod known_servers;
pub mod tree;
pub mod unix;
