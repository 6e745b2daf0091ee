//! The Quiver client as a library: connection, transfers, and the files that the client keeps. An interface passes
//! requests in and receives numbered events; questions are values with typed answers. The library prints nothing,
//! reads no terminal, and parses no arguments.
//!
//! | module | contents |
//! |---|---|
//! | [`Client`] | the handle for interfaces: requests, responses, events |
//! | [`request`], [`settings`] | what an interface can request, and the settings of the connection |
//! | [`event`], [`question`], [`notice`], [`connection_detail`], [`transfers`] | what the client reports to interfaces |
//! | [`error`] | every error, with a stable code |
//! | `connection`, `reconnecting` | dial, verify the server, sign in; reconnect, with the only retry loop |
//! | `typed_path` | paths of the server as people type them |
//! | [`commands`], `exchange` | the small commands: for interfaces, and single requests on the wire |
//! | `entry_walk` | the entries of folders and patterns, for `list` and `rm` |
//! | `download`, `upload` | transfers of files and folders; `transfer_context` is shared by all files of a transfer |
//! | `same_content` | named files that both sides have already |
//! | `shared_plan`, `tree_transfer` | transfers of many files by a plan, in either direction |
//! | [`journal`], [`known_servers`], [`identity_store`] | files that the client keeps between runs, in [`folders`] |
//! | [`seen_names`] | the names that were seen on servers, for completion in a shell |
//! | `peer`, [`peer_event`], [`peer_path`] | connections with other clients, what they do, and their paths |
//! | [`peer_store`] | contacts, offers, and ids of received messages: a database that all processes of a user share |
//! | [`tree`] | patterns, and the plan of a transfer of folders |

pub mod address;
mod client;
pub mod commands;
mod connection;
pub mod connection_detail;
mod download;
mod entry_walk;
pub mod error;
pub mod event;
mod exchange;
pub mod folders;
pub mod identity_store;
pub mod journal;
pub mod known_servers;
pub mod notice;
mod outcomes;
mod peer;
pub mod peer_event;
pub mod peer_path;
pub mod peer_store;
pub mod question;
mod questions;
mod reconnecting;
mod reporter;
pub mod request;
mod same_content;
pub mod seen_names;
pub mod settings;
mod shared_plan;
mod tasks;
pub mod throughput;
mod transfer_context;
pub mod transfers;
pub mod tree;
mod tree_transfer;
mod typed_path;
pub mod unfinished;
mod unix;
mod upload;

pub use client::{
    Client, FileStart, PreparedTransfer, ResumeOverrides, RunningTransfer, TellOutcome, TransferEnd,
};
pub use entry_walk::EntryWalk;
pub use error::{ClientError, ErrorCode};
pub use questions::{InterfaceGuard, Questions};
pub use quiver_transfer::list::ListItem;
pub use settings::ClientSettings;
