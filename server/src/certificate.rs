//! The server's certificate and key: `server.pem` and `server.key` in one folder.

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

/// The validity of a certificate made at first start, in days.
const DEFAULT_VALIDITY_DAYS: u32 = 3650;

/// The path of the certificate in `folder`.
#[must_use]
pub fn path(folder: &Path) -> PathBuf {
    folder.join("server.pem")
}

/// The path of the key in `folder`.
#[must_use]
pub fn key_path(folder: &Path) -> PathBuf {
    folder.join("server.key")
}

/// Makes a certificate for `hosts`, or for this machine where `hosts` is empty. `days` is its validity.
///
/// # Errors
/// A certificate exists and `force` is false, a host is invalid, or the files cannot be written.
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

/// Reads the certificate in `folder`.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn show(folder: &Path) -> anyhow::Result<CertificateInfo> {
    CertificateInfo::load(&path(folder)).hint("make one with quiver-server cert new")
}

/// Loads the server's identity, or makes one where neither file exists. Returns whether it is new.
///
/// # Errors
/// Only one of the files exists, the key does not match the certificate, or others can read the key.
pub fn load_or_create(folder: &Path) -> anyhow::Result<(Identity, bool)> {
    let (certificate, key) = (path(folder), key_path(folder));
    let exists = |path: &Path| path.symlink_metadata().is_ok();
    let is_new = !exists(&certificate) && !exists(&key);
    if is_new {
        create(folder, &[], DEFAULT_VALIDITY_DAYS, false)?;
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
    Ok((identity, is_new))
}
