use super::*;
use crate::core::certificates::Certificates;
use crate::core::readiness::Readiness;
use crate::core::socket::Socket;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::task::Waker;
use std::thread::JoinHandle;

/// A socket of a server, and what makes it go on.
struct Rig {
    readiness: Rc<Readiness>,
    socket: Socket,
}

/// Shakes hands with a client that then does this with its connection.
fn rig<T: Send + 'static>(
    client: impl FnOnce(StreamOwned<ClientConnection, TcpStream>) -> T + Send + 'static,
) -> (Rig, JoinHandle<T>) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let directory = std::env::temp_dir().join(format!(
        "fluxiondb-tls-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&directory).unwrap();
    let (certificate_file, key_file) = (directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&certificate_file, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let certificates = Certificates::read(&certificate_file, &key_file).unwrap();
    std::fs::remove_dir_all(directory).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = std::thread::spawn(move || {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        client(StreamOwned::new(connection, TcpStream::connect(address).unwrap()))
    });
    let readiness = Rc::new(Readiness::new().unwrap());
    let session = Rc::new(Tls::new(certificates.config())).session().unwrap();
    let socket = Socket::new(listener.accept().unwrap().0, readiness.clone(), Some(session)).unwrap();
    let rig = Rig { readiness, socket };
    rig.until(|context| rig.socket.poll_handshake(context)).unwrap();
    (rig, client)
}

impl Rig {
    fn until<T>(&self, mut poll: impl FnMut(&Context<'_>) -> Poll<T>) -> T {
        let context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(value) = poll(&context) {
                return value;
            }
            self.readiness.look().unwrap();
        }
    }
}

/// The next of a sequence that looks random.
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 20) as usize
}

fn text(length: usize) -> Vec<u8> {
    let mut state = 77;
    (0..length).map(|_| random(&mut state) as u8).collect()
}

const LENGTH: usize = 6_000_000;

#[test]
fn what_comes_in_pieces_of_any_size_is_read_in_pieces_of_any_size() {
    let (rig, client) = rig(|mut stream| {
        let (text, mut state, mut sent) = (text(LENGTH), 5, 0);
        while sent < LENGTH {
            let most = [10, 5000, 200_000][random(&mut state) % 3];
            let count = (1 + random(&mut state) % most).min(LENGTH - sent);
            stream.write_all(&text[sent..sent + count]).unwrap();
            sent += count;
        }
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        stream
    });
    let (mut received, mut state) = (Vec::new(), 9);
    let mut buffer = vec![0; 300_000];
    loop {
        let most = [3, 3000, 300_000][random(&mut state) % 3];
        let room = 1 + random(&mut state) % most;
        let count = rig.until(|context| rig.socket.receive(context, &mut buffer[..room])).unwrap();
        if count == 0 {
            break;
        }
        received.extend_from_slice(&buffer[..count]);
    }
    assert!(received == text(LENGTH));
    drop(client.join().unwrap());
}

#[test]
fn what_is_sent_counts_when_the_socket_has_taken_it_and_little_is_held_beside() {
    let (begin, begun) = std::sync::mpsc::channel();
    let (rig, client) = rig(move |mut stream| {
        stream.flush().unwrap();
        // It reads nothing before the socket has been full.
        begun.recv().unwrap();
        let (mut received, mut state, mut buffer) = (Vec::new(), 3, vec![0; 100_000]);
        loop {
            let room = 1 + random(&mut state) % buffer.len();
            match stream.read(&mut buffer[..room]).unwrap() {
                0 => return received,
                count => received.extend_from_slice(&buffer[..count]),
            }
        }
    });
    let (text, mut state, mut sent) = (text(LENGTH), 21, 0);
    let mut refused = 0;
    while sent < LENGTH {
        // More may have come behind what was refused.
        let offered = (1 + random(&mut state) % 300_000).min(LENGTH - sent);
        let bytes = &text[sent..sent + offered];
        let count = match rig.socket.send_once(bytes) {
            Some(count) => count.unwrap(),
            None => {
                refused += 1;
                begin.send(()).unwrap();
                let bytes = &text[sent..];
                rig.until(|context| rig.socket.send(context, bytes)).unwrap()
            }
        };
        assert!(count > 0 && count <= TLS_SEND_BYTES);
        assert!(rig.socket.held_bytes() <= SESSION_BYTES + TLS_SEND_BYTES);
        sent += count;
    }
    assert!(refused > 0, "the socket was never full");
    rig.socket.end(Shutdown::Write).unwrap();
    assert!(client.join().unwrap() == text);
}

#[test]
fn handshakes_that_come_at_once_begin_one_after_the_other() {
    let pace = Pace::default();
    let now = Instant::now();
    pace.took(Duration::from_millis(2));
    let waits = [(); 3].map(|()| pace.wait(now).as_millis());
    assert_eq!(waits, [0, 2, 4]);
    assert_eq!(pace.wait(now + Duration::from_secs(1)), Duration::ZERO, "there is none before it");
}
