//! The flags of TLS, and its certificate: read at the start, and again when its files have changed or SIGHUP asks for it.
//! One that can't be used is told in the log, and the one before stays.

use crate::error::Error;
use clap::Args;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use fluxion_net::{CertificateError, Certificates, Renewer};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::{info, warn};

const NAME: &str = "certificates";

/// Time between two looks at the files. A change is taken up when they have been the same for so long, since certificate and
/// key are written one after the other.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// The flags of TLS.
#[derive(Args, Debug)]
pub struct TlsFlags {
    /// Certificate for TLS, in PEM, with those that vouch for it behind it: clients connect with wss://. It is read again when
    /// it changes, and on SIGHUP
    #[arg(long, env = "FLUXIONDB_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// Its key, in PEM
    #[arg(long, env = "FLUXIONDB_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Port for TLS beside the plain one; 0 takes a free one and prints it [default: --port speaks TLS, and nothing is plain]
    #[arg(long, env = "FLUXIONDB_TLS_PORT", value_name = "PORT")]
    tls_port: Option<u16>,
}

/// TLS, as it was asked for.
#[derive(Debug)]
pub struct TlsSettings {
    /// The files to read.
    pub files: CertificateFiles,
    /// The port beside the plain one, 0 for any; none has the main port speak TLS.
    pub port: Option<u16>,
}

impl TlsFlags {
    /// Checks what the parser can't: flags that depend on each other.
    pub fn check(self, port: u16) -> Result<Option<TlsSettings>, String> {
        match (self.tls_cert, self.tls_key, self.tls_port) {
            (None, None, None) => Ok(None),
            (None, None, Some(_)) => {
                Err("--tls-port needs a certificate: --tls-cert FILE and --tls-key FILE".into())
            }
            (Some(_), None, _) => Err("--tls-cert needs the certificate's key too: --tls-key FILE".into()),
            (None, Some(_), _) => Err("--tls-key needs the certificate too: --tls-cert FILE".into()),
            (Some(_), Some(_), Some(tls_port)) if tls_port == port && port > 0 => {
                Err(format!("--tls-port and --port are both {port}: without --tls-port, --port speaks TLS"))
            }
            (Some(certificate), Some(key), port) => {
                Ok(Some(TlsSettings { files: CertificateFiles { certificate, key }, port }))
            }
        }
    }
}

/// The files of a certificate and its key.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// What changes with a file, be it written anew, replaced, or the target of another link.
type Stamp = Option<(u64, u64, u64, i64, i64, i64, i64)>;

impl CertificateFiles {
    fn read(&self) -> Result<Certificates, CertificateError> {
        Certificates::read(&self.certificate, &self.key)
    }

    fn stamps(&self) -> [Stamp; 2] {
        [stamp(&self.certificate), stamp(&self.key)]
    }
}

fn stamp(file: &Path) -> Stamp {
    let facts = std::fs::metadata(file).ok()?;
    let (changed, written) = ((facts.ctime(), facts.ctime_nsec()), (facts.mtime(), facts.mtime_nsec()));
    Some((facts.dev(), facts.ino(), facts.size(), changed.0, changed.1, written.0, written.1))
}

/// A certificate in use, and the files that it is from.
pub struct CertificateWatch {
    files: CertificateFiles,
    /// As they were just before they were read.
    known: [Stamp; 2],
}

impl CertificateWatch {
    /// Reads the certificate.
    pub fn begin(files: CertificateFiles) -> Result<(Certificates, CertificateWatch), Error> {
        let known = files.stamps();
        let certificates = files.read().map_err(Error::Certificate)?;
        Ok((certificates, CertificateWatch { files, known }))
    }

    /// Renews it in a thread of its own, which lives as long as the process.
    pub fn go_on(self, renewer: Renewer, asked: Receiver<()>) -> Result<(), Error> {
        let thread = std::thread::Builder::new().name(NAME.into()).spawn(move || self.run(&renewer, &asked));
        thread.map(drop).map_err(|error| Error::Thread(NAME, error))
    }

    fn run(mut self, renewer: &Renewer, asked: &Receiver<()>) {
        let mut before = self.known;
        loop {
            let is_asked = match asked.recv_timeout(LOOK_INTERVAL) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                // Nobody listens for signals; the files are still looked at.
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(LOOK_INTERVAL);
                    false
                }
            };
            let now = self.files.stamps();
            if is_asked || now == before && now != self.known {
                self.known = now;
                self.renew(renewer);
            }
            before = now;
        }
    }

    fn renew(&self, renewer: &Renewer) {
        let certificate = self.files.certificate.display();
        match self.files.read() {
            Ok(certificates) => {
                renewer.renew(&certificates);
                info!(%certificate, "certificate read again: new connections are shown it");
            }
            Err(error) => warn!(%error, "the certificate was not renewed, the one before stays in use"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        cert: Option<&str>,
        key: Option<&str>,
        tls_port: Option<u16>,
    ) -> Result<Option<Option<u16>>, String> {
        let flags = TlsFlags { tls_cert: cert.map(Into::into), tls_key: key.map(Into::into), tls_port };
        flags.check(8080).map(|settings| settings.map(|settings| settings.port))
    }

    #[test]
    fn certificate_and_key_belong_together() {
        assert_eq!(check(None, None, None), Ok(None));
        assert_eq!(check(Some("c"), Some("k"), None), Ok(Some(None)));
        assert_eq!(check(Some("c"), Some("k"), Some(0)), Ok(Some(Some(0))));
        assert!(check(Some("c"), None, None).unwrap_err().contains("--tls-key FILE"));
        assert!(check(None, Some("k"), Some(1)).unwrap_err().contains("--tls-cert FILE"));
        assert!(check(None, None, Some(1)).unwrap_err().contains("needs a certificate"));
        assert!(check(Some("c"), Some("k"), Some(8080)).unwrap_err().contains("both 8080"));
    }

    #[test]
    fn a_file_that_is_replaced_has_another_stamp() {
        let path = std::env::temp_dir().join(format!("fluxiondb-stamp-{}", std::process::id()));
        assert_eq!(stamp(&path), None);
        std::fs::write(&path, "a").unwrap();
        let first = stamp(&path);
        assert!(first.is_some() && stamp(&path) == first);
        let other = path.with_extension("new");
        std::fs::write(&other, "b").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(stamp(&path), first);
        std::fs::remove_file(path).unwrap();
    }
}
