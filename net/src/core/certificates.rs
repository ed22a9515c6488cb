//! The certificate of a server and its key, read from files in PEM: checked as a whole before it takes the place of another.

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{Error, InconsistentKeys, ServerConfig};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::limits::PEM_BYTES_MAX;

/// A certificate with those that vouch for it, and its key.
#[derive(Clone)]
pub struct Certificates(Arc<ServerConfig>);

impl Certificates {
    /// Reads them, and looks whether they belong together.
    pub fn read(certificate: &Path, key: &Path) -> Result<Certificates, CertificateError> {
        let chain = read_chain(certificate)?;
        let secret = read_key(key)?;
        let unusable = |error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                CertificateError::Mismatch(certificate.into(), key.into())
            }
            error => CertificateError::Unusable(certificate.into(), key.into(), error),
        };
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
        let mut config = builder.with_no_client_auth().with_single_cert(chain, secret).map_err(unusable)?;
        // Sessions are taken up again by what the client keeps, so that the server keeps nothing of them.
        config.ticketer = ring::Ticketer::new().map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Certificates(Arc::new(config)))
    }

    /// The way in which sessions with this certificate begin.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.0.clone()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}

/// Why a certificate or its key can't be used.
#[derive(Debug)]
pub enum CertificateError {
    /// The file can't be read.
    Unreadable(PathBuf, io::Error),
    /// The file is too long to be one of these.
    TooLong(PathBuf),
    /// The file has no such part in PEM: a certificate, or a key.
    Missing(PathBuf, &'static str),
    /// The file is no proper PEM.
    Malformed(PathBuf, pem::Error),
    /// The key is not that of the certificate.
    Mismatch(PathBuf, PathBuf),
    /// The two can't be used, for this reason.
    Unusable(PathBuf, PathBuf, Error),
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertificateError::Unreadable(file, why) => write!(f, "can't read {}: {why}", file.display()),
            CertificateError::TooLong(file) => {
                write!(
                    f,
                    "{} is over {PEM_BYTES_MAX} bytes long, which no certificate or key is",
                    file.display()
                )
            }
            CertificateError::Missing(file, what) => {
                write!(
                    f,
                    "{} has no {what} in PEM, the text form that begins with -----BEGIN",
                    file.display()
                )
            }
            CertificateError::Malformed(file, why) => write!(f, "{} is no proper PEM: {why}", file.display()),
            CertificateError::Mismatch(certificate, key) => write!(
                f,
                "the key in {} is not that of the certificate in {} (of several, the server's own must be the first)",
                key.display(),
                certificate.display()
            ),
            CertificateError::Unusable(certificate, key, why) => write!(
                f,
                "the certificate in {} can't be used with the key in {}: {why}",
                certificate.display(),
                key.display()
            ),
        }
    }
}

impl std::error::Error for CertificateError {}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let text = read_file(file)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    match chain {
        Ok(chain) if chain.is_empty() => Err(CertificateError::Missing(file.into(), "certificate")),
        Ok(chain) => Ok(chain),
        Err(error) => Err(CertificateError::Malformed(file.into(), error)),
    }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_slice(&read_file(file)?).map_err(|error| match error {
        pem::Error::NoItemsFound => CertificateError::Missing(file.into(), "private key"),
        error => CertificateError::Malformed(file.into(), error),
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(PEM_BYTES_MAX + 1).read_to_end(&mut text));
    read.map_err(|error| CertificateError::Unreadable(path.into(), error))?;
    if text.len() as u64 > PEM_BYTES_MAX { Err(CertificateError::TooLong(path.into())) } else { Ok(text) }
}
