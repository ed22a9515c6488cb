//! An echo server on this crate's frame codec and handshake, for the Autobahn test cases to judge.
//! One thread a connection; `echo PORT` listens on 127.0.0.1 and prints where, port 0 takes a free one.

use fluxion_net::inside::frame::{self, Event, FrameLimits, FrameReader, Step};
use fluxion_net::inside::{handshake, http};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use tungstenite::protocol::frame::coding::{Data, OpCode};

const LIMITS: FrameLimits = FrameLimits { message_bytes_max: 64 << 20 };

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || serve(stream));
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::new();
    let used = loop {
        let answered = match http::read_head(&received) {
            Ok(Some((used, head))) => {
                handshake::read(&head).map(|handshake| Some((used, handshake.response)))
            }
            Ok(None) => Ok(None),
            Err(response) => Err(response),
        };
        match answered {
            Ok(Some((used, response))) => {
                stream.write_all(&response)?;
                break used;
            }
            Ok(None) if receive(&mut stream, &mut received)? == 0 => return Ok(()),
            Ok(None) => {}
            Err(response) => return stream.write_all(&response.into_bytes()),
        }
    };
    received.drain(..used);
    let mut reader = FrameReader::default();
    let mut out = Vec::new();
    loop {
        let open = answer(&mut reader, &mut received, &mut out);
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
fn answer(reader: &mut FrameReader, received: &mut Vec<u8>, out: &mut Vec<u8>) -> bool {
    let mut used = 0;
    let open = loop {
        match reader.next(&mut received[used..], &LIMITS) {
            Ok(Step::NeedMore { .. }) => break true,
            Ok(Step::Frame { consumed, event }) => {
                let frame = &received[used..used + consumed];
                if !echo(reader, event, frame, out) {
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

fn echo(reader: &mut FrameReader, event: Event, frame: &[u8], out: &mut Vec<u8>) -> bool {
    match event {
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
