//! The wire limit: a server that does the least that any server on sockets must do, to measure others against.
//!
//! One thread waits for sockets with epoll, reads what there is, finds where frames end, and answers each with bytes of a
//! given length, one write for all frames of a read. It parses nothing and stores nothing; only the id is repeated, from
//! its fixed place. What it answers a second is what the system calls, the sockets and the load generator leave room for,
//! and its tails under a load are those of the machine.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::frame::{self, FrameHeader, push_server_frame};
use crate::limits::{EVENTS_PER_WAIT, HANDSHAKE_BYTES_MAX, RECEIVE_BYTES};
use crate::template::{ID_DIGITS, ID_PREFIX};

const UPGRADE: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const READY: &[u8] = br#"{"message":"Authentication successful","type":"ready"}"#;
/// The event that says that a connection waits to be accepted.
const LISTENER: u64 = u64::MAX;

/// A listener and the peers that it brought.
pub struct WireServer {
    listener: TcpListener,
    poll: OwnedFd,
    /// By the number that their events carry; gone ones stay as nothing.
    peers: Vec<Option<Peer>>,
    gone: usize,
    buffer: Vec<u8>,
    outgoing: Vec<u8>,
    reply: ReplyFrame,
}

struct Peer {
    stream: TcpStream,
    frames: Frames,
    is_upgraded: bool,
    /// Received bytes that hold no whole head yet.
    rest: Vec<u8>,
}

/// Where in the stream of a peer's frames the reader is.
#[derive(Debug, Default)]
struct Frames {
    /// Bytes of the last frame that are still to come.
    skip_bytes: u64,
    /// The id of that frame, which is answered when all of it has come.
    id: Option<[u8; ID_DIGITS]>,
}

