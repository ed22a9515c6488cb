//! The server is killed at random instants while eight writers are at it, and started again with another number of
//! cores, often killed in the middle of that too. What it holds then is compared with what it had acknowledged.
//!
//! `FLUXIONDB_TEST_ROUNDS=100` makes it long; a few rounds run each time.

use crate::history::{History, Outcome, Sent, api_keys};
use crate::support::{Client, KEY_QUERY, Random, Server, TempDir, alone};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tungstenite::Message;

const WRITERS: usize = 8;
const COLLECTIONS: usize = 5;
const ROUNDS: usize = 8;
const BURST: usize = 16;
const SEED: u64 = 0xD15C;

fn rounds() -> usize {
    std::env::var("FLUXIONDB_TEST_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number of rounds"))
}

#[test]
fn acknowledged_writes_survive_kills_with_sync_always() {
    let _alone = alone();
    let outcome = crash_rounds(&["--sync", "always"], Duration::ZERO);
    assert_eq!(outcome.lost, 0);
    assert!(outcome.owed > 1000, "{} operations say little", outcome.owed);
}

/// Beside the interval, the time a commit takes on a busy machine is granted.
#[test]
fn a_kill_costs_no_more_than_the_interval() {
    let _alone = alone();
    let outcome = crash_rounds(&["--flush-interval", "0.2"], Duration::from_millis(200 + 1300));
    println!(
        "{} operations of before the last interval were there, {} of it not",
        outcome.owed, outcome.lost
    );
    assert!(outcome.owed > 1000, "{} operations say little", outcome.owed);
}

/// All that was acknowledged more than `grace` before a kill must be there; each server runs for longer than that.
fn crash_rounds(arguments: &[&str], grace: Duration) -> Outcome {
    println!("seed {SEED:#x}");
    let directory = TempDir::new();
    let mut random = Random(SEED);
    let mut histories: Vec<History> =
        (0..WRITERS).map(|writer| History::new(writer, COLLECTIONS, SEED)).collect();
    let mut keys = KeyHistory::default();
    let mut outcome = Outcome::default();
    for round in 0..rounds() {
        let cores = 1 + random.below(4);
        let mut server = start(&directory, arguments, cores);
        let killed = load_and_kill(&mut server, &mut histories, &mut keys, grace + delay(&mut random));
        let safe = killed - grace;
        for _ in 0..random.below(3) {
            kill_while_starting(&directory, arguments, 1 + random.below(4), &mut random);
        }
        let cores = 1 + random.below(4);
        let server = start(&directory, arguments, cores);
        let mut client = server.client();
        histories.iter_mut().for_each(|history| outcome.add(history.verify(&mut client, safe)));
        keys.verify(&mut client);
        println!(
            "round {round}: {cores} cores, so far {} owed and there, {} lost",
            outcome.owed, outcome.lost
        );
    }
    outcome
}

fn delay(random: &mut Random) -> Duration {
    Duration::from_millis(150 + random.below(500) as u64)
}

fn start(directory: &TempDir, arguments: &[&str], cores: usize) -> Server {
    let cores = cores.to_string();
    Server::start(&[&["--data", directory.text(), "--cores", &cores], arguments].concat())
}

