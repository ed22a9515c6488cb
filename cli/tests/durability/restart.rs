//! Stopping and starting again: the same answers with any number of cores; files of the C++ server; files that can't
//! be used.

use crate::history::{api_keys, collections};
use crate::support::cases::{self, Replies};
use crate::support::{Client, Random, Server, Session, TempDir, fixture};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

fn start(directory: &TempDir, cores: &str) -> Server {
    Server::start(&["--data", directory.text(), "--cores", cores])
}

#[test]
fn the_protocol_is_the_same_with_data() {
    for (sync, replies) in [("interval", Replies::InOrder), ("always", Replies::AnyOrder)] {
        let directory = TempDir::new();
        let arguments =
            ["--data", directory.text(), "--sync", sync, "--cores", "3", "--flush-interval", "0.05"];
        cases::run(&Server::start(&arguments), "cases", replies);
    }
}

/// Every reply is what a plain model says, in one life of the server after the other.
#[test]
fn a_session_goes_on_after_every_restart() {
    let directory = TempDir::new();
    let mut sessions = [Session::new("a", 0xa11), Session::new("b", 0xb22)];
    for cores in ["1", "3", "2", "5", "4", "1"] {
        let server = start(&directory, cores);
        for session in &mut sessions {
            let mut client = server.client();
            for _ in 0..1500 {
                let (kind, data, reply) = session.step();
                let got = client.call(kind, &data);
                match reply {
                    Some(reply) => assert_eq!(got, reply, "{kind} {data}, {cores} cores"),
                    None => {
                        assert!(session.names().iter().all(|name| got.to_string().contains(name.as_str())))
                    }
                }
            }
        }
        let names: Vec<String> = sessions.iter().flat_map(Session::names).collect();
        assert_eq!(collections(&mut server.client()), names, "{cores} cores");
        server.stop();
    }
}

#[test]
fn api_keys_survive() {
    let directory = TempDir::new();
    {
        let mut server = start(&directory, "2");
        let mut master = server.client();
        for (key, scope) in [("a", "readonly"), ("b", "readonly"), ("c", "read_write_delete")] {
            master.call("keys", &json!({"action": "add", "key": key, "scope": scope}));
        }
        master.call("keys", &json!({"action": "add", "key": "b", "scope": "read_write"}));
        assert_eq!(master.call("keys", &json!({"action": "remove", "key": "a"})), json!({"status": "ok"}));
        // An answer to a change of keys means that it is stored, also without --sync always.
        server.kill();
    }
    let server = start(&directory, "3");
    let expected = [("b", "read_write"), ("c", "read_write_delete")];
    let expected: BTreeMap<String, String> = expected.map(|(key, scope)| (key.into(), scope.into())).into();
    assert_eq!(api_keys(&mut server.client()), expected);
    server.client_with("api-key=b").done("sval", &json!({"col": "c", "key": "k", "value": "v"}));
}

#[test]
fn files_are_private_and_readable_by_people() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new();
    let server = start(&directory, "2");
    let mut client = server.client();
    client.done("ins", &json!([{"ts": 7, "doc": "d", "data": "x", "col": "sensors"}]));
    client.call("keys", &json!({"action": "add", "key": "k", "scope": "readonly"}));
    let modes = || {
        let entries = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.file_name(), entry.metadata().unwrap().permissions().mode() & 0o777))
    };
    assert!(modes().count() >= 3);
    for (name, mode) in modes() {
        assert_eq!(mode, 0o600, "{name:?}");
    }
    server.stop();
    let rows: i64 = shard_files(&directory)
        .iter()
        .map(|path| {
            let query = "SELECT count(*) FROM all_chunks WHERE collection = 'sensors' AND document = 'd' AND first_ts = 7 AND records = 1";
            Connection::open(path).unwrap().query_row(query, [], |row| row.get::<_, i64>(0)).unwrap()
        })
        .sum();
    assert_eq!(rows, 1);
}

fn shard_files(directory: &TempDir) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "db")).collect();
    files.sort();
    files
}

/// Everything in a server, as the fixture's description has it.
fn content(client: &mut Client) -> Value {
    let (mut records, mut entries) = (json!({}), json!({}));
    for name in collections(client) {
        let newest = client.call("qry", &json!({"col": name, "ts": i64::MAX}));
        for document in newest["records"].as_object().unwrap().keys() {
            let request = json!({"col": name, "doc": document, "from": i64::MIN, "to": i64::MAX});
            records[&name][document] = client.call("qdoc", &request)["records"].take();
        }
        let values = client.call("gvals", &json!({"col": name}))["values"].take();
        if values != json!({}) {
            entries[&name] = values;
        }
    }
    json!({"records": records, "key_values": entries, "api_keys": api_keys(client)})
}

