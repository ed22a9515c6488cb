//! A disk that fails: writes and syncs of the database files go wrong with ENOSPC and EIO, at every call in turn and
//! for good, by a library preloaded into the server; and a small file system that is really full.
//! Whatever happens, what was acknowledged is there later.

use crate::support::{Client, Server, TempDir, alone, health};
use rustix::process::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const ENOSPC: i64 = 28;
const EIO: i64 = 5;

/// The library, compiled once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/durability/faults.c");
        let library =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{}.so", std::process::id()));
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
        let arguments = ["-shared", "-fPIC", "-O1", "-o", library.to_str().unwrap(), source, "-ldl"];
        assert!(Command::new(compiler).args(arguments).status().unwrap().success());
        library
    })
}

/// The control file of the library; see there.
struct Faults {
    directory: TempDir,
    file: File,
}

impl Faults {
    fn new() -> Faults {
        let directory = TempDir::new();
        let options = File::options().read(true).write(true).create_new(true).clone();
        let file = options.open(directory.path().join("control")).unwrap();
        let faults = Faults { directory, file };
        (0..8).for_each(|index| faults.set(index, 0));
        faults.stop();
        faults.freeze_at(-1);
        faults
    }

    fn set(&self, index: u64, value: i64) {
        self.file.write_all_at(&value.to_ne_bytes(), index * 8).unwrap();
    }

    fn get(&self, index: u64) -> i64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, index * 8).unwrap();
        i64::from_ne_bytes(bytes)
    }

    fn stop(&self) {
        self.set(1, -1);
    }

    /// From the `skip`-th call from now, `count` calls fail.
    fn begin(&self, skip: i64, count: i64, error: i64) {
        self.set(2, count);
        self.set(3, error);
        self.set(4, 0);
        self.set(1, self.get(0) + skip);
    }

    /// Has all calls wait, or go on.
    fn freeze(&self, frozen: bool) {
        self.set(5, i64::from(frozen));
    }

    /// Has the call of this number and all after it wait.
    fn freeze_at(&self, call: i64) {
        self.set(6, call);
    }

    /// Has syncs wait, as on a disk that is busy with the work of others.
    fn freeze_syncs(&self, frozen: bool) {
        self.set(7, i64::from(frozen));
    }

    fn is_frozen(&self) -> bool {
        self.get(5) != 0
    }

    /// Calls so far, those that wait included.
    fn calls(&self) -> i64 {
        self.get(0)
    }

    fn failed(&self) -> i64 {
        self.get(4)
    }

    fn server(&self, data: &TempDir, arguments: &[&str]) -> Server {
        let control = self.directory.path().join("control");
        let environment =
            [("LD_PRELOAD", library().to_str().unwrap()), ("FAULTS_CONTROL", control.to_str().unwrap())];
        let all = [&["--data", data.text()], arguments].concat();
        Server::start_with(&all, &environment)
    }
}

/// Values that were acknowledged under their keys, and those that were answered with an error: they may be there.
#[derive(Default)]
struct Oracle {
    acknowledged: BTreeMap<String, String>,
    doubtful: BTreeMap<String, String>,
    count: usize,
}

impl Oracle {
    /// Writes once, and says whether it was acknowledged.
    fn write(&mut self, client: &mut Client) -> bool {
        self.count += 1;
        let (key, value) = (format!("k{}", self.count % 50), format!("v{}", self.count));
        let reply =
            client.call("sval", &json!({"col": format!("c{}", self.count % 5), "key": key, "value": value}));
        let key = format!("c{} {key}", self.count % 5);
        match reply["error"].as_str() {
            None => {
                self.doubtful.remove(&key);
                self.acknowledged.insert(key, value);
                true
            }
            Some(wrong) => {
                assert!(wrong.contains("stored"), "{wrong}");
                // One that was refused before it was carried out changed nothing.
                if wrong.contains("not stored yet") {
                    self.doubtful.insert(key, value);
                }
                false
            }
        }
    }

    /// Writes until it works; the server's attempts to store come at least every second.
    fn write_until_it_works(&mut self, client: &mut Client) {
        let started = Instant::now();
        while !self.write(client) {
            assert!(started.elapsed() < crate::support::PATIENCE, "no recovery");
        }
    }