/// Lets a server run for some milliseconds of its start, and kills it.
fn kill_while_starting(directory: &TempDir, arguments: &[&str], cores: usize, random: &mut Random) {
    let cores = cores.to_string();
    let all = [&["--data", directory.text(), "--cores", &cores], arguments].concat();
    let mut child = Server::spawn(&all, &[]);
    std::thread::sleep(Duration::from_micros(random.below(60_000) as u64));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Has all writers write until the server is killed after this time. Returns when that was.
fn load_and_kill(
    server: &mut Server,
    histories: &mut [History],
    keys: &mut KeyHistory,
    delay: Duration,
) -> Instant {
    let killed = Mutex::new(None);
    let clients: Vec<Client> = (0..histories.len()).map(|_| server.client()).collect();
    let master = server.client();
    std::thread::scope(|scope| {
        for (client, history) in clients.into_iter().zip(histories) {
            scope.spawn(move || write_until_killed(client, history));
        }
        scope.spawn(move || keys.change_until_killed(master));
        std::thread::sleep(delay);
        *killed.lock().unwrap() = Some(Instant::now());
        server.kill();
    });
    killed.into_inner().unwrap().unwrap()
}

fn write_until_killed(mut client: Client, history: &mut History) {
    let mut waiting: HashMap<String, Sent> = HashMap::new();
    loop {
        while waiting.len() < BURST {
            let (kind, data, sent) = history.next();
            let Some(id) = client.try_queue(kind, &data) else { return };
            waiting.insert(id, sent);
        }
        if client.socket.flush().is_err() {
            return;
        }
        // Half of them, so that there are always some in flight.
        while waiting.len() > BURST / 2 {
            match client.socket.read() {
                Ok(Message::Text(text)) => {
                    let reply: Value = serde_json::from_str(&text).unwrap();
                    assert!(reply.get("error").is_none(), "{reply}");
                    history.acknowledge(&waiting.remove(reply["id"].as_str().unwrap()).unwrap());
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}

/// Changes of API keys one at a time: after a kill all acknowledged ones hold, and the last one sent may.
#[derive(Default)]
struct KeyHistory {
    acknowledged: BTreeMap<String, String>,
    sent: BTreeMap<String, String>,
    count: usize,
}

impl KeyHistory {
    fn change_until_killed(&mut self, mut client: Client) {
        loop {
            self.count += 1;
            let key = format!("k{}", self.count * 7 % 20);
            self.sent = self.acknowledged.clone();
            let request = if self.sent.remove(&key).is_some() {
                json!({"action": "remove", "key": key})
            } else {
                let scope = ["readonly", "read_write", "read_write_delete"][self.count % 3];
                self.sent.insert(key.clone(), scope.into());
                json!({"action": "add", "key": key, "scope": scope})
            };
            if client.try_queue("keys", &request).is_none() || client.socket.flush().is_err() {
                return;
            }
            let Ok(Message::Text(text)) = client.socket.read() else { return };
            assert!(text.contains("\"status\":\"ok\""), "{text}");
            self.acknowledged = self.sent.clone();
        }
    }

    fn verify(&mut self, client: &mut Client) {
        let found = api_keys(client);
        assert!(found == self.acknowledged || found == self.sent, "{found:?}, {:?}", self.acknowledged);
        self.acknowledged = found;
    }
}

/// Stops while all writers are at it: nothing that was acknowledged is missing.
#[test]
fn a_stop_under_load_loses_nothing() {
    let _alone = alone();
    let directory = TempDir::new();
    let mut histories: Vec<History> =
        (0..WRITERS).map(|writer| History::new(writer, COLLECTIONS, 7)).collect();
    for cores in [1, 2, 3] {
        let mut server = start(&directory, &[], cores);
        let clients: Vec<Client> = histories.iter().map(|_| server.client()).collect();
        let stopped = std::thread::scope(|scope| {
            for (client, history) in clients.into_iter().zip(&mut histories) {
                scope.spawn(move || write_until_killed(client, history));
            }
            std::thread::sleep(Duration::from_millis(300));
            let signalled = Instant::now();
            server.signal(rustix::process::Signal::TERM);
            assert_eq!(server.wait().code(), Some(0));
            signalled.elapsed()
        });
        println!("{cores} cores: stopped after {stopped:?}");
        assert!(stopped < Duration::from_secs(5), "{stopped:?}");
        let server = start(&directory, &[], 4 - cores);
        let mut client = server.client_with(KEY_QUERY);
        let mut outcome = Outcome::default();
        histories.iter_mut().for_each(|history| outcome.add(history.verify(&mut client, Instant::now())));
        assert!(outcome.owed > 0 && outcome.lost == 0);
    }
}