impl WireServer {
    /// Listens; each reply is a frame of this length, header included, or the next length that there can be.
    pub fn bind(address: SocketAddr, reply_bytes: usize) -> Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        listener.set_nonblocking(true)?;
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&poll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Self {
            listener,
            poll,
            peers: Vec::new(),
            gone: 0,
            buffer: vec![0; RECEIVE_BYTES],
            outgoing: Vec::new(),
            reply: ReplyFrame::new(reply_bytes),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// The length of a reply, which is the wanted one if there can be such a frame.
    pub fn reply_bytes(&self) -> usize {
        self.reply.bytes.len()
    }

    /// Answers until so many peers have come and gone; without a number, for ever.
    pub fn run(mut self, peers_max: Option<usize>) -> Result<()> {
        let empty = epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        let mut events = [empty; EVENTS_PER_WAIT];
        while peers_max.is_none_or(|most| self.gone < most) {
            let ready = match epoll::wait(&self.poll, &mut events[..], None) {
                Err(Errno::INTR) => continue,
                result => result?,
            };
            for event in &events[..ready] {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    number => self.serve(number as usize)?,
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<()> {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if is_for_later(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&self.poll, &stream, EventData::new_u64(self.peers.len() as u64), EventFlags::IN)?;
        let frames = Frames::default();
        self.peers.push(Some(Peer { stream, frames, is_upgraded: false, rest: Vec::new() }));
        Ok(())
    }

    /// Reads once and answers what has come; a peer that is gone, or does not keep to the protocol, is dropped.
    fn serve(&mut self, number: usize) -> Result<()> {
        let Some(peer) = &mut self.peers[number] else { return Ok(()) };
        if !peer.answer(&mut self.buffer, &mut self.outgoing, &self.reply).unwrap_or(false) {
            // Closing the socket takes it off the list too.
            epoll::delete(&self.poll, &peer.stream)?;
            self.peers[number] = None;
            self.gone += 1;
        }
        self.outgoing.clear();
        Ok(())
    }
}

impl Peer {
    /// False when the peer has gone.
    fn answer(&mut self, buffer: &mut [u8], outgoing: &mut Vec<u8>, reply: &ReplyFrame) -> Result<bool> {
        let kept = self.rest.len();
        buffer[..kept].copy_from_slice(&self.rest);
        let count = match self.stream.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if is_for_later(&error) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let received = &buffer[..kept + count];
        let consumed = if self.is_upgraded {
            self.frames.answer(received, reply, outgoing)?
        } else {
            self.is_upgraded = received.ends_with(b"\r\n\r\n");
            upgrade(received, self.is_upgraded, outgoing)?
        };
        self.rest.clear();
        self.rest.extend_from_slice(&received[consumed..]);
        send_all(&mut self.stream, outgoing)?;
        Ok(true)
    }
}

fn upgrade(received: &[u8], is_whole: bool, outgoing: &mut Vec<u8>) -> Result<usize> {
    ensure!(received.len() <= HANDSHAKE_BYTES_MAX, "the upgrade request is too long");
    if !is_whole {
        return Ok(0);
    }
    outgoing.extend_from_slice(UPGRADE);
    push_server_frame(outgoing, frame::TEXT, READY);
    Ok(received.len())
}

impl Frames {
    /// Appends a reply for each frame that is there as a whole; returns how many bytes are done with.
    fn answer(&mut self, bytes: &[u8], reply: &ReplyFrame, outgoing: &mut Vec<u8>) -> Result<usize> {
        let mut at = 0;
        loop {
            let skipped = self.skip_bytes.min((bytes.len() - at) as u64);
            at += skipped as usize;
            self.skip_bytes -= skipped;
            if self.skip_bytes > 0 {
                return Ok(at);
            }
            if let Some(id) = self.id.take() {
                reply.append(outgoing, &id);
            }
            let Some(header) = FrameHeader::read(&bytes[at..]) else { return Ok(at) };
            ensure!(header.masked, "a client's frame was not masked");
            if header.opcode == frame::TEXT {
                let least = (ID_PREFIX.len() + ID_DIGITS) as u64;
                ensure!(header.payload_bytes >= least, "a client's frame was too short for a request");
                let Some(id) = bytes.get(at + header.header_bytes + ID_PREFIX.len()..) else { return Ok(at) };
                let Some(id) = id.first_chunk() else { return Ok(at) };
                self.id = Some(*id);
            }
            at += header.header_bytes;
            self.skip_bytes = header.payload_bytes;
        }
    }
}

/// The frame of a reply, in which only the id changes.
struct ReplyFrame {
    bytes: Vec<u8>,
    id_at: usize,
}

impl ReplyFrame {
    /// The shortest frame of at least this length that looks like a reply.
    fn new(reply_bytes: usize) -> Self {
        let plain = [ID_PREFIX, &[b'0'; ID_DIGITS], br#""}"#].concat();
        let mut bytes = Vec::new();
        push_server_frame(&mut bytes, frame::TEXT, &plain);
        let mut value_bytes = 0;
        while bytes.len() < reply_bytes {
            let value = format!(r#"","value":"{}"}}"#, "x".repeat(value_bytes));
            bytes.clear();
            push_server_frame(
                &mut bytes,
                frame::TEXT,
                &[&plain[..plain.len() - 2], value.as_bytes()].concat(),
            );
            // All but the last few bytes at once: what the header takes depends on the length.
            value_bytes += reply_bytes.saturating_sub(bytes.len() + 16).max(1);
        }
        let id_at = FrameHeader::read(&bytes).map_or(0, |header| header.header_bytes) + ID_PREFIX.len();
        Self { bytes, id_at }
    }

    #[inline]
    fn append(&self, outgoing: &mut Vec<u8>, id: &[u8; ID_DIGITS]) {
        let start = outgoing.len();
        outgoing.extend_from_slice(&self.bytes);
        outgoing[start + self.id_at..][..ID_DIGITS].copy_from_slice(id);
    }
}

fn is_for_later(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Spins while the socket is full: the load generator reads whatever it does, so there is room soon.
fn send_all(stream: &mut TcpStream, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if is_for_later(&error) => std::hint::spin_loop(),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{Subject, TemplateBuilder};

    #[test]
    fn each_frame_is_answered_once_however_it_is_cut() {
        let template = TemplateBuilder::new("ins", "", "").text().finish(1, 300);
        let mut bytes = Vec::new();
        for id in 7..10 {
            let start = template.begin(&mut bytes, id);
            template.part(&mut bytes, true, Subject::default(), &[b'x'; 300]);
            template.finish(&mut bytes, start);
        }
        let reply = ReplyFrame::new(0);
        for piece_bytes in [1, 5, 350, 5_000] {
            let (mut rest, mut frames, mut outgoing) = (Vec::new(), Frames::default(), Vec::new());
            for piece in bytes.chunks(piece_bytes) {
                assert!(outgoing.len() < 3 * reply.bytes.len(), "answered before the last byte");
                rest.extend_from_slice(piece);
                let consumed = frames.answer(&rest, &reply, &mut outgoing).unwrap();
                rest.drain(..consumed);
            }
            let text = String::from_utf8_lossy(&outgoing);
            assert_eq!(outgoing.len(), 3 * reply.bytes.len());
            assert!((7..10).all(|id| text.contains(&format!(r#"{{"id":"{id:012}"}}"#))), "{text}");
        }
    }

    #[test]
    fn replies_have_the_wanted_length_where_a_frame_can_have_it() {
        for bytes in [23, 34, 60, 127, 130, 3_000, 9_800, 65_539, 65_546, 100_000] {
            assert_eq!(ReplyFrame::new(bytes).bytes.len(), bytes);
        }
        // The shortest reply with nothing but an id, and lengths that no header leads to.
        for (bytes, next) in [(0, 23), (24, 34), (128, 130), (65_540, 65_546)] {
            assert_eq!(ReplyFrame::new(bytes).bytes.len(), next);
        }
        let reply = ReplyFrame::new(9_800);
        let mut frame = Vec::new();
        reply.append(&mut frame, b"000000000042");
        let header = FrameHeader::read(&frame).unwrap();
        let message: serde_json::Value = serde_json::from_slice(&frame[header.header_bytes..]).unwrap();
        assert_eq!(message["id"], "000000000042");
    }
}
