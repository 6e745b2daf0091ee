//! The client's own key and certificate: made at first use, the same ever after.
//!
//! Servers know connections of one key as one client. Knows files, nothing of connections.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::Path;

use chrono::{DateTime, Utc};
use quiver_transport::identity::Validity;
use quiver_transport::{Identity, IdentityError};

use crate::unix;

/// A client's certificate names nobody and proves only its key; it shall outlive its machine.
const DAYS: u32 = 100 * 365;

const CERTIFICATE: &str = "client.pem";
const KEY: &str = "client.key";

/// Loads the identity kept in `folder`, or makes one and keeps it there. Of several clients that do
/// so at once, one is first, and all go by its identity.
///
/// # Errors
/// [`IdentityError`], naming the file.
pub fn load_or_create(folder: &Path, now: DateTime<Utc>) -> Result<Identity, IdentityError> {
    let home = folder.join("identity");
    if home.symlink_metadata().is_err() {
        create(folder, &home, now)?;
    }
    Identity::load(&home.join(CERTIFICATE), &home.join(KEY))
}

/// An identity for this run alone, where none can be kept: servers know its connections as one client too.
///
/// # Errors
/// [`IdentityError`].
pub fn ephemeral(now: DateTime<Utc>) -> Result<Identity, IdentityError> {
    Identity::create("quiver client", &[], Validity::days(now, DAYS))
}

/// Both files come into being in one step: a folder is made aside and renamed, which fails where
/// another client was faster.
fn create(folder: &Path, home: &Path, now: DateTime<Utc>) -> Result<(), IdentityError> {
    let failed = |source| IdentityError::Write { path: home.to_owned(), source };
    let identity = ephemeral(now)?;
    let aside = folder.join(format!("identity.{:016x}", RandomState::new().hash_one(home)));
    unix::create_private_folder(&aside).map_err(failed)?;
    let made = identity
        .save(&aside.join(CERTIFICATE), &aside.join(KEY), false)
        .and_then(|()| fs::rename(&aside, home).map_err(failed));
    if made.is_err() {
        // What is left aside is of no use to anyone.
        let _ = fs::remove_dir_all(&aside);
    }
    match made {
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
    fn an_identity_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = load_or_create(folder.path(), Utc::now()).unwrap();
        let second = load_or_create(folder.path(), Utc::now()).unwrap();
        assert_eq!(first.fingerprint(), second.fingerprint());
    }

    #[test]
    fn clients_that_start_at_once_are_one() {
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
    fn where_nothing_can_be_written_the_path_is_named() {
        let error = load_or_create(Path::new("/proc/nowhere"), Utc::now()).unwrap_err();
        assert!(error.to_string().contains("/proc/nowhere/identity"), "{error}");
    }
}
