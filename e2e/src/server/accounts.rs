//! Accounts in a server's password file, set with the server's own command.

use std::path::Path;
use std::process::Command;

use crate::binary;
use crate::process::{self, ProgramOutput};

/// Sets an account's password.
#[must_use]
pub fn add_account(password_file: &Path, name: &str, password: &str) -> ProgramOutput {
    set_account(password_file, name, password, &[])
}

/// Sets an account's password, with more arguments of `quiver-server user add`.
#[must_use]
pub fn set_account(
    password_file: &Path,
    name: &str,
    password: &str,
    arguments: &[&str],
) -> ProgramOutput {
    let mut command = Command::new(binary::server());
    command.args(["user", "add", name, "--password-stdin", "--passwords"]).arg(password_file);
    command.args(arguments);
    process::run(&mut command, format!("{password}\n").as_bytes())
}
