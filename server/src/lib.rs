//! Quiver's server: the connected clients, their permissions, and the served folder.
//!
//! [`accept`] admits or refuses a connection. It starts as a [guest](session::guest), which may only send
//! hello, and becomes a [member](session::member), which holds a slot of the [`registry`]. Each stream that
//! a member opens is one [`command`].
//!
//! Imports go one way: `main > cli > server > accept > session > command > metrics_export > server_state > files`, and the
//! leaves below them.

pub mod accept;
#[cfg(test)]
mod captured_log;
pub mod certificate;
pub mod cli;
pub mod client_connection;
pub mod client_limits;
pub mod command;
pub mod config;
pub mod documents;
pub mod files;
pub mod handshake_queue;
pub mod history;
mod internal_failure;
pub mod introductions;
pub mod listen_address;
pub mod log_format;
pub mod logging;
pub mod manual;
pub mod metrics;
pub mod metrics_export;
pub mod output;
pub mod packet_count;
pub mod passwords;
pub mod quota_db;
pub mod registry;
pub mod relay;
pub mod request_rate;
mod secrets;
pub mod server;
pub mod server_state;
pub mod session;
mod start_summary;
mod stop_signals;
mod transfer_log;
mod unix;
pub mod upload_locks;
pub mod user_admin;
