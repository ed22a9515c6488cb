//! A certificate authority of a test's own, and the files of certificates that it makes.

use crate::files::TempDir;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority whose certificates nobody else trusts.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, in PEM.
    pub pem: String,
    directory: TempDir,
}

impl Authority {
    /// Makes one, with its certificate in a file.
    #[expect(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "authority of a test");
        let pem = parameters.self_signed(&key).unwrap().pem();
        let authority = Authority { issuer: Issuer::new(parameters, key), pem, directory: TempDir::new() };
        authority.write("ca.pem", &authority.pem);
        authority
    }

    /// A certificate for these names, and its key, in PEM.
    pub fn certify(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// Puts a certificate for this machine's own names, and its key, into `cert.pem` and `key.pem`.
    pub fn write_local(&self) {
        let (certificate, key) = self.certify(&["localhost", "127.0.0.1"]);
        self.write("cert.pem", &certificate);
        self.write("key.pem", &key);
    }

    /// Replaces a file beside its own certificate, at once and as a whole.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path("new"), text).unwrap();
        std::fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    /// Where such a file is; its own certificate is `ca.pem`.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.directory.text())
    }
}
