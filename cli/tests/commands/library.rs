//! Every message of the client library against a real server.

use crate::support::{KEY, Server, command};
use fluxion_client::{
    Client, Error, HistoryQuery, LatestQuery, NewRecord, Options, RecordKey, Request, Scope,
};
use rustix::process::Signal;
use std::process::Stdio;

fn connect(server: &Server) -> Client {
    Client::connect(Options::new(format!("ws://127.0.0.1:{}", server.port), KEY).name("library")).unwrap()
}

fn record<'a>(ts: i64, document: &'a str, data: &'a str) -> NewRecord<'a> {
    NewRecord { ts, document, data, collection: "c" }
}

fn times(client: &mut Client, document: &str) -> Vec<i64> {
    client.history(HistoryQuery::new("c", document)).unwrap().map(|record| record.unwrap().ts).collect()
}

#[test]
fn every_message() {
    let server = Server::start(&["--cores", "2"]);
    let mut client = connect(&server);
    let records: Vec<_> = (-2..8).map(|ts| record(ts, "d", "\"x\"\n")).chain([record(5, "e", "ü")]).collect();
    client.insert(&records).unwrap();
    assert_eq!(client.collections().unwrap(), ["c"]);
    let latest = client.latest(LatestQuery::new("c", 6).document("/./").from(-9).contains("x").excludes("y"));
    let latest: Vec<_> =
        latest.unwrap().map(|entry| entry.unwrap()).map(|(name, record)| (name, record.ts)).collect();
    assert_eq!(latest, [("d".to_string(), 6)]);
    let query = HistoryQuery::new("c", "d").from(0).to(5).limit(2).reverse(true).contains("x").excludes("y");
    let found: Vec<_> = client.history(query).unwrap().map(|record| record.unwrap()).collect();
    assert_eq!((found[0].ts, found[1].ts, found[0].data.as_str(), found.len()), (5, 4, "\"x\"\n", 2));
    let key = |ts| RecordKey { collection: "c", document: "d", ts };
    client.delete_record(key(-2)).unwrap();
    client.delete_records(&[key(0), key(1)]).unwrap();
    client.delete_range("c", "d", 3, 5).unwrap();
    assert_eq!(times(&mut client, "d"), [-1, 2, 6, 7]);
    client.delete_document("d", None).unwrap();
    client.delete_document("e", Some("c")).unwrap();
    assert_eq!(client.collections().unwrap(), Vec::<String>::new());

    client.set_value("c", "k", "v").unwrap();
    client.set_value("c", "l", "").unwrap();
    assert_eq!(client.value("c", "k").unwrap(), "v");
    assert_eq!(client.matching_values("c", "/k/").unwrap().len(), 1);
    assert_eq!(client.values("c").unwrap().len(), 2);
    client.remove_value("c", "l").unwrap();
    assert_eq!(client.key_names("c").unwrap(), ["k"]);
    client.delete_collection("c").unwrap();
    assert_eq!(client.key_names("c").unwrap(), Vec::<String>::new());

    assert_eq!(client.add_api_key("new", Scope::ReadWrite).unwrap(), Scope::ReadWrite);
    assert_eq!(client.api_keys().unwrap().iter().filter(|key| key.deletable).count(), 1);
    client.remove_api_key("new").unwrap();
    let connections = client.connections().unwrap();
    assert_eq!((connections.len(), connections[0].name.as_deref()), (1, Some("library")));
    client.ping().unwrap();
    let error = client.insert(&[record(1, "", "x")]).unwrap_err();
    assert!(matches!(&error, Error::Server(text) if text.contains("doc")), "{error}");
}

#[test]
fn reads_and_writes_in_flight_see_each_other() {
    let server = Server::start(&["--cores", "2"]);
    let mut client = connect(&server);
    let mut reads = Vec::new();
    for ts in 0..500 {
        client.send(&Request::Insert(&[record(ts, "d", "x")])).unwrap();
        reads.push(client.send(&Request::History(HistoryQuery::new("c", "d"))).unwrap());
    }
    let mut counts = vec![0; reads.len()];
    while let Some(reply) = client.receive().unwrap() {
        match reads.binary_search(&reply.ticket()) {
            Ok(index) => counts[index] = reply.records().unwrap().count(),
            Err(_) => reply.done().unwrap(),
        }
    }
    assert_eq!(counts, (1..=500).collect::<Vec<_>>());
}

#[test]
fn a_client_finds_its_server_again() {
    let mut server = Server::start(&["--cores", "1"]);
    let mut client = connect(&server);
    client.set_value("c", "k", "v").unwrap();
    server.signal(Signal::TERM);
    server.wait();
    let mut again = command();
    again.args(["--secret-key", KEY, "--cores", "1", "--log", "error", "--port", &server.port.to_string()]);
    let mut again = again.stdout(Stdio::piped()).spawn().unwrap();
    // The client waits for it; that it listens need not be waited for here.
    let value = client.value("c", "k");
    again.kill().unwrap();
    again.wait().unwrap();
    assert_eq!(value.unwrap(), "", "a new server, that holds nothing");
}
