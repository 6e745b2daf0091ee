//! The binary `quiver`: a command line and an interactive prompt for the client library.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | what was typed |
//! | [`config`] | what is meant: flags, environment and file as one |
//! | [`run`] | from what is meant to an exit code: one command, or the prompt; signals |
//! | [`interface`] | takes the client's events, shows them, and asks its questions |
//! | [`command`] | one command a file, from its arguments to what is shown |
//! | [`prompt`] | lines instead of arguments: at a terminal, or out of a pipe |
//! | [`output`] | the only place that prints, and that asks |
//! | [`failure`] | every error a user can meet, with its hint and its exit code |

pub mod cli;
pub mod command;
pub mod config;
pub mod failure;
pub mod interface;
pub mod output;
pub mod prompt;
pub mod run;
pub mod ui_mode;
mod unix;
