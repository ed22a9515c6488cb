//! Whom the certificate of a server may be from.

use crate::error::Error;
use crate::limits::AUTHORITIES_BYTES_MAX;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The authorities that the certificate of a `wss://` server may be from: those that this machine trusts, or those in a file.
/// They are read when they are first needed; clones share them.
#[derive(Clone, Default)]
pub struct Authorities {
    file: Option<PathBuf>,
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Authorities {
    /// Those that this machine trusts.
    pub fn of_system() -> Authorities {
        Authorities::default()
    }

    /// Those whose certificates are in this file, in PEM, and no others.
    pub fn in_file(file: impl Into<PathBuf>) -> Authorities {
        Authorities { file: Some(file.into()), config: Arc::default() }
    }

    /// The way in which sessions begin.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let roots = match &self.file {
            Some(file) => read_file(file)?,
            None => read_system()?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Authorities(error.to_string()))?;
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        Ok(self.config.get_or_init(|| config).clone())
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(formatter, "Authorities in {}", file.display()),
            None => formatter.write_str("Authorities of the system"),
        }
    }
}

fn read_system() -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    match (roots.is_empty(), found.errors.first()) {
        (false, _) => Ok(roots),
        (true, Some(error)) => Err(Error::Authorities(format!(
            "the certificate authorities that this machine trusts can't be read: {error}"
        ))),
        (true, None) => Err(Error::Authorities(
            "this machine trusts no certificate authority: install ca-certificates, or name one with --ca FILE".into(),
        )),
    }
}

fn read_file(file: &Path) -> Result<RootCertStore, Error> {
    let wrong = |why: &str| {
        Error::Authorities(format!("can't take certificate authorities from {}: {why}", file.display()))
    };
    let mut text = Vec::new();
    let read = File::open(file).and_then(|file| file.take(AUTHORITIES_BYTES_MAX + 1).read_to_end(&mut text));
    read.map_err(|error| wrong(&error.to_string()))?;
    if text.len() as u64 > AUTHORITIES_BYTES_MAX {
        return Err(wrong("it is too long"));
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| wrong(&error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(&error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("it has no certificate in PEM")) } else { Ok(roots) }
}