    fn verify(&mut self, client: &mut Client) {
        for (key, value) in &mut self.acknowledged {
            let (collection, name) = key.split_once(' ').unwrap();
            let reply = client.call("gval", &json!({"col": collection, "key": name}));
            let found = reply["value"].as_str().unwrap();
            let doubtful = self.doubtful.get(key).map(String::as_str);
            assert!(found == value || Some(found) == doubtful, "{key}: {found}, not {value} or {doubtful:?}");
            *value = found.into();
        }
        self.doubtful.clear();
    }
}

#[test]
fn a_fault_at_any_call_loses_no_acknowledged_write() {
    let _alone = alone();
    let (faults, data) = (Faults::new(), TempDir::new());
    let mut oracle = Oracle::default();
    let mut hit = 0;
    for (skip, error) in (0..20).flat_map(|skip| [(skip, ENOSPC), (skip, EIO)]) {
        faults.stop();
        let mut server = faults.server(&data, &["--cores", "2", "--sync", "always"]);
        let mut client = server.client();
        oracle.verify(&mut client);
        faults.begin(skip, 1 + skip % 3, error);
        for _ in 0..10 {
            oracle.write(&mut client);
        }
        hit += usize::from(faults.failed() > 0);
        faults.stop();
        oracle.write_until_it_works(&mut client);
        oracle.verify(&mut client);
        assert_eq!(health(server.port).0, 200);
        if skip % 2 == 0 {
            server.kill();
        } else {
            server.stop();
        }
    }
    assert!(hit >= 36, "the faults were met: {hit}");
}

#[test]
fn a_fault_while_starting_is_a_clean_error() {
    let (faults, data) = (Faults::new(), TempDir::new());
    let mut oracle = Oracle::default();
    {
        let server = faults.server(&data, &["--cores", "2", "--sync", "always"]);
        oracle.write_until_it_works(&mut server.client());
        server.stop();
    }
    let mut refused = 0;
    for skip in 0..12 {
        for error in [ENOSPC, EIO] {
            faults.begin(skip, i64::MAX / 2, error);
            let control = faults.directory.path().join("control");
            let environment =
                [("LD_PRELOAD", library().to_str().unwrap()), ("FAULTS_CONTROL", control.to_str().unwrap())];
            // Another number of cores, so that there is something to write.
            let cores = if skip % 2 == 0 { "3" } else { "1" };
            let arguments = ["--data", data.text(), "--cores", cores];
            let mut child = Server::spawn(&arguments, &environment);
            let mut line = String::new();
            let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
            std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
            if line.is_empty() {
                assert_eq!(child.wait().unwrap().code(), Some(1), "an error, not a crash");
                refused += 1;
            } else {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            faults.stop();
        }
    }
    assert!(refused > 0, "some of the starts met the fault");
    let server = faults.server(&data, &[]);
    oracle.verify(&mut server.client());
}

#[test]
fn a_disk_that_stays_full_refuses_writes_until_there_is_room() {
    let _alone = alone();
    let (faults, data) = (Faults::new(), TempDir::new());
    let mut oracle = Oracle::default();
    for sync in ["interval", "always"] {
        let server = faults.server(&data, &["--cores", "2", "--sync", sync, "--flush-interval", "0.05"]);
        let mut client = server.client();
        oracle.write_until_it_works(&mut client);
        faults.begin(0, i64::MAX / 2, ENOSPC);
        // With the interval some are still acknowledged, and kept until they can be stored.
        let started = Instant::now();
        while oracle.write(&mut client) {
            assert!(started.elapsed() < crate::support::PATIENCE, "writes are never refused");
        }
        let (status, body) = health(server.port);
        assert_eq!(status, 503);
        assert!(body.contains("disk full"), "{body}");
        let key = client.call("keys", &json!({"action": "add", "key": "k", "scope": "readonly"}));
        assert!(key["error"].as_str().unwrap().contains("disk full"), "{key}");
        oracle.verify(&mut client);
        faults.stop();
        oracle.write_until_it_works(&mut client);
        assert_eq!(health(server.port).0, 200);
        server.stop();
        let server = faults.server(&data, &[]);
        oracle.verify(&mut server.client());
        server.stop();
    }
}

/// While the writer is stuck, what it has not stored stays below its limit: writers are not read, readers are.
#[test]
fn a_stuck_writer_holds_writers_back() {
    const MESSAGES: usize = 64;
    let _alone = alone();
    let (faults, data) = (Faults::new(), TempDir::new());
    let server = faults.server(&data, &["--cores", "1", "--max-dirty-bytes", "4MiB"]);
    let (mut reader, mut writer) = (server.client(), server.client());
    writer.done("sval", &json!({"col": "c", "key": "k", "value": "v"}));
    faults.freeze(true);
    let sent = AtomicUsize::new(0);
    let text = "x".repeat(1 << 20);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for ts in 0..MESSAGES {
                writer.queue("ins", &json!([{"ts": ts, "doc": "d", "data": text, "col": "c"}]));
                writer.flush();
                sent.fetch_add(1, Ordering::SeqCst);
            }
            assert_eq!(
                writer.replies(MESSAGES).values().filter(|reply| **reply == json!({})).count(),
                MESSAGES
            );
        });
        // Were it read, all would be sent within this time; what the sockets hold is little.
        let mut before = usize::MAX;
        while before != sent.load(Ordering::SeqCst) {
            before = sent.load(Ordering::SeqCst);
            let until = Instant::now() + Duration::from_millis(500);
            while Instant::now() < until {
                assert_eq!(reader.call("gval", &json!({"col": "c", "key": "k"})), json!({"value": "v"}));
            }
        }
        println!("{before} MiB were sent when the writer was not read any more");
        assert!(before < MESSAGES / 2, "{before}");
        faults.freeze(false);
    });
    server.stop();
    let server = faults.server(&data, &[]);
    let latest = json!({"col": "c", "doc": "d", "ts": MESSAGES});
    assert_eq!(server.client().call("qry", &latest)["records"]["d"]["ts"], MESSAGES - 1);
}

