//! The harness of the whole-system stories in `tests/`: real binaries as processes, a UDP relay between them
//! that can be cut, and a client of the wire protocol that is written from its description alone.
//!
//! | module | what it holds |
//! |---|---|
//! | [`binary`] | where the built binaries are |
//! | [`page_program`], [`page_socket`], [`page_user`] | a `quiver gui`, and the page's side of its conversations |
//! | [`peer_program`] | a `quiver` that reports what other clients do |
//! | [`process`] | a running program: its output, signals and exit |
//! | [`server`] | a `quiver-server` with folders of its own |
//! | [`quiver`] | a `quiver` with a home directory of its own, as a process or at a terminal |
//! | [`prompt_user`] | a user at the prompt of that `quiver` |
//! | [`fake_server`] | a server that sends what a story scripts |
//! | [`sockets`] | the address a process listens at |
//! | [`disk`] | small disks for programs to fill |
//! | [`fault`] | failing system calls, as on other kernels and file systems |
//! | [`fingerprint`] | certificate fingerprints |
//! | [`interposing_server`] | a server that puts itself between its clients |
//! | [`library_client`] | a client as a library, that other clients can reach |
//! | [`log`] | the server's log, and waiting for one of its lines |
//! | [`metrics_page`] | the page with a server's metrics |
//! | [`namespace`] | network namespaces, their programs, and TUN interfaces in them |
//! | [`nat_lab`] | emulated networks with NATs, for which root is needed |
//! | [`path_emulator`] | a long or lossy path between two hosts, for which root is needed |
//! | [`transfer_watch`] | the transfers of all processes, as they change |
//! | [`udp_relay`] | a relay for datagrams that can be cut |
//! | [`kills`] | a transfer whose client or server is killed, and what each kill costs |
//! | [`wire`] | frames, streams and a client; uses none of Quiver's own code |
//! | [`terminal`] | a program at a pseudo-terminal |
//! | [`tree`] | folders with their content |
//! | [`deadline`] | waits with a timeout |
//! | [`raw_peer`] | a client that connects with other clients, and may break the protocol |
//! | [`random`] | bytes and choices that a seed reproduces |
//!
//! A failure in the harness fails the test: functions panic with a description instead of returning errors.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failure here fails a test")]
#![expect(clippy::print_stderr, reason = "a failed test prints its reason")]

pub mod binary;
pub mod deadline;
pub mod disk;
pub mod fake_server;
pub mod fault;
pub mod fingerprint;
pub mod interposing_server;
pub mod json_schema;
pub mod kills;
pub mod library_client;
pub mod log;
pub mod metrics_page;
pub mod namespace;
pub mod nat_lab;
pub mod page_program;
pub mod page_socket;
pub mod page_user;
pub mod path_emulator;
pub mod peer_program;
pub mod process;
pub mod prompt_user;
pub mod quiver;
pub mod random;
pub mod raw_peer;
pub mod server;
pub mod sockets;
pub mod terminal;
pub mod terminal_picture;
pub mod transfer_watch;
pub mod tree;
pub mod udp_relay;
pub mod wire;

pub use deadline::{TIMEOUT, wait_until, wait_within};
pub use fake_server::FakeServer;
pub use fault::{Faults, faults_available};
pub use interposing_server::{InterposingServer, Interposition};
pub use json_schema::JsonSchema;
pub use library_client::LibraryClient;
pub use metrics_page::MetricsResponse;
pub use page_program::{PageProgram, SpooledFile};
pub use page_socket::{PageMessage, PageSocket};
pub use page_user::PageUser;
pub use peer_program::PeerProgram;
pub use prompt_user::PromptUser;
pub use quiver::Home;
pub use raw_peer::{PeerConnection, RawPeer};
pub use server::Server;
pub use transfer_watch::TransferWatch;
pub use wire::{Client, Key};
