//! The binary `quiver`: a command line and an interactive prompt for the client library.
//!
//! | module | contents |
//! |---|---|
//! | [`cli`] | the command line as clap parses it |
//! | [`server_choice`] | a server as people name it: an entry of the configuration file, or an address |
//! | [`config`] | the settings: flags, environment and configuration file combined |
//! | [`run`] | runs one command or the prompt, handles signals, and returns the exit code |
//! | [`interface`] | receives the client's events, shows them, and asks its questions |
//! | [`interrupts`] | Ctrl-C, for those who handle it themselves |
//! | [`command`] | the commands, one per file, from arguments to output |
//! | [`prompt`] | commands read line by line, from a terminal or a pipe |
//! | `prompt_help` | the text of `help` at the prompt, wrapped |
//! | [`output`] | the only module that prints and asks |
//! | [`manual`], [`documents`] | the examples and exit codes of the help; man pages and completion scripts |
//! | [`completion`] | completion in a shell: scripts, and their answers |
//! | [`failure`] | the errors shown to users, with hints and exit codes |

pub mod cli;
pub mod command;
pub mod completion;
pub mod config;
pub mod documents;
pub mod failure;
pub mod interface;
pub mod interrupts;
pub mod manual;
pub mod output;
pub mod prompt;
mod prompt_help;
pub mod run;
pub mod server_choice;
pub mod ui_mode;
mod unix;