/// The end can't wait for a disk that doesn't come back: what was acknowledged is lost then, and the exit code says so.
#[test]
fn a_stop_with_a_full_disk_fails() {
    let (faults, data) = (Faults::new(), TempDir::new());
    let mut server = faults.server(&data, &["--flush-interval", "3600"]);
    let mut client = server.client();
    client.done("sval", &json!({"col": "c", "key": "k", "value": "v"}));
    faults.begin(0, i64::MAX / 2, ENOSPC);
    server.signal(Signal::TERM);
    assert_eq!(client.closed(), Some(1001));
    assert_eq!(server.wait().code(), Some(1));
}

/// Waits for what another process does.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < crate::support::PATIENCE, "it never happened: {what}");
        std::thread::yield_now();
    }
}

/// A crash of the server costs no more than the interval, however long the disk takes to sync: what was written is there.
#[test]
fn a_flush_does_not_wait_for_the_disk() {
    let (faults, data) = (Faults::new(), TempDir::new());
    let arguments = ["--cores", "1", "--flush-interval", "0.05"];
    let log = data.path().join("shard-000.db-wal");
    let logged = |text: &str| {
        let bytes = std::fs::read(&log).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    for value in ["the first value", "the second value"] {
        let mut server = faults.server(&data, &arguments);
        faults.freeze_syncs(true);
        server.client().done("sval", &json!({"col": "c", "key": "k", "value": value}));
        wait_until("the flush", || logged(value));
        server.kill();
        faults.freeze_syncs(false);
        let server = faults.server(&data, &arguments);
        let found = server.client().call("gval", &json!({"col": "c", "key": "k"}));
        assert_eq!(found, json!({"value": value}));
        server.stop();
    }
}

/// Changes made while a batch could not be stored get their chance too when the server is stopped.
#[test]
fn a_stop_stores_what_waits_behind_a_failed_batch() {
    for attempts_that_fail in [1, i64::MAX / 2] {
        let (faults, data) = (Faults::new(), TempDir::new());
        let arguments = ["--data", data.text(), "--cores", "1", "--flush-interval", "0.05"];
        let mut server = faults.server(&data, &arguments[2..]);
        let mut client = server.client();
        faults.freeze(true);
        let calls = faults.calls();
        client.done("sval", &json!({"col": "c", "key": "first", "value": "v"}));
        wait_until("a flush", || faults.calls() > calls);
        client.done("sval", &json!({"col": "c", "key": "second", "value": "v"}));
        server.signal(Signal::TERM);
        assert_eq!(client.closed(), Some(1001));
        drop(client);
        wait_until("the end of accepting", || {
            std::net::TcpStream::connect(("127.0.0.1", server.port)).is_err()
        });
        faults.begin(-1, attempts_that_fail, ENOSPC);
        faults.freeze(false);
        let code = server.wait().code();
        faults.stop();
        let server = Server::start(&arguments);
        let found = server.client().call("gvals", &json!({"col": "c"}));
        if attempts_that_fail == 1 {
            assert_eq!((code, found), (Some(0), json!({"values": {"first": "v", "second": "v"}})));
        } else {
            assert_eq!((code, found), (Some(1), json!({"values": {}})));
        }
    }
}

/// Killed at many instants of a flush: of the records of one request, in one collection, all are there or none.
#[test]
fn a_kill_during_a_flush_keeps_requests_whole() {
    const INSTANTS: i64 = 6;
    let _alone = alone();
    for (records, bytes) in [(150, 100_000), (6000, 1_900)] {
        let (faults, data) = (Faults::new(), TempDir::new());
        // The least that may wait, so that the request is many times what is handed over at a time.
        let arguments = ["--cores", "1", "--max-dirty-bytes", "4MiB", "--flush-interval", "0.05"];
        let insert = |client: &mut Client, collection: &str| {
            let text = "x".repeat(bytes);
            let record = |ts| json!({"ts": ts, "doc": "d", "data": text, "col": collection});
            client.done("ins", &(0..records).map(record).collect());
        };
        let server = faults.server(&data, &arguments);
        let before = faults.calls();
        insert(&mut server.client(), "whole");
        server.stop();
        let calls = faults.calls() - before;
        let mut counts = Vec::new();
        for instant in 0..INSTANTS {
            let collection = format!("c{instant}");
            let mut server = faults.server(&data, &arguments);
            let mut client = server.client();
            faults.freeze_at(faults.calls() + calls * instant / INSTANTS);
            insert(&mut client, &collection);
            wait_until("the instant", || faults.is_frozen());
            server.kill();
            faults.freeze_at(-1);
            faults.freeze(false);
            let server = faults.server(&data, &arguments);
            let request = json!({"col": collection, "doc": "d", "to": i64::MAX});
            let reply = server.client().call("qdoc", &request);
            counts.push(reply["records"].as_array().unwrap().len());
            server.stop();
        }
        println!("of {records} records, {calls} calls: {counts:?}");
        assert!(counts.iter().all(|count| [0, records].contains(count)), "{records}: {counts:?}");
    }
}

/// A file system of a few MiB; not every machine lets a test mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let directory = TempDir::new();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "none", directory.text()]);
        mount.status().is_ok_and(|status| status.success()).then_some(SmallDisk(directory))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.text()).status();
    }
}

