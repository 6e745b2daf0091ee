//! What lets others be the server, or act as its accounts: the served folder must not hold it.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use cap_std::fs::Dir;
use quiver_protocol::text::display_path;

use crate::config::Config;
use crate::unix;

/// The paths of the key, the password file and the state, as far as the server has them.
#[derive(Debug)]
pub(crate) struct Secrets(Vec<PathBuf>);

impl Secrets {
    /// Of a server with these settings.
    pub(crate) fn of(config: &Config) -> Self {
        let state = config.uploads.as_ref().map(|uploads| &uploads.state);
        let secrets = [Some(&config.certs), config.passwords.as_ref(), state];
        Self(secrets.into_iter().flatten().cloned().collect())
    }

    /// Checks that none of them is in the folder that was opened at `path`, however it is called there.
    ///
    /// # Errors
    /// Which of them is.
    pub(crate) fn check_outside(&self, served: &Dir, path: &Path) -> anyhow::Result<()> {
        for secret in &self.0 {
            // What does not exist yet is judged by where it will be.
            for folder in real(secret)?.ancestors() {
                match unix::is_folder_at(served, folder) {
                    Ok(true) => {
                        let (secret, path) = (display_path(secret), display_path(path));
                        bail!("{secret} lies in {path}, which every client may read");
                    }
                    Ok(false) => {}
                    Err(error)
                        if matches!(
                            error.kind(),
                            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                        ) => {}
                    Err(error) => {
                        return Err(error)
                            .with_context(|| format!("cannot look at {}", display_path(folder)));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The path without links, as far as it exists.
fn real(path: &Path) -> anyhow::Result<PathBuf> {
    let absolute = std::path::absolute(path)
        .with_context(|| format!("cannot tell where {} is", display_path(path)))?;
    for ancestor in absolute.ancestors() {
        if let Ok(found) = ancestor.canonicalize() {
            return Ok(match absolute.strip_prefix(ancestor) {
                // Joined, nothing would make a folder of it: "passwords/".
                Ok(rest) if !rest.as_os_str().is_empty() => found.join(rest),
                _ => found,
            });
        }
    }
    Ok(absolute)
}
