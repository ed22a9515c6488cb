//! Subscriptions as a random program: one client changes records, others follow, are slow, lose their connections, come
//! and go, and the server restarts; each push is checked against plain maps. The seed is printed when it fails, and
//! `FOLLOW_SEED` replays it; `FOLLOW_STEPS` makes it longer.

use crate::follow_model::{COLLECTIONS, Model};
use crate::follow_reader::Reader;
use crate::follow_subscription::{Seen, World};
use crate::support::{Client, PATIENCE, Random, Server, TempDir, alone};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const READERS: usize = 5;
const SUBSCRIPTIONS_MAX: usize = 12;

struct Program {
    random: Random,
    cores: &'static str,
    directory: TempDir,
    /// None while it restarts.
    server: Option<Server>,
    writer: Client,
    readers: Vec<Reader>,
    model: Model,
    /// How far each collection was when all was quiet last: states and changes.
    quiet: BTreeMap<&'static str, (usize, usize)>,
    restarts: usize,
    seen: Seen,
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

impl Program {
    fn new(cores: &'static str, seed: u64) -> Program {
        let directory = TempDir::new();
        let server = start(cores, &directory);
        let mut program = Program {
            random: Random(seed),
            cores,
            writer: server.client(),
            readers: (0..READERS).map(|_| Reader::connect(&server)).collect(),
            model: Model::new(),
            quiet: BTreeMap::new(),
            restarts: 0,
            seen: Seen::default(),
            directory,
            server: Some(server),
        };
        program.note_quiet();
        program
    }

    fn note_quiet(&mut self) {
        let place = |name: &'static str| {
            let collection = &self.model.collections[name];
            (name, (collection.states.len() - 1, collection.changes.len()))
        };
        self.quiet = COLLECTIONS.map(place).into();
    }

    /// Does something with one of the readers.
    fn with_reader(&mut self, act: impl FnOnce(Reader, &mut Random, &mut World<'_>) -> Reader) {
        let reader = self.readers.swap_remove(self.random.below(self.readers.len()));
        let mut world = World {
            server: self.server.as_ref().unwrap(),
            model: &self.model,
            quiet: &self.quiet,
            restarts: self.restarts,
            seen: &mut self.seen,
        };
        let reader = act(reader, &mut self.random, &mut world);
        self.readers.push(reader);
    }

    fn with_each_reader(&mut self, mut act: impl FnMut(Reader, &mut World<'_>) -> Reader) {
        for _ in 0..self.readers.len() {
            let reader = self.readers.remove(0);
            let mut world = World {
                server: self.server.as_ref().unwrap(),
                model: &self.model,
                quiet: &self.quiet,
                restarts: self.restarts,
                seen: &mut self.seen,
            };
            let reader = act(reader, &mut world);
            self.readers.push(reader);
        }
    }

    /// Changes that are sent without waiting; now and then somebody subscribes in the middle of them.
    fn write(&mut self, count: usize, long: usize) {
        for _ in 0..count {
            let (kind, data) = self.model.step(&mut self.random, long);
            self.writer.queue(kind, &data);
        }
        self.writer.flush();
        if self.random.below(4) == 0 {
            self.subscribe(false);
        }
        for (id, reply) in self.writer.replies(count) {
            assert_eq!(reply, json!({}), "{id}");
        }
        self.note_quiet();
    }

    fn subscribe(&mut self, is_quiet: bool) {
        self.with_reader(|mut reader, random, world| {
            if reader.count() < SUBSCRIPTIONS_MAX {
                reader.subscribe_any(random, is_quiet, world);
            }
            reader
        });
    }

    fn catch_up(&mut self) {
        self.with_each_reader(|mut reader, world| {
            reader.catch_up(world);
            reader
        });
    }

    /// Stops the server in good order and starts it again.
    fn restart(&mut self) {
        self.server.take().unwrap().stop();
        let server = start(self.cores, &self.directory);
        self.restarts += 1;
        self.writer = server.client();
        self.server = Some(server);
        self.with_each_reader(|reader, world| reader.lose(world));
    }

    fn step(&mut self) {
        match self.random.below(64) {
            0..=23 => {
                let count = 1 + self.random.below(12);
                self.write(count, 2000);
            }
            24..=37 => self.with_reader(|mut reader, random, world| {
                for _ in 0..random.below(20) {
                    reader.read(Duration::from_millis(2), world);
                }
                reader
            }),
            38..=44 => self.subscribe(true),
            45..=48 => self.with_reader(|mut reader, random, world| {
                reader.unsubscribe(random, world);
                reader
            }),
            49..=54 => self.with_reader(|reader, _, world| reader.lose(world)),
            55..=57 => {
                let (records, text) = self.model.insert_one(&mut self.random);
                self.with_reader(|mut reader, _, world| {
                    reader.insert(&records, text, world);
                    reader
                });
                self.note_quiet();
            }
            58 | 59 => self.catch_up(),
            60 => self.with_reader(|reader, _, world| {
                drop(reader);
                Reader::connect(world.server)
            }),
            61 | 62 => self.write(60, 400_000),
            _ if self.random.below(4) == 0 => self.restart(),
            _ => {}
        }
    }
}

fn start(cores: &str, directory: &TempDir) -> Server {
    Server::start(&["--cores", cores, "--data", directory.text()])
}

/// Runs it; gives what was seen.
fn run(cores: &'static str, steps: u64) -> Seen {
    let _alone = alone();
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = from_environment("FOLLOW_SEED").unwrap_or(clock.as_nanos() as u64);
    let steps = from_environment("FOLLOW_STEPS").unwrap_or(steps);
    println!("FOLLOW_SEED={seed} on {cores} cores, {steps} steps");
    let mut program = Program::new(cores, seed);
    for _ in 0..steps {
        program.step();
    }
    program.catch_up();
    program.readers.clear();
    nothing_is_left(&mut program.writer);
    println!("{:?}, {} restarts", program.seen, program.restarts);
    program.seen
}

/// Waits until the server has no subscription any more.
pub fn nothing_is_left(client: &mut Client) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stats = client.call("stats", &json!({}));
        let cores = stats["stats"]["cores"].as_array().unwrap();
        let counts: Vec<&Value> = cores.iter().map(|core| &core["subscriptions"]).collect();
        assert!(counts.iter().all(|count| count.is_u64()), "{stats}");
        if counts.iter().all(|count| **count == json!(0)) {
            return;
        }
        assert!(Instant::now() < deadline, "subscriptions are left: {stats}");
    }
}

#[test]
fn what_is_pushed_is_what_is_on_one_core() {
    let seen = run("1", 400);
    assert!(seen.pushes > 100 && seen.resumed > 10, "{seen:?}");
}

#[test]
fn what_is_pushed_is_what_is_on_two_cores() {
    let seen = run("2", 400);
    assert!(seen.pushes > 100 && seen.resumed > 10, "{seen:?}");
}

#[test]
fn what_is_pushed_is_what_is_on_four_cores() {
    let seen = run("4", 400);
    assert!(seen.pushes > 100 && seen.resumed > 10, "{seen:?}");
}

#[test]
#[ignore = "takes minutes; FOLLOW_STEPS says how many"]
fn what_is_pushed_is_what_is_for_long() {
    for cores in ["1", "2", "4"] {
        let seen = run(cores, 10_000);
        assert!(seen.ended > 0 && seen.skipped > 0 && seen.parts > 0, "{seen:?}");
    }
}