#[test]
fn a_file_of_the_cpp_server_is_taken_over() {
    let directory = TempDir::new();
    std::fs::copy(fixture("fluxion.db"), directory.path().join("fluxion.db")).unwrap();
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(fixture("fluxion.expected.json")).unwrap()).unwrap();
    for cores in ["2", "1", "3"] {
        let server = start(&directory, cores);
        assert_eq!(content(&mut server.client()), expected, "{cores} cores");
        server.stop();
        assert!(!directory.path().join("fluxion.db").exists());
        assert!(directory.path().join("fluxion.db.imported").exists());
    }
}

/// A file as the C++ server leaves it, with so many records in each of some documents.
fn make_cpp_file(path: &Path, collections: usize, records: usize) {
    let mut database = Connection::open(path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE records (collection TEXT NOT NULL, doc TEXT NOT NULL, ts INTEGER NOT NULL, data TEXT NOT NULL,
                                   PRIMARY KEY(collection, doc, ts));
             CREATE TABLE key_values (collection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
                                      PRIMARY KEY(collection, key));
             CREATE TABLE api_keys (api_key TEXT PRIMARY KEY, scope TEXT NOT NULL, deletable INTEGER NOT NULL);
             INSERT INTO key_values VALUES ('c0', 'k', 'v');
             INSERT INTO api_keys VALUES ('reader', 'readonly', 1), ('old master', 'read_write_delete', 0);",
        )
        .unwrap();
    let transaction = database.transaction().unwrap();
    {
        let mut insert = transaction.prepare("INSERT INTO records VALUES (?1, 'd', ?2, ?3)").unwrap();
        for number in 0..records {
            insert
                .execute((format!("c{}", number % collections), number as i64, format!("{number:048}")))
                .unwrap();
        }
    }
    transaction.commit().unwrap();
}

/// Killed again and again in the middle of it, with another number of cores each time: all is there once.
#[test]
fn an_interrupted_import_is_taken_up_again() {
    const RECORDS: usize = 60_000;
    let mut random = Random(0x1447);
    let directory = TempDir::new();
    make_cpp_file(&directory.path().join("fluxion.db"), 7, RECORDS);
    let mut interrupted = 0;
    for attempt in 0..12 {
        let cores = (1 + random.below(4)).to_string();
        let mut child = Server::spawn(&["--data", directory.text(), "--cores", &cores], &[]);
        std::thread::sleep(Duration::from_millis(5 + attempt * 15));
        child.kill().unwrap();
        child.wait().unwrap();
        interrupted += usize::from(directory.path().join("fluxion.db").exists());
    }
    println!("{interrupted} of 12 attempts ended before the import did");
    assert!(interrupted > 0);
    let server = start(&directory, "2");
    let mut client = server.client();
    let mut total = 0;
    for index in 0..7 {
        let request = json!({"col": format!("c{index}"), "doc": "d", "to": i64::MAX});
        let reply = client.call("qdoc", &request);
        for record in reply["records"].as_array().unwrap() {
            let ts = record["ts"].as_i64().unwrap();
            assert_eq!(
                (ts as usize % 7, record["data"].as_str().unwrap()),
                (index, format!("{ts:048}").as_str())
            );
            total += 1;
        }
    }
    assert_eq!(total, RECORDS);
    assert_eq!(client.call("gvals", &json!({"col": "c0"})), json!({"values": {"k": "v"}}));
    assert_eq!(api_keys(&mut client), [("reader".to_string(), "readonly".to_string())].into());
}

