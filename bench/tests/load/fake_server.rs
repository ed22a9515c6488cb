//! A server for tests: one thread a connection, each request parsed and checked in full, and answered as the test wants.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::handshake::derive_accept_key;

/// Time for which something that must come is waited for; far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The ways in which the server answers.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    /// Each request in turn.
    InTurn,
    /// The requests of one read from the last to the first.
    Backwards,
    /// Without the id in front.
    ErrorFirst,
    /// With an id that is not the request's.
    ForeignIds,
    /// In fragments, with pings between.
    Fragmented,
    /// Every third request with an error.
    SomeErrors,
    /// Nothing for this long, once, after this many requests of a connection.
    Stall { after: u64, time: Duration },
    /// Closes with 1008 after this many requests of a connection.
    Close { after: u64 },
    /// Knows no subscriptions.
    NoSubscriptions,
    /// Ends all subscriptions when so many records have come.
    EndAfter { records: u64 },
    /// Refuses the upgrade.
    Refuse,
}

/// All that the server saw, over all connections.
#[derive(Debug, Default)]
pub struct Seen {
    pub requests: BTreeMap<String, u64>,
    pub records: u64,
    pub keys: BTreeMap<String, u64>,
    /// Something that no request should have done.
    pub faults: Vec<String>,
    pub pongs: u64,
    pub goodbyes: u64,
    /// Connections that are over.
    pub ended: u64,
    pub targets: Vec<String>,
    times: BTreeMap<String, i64>,
    subscriptions: Vec<Subscription>,
}

#[derive(Debug)]
struct Subscription {
    collection: String,
    name: String,
    stream: TcpStream,
}

impl Seen {
    /// Devices send JSON, and so it must arrive.
    fn look_at_text(&mut self, text: &str) {
        if serde_json::from_str::<Value>(text).is_err() {
            self.faults.push(format!("no JSON: {text}"));
        }
    }
}

pub struct FakeServer {
    pub url: String,
    pub seen: Arc<Mutex<Seen>>,
    changed: Arc<Condvar>,
}

impl FakeServer {
    /// Listens on a free port; its threads end with the process.
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/db", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        let changed = Arc::new(Condvar::new());
        let told = Arc::clone(&changed);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let peer = Peer {
                    stream: stream.unwrap(),
                    behaviour,
                    seen: Arc::clone(&shared),
                    requests: 0,
                    pushes: Vec::new(),
                };
                let (seen, told) = (Arc::clone(&shared), Arc::clone(&told));
                thread::spawn(move || {
                    peer.serve();
                    seen.lock().unwrap().ended += 1;
                    told.notify_all();
                });
            }
        });
        Self { url, seen, changed }
    }

    /// Gives what was seen when so many connections are over, which is some time after the load generator has gone.
    pub fn seen_at_end(&self, connections: u64) -> MutexGuard<'_, Seen> {
        let seen = self.seen.lock().unwrap();
        let all_ended = |seen: &mut Seen| seen.ended < connections;
        let (seen, timeout) = self.changed.wait_timeout_while(seen, PATIENCE, all_ended).unwrap();
        assert!(!timeout.timed_out(), "{} connections have ended", seen.ended);
        seen
    }
}

struct Peer {
    stream: TcpStream,
    behaviour: Behaviour,
    seen: Arc<Mutex<Seen>>,
    requests: u64,
    /// What follows the replies of this turn.
    pushes: Vec<(TcpStream, Vec<u8>)>,
}

