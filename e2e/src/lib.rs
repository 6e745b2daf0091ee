//! The harness of the whole-system stories in `tests/`: real binaries as processes, a path between them
//! that can be cut, and a bare client that speaks the wire from its description alone.
//!
//! | module | what it holds |
//! |---|---|
//! | [`binary`] | where the built binaries are |
//! | [`process`] | a program that runs, what it says, and its end |
//! | [`server`] | a `quiver-server` with folders of its own |
//! | [`quiver`] | a `quiver` with a home of its own, as a process or at a terminal |
//! | [`person`] | somebody at the prompt of that `quiver` |
//! | [`impostor`] | a server that says whatever a story wants |
//! | [`sockets`] | where a process listens |
//! | [`disk`] | small disks, for programs that are to fill them |
//! | [`fault`] | system calls that fail, as on other kernels and file systems |
//! | [`fingerprint`] | the name of a certificate |
//! | [`log`] | the server's log, line by line, and waiting for one |
//! | [`page`] | the page with a server's metrics |
//! | [`path`] | a way for datagrams that can be cut |
//! | [`kills`] | a file on its way, and what a kill of either end costs |
//! | [`wire`] | frames, streams and a client; uses none of Quiver's own code |
//! | [`terminal`] | a program watched at a pseudo-terminal |
//! | [`tree`] | folders with all that is in them |
//! | [`deadline`] | every wait has one |
//! | [`random`] | bytes and choices that a seed repeats |
//!
//! Whatever fails here fails a test, so everything panics with what it knows instead of returning errors.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]
#![expect(clippy::print_stderr, reason = "a test's output is the place to say why it failed")]

pub mod binary;
pub mod deadline;
pub mod disk;
pub mod fault;
pub mod fingerprint;
pub mod impostor;
pub mod kills;
pub mod log;
pub mod page;
pub mod path;
pub mod person;
pub mod process;
pub mod quiver;
pub mod random;
pub mod server;
pub mod sockets;
pub mod terminal;
pub mod tree;
pub mod wire;

pub use deadline::{PATIENCE, until, within};
pub use fault::{Faults, faults_possible};
pub use impostor::Impostor;
pub use page::Page;
pub use person::Person;
pub use quiver::Home;
pub use server::Server;
pub use wire::{Client, Key};
