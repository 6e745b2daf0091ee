//! A machine's identity: a private key and a self-signed certificate with its public key. Creates,
//! saves and loads them. No connections in here.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Datelike as _, Utc};
use quiver_protocol::Fingerprint;
use quiver_protocol::text::display_path;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::{crypto, unix};

/// Bytes that are read of a PEM file. Quiver's own files are shorter.
const PEM_LIMIT: u64 = 64 * 1024;

/// A key and its certificate. `Debug` shows only the fingerprint.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    fingerprint: Fingerprint,
}

/// Why a key or a certificate could not be created, saved or loaded.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// A file could not be read.
    #[error("cannot read {path}: {source}", path = display_path(.path))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {path}: {source}", path = display_path(.path))]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file exists already, and the caller did not allow replacing it.
    #[error("{path} exists already", path = display_path(.0))]
    Exists(PathBuf),
    /// Other users have access to the file of the private key.
    #[error("{path} can be read by other users", path = display_path(.0))]
    SharedKey(PathBuf),
    /// The file has no valid PEM section of this kind.
    #[error("{path} holds no valid {what} in PEM form", path = display_path(.path))]
    Pem {
        /// The file.
        path: PathBuf,
        /// The kind of PEM section.
        what: &'static str,
    },
    /// The certificate is not a valid X.509 certificate.
    #[error("not a valid X.509 certificate")]
    Certificate,
    /// The certificate has the public key of another private key.
    #[error("{certificate} does not belong to {key}", certificate = display_path(.certificate), key = display_path(.key))]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The text is neither a host name nor an address, so no certificate can have it.
    #[error("{0:?} is not a host name or an address")]
    BadHost(String),
    /// The library could not create the certificate.
    #[error("cannot make a certificate: {0}")]
    Create(#[from] rcgen::Error),
}

/// The period for which a certificate is valid. It starts and ends at 00:00 UTC of these days.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    /// The day on which it starts.
    pub from: DateTime<Utc>,
    /// The day on which it ends.
    pub until: DateTime<Utc>,
}

impl Validity {
    /// From the day before `now`, because other machines' clocks may be slow, to `days` days later.
    #[must_use]
    pub fn days(now: DateTime<Utc>, days: u32) -> Self {
        Self { from: now - chrono::Days::new(1), until: now + chrono::Days::new(days.into()) }
    }
}

impl Identity {
    /// Creates an ECDSA P-256 key and a certificate for `hosts` (names or addresses).
    ///
    /// # Errors
    /// [`IdentityError::BadHost`] for a host that is neither a name nor an address.
    pub fn create(
        common_name: &str,
        hosts: &[String],
        validity: Validity,
    ) -> Result<Self, IdentityError> {
        for host in hosts {
            if rustls_pki_types::ServerName::try_from(host.as_str()).is_err() {
                return Err(IdentityError::BadHost(host.clone()));
            }
        }
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        // X.509 has times in seconds; these are the starts of the two days.
        let start_of_day = |time: DateTime<Utc>| {
            rcgen::date_time_ymd(time.year(), time.month() as u8, time.day() as u8)
        };
        params.not_before = start_of_day(validity.from);
        params.not_after = start_of_day(validity.until);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = CertificateDer::from(params.self_signed(&key)?);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let fingerprint = fingerprint(&certificate)?;
        Ok(Self { certificate, key, fingerprint })
    }