impl Peer {
    fn serve(mut self) {
        if !self.upgrade() {
            return;
        }
        self.send(&frame(0x81, br#"{"message":"Authentication successful","type":"ready"}"#));
        let mut received = Vec::new();
        let mut piece = vec![0; 64 << 10];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return,
                Ok(count) => received.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) => panic!("{error}"),
            }
            let mut replies = Vec::new();
            while let Some((opcode, payload)) = self.take_frame(&mut received) {
                match opcode {
                    1 => replies.push(self.answer(&payload)),
                    8 => self.seen.lock().unwrap().goodbyes += 1,
                    10 => self.seen.lock().unwrap().pongs += 1,
                    other => self.fault(format!("opcode {other}")),
                }
                if matches!(self.behaviour, Behaviour::Close { after } if self.requests >= after) {
                    self.send(&replies.concat());
                    self.send(&frame(0x88, &[&1008_u16.to_be_bytes()[..], b"enough"].concat()));
                    return;
                }
            }
            if matches!(self.behaviour, Behaviour::Backwards) {
                replies.reverse();
            }
            self.send(&replies.concat());
            for (mut stream, push) in self.pushes.drain(..) {
                // A subscriber that has gone misses nothing.
                let _ = stream.write_all(&push);
            }
        }
    }

    fn upgrade(&mut self) -> bool {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        let request = String::from_utf8(request).unwrap();
        self.seen.lock().unwrap().targets.push(request.split(' ').nth(1).unwrap().to_owned());
        if matches!(self.behaviour, Behaviour::Refuse) {
            let refusal = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 15\r\n\r\nUnknown API key";
            self.send(refusal.as_bytes());
            return false;
        }
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = derive_accept_key(key.as_bytes());
        self.send(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            .as_bytes(),
        );
        true
    }

    /// Takes a whole frame off the front and unmasks it.
    fn take_frame(&mut self, received: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
        let &[first, second, ..] = &received[..] else { return None };
        if first & 0xF0 != 0x80 || second & 0x80 == 0 {
            self.fault(format!("frame that starts with {first:#x} {second:#x}"));
        }
        let (at, length) = match second & 0x7F {
            126 => (4, u64::from(u16::from_be_bytes(*received.get(2..)?.first_chunk()?))),
            127 => (10, u64::from_be_bytes(*received.get(2..)?.first_chunk()?)),
            short => (2, u64::from(short)),
        };
        let end = at + 4 + length as usize;
        let mask: [u8; 4] = *received.get(at..)?.first_chunk()?;
        let mut payload = received.get(at + 4..end)?.to_vec();
        payload.iter_mut().enumerate().for_each(|(index, byte)| *byte ^= mask[index % 4]);
        received.drain(..end);
        Some((first & 0x0F, payload))
    }

    fn answer(&mut self, payload: &[u8]) -> Vec<u8> {
        self.requests += 1;
        let request: Value = serde_json::from_slice(payload).unwrap();
        let [id, kind, data] = ["id", "type", "data"].map(|member| request[member].as_str().unwrap());
        let data_value: Value = serde_json::from_str(data).unwrap();
        self.look_at(kind, &data_value);
        if let Some(records) = data_value.as_array() {
            self.push(records);
        }
        let plain = match kind {
            "sub" => return self.subscribe(id, &serde_json::from_str(data).unwrap()),
            "qdoc" => format!(r#"{{"id":"{id}","records":[{{"ts":1,"data":"{}"}}]}}"#, "x".repeat(700)),
            "gval" => format!(r#"{{"id":"{id}","value":"v"}}"#),
            _ => format!(r#"{{"id":"{id}"}}"#),
        };
        match self.behaviour {
            Behaviour::ErrorFirst => frame(0x81, format!(r#"{{"error":"first","id":"{id}"}}"#).as_bytes()),
            Behaviour::ForeignIds => frame(0x81, json!({"id": "someone else's"}).to_string().as_bytes()),
            Behaviour::SomeErrors if self.requests.is_multiple_of(3) => {
                frame(0x81, format!(r#"{{"id":"{id}","error":"no \"luck\""}}"#).as_bytes())
            }
            Behaviour::Fragmented => {
                let (head, tail) = plain.as_bytes().split_at(21);
                [frame(0x01, head), frame(0x89, b"ping"), frame(0x00, tail), frame(0x80, b"")].concat()
            }
            Behaviour::Stall { after, time } if self.requests == after => {
                thread::sleep(time);
                frame(0x81, plain.as_bytes())
            }
            _ => frame(0x81, plain.as_bytes()),
        }
    }

    fn subscribe(&mut self, id: &str, data: &Value) -> Vec<u8> {
        if matches!(self.behaviour, Behaviour::NoSubscriptions) {
            return frame(0x81, json!({"id": id, "error": "unknown type"}).to_string().as_bytes());
        }
        let collection = data["col"].as_str().unwrap().to_owned();
        let stream = self.stream.try_clone().unwrap();
        let subscription = Subscription { collection, name: id.to_owned(), stream };
        self.seen.lock().unwrap().subscriptions.push(subscription);
        frame(0x81, json!({"id": id, "cursor": "1-1"}).to_string().as_bytes())
    }

    /// Tells subscriptions of each record by itself, and once of an end.
    fn push(&mut self, records: &[Value]) {
        let mut seen = self.seen.lock().unwrap();
        for record in records {
            let told = |one: &&Subscription| one.collection == record["col"].as_str().unwrap();
            for subscription in seen.subscriptions.iter().filter(told) {
                let change = json!({"doc": record["doc"], "ts": record["ts"], "data": record["data"]});
                let push = json!({"type": "push", "sub": subscription.name, "changes": [change]});
                let push = frame(0x81, push.to_string().as_bytes());
                self.pushes.push((subscription.stream.try_clone().unwrap(), push));
            }
        }
        if matches!(self.behaviour, Behaviour::EndAfter { records } if seen.records >= records) {
            for subscription in seen.subscriptions.drain(..) {
                let end = json!({"type": "end", "sub": subscription.name, "error": "too slow"});
                self.pushes.push((subscription.stream, frame(0x81, end.to_string().as_bytes())));
            }
        }
    }

    fn look_at(&self, kind: &str, data: &Value) {
        let mut seen = self.seen.lock().unwrap();
        *seen.requests.entry(kind.to_owned()).or_default() += 1;
        let Some(records) = data.as_array() else {
            if let Some(value) = data["value"].as_str() {
                seen.look_at_text(value);
            }
            if let Some(key) = data["key"].as_str() {
                *seen.keys.entry(key.to_owned()).or_default() += 1;
            }
            return;
        };
        for record in records {
            seen.records += 1;
            seen.look_at_text(record["data"].as_str().unwrap());
            let document = format!("{}/{}", record["col"], record["doc"]);
            let ts = record["ts"].as_i64().unwrap();
            if let Some(before) = seen.times.insert(document.clone(), ts)
                && before >= ts
            {
                seen.faults.push(format!("{document}: {ts} after {before}"));
            }
        }
    }

    fn fault(&self, what: String) {
        self.seen.lock().unwrap().faults.push(what);
    }

    fn send(&mut self, bytes: &[u8]) {
        // A load generator that has gone is seen by the next read.
        let _ = self.stream.write_all(bytes);
    }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ ..126 => bytes.push(length as u8),
        length => {
            bytes.push(126);
            bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}
