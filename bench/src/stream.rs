//! The bytes of a connection: those of a socket, or of TLS on it. Both block or not, as the socket does.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::limits::{AUTHORITIES_BYTES_MAX, SECURE_RECEIVE_BYTES, SECURE_SEND_BYTES};

/// The way in which TLS sessions begin: with the authorities in a file, or those that this machine trusts.
pub fn config(ca: Option<&Path>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            let mut text = Vec::new();
            let read =
                File::open(file).and_then(|open| open.take(AUTHORITIES_BYTES_MAX).read_to_end(&mut text));
            read.with_context(|| format!("cannot read {}", file.display()))?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                roots.add(certificate?)?;
            }
        }
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    ensure!(!roots.is_empty(), "there is no certificate authority to trust: name a file with --ca");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// A connection's bytes.
#[derive(Debug)]
pub enum Stream {
    /// As they are.
    Plain(TcpStream),
    /// Over TLS.
    Secure(Box<Secure>),
}

impl Stream {
    /// Shakes hands with a server of this name; the socket must block.
    pub fn secure(mut socket: TcpStream, config: Arc<ClientConfig>, host: &str) -> Result<Self> {
        let name = ServerName::try_from(host.to_owned()).context("no certificate can be for that host")?;
        let mut connection = ClientConnection::new(config, name)?;
        connection.set_buffer_limit(None);
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        let received = vec![0; SECURE_RECEIVE_BYTES].into_boxed_slice();
        Ok(Self::Secure(Box::new(Secure { connection, socket, received, taken: 0 })))
    }

    /// The socket, for waiting and for its options.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Secure(secure) => &secure.socket,
        }
    }
}

impl Read for Stream {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Secure(secure) => secure.read(buffer),
        }
    }
}

impl Write for Stream {
    /// Where the socket takes no more for now, the same bytes are to be written again.
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Secure(secure) => secure.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// TLS on a socket.
#[derive(Debug)]
pub struct Secure {
    connection: ClientConnection,
    socket: TcpStream,
    /// Ciphertext on its way into the session.
    received: Box<[u8]>,
    /// Bytes whose ciphertext the socket has not taken yet.
    taken: usize,
}

impl Secure {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = self.take_plaintext(buffer)?;
        while filled == 0 {
            let count = self.socket.read(&mut self.received)?;
            if count == 0 {
                break;
            }
            let mut start = 0;
            while start < count {
                let mut rest = &self.received[start..count];
                let taken = self.connection.read_tls(&mut rest)?;
                let state = self.connection.process_new_packets().map_err(io::Error::other)?;
                filled += self.take_plaintext(&mut buffer[filled..])?;
                if taken == 0 || state.peer_has_closed() {
                    return Ok(filled);
                }
                start += taken;
            }
        }
        Ok(filled)
    }

    fn take_plaintext(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.connection.reader().read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.taken == 0 {
            let count = bytes.len().min(SECURE_SEND_BYTES);
            self.taken = self.connection.writer().write(&bytes[..count])?;
        }
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.socket)?;
        }
        Ok(std::mem::take(&mut self.taken))
    }
}
