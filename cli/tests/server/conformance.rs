//! The wire protocol, as the cases in `conformance/` put it down, on different numbers of cores.

use crate::support::{Server, cases};

#[test]
fn by_default() {
    cases::run_all(&Server::start(&[]), "cases");
}

#[test]
fn on_one_core() {
    cases::run_all(&Server::start(&["--cores", "1"]), "cases");
}

#[test]
fn on_four_cores() {
    cases::run_all(&Server::start(&["--cores", "4"]), "cases");
}

#[test]
fn older_clients() {
    let server = Server::start(&["--legacy-auth", "--cores", "3"]);
    cases::run_all(&server, "cases-legacy-auth");
}
