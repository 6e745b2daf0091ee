//! Creates, saves and loads certificates and keys.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn new_identity() -> Identity {
    let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    Identity::create("quiver test", &hosts, Validity::days(Utc::now(), 30)).unwrap()
}

#[test]
fn a_saved_identity_is_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    let identity = new_identity();
    identity.save(&cert, &key, false).unwrap();
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Identity::load(&cert, &key).unwrap().fingerprint(), identity.fingerprint());
    let info = CertificateInfo::load(&cert).unwrap();
    assert_eq!(info.names, ["localhost", "127.0.0.1", "::1"]);
    assert_eq!(info.fingerprint, identity.fingerprint());
    assert!(info.not_before < Utc::now() && Utc::now() < info.not_after);
}

#[test]
fn existing_files_are_overwritten_only_if_the_caller_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    let (first, second) = (new_identity(), new_identity());
    first.save(&cert, &key, false).unwrap();
    assert!(matches!(second.save(&cert, &key, false), Err(IdentityError::Exists(_))));
    assert_eq!(Identity::load(&cert, &key).unwrap().fingerprint(), first.fingerprint());
    second.save(&cert, &key, true).unwrap();
    assert_eq!(Identity::load(&cert, &key).unwrap().fingerprint(), second.fingerprint());
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_key_that_other_users_can_read_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    new_identity().save(&cert, &key, false).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(Identity::load(&cert, &key), Err(IdentityError::SharedKey(_))));
}

#[test]
fn a_key_of_another_certificate_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    new_identity().save(&path("a.pem"), &path("a.key"), false).unwrap();
    new_identity().save(&path("b.pem"), &path("b.key"), false).unwrap();
    let mixed = Identity::load(&path("a.pem"), &path("b.key"));
    assert!(matches!(mixed, Err(IdentityError::Mismatch { .. })));
    let swapped = Identity::load(&path("b.key"), &path("b.key"));
    assert!(matches!(swapped, Err(IdentityError::Pem { what: "certificate", .. })));
    assert!(matches!(CertificateInfo::load(&path("c.pem")), Err(IdentityError::Read { .. })));
}

#[test]
fn a_host_that_is_neither_a_name_nor_an_address_is_rejected() {
    let hosts = ["not a host".to_owned()];
    let result = Identity::create("x", &hosts, Validity::days(Utc::now(), 1));
    assert!(matches!(result, Err(IdentityError::BadHost(_))));
}