#[test]
fn a_file_system_that_fills_up() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let arguments = ["--data", disk.0.text(), "--cores", "2", "--sync", "always"];
    let server = Server::start(&arguments);
    let mut client = server.client();
    let filler = disk.0.path().join("filler");
    // Half of it, so that there is room enough later for the data twice: in the write-ahead log and in the file.
    std::fs::write(&filler, vec![b'x'; 4 << 20]).unwrap();
    let data = "x".repeat(100_000);
    let mut stored = 0;
    let wrong = loop {
        let record = json!([{"ts": stored, "doc": "d", "data": data, "col": format!("c{}", stored % 3)}]);
        match client.call("ins", &record)["error"].as_str() {
            None => stored += 1,
            Some(wrong) => break wrong.to_string(),
        }
        assert!(stored < 200, "it never fills up");
    };
    assert!(wrong.contains("disk full"), "{wrong}");
    assert_eq!(health(server.port).0, 503);
    let count = |client: &mut Client| -> usize {
        let read = |index: usize, client: &mut Client| {
            let request = json!({"col": format!("c{index}"), "doc": "d", "to": i64::MAX});
            client.call("qdoc", &request)["records"].as_array().unwrap().len()
        };
        (0..3).map(|index| read(index, client)).sum()
    };
    assert!(count(&mut client) >= stored, "reads go on");
    std::fs::remove_file(&filler).unwrap();
    let started = Instant::now();
    while client.call("sval", &json!({"col": "c", "key": "k", "value": "v"})).get("error").is_some() {
        assert!(started.elapsed() < crate::support::PATIENCE, "no recovery");
    }
    assert_eq!(health(server.port).0, 200);
    server.stop();
    let server = Server::start(&arguments);
    let found = count(&mut server.client());
    assert!(found == stored || found == stored + 1, "{found} of {stored}");
    println!("{stored} records were stored, then: {wrong}");
}
