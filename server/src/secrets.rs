//! The paths with the server's secrets: the served folder must not contain them.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use cap_std::fs::Dir;
use quiver_protocol::text::display_path;

use crate::config::Config;
use crate::unix;

/// The paths of the key, the password file and the state folder, those that are configured.
#[derive(Debug)]
pub(crate) struct Secrets(Vec<PathBuf>);

impl Secrets {
    /// The secrets of a server with this configuration.
    pub(crate) fn of(config: &Config) -> Self {
        let state = config.uploads.as_ref().map(|uploads| &uploads.state);
        let secrets = [Some(&config.certs), config.passwords.as_ref(), state];
        Self(secrets.into_iter().flatten().cloned().collect())
    }

    /// Checks that the folder opened at `path` contains none of the secrets. Folders are compared by device and inode,
    /// so links and bind mounts do not hide one.
    ///
    /// # Errors
    /// Names the secret that the folder contains.
    pub(crate) fn check_outside(&self, served: &Dir, path: &Path) -> anyhow::Result<()> {
        for secret in &self.0 {
            // A secret that does not exist yet is checked by its future folder.
            for folder in resolve(secret)?.ancestors() {
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

/// The path with links resolved, as far as it exists.
fn resolve(path: &Path) -> anyhow::Result<PathBuf> {
    let absolute = std::path::absolute(path)
        .with_context(|| format!("cannot tell where {} is", display_path(path)))?;
    for ancestor in absolute.ancestors() {
        if let Ok(found) = ancestor.canonicalize() {
            return Ok(match absolute.strip_prefix(ancestor) {
                // Joining an empty path would append a slash: "passwords/".
                Ok(rest) if !rest.as_os_str().is_empty() => found.join(rest),
                _ => found,
            });
        }
    }
    Ok(absolute)
}
