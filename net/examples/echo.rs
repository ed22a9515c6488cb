//! An echo server on this crate's frame codec and handshake, for the Autobahn test cases to judge.
//! One thread a connection; `echo PORT [off|shared|dedicated]` listens on 127.0.0.1 and prints where, port 0 takes a free one.
//! Messages that come compressed are answered so, however short they are.

use fluxion_net::inside::deflate::{Deflater, Inflater, Inflating};
use fluxion_net::inside::extension::{Agreement, Compression};
use fluxion_net::inside::frame::{self, Event, FrameLimits, FrameReader, Step};
use fluxion_net::inside::{handshake, http};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use tungstenite::protocol::frame::coding::{Data, OpCode};

const LIMITS: FrameLimits = FrameLimits { message_bytes_max: 64 << 20 };

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    let compression = match std::env::args().nth(2).as_deref() {
        Some("off") => Compression::Off,
        Some("dedicated") => Compression::Dedicated,
        _ => Compression::Shared,
    };
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || serve(stream, compression));
    }
    Ok(())
}

fn serve(mut stream: TcpStream, compression: Compression) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::new();
    let (used, agreement) = loop {
        let answered = match http::read_head(&received) {
            Ok(Some((used, head))) => handshake::read(&head, compression)
                .map(|handshake| Some((used, handshake.deflate, handshake.response))),
            Ok(None) => Ok(None),
            Err(response) => Err(response),
        };
        match answered {
            Ok(Some((used, agreement, response))) => {
                stream.write_all(&response)?;
                break (used, agreement);
            }
            Ok(None) if receive(&mut stream, &mut received)? == 0 => return Ok(()),
            Ok(None) => {}
            Err(response) => return stream.write_all(&response.into_bytes()),
        }
    };
    received.drain(..used);
    let mut reader = FrameReader::new(agreement.is_some());
    let mut codec = agreement.map(Codec::new);
    let mut out = Vec::new();
    loop {
        let open = answer(&mut reader, &mut codec, &mut received, &mut out);
        stream.write_all(&out)?;
        out.clear();
        if !open {
            return stream.shutdown(std::net::Shutdown::Write);
        }
        if receive(&mut stream, &mut received)? == 0 {
            return Ok(());
        }
    }
}

fn receive(stream: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<usize> {
    let mut chunk = [0; 64 * 1024];
    let count = stream.read(&mut chunk)?;
    received.extend_from_slice(&chunk[..count]);
    Ok(count)
}

/// Answers all complete frames. False when the connection is over.
fn answer(
    reader: &mut FrameReader,
    codec: &mut Option<Codec>,
    received: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> bool {
    let mut used = 0;
    let open = loop {
        match reader.next(&mut received[used..], &LIMITS) {
            Ok(Step::NeedMore { .. }) => break true,
            Ok(Step::Frame { consumed, event }) => {
                let frame = &received[used..used + consumed];
                if !echo(reader, codec, event, frame, out) {
                    break false;
                }
                used += consumed;
            }
            Err(error) => {
                frame::put_close(out, Some(error.close_code().into()), &error.to_string());
                break false;
            }
        }
    };
    received.drain(..used);
    open
}

/// Compresses and takes apart the messages of one connection.
struct Codec {
    agreement: Agreement,
    deflater: Deflater,
    inflater: Inflater,
}

impl Codec {
    fn new(agreement: Agreement) -> Codec {
        let deflater = Deflater::new(agreement.server_bits);
        Codec { agreement, deflater, inflater: Inflater::default() }
    }

    /// Answers with the same message; false if there is none in it.
    fn echo(&mut self, is_text: bool, compressed: &[u8], out: &mut Vec<u8>) -> bool {
        let mut inflating = Inflating::new(compressed.to_vec());
        loop {
            match inflating.step(&mut self.inflater, LIMITS.message_bytes_max) {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    frame::put_close(out, Some(1007), &error.to_string());
                    return false;
                }
            }
        }
        if is_text && std::str::from_utf8(&inflating.message).is_err() {
            frame::put_close(out, Some(1007), "the text is not UTF-8");
            return false;
        }
        let mut segment = Vec::new();
        self.deflater.put(&mut segment, &inflating.message, true);
        let opcode = OpCode::Data(if is_text { Data::Text } else { Data::Binary });
        frame::put_deflated_header(out, opcode, true, segment.len());
        out.extend_from_slice(&segment);
        if !self.agreement.server_takeover {
            self.deflater.forget();
        }
        if !self.agreement.client_takeover {
            self.inflater.forget();
        }
        true
    }
}

fn echo(
    reader: &mut FrameReader,
    codec: &mut Option<Codec>,
    event: Event,
    frame: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    let mut deflated = |is_text, compressed: &[u8]| match codec {
        Some(codec) => codec.echo(is_text, compressed, out),
        None => false,
    };
    match event {
        Event::Deflated(is_text, range) => return deflated(is_text, &frame[range]),
        Event::AssembledDeflated(is_text) => return deflated(is_text, &reader.take_message()),
        Event::Text(range) => frame::put_text(out, &frame[range]),
        Event::Assembled => frame::put_text(out, &reader.take_message()),
        Event::Binary(range) => put_binary(out, &frame[range]),
        Event::AssembledBinary => put_binary(out, &reader.take_message()),
        Event::Ping(range) => frame::put_pong(out, &frame[range]),
        Event::Pong(_) | Event::Continue => {}
        Event::Close(code, _) => {
            frame::put_close(out, code.map(u16::from), "");
            return false;
        }
    }
    true
}

fn put_binary(out: &mut Vec<u8>, payload: &[u8]) {
    frame::put_header(out, OpCode::Data(Data::Binary), true, payload.len());
    out.extend_from_slice(payload);
}
