//! The Quiver client: a command line, and an interactive prompt.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | what was typed |
//! | [`config`] | what is meant: flags, environment and file as one; [`address`] is a part of it |
//! | [`run`] | from what is meant to an exit code: one command, or the prompt |
//! | [`connection`] | dial, trust, sign in, and the same again |
//! | [`known_servers`], [`identity_store`], [`journal`] | what the client keeps between runs |
//! | [`action`] | one conversation with the server, one file: no words for people |
//! | [`command`] | one command from arguments to what is shown, wherever it was typed |
//! | [`tree`] | many files as one order: patterns, and the plan of what is to be done |
//! | [`prompt`] | lines instead of arguments: at a terminal, or out of a pipe |
//! | [`output`] | the only place that prints, and that asks |
//! | [`failure`] | every error a user can meet, with its hint and its exit code |

pub mod cli;
pub mod command;
pub mod config;
pub mod connection;
pub mod failure;
pub mod output;
pub mod prompt;
pub mod run;
mod unix;
