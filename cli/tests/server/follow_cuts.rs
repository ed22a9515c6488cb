//! The client library's subscriptions through a wire that is cut again and again, in the middle of whatever it carries:
//! nothing is missing, and nothing comes twice.

use crate::follow::nothing_is_left;
use crate::support::{KEY, Random, Server, alone};
use fluxion_client::{
    Change, Client, Event, LatestQuery, Mode, NewRecord, Options, Record, SubscriptionQuery,
};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// Records that the writer may be ahead of who follows all of them: so few that one push of them at times comes through whole,
/// and that they are still known when the connection is made again, however long that takes.
const AHEAD: usize = 300;

/// About twice the bytes of so many records.
const CUT_BYTES: usize = 20_000;

/// How many records have come, and whether they are enough.
#[derive(Default)]
struct Progress {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Progress {
    fn received(&self, count: usize) {
        self.state.lock().unwrap().0 = count;
        self.changed.notify_all();
    }

    fn end(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }

    /// Waits until so many have come; true if they are enough.
    fn wait(&self, count: usize) -> bool {
        let is_to_wait = |(received, is_over): &mut (usize, bool)| *received < count && !*is_over;
        self.changed.wait_while(self.state.lock().unwrap(), is_to_wait).unwrap().1
    }
}

/// Ends the waiting, also if a test fails.
struct Ends<'a>(&'a Progress);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A wire to a server; each connection over it is cut after some of what the server says.
struct Wire {
    url: String,
    cuts: Arc<AtomicUsize>,
    is_sound: Arc<AtomicBool>,
}

impl Wire {
    fn lay(port: u16, seed: u64) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let (cuts, is_sound) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let wire = Wire { url, cuts: cuts.clone(), is_sound: is_sound.clone() };
        let mut random = Random(seed);
        // It ends with the process: nobody connects any more then.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                server.set_nodelay(true).unwrap();
                client.set_nodelay(true).unwrap();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || carry(from, to, usize::MAX));
                // Most often in what comes behind the handshake, and at times in it.
                let bytes =
                    if is_sound.load(Ordering::SeqCst) { usize::MAX } else { 100 + random.below(CUT_BYTES) };
                carry(server, client, bytes);
                cuts.fetch_add(1, Ordering::SeqCst);
            }
        });
        wire
    }
}

/// Carries so many bytes at the most; then both ends are gone.
fn carry(mut from: TcpStream, mut to: TcpStream, mut bytes: usize) {
    let mut piece = [0; 1024];
    while bytes > 0 {
        let most = bytes.min(piece.len());
        match from.read(&mut piece[..most]) {
            Ok(count) if count > 0 && to.write_all(&piece[..count]).is_ok() => bytes -= count,
            _ => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn connect(url: &str) -> Client {
    Client::connect(Options::new(url, KEY)).unwrap()
}

/// Follows in both modes while the wire is cut so many times, and somebody writes.
fn nothing_is_lost(cores: &str, cuts: usize) {
    let _alone = alone();
    let server = Server::start(&["--cores", cores]);
    let url = format!("ws://127.0.0.1:{}", server.port);
    let progress = Progress::default();
    let (written, events) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&url, &progress));
        let latest = scope.spawn(|| follow_latest(&server, cuts));
        let all = follow_all(&server, cuts, &progress);
        let written = writer.join().unwrap();
        (written, (all, latest.join().unwrap()))
    });
    let (told, newest) = events;
    assert_eq!(told.len() as i64, written, "changes told");
    assert!(told.iter().enumerate().all(|(index, ts)| index as i64 == *ts), "in order, each once");
    let mut client = connect(&url);
    let held: BTreeMap<String, Record> =
        client.latest(LatestQuery::new("c", i64::MAX)).unwrap().map(Result::unwrap).collect();
    assert_eq!(newest.get("end"), held.get("end"));
    assert_eq!(newest, held);
    nothing_is_left(&mut server.client());
}

/// Writes until it is enough, and then a last record; gives how many there were in all.
fn write(url: &str, progress: &Progress) -> i64 {
    let mut client = connect(url);
    let mut ts = 0;
    loop {
        let is_last = progress.wait((ts as usize).saturating_sub(AHEAD));
        let document = if is_last { "end".to_owned() } else { format!("d{}", ts % 7) };
        client.insert(&[NewRecord { ts, document: &document, data: "x", collection: "c" }]).unwrap();
        ts += 1;
        if is_last {
            return ts;
        }
    }
}

fn follow_all(server: &Server, cuts: usize, progress: &Progress) -> Vec<i64> {
    let _ends = Ends(progress);
    let wire = Wire::lay(server.port, 7);
    let options = Options::new(&wire.url, KEY).attempts(100);
    // From the beginning, whatever has been written by now.
    let query = SubscriptionQuery::new("c").mode(Mode::All).snapshot(true).buffer(16 << 20);
    let mut times = Vec::new();
    let subscription = loop {
        if let Ok(subscription) = fluxion_client::Subscription::open(options.clone(), query.clone()) {
            break subscription;
        }
    };
    for event in subscription {
        match event.unwrap() {
            Event::Push(push) => {
                if push.reset {
                    times.clear();
                }
                let is_snapshot = push.snapshot.is_some();
                for change in push.changes {
                    let Change::Put { document, record } = change else { panic!("{change:?}") };
                    times.push(record.ts);
                    if document == "end" {
                        wire.is_sound.store(true, Ordering::SeqCst);
                        return times;
                    }
                }
                if is_snapshot {
                    times.sort_unstable();
                }
                progress.received(times.len());
            }
            Event::Reset(why) => assert_eq!(why, fluxion_client::Reset::CutShort),
            Event::Lost(_) | Event::Resumed => {}
            other => panic!("{other:?}"),
        }
        if wire.cuts.load(Ordering::SeqCst) >= cuts {
            wire.is_sound.store(true, Ordering::SeqCst);
            progress.end();
        }
    }
    panic!("it ended")
}

fn follow_latest(server: &Server, cuts: usize) -> BTreeMap<String, Record> {
    let wire = Wire::lay(server.port, 8);
    let options = Options::new(&wire.url, KEY).attempts(100);
    let mut newest = BTreeMap::new();
    let subscription = loop {
        let query = SubscriptionQuery::new("c");
        if let Ok(subscription) = fluxion_client::Subscription::open(options.clone(), query) {
            break subscription;
        }
    };
    for event in subscription {
        match event.unwrap() {
            Event::Push(push) => push.fold_into(&mut newest),
            Event::Reset(why) => assert_eq!(why, fluxion_client::Reset::CutShort),
            Event::Lost(_) | Event::Resumed => {}
            other => panic!("{other:?}"),
        }
        if wire.cuts.load(Ordering::SeqCst) >= cuts {
            wire.is_sound.store(true, Ordering::SeqCst);
        }
        if newest.contains_key("end") {
            return newest;
        }
    }
    panic!("it ended")
}

#[test]
fn nothing_is_lost_when_connections_are() {
    nothing_is_lost("2", 40);
}

#[test]
#[ignore = "takes minutes"]
fn nothing_is_lost_in_a_thousand_cuts() {
    nothing_is_lost("1", 1000);
    nothing_is_lost("2", 1000);
}
