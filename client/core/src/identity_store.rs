//! The client's own key and certificate, created at first use and kept from then on.
//!
//! A server treats all connections with the same key as one client. Handles files only, no connections.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use quiver_transport::identity::Validity;
use quiver_transport::{Identity, IdentityError};

use crate::unix;

/// Validity of a client's certificate, in days. The certificate only proves the key, and must not expire.
const VALIDITY_DAYS: u32 = 100 * 365;

const CERTIFICATE: &str = "client.pem";
const KEY: &str = "client.key";

/// Loads the identity stored in `folder`, or creates and stores one. If several clients do so at the same time, one
/// creates the identity and all use it.
///
/// # Errors
/// [`IdentityError`] with the file.
pub fn load_or_create(folder: &Path, now: DateTime<Utc>) -> Result<Identity, IdentityError> {
    let target = folder.join("identity");
    if target.symlink_metadata().is_err() {
        create(folder, &target, now)?;
    }
    Identity::load(&target.join(CERTIFICATE), &target.join(KEY))
}

/// Creates an identity that lasts for this run only, for a client that cannot store one.
///
/// # Errors
/// [`IdentityError`].
pub fn ephemeral(now: DateTime<Utc>) -> Result<Identity, IdentityError> {
    Identity::create("quiver client", &[], Validity::days(now, VALIDITY_DAYS))
}

/// Creates both files atomically: writes them to a temporary folder and renames it, which fails if another client was
/// faster.
fn create(folder: &Path, target: &Path, now: DateTime<Utc>) -> Result<(), IdentityError> {
    let failed = |source| IdentityError::Write { path: target.to_owned(), source };
    let identity = ephemeral(now)?;
    let staging = folder.join(format!("identity.{:016x}", RandomState::new().hash_one(target)));
    unix::create_private_folder(&staging).map_err(failed)?;
    let result = identity
        .save(&staging.join(CERTIFICATE), &staging.join(KEY), false)
        .and_then(|()| fs::rename(&staging, target).map_err(failed));
    if result.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_dir_all(&staging);
    }
    match result {
        Err(IdentityError::Write { source, .. })
            if matches!(
                source.kind(),
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_created_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = load_or_create(folder.path(), Utc::now()).unwrap();
        let second = load_or_create(folder.path(), Utc::now()).unwrap();
        assert_eq!(first.fingerprint(), second.fingerprint());
    }

    #[test]
    fn clients_that_start_at_the_same_time_share_one_identity() {
        let folder = tempfile::tempdir().unwrap();
        let mut fingerprints = std::thread::scope(|scope| {
            let start = || load_or_create(folder.path(), Utc::now()).unwrap().fingerprint();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        fingerprints.dedup();
        assert_eq!(fingerprints.len(), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_to_write_names_the_path() {
        let error = load_or_create(Path::new("/proc/nowhere"), Utc::now()).unwrap_err();
        assert!(error.to_string().contains("/proc/nowhere/identity"), "{error}");
    }
}
