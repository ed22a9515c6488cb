//! The bytes between this client and a server: those of a socket, or of TLS on it.

use crate::address::Address;
use crate::authorities::Authorities;
use crate::error::Error;
use crate::limits::RECEIVE_BYTES;
use crate::patience::Patience;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A connection that bytes go over.
pub(crate) enum Transport {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ClientConnection, Buffered>>),
}

impl Transport {
    /// Goes on with a connected socket, in the way that the address says.
    pub(crate) fn begin(
        socket: TcpStream,
        address: &Address,
        authorities: &Authorities,
        patience: &Patience,
    ) -> Result<Transport, Error> {
        if !address.secure {
            return Ok(Transport::Plain(socket));
        }
        let name = ServerName::try_from(address.host.clone());
        let name = name.map_err(|_| {
            Error::Address(format!("{:?} is no name that a certificate could be for", address.host))
        })?;
        let failed = |error| untrusted(address, error);
        let connection = ClientConnection::new(authorities.config()?, name).map_err(failed)?;
        let mut stream = StreamOwned::new(connection, Buffered::new(socket));
        shake_hands(&mut stream, address, patience)?;
        Ok(Transport::Secure(Box::new(stream)))
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket().set_read_timeout(timeout)
    }

    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket().set_write_timeout(timeout)
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Transport::Plain(socket) => socket,
            Transport::Secure(stream) => &stream.sock.socket,
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => socket.read(buffer),
            Transport::Secure(stream) => match stream.read(buffer) {
                // An end without TLS' goodbye. Messages say how long they are, so nothing is taken for whole that is not.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            },
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => socket.write(bytes),
            Transport::Secure(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Transport::Plain(socket) => socket.flush(),
            Transport::Secure(stream) => stream.flush(),
        }
    }
}

/// A socket that is read in large pieces, since TLS asks for small ones.
pub(crate) struct Buffered {
    socket: TcpStream,
    received: Box<[u8]>,
    /// The part of it that was not asked for yet.
    start: usize,
    end: usize,
}

impl Buffered {
    fn new(socket: TcpStream) -> Buffered {
        Buffered { socket, received: vec![0; RECEIVE_BYTES].into_boxed_slice(), start: 0, end: 0 }
    }
}

impl Read for Buffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.end = self.socket.read(&mut self.received)?;
        }
        let count = buffer.len().min(self.end - self.start);
        buffer[..count].copy_from_slice(&self.received[self.start..self.start + count]);
        self.start += count;
        Ok(count)
    }
}

impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn shake_hands(
    stream: &mut StreamOwned<ClientConnection, Buffered>,
    address: &Address,
    patience: &Patience,
) -> Result<(), Error> {
    let StreamOwned { conn, sock } = stream;
    loop {
        while conn.wants_write() {
            conn.write_tls(sock).map_err(|error| patience.failed(error))?;
        }
        if !conn.is_handshaking() {
            return Ok(());
        }
        if Instant::now() >= patience.end {
            return Err(patience.over());
        }
        match conn.read_tls(sock) {
            Ok(0) => return Err(Error::Closed { code: None, reason: String::new() }),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(patience.failed(error)),
        }
        if let Err(error) = conn.process_new_packets() {
            // What is wrong is said to the server too.
            let _ = conn.write_tls(sock);
            return Err(untrusted(address, error));
        }
    }
}

/// The words for the failure of a handshake.
fn untrusted(address: &Address, error: rustls::Error) -> Error {
    let why = match &error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "its certificate is from no authority that is trusted here (--ca FILE names another)".to_owned(),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("its certificate is not for {}", address.host),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "its certificate has expired".to_owned(),
        // The library has no variant for it.
        rustls::Error::InvalidCertificate(CertificateError::Other(why))
            if why.to_string().contains("CaUsedAsEndEntity") =>
        {
            "its certificate is that of an authority, which a server must not show as its own (CA:FALSE)"
                .to_owned()
        }
        rustls::Error::InvalidMessage(_) => "it does not speak TLS there (ws:// does without)".to_owned(),
        error => error.to_string(),
    };
    Error::Untrusted { address: address.to_string(), why }
}
