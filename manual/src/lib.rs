//! Help and man pages of a program, from its clap definition and a [`Manual`]: examples, exit codes, files and variables.
//! Knows no program, and prints nothing.
//!
//! | module | contents |
//! |---|---|
//! | [`manual`] | what a program says about itself beside its clap definition |
//! | [`help`] | the manual in `--help` |
//! | [`page`] | the man page of one command |
//! | [`pages`] | the man pages of a program: their names and files |
//! | [`usage_error`] | what is wrong with a command line, in parts |

pub mod help;
pub mod manual;
pub mod page;
pub mod pages;
pub mod usage_error;

pub use manual::{Example, Manual, Section, Topic};
pub use pages::ManPage;
pub use usage_error::UsageError;
