//! Accounts of a server's password file, by the server's own command.

use std::path::Path;
use std::process::Command;

use crate::binary;
use crate::process::{self, Finished};

/// Sets an account's password, with the server's own command.
#[must_use]
pub fn add_account(password_file: &Path, name: &str, password: &str) -> Finished {
    set_account(password_file, name, password, &[])
}

/// The same, with further arguments.
#[must_use]
pub fn set_account(
    password_file: &Path,
    name: &str,
    password: &str,
    arguments: &[&str],
) -> Finished {
    let mut command = Command::new(binary::server());
    command.args(["user", "add", name, "--password-stdin", "--passwords"]).arg(password_file);
    command.args(arguments);
    process::run(&mut command, format!("{password}\n").as_bytes())
}