    /// Loads a certificate and its key from PEM files, such as [`save`](Self::save) writes.
    ///
    /// # Errors
    /// [`IdentityError`], also if other users can access the key's file, or the pair does not
    /// match.
    pub fn load(certificate_path: &Path, key_path: &Path) -> Result<Self, IdentityError> {
        let certificate = load_certificate(certificate_path)?;
        let file = open(key_path)?;
        let read_error = |source| IdentityError::Read { path: key_path.to_owned(), source };
        if unix::is_shared(&file).map_err(read_error)? {
            return Err(IdentityError::SharedKey(key_path.to_owned()));
        }
        let invalid_pem = || IdentityError::Pem { path: key_path.to_owned(), what: "private key" };
        let pem = read_contents(file).map_err(read_error)?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| invalid_pem())?;
        let pair =
            CertifiedKey::from_der(vec![certificate.clone()], key.clone_key(), &crypto::provider());
        match pair {
            Ok(_) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(IdentityError::Mismatch {
                    certificate: certificate_path.to_owned(),
                    key: key_path.to_owned(),
                });
            }
            Err(_) => return Err(invalid_pem()),
        }
        let fingerprint = fingerprint(&certificate)?;
        Ok(Self { certificate, key, fingerprint })
    }

    /// Writes both files, the key first and readable only by its owner (0600).
    ///
    /// Without `replace`, an existing file is an error. With it, each file is replaced atomically.
    ///
    /// # Errors
    /// [`IdentityError::Exists`], [`IdentityError::Write`].
    pub fn save(
        &self,
        certificate_path: &Path,
        key_path: &Path,
        replace: bool,
    ) -> Result<(), IdentityError> {
        if !replace {
            for path in [certificate_path, key_path] {
                if path.symlink_metadata().is_ok() {
                    return Err(IdentityError::Exists(path.to_owned()));
                }
            }
        }
        let key = pem("PRIVATE KEY", self.key.secret_der());
        let certificate = pem("CERTIFICATE", &self.certificate);
        write(key_path, key.as_bytes(), true, replace)?;
        write(certificate_path, certificate.as_bytes(), false, replace)
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A copy of the key, for a TLS configuration.
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }

    /// The certificate's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The certificate in PEM form.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// The contents of a certificate that Quiver uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The fingerprint of its key.
    pub fingerprint: Fingerprint,
    /// The host names and addresses that it was issued for.
    pub names: Vec<String>,
    /// The time from which it is valid.
    pub not_before: DateTime<Utc>,
    /// The time until which it is valid.
    pub not_after: DateTime<Utc>,
}

impl CertificateInfo {
    /// Reads a certificate.
    ///
    /// # Errors
    /// [`IdentityError::Certificate`].
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let invalid = || IdentityError::Certificate;
        let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| invalid())?;
        if !rest.is_empty() {
            return Err(invalid());
        }
        let to_time = |seconds| DateTime::from_timestamp(seconds, 0).ok_or_else(invalid);
        let names = match parsed.subject_alternative_name() {
            Ok(Some(extension)) => extension.value.general_names.iter().map(name_text).collect(),
            Ok(None) => Vec::new(),
            Err(_) => return Err(invalid()),
        };
        Ok(Self {
            fingerprint: Fingerprint(sha256(parsed.tbs_certificate.subject_pki.raw)),
            names,
            not_before: to_time(parsed.validity().not_before.timestamp())?,
            not_after: to_time(parsed.validity().not_after.timestamp())?,
        })
    }

    /// Reads the certificate in a PEM file.
    ///
    /// # Errors
    /// [`IdentityError::Read`], [`IdentityError::Pem`], [`IdentityError::Certificate`].
    pub fn load(path: &Path) -> Result<Self, IdentityError> {
        Self::read(&load_certificate(path)?)
    }
}

/// The SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 5280, 4.1.2.7).
///
/// # Errors
/// [`IdentityError::Certificate`].
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Result<Fingerprint, IdentityError> {
    CertificateInfo::read(certificate).map(|info| info.fingerprint)
}

fn load_certificate(path: &Path) -> Result<CertificateDer<'static>, IdentityError> {
    let bytes = read_contents(open(path)?)
        .map_err(|source| IdentityError::Read { path: path.to_owned(), source })?;
    CertificateDer::from_pem_slice(&bytes)
        .map_err(|_| IdentityError::Pem { path: path.to_owned(), what: "certificate" })
}

fn open(path: &Path) -> Result<File, IdentityError> {
    File::open(path).map_err(|source| IdentityError::Read { path: path.to_owned(), source })
}

fn read_contents(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(PEM_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write(
    path: &Path,
    content: &[u8],
    is_private: bool,
    replace: bool,
) -> Result<(), IdentityError> {
    let write_error = |source| IdentityError::Write { path: path.to_owned(), source };
    let write_new = |path: &Path| -> io::Result<()> {
        let mut file =
            if is_private { unix::create_private(path)? } else { File::create_new(path)? };
        file.write_all(content)?;
        unix::sync_file(&file)
    };
    if !replace {
        return write_new(path).map_err(write_error);
    }
    let mut staged = path.as_os_str().to_owned();
    staged.push(".new");
    let staged = PathBuf::from(staged);
    // A process that was killed before the rename below has left this file.
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(write_error(error)),
        _ => {}
    }
    write_new(&staged).and_then(|()| fs::rename(&staged, path)).map_err(write_error)
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = data_encoding::BASE64.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for start in (0..body.len()).step_by(64) {
        text.push_str(&body[start..body.len().min(start + 64)]);
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// A subject alternative name as text.
fn name_text(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from);
            v4.or(v6).map_or_else(|_| name.to_string(), |address| address.to_string())
        }
        other => other.to_string(),
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    digest
}

#[cfg(test)]
mod tests;
