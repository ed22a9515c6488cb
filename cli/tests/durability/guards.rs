//! Files that somebody cut, removed, replaced or protected, before a start or while the server runs: each is noticed, and
//! said.

use crate::restart::refused;
use crate::support::{Client, Server, TempDir};
use serde_json::json;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

fn arguments(directory: &TempDir) -> [&str; 6] {
    ["--data", directory.text(), "--cores", "2", "--flush-interval", "0.05"]
}

/// Entries of many collections, so that each shard has some.
fn write(client: &mut Client, value: &str) {
    for number in 0..10 {
        client.done("sval", &json!({"col": format!("c{number}"), "key": "k", "value": value}));
    }
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
