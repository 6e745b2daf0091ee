//! The server's own certificate: `server.pem` and `server.key` in one folder.

mod expiry;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::Utc;
use quiver_protocol::text::display_path;
use quiver_transport::identity::Validity;
use quiver_transport::{CertificateInfo, Identity, IdentityError};

pub use self::expiry::ExpiryWarnings;
use crate::output::Hint;

/// How long a certificate made at first start is valid, in days.
const DAYS: u32 = 3650;

/// The certificate's file in `folder`.
#[must_use]
pub fn path(folder: &Path) -> PathBuf {
    folder.join("server.pem")
}

/// The key's file in `folder`.
#[must_use]
pub fn key_path(folder: &Path) -> PathBuf {
    folder.join("server.key")
}

/// Makes a certificate for `hosts` (this machine, where there are none).
///
/// # Errors
/// Where there is one already and `force` is off, where a host is none, where the disk says no.
pub fn create(
    folder: &Path,
    hosts: &[String],
    days: u32,
    force: bool,
) -> anyhow::Result<CertificateInfo> {
    let hosts = if hosts.is_empty() {
        ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
    } else {
        hosts.to_vec()
    };
    let identity = Identity::create("Quiver server", &hosts, Validity::days(Utc::now(), days))?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", display_path(folder)))?;
    let saved = identity.save(&path(folder), &key_path(folder), force);
    match saved {
        Err(error @ IdentityError::Exists(_)) => {
            Err(error).hint("--force replaces it; clients that pinned it will refuse the new one")
        }
        other => Ok(other?),
    }?;
    Ok(CertificateInfo::read(identity.certificate())?)
}

/// What the certificate in `folder` says.
///
/// # Errors
/// Where there is none, or it cannot be read.
pub fn show(folder: &Path) -> anyhow::Result<CertificateInfo> {
    CertificateInfo::load(&path(folder)).hint("make one with quiver-server cert new")
}

/// Loads the server's identity; makes one where there is neither file. Whether it is new.
///
/// # Errors
/// Where only one of the files is there, where they do not fit, where the key can be read by others.
pub fn load_or_create(folder: &Path) -> anyhow::Result<(Identity, bool)> {
    let (certificate, key) = (path(folder), key_path(folder));
    let there = |path: &Path| path.symlink_metadata().is_ok();
    let new = !there(&certificate) && !there(&key);
    if new {
        create(folder, &[], DAYS, false)?;
    }
    let identity = match Identity::load(&certificate, &key) {
        Err(error @ IdentityError::SharedKey(_)) => {
            Err(error).hint(format!("chmod 600 {}", display_path(&key)))
        }
        Err(error @ (IdentityError::Mismatch { .. } | IdentityError::Read { .. })) => Err(error)
            .hint(
                "put the right pair there, or make a new one with quiver-server cert new --force",
            ),
        other => Ok(other?),
    }?;
    Ok((identity, new))
}
