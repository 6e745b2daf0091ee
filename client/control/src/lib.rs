//! The running processes of a user's Quiver clients: each has a socket by which the others see and steer its transfers.
//! There is no daemon: a process that ends takes its socket along, and the next one sweeps what a killed one has left.
//!
//! | module | contents |
//! |---|---|
//! | [`view`], [`failure`], [`facts`] | transfers and failures as others see them |
//! | [`transfer_name`], `numbers`, [`command_text`] | what transfers are called, and the commands that do the same |
//! | [`server`], `connection`, `shared_source`, [`source`], [`client_source`] | the socket of this process, and what it shows |
//! | [`processes`], [`process_watch`], `process_connection` | the transfers of all processes, now and as they change |
//! | `messages`, `lines` | what goes over the sockets |
//! | [`socket_folder`], `unix` | the folder of the sockets |
//! | [`own_thread`] | requests of processes whose thread drives QUIC |

pub mod client_source;
pub mod command_text;
mod connection;
pub mod facts;
pub mod failure;
mod lines;
mod messages;
mod numbers;
pub mod own_thread;
mod process_connection;
pub mod process_watch;
pub mod processes;
pub mod server;
mod shared_source;
pub mod socket_folder;
pub mod source;
pub mod transfer_name;
mod unix;
pub mod view;

pub use client_source::ClientTransfers;
pub use command_text::CommandText;
pub use failure::Failure;
pub use process_watch::{ProcessRequests, ProcessWatch};
pub use processes::{ProcessList, SteerError, TransferSelector};
pub use server::ControlSocket;
pub use source::{Steering, TransferSource};
pub use transfer_name::TransferName;
pub use unix::FolderWatch;
