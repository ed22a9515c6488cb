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

fn wait_until(what: &str, mut met: impl FnMut() -> bool) {
    let began = Instant::now();
    while !met() {
        assert!(began.elapsed() < PATIENCE, "{what} does not come");
        std::thread::yield_now();
    }
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
