//! The tool's own ceiling: a run against a responder thread that does the least a server can do.
//!
//! The responder upgrades without looking, and acknowledges each frame with the id at its fixed place, one write for
//! all frames of a read. It parses nothing, stores nothing, and answers reads like insertions, so the rate is bounded by
//! the sockets and by the slower of the two threads.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;

use anyhow::{Context, Result, ensure};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::frame::{self, FrameHeader, push_server_frame};
use crate::limits::{EVENTS_PER_WAIT, HANDSHAKE_BYTES_MAX, RECEIVE_BYTES};
use crate::options::Options;
use crate::pinning::{self, CpuList};
use crate::report::Report;
use crate::run;
use crate::target::Target;
use crate::template::{ID_DIGITS, ID_PREFIX};

const UPGRADE: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const READY: &[u8] = br#"{"message":"Authentication successful","type":"ready"}"#;

/// Runs the load against a responder on a CPU of its own, if there is one.
pub fn run(options: &Options) -> Result<Report> {
    let mut options = options.clone();
    let mut responder_cpu = None;
    if options.pin.is_none()
        && let Some((cpus, apart)) = CpuList::beside_one(options.threads as usize)
    {
        (options.pin, responder_cpu) = (Some(cpus), Some(apart));
    }
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on a loopback port")?;
    let target =
        Target { host: "127.0.0.1".to_owned(), port: listener.local_addr()?.port(), path: "/".to_owned() };
    let connections = options.connections as usize;
    // Each connection has a file descriptor on both sides of this process.
    pinning::allow_connections(options.connections * 2)?;
    let responder = thread::Builder::new().name("responder".to_owned()).spawn(move || {
        if let Some(cpu) = responder_cpu {
            pinning::pin_thread(cpu)?;
        }
        Responder::accept(&listener, connections)?.run()
    })?;
    let report = run::run(&options, &target)?;
    responder
        .join()
        .map_err(|_| anyhow::anyhow!("the responder panicked"))?
        .context("the responder failed")?;
    Ok(report)
}

struct Peer {
    stream: TcpStream,
    /// Received bytes that hold no whole head yet.
    rest: Vec<u8>,
    /// Bytes of the last frame that are still to come.
    skip_bytes: u64,
}

struct Responder {
    peers: Vec<Peer>,
    poll: OwnedFd,
    buffer: Vec<u8>,
    outgoing: Vec<u8>,
    acknowledgement: Vec<u8>,
}

impl Responder {
    fn accept(listener: &TcpListener, connections: usize) -> Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut peers = Vec::new();
        for index in 0..connections {
            let (mut stream, _) = listener.accept()?;
            upgrade(&mut stream)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&poll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            peers.push(Peer { stream, rest: Vec::new(), skip_bytes: 0 });
        }
        let payload = [ID_PREFIX, &[b'0'; ID_DIGITS], br#""}"#].concat();
        let mut acknowledgement = Vec::new();
        push_server_frame(&mut acknowledgement, frame::TEXT, &payload);
        Ok(Self { peers, poll, buffer: vec![0; RECEIVE_BYTES], outgoing: Vec::new(), acknowledgement })
    }

    /// Answers until every peer has gone.
    fn run(mut self) -> Result<()> {
        let mut open = self.peers.len();
        let empty = epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        let mut events = [empty; EVENTS_PER_WAIT];
        while open > 0 {
            let ready = match epoll::wait(&self.poll, &mut events[..], None) {
                Err(Errno::INTR) => continue,
                result => result?,
            };
            for event in &events[..ready] {
                let index = event.data.u64() as usize;
                if !self.answer(index)? {
                    epoll::delete(&self.poll, &self.peers[index].stream)?;
                    open -= 1;
                }
            }
        }
        Ok(())
    }

    /// Reads once and acknowledges the frames that began; false when the peer has gone.
    fn answer(&mut self, index: usize) -> Result<bool> {
        let peer = &mut self.peers[index];
        let kept = peer.rest.len();
        self.buffer[..kept].copy_from_slice(&peer.rest);
        let count = match peer.stream.read(&mut self.buffer[kept..]) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(true);
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let received = &self.buffer[..kept + count];
        let consumed =
            acknowledge(received, &mut peer.skip_bytes, &self.acknowledgement, &mut self.outgoing)?;
        peer.rest.clear();
        peer.rest.extend_from_slice(&received[consumed..]);
        send_all(&mut peer.stream, &self.outgoing)?;
        self.outgoing.clear();
        Ok(true)
    }
}

/// Appends an acknowledgement for each frame whose id is there; returns how many bytes are done with.
fn acknowledge(bytes: &[u8], skip_bytes: &mut u64, pattern: &[u8], outgoing: &mut Vec<u8>) -> Result<usize> {
    const HEAD_BYTES: usize = ID_PREFIX.len() + ID_DIGITS;
    let mut at = 0;
    loop {
        let skipped = (*skip_bytes).min((bytes.len() - at) as u64);
        at += skipped as usize;
        *skip_bytes -= skipped;
        let Some(header) = FrameHeader::read(&bytes[at..]) else { return Ok(at) };
        ensure!(header.masked, "a client's frame was not masked");
        if header.opcode == frame::TEXT {
            let id_at = at + header.header_bytes + ID_PREFIX.len();
            let Some(id) = bytes.get(id_at..id_at + ID_DIGITS) else { return Ok(at) };
            ensure!(
                header.payload_bytes >= HEAD_BYTES as u64,
                "a client's frame was too short for a request"
            );
            let start = outgoing.len();
            outgoing.extend_from_slice(pattern);
            let place = start + pattern.len() - ID_DIGITS - 2;
            outgoing[place..place + ID_DIGITS].copy_from_slice(id);
        }
        at += header.header_bytes;
        *skip_bytes = header.payload_bytes;
    }
}

/// Spins while the socket is full: the load generator reads whatever it does, so there is room soon.
fn send_all(stream: &mut TcpStream, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                std::hint::spin_loop();
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn upgrade(stream: &mut TcpStream) -> Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        ensure!(request.len() < HANDSHAKE_BYTES_MAX, "the upgrade request is too long");
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece)?;
        ensure!(count > 0, "the load generator ended the connection during the upgrade");
        request.extend_from_slice(&piece[..count]);
    }
    let mut answer = UPGRADE.to_vec();
    push_server_frame(&mut answer, frame::TEXT, READY);
    Ok(stream.write_all(&answer)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::TemplateBuilder;

    #[test]
    fn each_frame_is_acknowledged_once_however_it_is_cut() {
        let mut builder = TemplateBuilder::new("ins");
        builder.text(&"x".repeat(300));
        let template = builder.finish();
        let mut bytes = Vec::new();
        for id in 7..10 {
            template.append(&mut bytes, id);
        }
        let mut pattern = Vec::new();
        push_server_frame(&mut pattern, frame::TEXT, br#"{"id":"000000000000"}"#);
        for piece_bytes in [1, 5, 350, 5_000] {
            let (mut rest, mut skip_bytes, mut outgoing) = (Vec::new(), 0, Vec::new());
            for piece in bytes.chunks(piece_bytes) {
                rest.extend_from_slice(piece);
                let consumed = acknowledge(&rest, &mut skip_bytes, &pattern, &mut outgoing).unwrap();
                rest.drain(..consumed);
            }
            let text = String::from_utf8_lossy(&outgoing);
            assert_eq!(outgoing.len(), 3 * pattern.len());
            assert!((7..10).all(|id| text.contains(&format!(r#"{{"id":"{id:012}"}}"#))), "{text}");
        }
    }
}
