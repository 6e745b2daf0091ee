//! The Quiver client as a library: what is connected, transferred and remembered. Requests in, numbered events
//! out; questions are values with typed answers. It prints nothing, asks no terminal, and knows no arguments.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Client`] | the handle for interfaces: requests, answers, events |
//! | [`request`], [`settings`] | what can be asked for, and of which server |
//! | [`event`], [`question`], [`notice`], [`transfers`] | what is told |
//! | [`error`] | every error, with a stable code |
//! | `connection`, `reconnecting` | dial, trust, sign in; and the same again, with retry written once |
//! | [`commands`], `exchange` | the small commands: for interfaces, and on the wire |
//! | `download`, `upload` | files, and folders, each way; `transfer_context` is what all files of one have in common |
//! | `planner`, `tree_transfer` | many files by a plan, the same each way |
//! | [`journal`], [`known_servers`], [`identity_store`] | what is kept between runs, in [`folders`] |
//! | [`tree`] | patterns, and the plan of what is to be done |

pub mod address;
mod client;
pub mod commands;
mod connection;
mod download;
pub mod error;
pub mod event;
mod exchange;
pub mod folders;
pub mod identity_store;
pub mod journal;
pub mod known_servers;
pub mod notice;
mod outcomes;
mod planner;
pub mod progress;
pub mod question;
mod questions;
mod reconnecting;
mod reporter;
pub mod request;
pub mod settings;
mod tasks;
pub mod throughput;
mod transfer_context;
pub mod transfers;
pub mod tree;
mod tree_transfer;
pub mod unfinished;
mod unix;
mod upload;

pub use client::{Client, PreparedTransfer, ResumeOverrides, RunningTransfer, TransferEnd};
pub use error::{ClientError, ErrorCode};
pub use questions::{InterfaceGuard, Questions};
pub use quiver_transfer::list::ListItem;
pub use settings::ClientSettings;
