//! Files that somebody cut, removed, replaced or protected, before a start or while the server runs: each is noticed, and
//! said.

use crate::restart::refused;
use crate::support::{Client, PATIENCE, Server, TempDir, command, health};
use rustix::process::Signal;
use serde_json::json;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Instant;

fn arguments(directory: &TempDir) -> [&str; 6] {
    ["--data", directory.text(), "--cores", "2", "--flush-interval", "0.05"]
}

/// Entries of many collections, so that each shard has some.
fn write(client: &mut Client, value: &str) {
    for number in 0..10 {
        client.done("sval", &json!({"col": format!("c{number}"), "key": "k", "value": value}));
    }
}

fn copy(from: &TempDir, to: &TempDir, wanted: impl Fn(&str) -> bool) {
    for entry in from.path().read_dir().unwrap() {
        let name = entry.unwrap().file_name();
        if wanted(name.to_str().unwrap()) {
            std::fs::copy(from.path().join(&name), to.path().join(&name)).unwrap();
        }
    }
}

fn remove(directory: &TempDir, unwanted: impl Fn(&str) -> bool) {
    for entry in directory.path().read_dir().unwrap() {
        let entry = entry.unwrap();
        if unwanted(entry.file_name().to_str().unwrap()) {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn wait_until(what: &str, mut met: impl FnMut() -> bool) {
    let began = Instant::now();
    while !met() {
        assert!(began.elapsed() < PATIENCE, "{what} does not come");
        std::thread::yield_now();
    }
}

#[test]
fn one_file_of_a_backup_among_later_ones_is_refused() {
    let (directory, backup) = (TempDir::new(), TempDir::new());
    for value in ["old", "new"] {
        let server = Server::start(&arguments(&directory));
        write(&mut server.client(), value);
        server.stop();
        if value == "old" {
            copy(&directory, &backup, |name| name.ends_with(".db"));
        }
    }
    for file in ["shard-000.db", "shard-001.db"] {
        let later = std::fs::read(directory.file(file)).unwrap();
        copy(&backup, &directory, |name| name == file);
        for cores in ["1", "2", "3"] {
            let wrong = refused(&["--data", directory.text(), "--cores", cores]);
            assert!(wrong.contains(file) && wrong.contains("older than the other files"), "{wrong}");
        }
        std::fs::write(directory.file(file), later).unwrap();
    }
    copy(&backup, &directory, |_| true);
    let server = Server::start(&arguments(&directory));
    let found = server.client().call("gval", &json!({"col": "c3", "key": "k"}));
    assert_eq!(found, json!({"value": "old"}));
}

#[test]
fn a_backup_over_the_files_of_a_killed_server_is_refused() {
    let (directory, backup) = (TempDir::new(), TempDir::new());
    let server = Server::start(&arguments(&directory));
    write(&mut server.client(), "old");
    server.stop();
    copy(&directory, &backup, |name| name.ends_with(".db"));
    let mut server = Server::start(&[&arguments(&directory)[..], &["--sync", "always"]].concat());
    write(&mut server.client(), "new");
    server.kill();
    assert!(directory.file("shard-000.db-wal").exists() && directory.file("shard-000.mark").exists());
    copy(&backup, &directory, |_| true);
    let wrong = refused(&arguments(&directory));
    assert!(wrong.contains("older than what was here") && wrong.contains("empty directory"), "{wrong}");
    remove(&directory, |name| name.ends_with(".mark"));
    let wrong = refused(&arguments(&directory));
    assert!(wrong.contains("shard-000.db") && wrong.contains("-wal"), "{wrong}");
    remove(&directory, |name| !name.ends_with(".db"));
    let server = Server::start(&arguments(&directory));
    let found = server.client().call("gval", &json!({"col": "c3", "key": "k"}));
    assert_eq!(found, json!({"value": "old"}));
}

#[test]
fn a_write_ahead_log_that_was_cut_flipped_or_removed_is_missed() {
    let (directory, killed) = (TempDir::new(), TempDir::new());
    let mut server = Server::start(&[&arguments(&directory)[..], &["--sync", "always"]].concat());
    write(&mut server.client(), "v");
    server.kill();
    copy(&directory, &killed, |name| !name.ends_with("-shm"));
    let log = directory.file("shard-001.db-wal");
    let whole = std::fs::read(&log).unwrap();
    let damage: [&dyn Fn(); 3] = [
        &|| std::fs::remove_file(&log).unwrap(),
        &|| std::fs::write(&log, &whole[..whole.len() / 2]).unwrap(),
        &|| {
            let mut flipped = whole.clone();
            *flipped.last_mut().unwrap() ^= 0x10;
            std::fs::write(&log, flipped).unwrap();
        },
    ];
    for damage in damage {
        remove(&directory, |_| true);
        copy(&killed, &directory, |_| true);
        damage();
        let wrong = refused(&arguments(&directory));
        assert!(wrong.contains("shard-001.db") && wrong.contains("changes are missing"), "{wrong}");
        assert!(wrong.contains("on disk for sure") && wrong.contains("backup"), "{wrong}");
    }
    remove(&directory, |_| true);
    copy(&killed, &directory, |_| true);
    let server = Server::start(&arguments(&directory));
    let found = server.client().call("gval", &json!({"col": "c3", "key": "k"}));
    assert_eq!(found, json!({"value": "v"}));
}

/// What was stored but not synced may be gone after a crash of the system, so the server starts, and says so.
#[test]
fn changes_that_were_not_synced_may_be_missing() {
    let directory = TempDir::new();
    let arguments = &["--data", directory.text(), "--cores", "1", "--flush-interval", "0.05"];
    let mark = directory.file("shard-000.mark");
    // A log that is emptied while nothing comes has nothing to lose, so this one is removed sooner.
    for _ in 0..20 {
        let mut server = Server::start(arguments);
        let mut client = server.client();
        let before = std::fs::read(&mark).unwrap();
        client.done("sval", &json!({"col": "c", "key": "k", "value": "v"}));
        wait_until("the flush", || std::fs::read(&mark).unwrap() != before);
        server.kill();
        std::fs::remove_file(directory.file("shard-000.db-wal")).unwrap();
        let mut command = command();
        command.args(["--secret-key", "k", "--port", "0", "--log", "warn"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let mut log = String::new();
        child.stderr.unwrap().read_to_string(&mut log).unwrap();
        assert!(line.contains("listening"), "{log}");
        if log.contains("changes are missing") {
            assert!(log.contains("shard-000.db") && log.contains("the last 1 changes"), "{log}");
            return;
        }
    }
    panic!("never missed");
}

#[test]
fn a_directory_that_is_removed_is_noticed() {
    for replaced in [false, true] {
        let (above, aside) = (TempDir::new(), TempDir::new());
        let data = above.file("data");
        let arguments =
            ["--data", data.to_str().unwrap(), "--cores", "1", "--flush-interval", "0.05", "--log", "error"];
        let mut child = command()
            .args(["--secret-key", "s3cret+key", "--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(',').next().unwrap().rsplit(':').next().unwrap().trim().parse().unwrap();
        let mut client = Client::connect(port, "/", crate::support::KEY_QUERY);
        client.receive().unwrap();
        // Answered when it is stored.
        client.call("keys", &json!({"action": "add", "key": "k", "scope": "readonly"}));
        if replaced {
            std::fs::rename(&data, aside.file("data")).unwrap();
            std::fs::create_dir(&data).unwrap();
            std::fs::copy(aside.file("data").join("shard-000.db"), data.join("shard-000.db")).unwrap();
        } else {
            std::fs::remove_dir_all(&data).unwrap();
        }
        client.call("sval", &json!({"col": "c", "key": "k", "value": "v"}));
        wait_until("the failure", || health(port).0 == 503);
        let word = if replaced { "replaced" } else { "removed" };
        assert!(health(port).1.contains(word), "{:?}", health(port));
        let wrong = client.call("sval", &json!({"col": "c", "key": "k", "value": "w"}));
        assert!(wrong["error"].as_str().unwrap().contains("writes are refused"), "{wrong}");
        assert_eq!(client.call("gval", &json!({"col": "c", "key": "k"})), json!({"value": "v"}));
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1));
        let mut log = String::new();
        child.stderr.unwrap().read_to_string(&mut log).unwrap();
        assert!(log.contains(word) && log.contains("2 changes are lost"), "{log}");
        assert_eq!(data.exists(), replaced);
        if replaced {
            let names: Vec<_> = data.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["shard-000.db"], "what is another's was left alone");
        }
    }
}

#[test]
fn a_directory_that_is_removed_while_nothing_is_stored_is_noticed_at_the_end() {
    let above = TempDir::new();
    let data = above.file("data");
    let mut server = Server::start(&["--data", data.to_str().unwrap(), "--cores", "1"]);
    std::fs::remove_dir_all(&data).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(1));
}

#[test]
fn a_directory_that_is_put_back_is_used_again() {
    let (above, aside) = (TempDir::new(), TempDir::new());
    let data = above.file("data");
    let arguments = ["--data", data.to_str().unwrap(), "--cores", "1", "--flush-interval", "0.05"];
    let server = Server::start(&arguments);
    let mut client = server.client();
    std::fs::rename(&data, aside.file("data")).unwrap();
    client.done("sval", &json!({"col": "c", "key": "k", "value": "v"}));
    wait_until("the failure", || health(server.port).0 == 503);
    std::fs::rename(aside.file("data"), &data).unwrap();
    wait_until("the recovery", || health(server.port).0 == 200);
    server.stop();
    let server = Server::start(&arguments);
    assert_eq!(server.client().call("gval", &json!({"col": "c", "key": "k"})), json!({"value": "v"}));
}

/// Also for root, who can write to anything.
#[test]
fn a_file_that_may_not_be_written_is_refused() {
    let directory = TempDir::new();
    let server = Server::start(&arguments(&directory));
    write(&mut server.client(), "v");
    server.stop();
    for name in ["shard-000.db", "shard-001.db"] {
        std::fs::set_permissions(directory.file(name), Permissions::from_mode(0o400)).unwrap();
        let wrong = refused(&arguments(&directory));
        assert!(wrong.contains(name) && wrong.contains("0400") && wrong.contains("may not write"), "{wrong}");
        std::fs::set_permissions(directory.file(name), Permissions::from_mode(0o600)).unwrap();
    }
    Server::start(&arguments(&directory)).stop();
}