/// Starts a server that must not start; gives what it says.
pub fn refused(arguments: &[&str]) -> String {
    let mut child = crate::support::command()
        .args(["--secret-key", "k", "--port", "0", "--log", "off"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut wrong = String::new();
    child.stderr.take().unwrap().read_to_string(&mut wrong).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{wrong}");
    wrong
}

#[test]
fn a_directory_has_one_server() {
    let directory = TempDir::new();
    let server = start(&directory, "1");
    let wrong = refused(&["--data", directory.text()]);
    assert!(wrong.contains("in use") && wrong.contains(directory.text()), "{wrong}");
    server.stop();
    start(&directory, "1").stop();
}

#[test]
fn files_that_cannot_be_used_are_named_and_left_alone() {
    let directory = TempDir::new();
    let server = start(&directory, "2");
    for index in 0..50 {
        let record = json!([{"ts": index, "doc": "d", "data": "x".repeat(300), "col": format!("c{index}")}]);
        server.client().done("ins", &record);
    }
    server.stop();
    let files = shard_files(&directory);
    let good: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let check = |cores: &str, what: &str, name: &str, damage: &dyn Fn()| {
        damage();
        let damaged: Vec<Option<Vec<u8>>> = files.iter().map(|path| std::fs::read(path).ok()).collect();
        let wrong = refused(&["--data", directory.text(), "--cores", cores]);
        assert!(wrong.contains(name) && wrong.contains(what), "{what}, {name}: {wrong}");
        println!("{wrong}");
        let after: Vec<Option<Vec<u8>>> = files.iter().map(|path| std::fs::read(path).ok()).collect();
        assert!(after == damaged, "{what}: the files were changed");
        files.iter().zip(&good).for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    };
    for cores in ["2", "3"] {
        check(cores, "damaged", "shard-001.db", &|| {
            std::fs::write(&files[1], "not a database at all").unwrap()
        });
        check(cores, "damaged", "shard-001.db", &|| {
            let mut bytes = good[1].clone();
            let middle = bytes.len() / 2;
            bytes[4096..middle].fill(0xa5);
            std::fs::write(&files[1], bytes).unwrap();
        });
        check(cores, "shard", "shard-001.db", &|| std::fs::write(&files[1], &good[0]).unwrap());
        check(cores, "missing", "shard-001.db", &|| std::fs::remove_file(&files[1]).unwrap());
        check(cores, "newer", "shard-000.db", &|| {
            let database = Connection::open(&files[0]).unwrap();
            let newer = "UPDATE meta SET value = 99 WHERE key = 'format_version'";
            assert_eq!(database.execute(newer, []).unwrap(), 1);
        });
    }
    let server = start(&directory, "3");
    assert_eq!(collections(&mut server.client()).len(), 50);
}

/// Changes that a crash left in the write-ahead log is not worked into a file that is damaged.
#[test]
fn a_damaged_file_keeps_its_write_ahead_log() {
    let directory = TempDir::new();
    for (round, document) in ["d", "e"].iter().enumerate() {
        let mut server = start(&directory, "1");
        let mut client = server.client();
        for ts in 0..200 {
            // What takes much room in a file, however it is kept there.
            let mut random = Random(ts);
            let data: String = (0..20).map(|_| format!("{:016x}", random.next())).collect();
            client.done("ins", &json!([{"ts": ts, "doc": document, "data": data, "col": "c"}]));
        }
        // Answered when it is stored, so all before it is stored too.
        client.call("keys", &json!({"action": "add", "key": "k", "scope": "readonly"}));
        if round == 0 { server.stop() } else { server.kill() }
    }
    let file = &shard_files(&directory)[0];
    let mut bytes = std::fs::read(file).unwrap();
    let len = bytes.len();
    // Pages of records, so that it is found only while these are loaded.
    bytes[len / 2..len - 4096].fill(0xa5);
    std::fs::write(file, &bytes).unwrap();
    let log = directory.path().join("shard-000.db-wal");
    let logged = std::fs::read(&log).unwrap();
    assert!(len > 8192 && logged.len() > 4096);
    let wrong = refused(&["--data", directory.text(), "--cores", "1"]);
    assert!(wrong.contains("shard-000.db") && wrong.contains("damaged"), "{wrong}");
    assert!(std::fs::read(file).unwrap() == bytes && std::fs::read(&log).unwrap() == logged);
}

/// Deleted data leaves the file's space to what comes after it.
#[test]
fn the_space_of_a_deleted_collection_is_used_again() {
    let directory = TempDir::new();
    let mut sizes = Vec::new();
    for round in 0..4 {
        let server = start(&directory, "1");
        let mut client = server.client();
        for batch in 0..20 {
            let records: Vec<Value> = (0..500)
                .map(|index| json!({"ts": batch * 500 + index, "doc": "d", "data": "x".repeat(100), "col": format!("c{round}")}))
                .collect();
            client.done("ins", &json!(records));
        }
        server.stop();
        sizes.push(std::fs::metadata(&shard_files(&directory)[0]).unwrap().len());
        let server = start(&directory, "1");
        server.client().done("dcol", &json!({"col": format!("c{round}")}));
        server.stop();
    }
    println!("{sizes:?}");
    assert!(sizes[3] <= sizes[0] * 11 / 10, "{sizes:?}");
}
