//! Subscriptions that come and go in every way leave nothing behind.

use crate::follow::nothing_is_left;
use crate::support::{Random, Server, alone};
use serde_json::json;
use std::time::{Duration, Instant};

/// Rounds after which memory is as it will be.
const WARM_ROUNDS: usize = 30;

/// Histories are kept for 30 s, looked at once a second, and their memory goes back in some more.
const KEPT_MAX: Duration = Duration::from_secs(60);

fn churn(server: &Server, random: &mut Random, rounds: usize) {
    let mut master = server.client();
    for round in 0..rounds {
        let key = format!("key{round}");
        master.done("sval", &json!({"col": "entries", "key": "k", "value": key}));
        let added = master.call("keys", &json!({"action": "add", "key": key, "scope": "read_write_delete"}));
        assert_eq!(added["status"], "ok");
        let mut client = server.client_with(&format!("api-key={key}"));
        for number in 0..60 {
            let mode = random.pick(&["latest", "all"]);
            let name = random.pick(&["", "/^d[0-4]/", "d1"]);
            let asked =
                json!({"col": format!("c{}", number % 5), "mode": mode, "doc": name, "every": number % 3});
            client.queue("sub", &asked);
        }
        client.flush();
        let records: Vec<_> = (0..200)
            .map(|ts| json!({"ts": ts, "doc": format!("d{}", ts % 9), "data": "x".repeat(100), "col": format!("c{}", ts % 5)}))
            .collect();
        master.done("ins", &json!(records));
        let mut names = Vec::new();
        while names.len() < 60 {
            let message = client.receive().unwrap();
            if let Some(id) = message["id"].as_str() {
                assert!(message["cursor"].is_string(), "{message}");
                names.push(id.to_owned());
            }
        }
        for name in &names[..random.below(60_usize)] {
            client.queue("unsub", &json!({"sub": name}));
        }
        client.flush();
        match round % 3 {
            // It goes as it is, with all that is on its way to it.
            0 => {}
            1 => drop(client.socket.close(None)),
            _ => {
                master.done("dcol", &json!({"col": "c1"}));
                master.done("ddoc", &json!({"doc": "d2"}));
            }
        }
        if random.below(2) == 0 {
            drop(client);
        }
        assert_eq!(master.call("keys", &json!({"action": "remove", "key": key}))["status"], "ok");
        (0..5).for_each(|number| master.done("dcol", &json!({"col": format!("c{number}")})));
    }
}

/// Waits until what is kept for those who were cut off is forgotten, and its memory is back; there is no event for either.
fn wait_until_forgotten(server: &Server, bytes_max: usize) {
    let mut client = server.client();
    let begun = Instant::now();
    loop {
        let stats = client.call("stats", &json!({}));
        let cores = stats["stats"]["cores"].as_array().unwrap();
        let known: u64 = cores.iter().map(|core| core["subscription_bytes"].as_u64().unwrap()).sum();
        let held = server.rss_bytes();
        if known == 0 && held < bytes_max {
            return;
        }
        assert!(
            begun.elapsed() < KEPT_MAX,
            "{known} bytes are known of changes, {held} held, not {bytes_max}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn leaves_nothing(rounds: usize, kept_bytes_max: usize) {
    let _alone = alone();
    let server = Server::start(&["--cores", "2"]);
    let mut random = Random(5);
    churn(&server, &mut random, WARM_ROUNDS);
    nothing_is_left(&mut server.client());
    let before = server.rss_bytes();
    churn(&server, &mut random, rounds);
    nothing_is_left(&mut server.client());
    let kept = server.rss_bytes().saturating_sub(before);
    println!("{kept} bytes more after {rounds} rounds");
    if kept >= kept_bytes_max {
        wait_until_forgotten(&server, before + kept_bytes_max);
    }
    server.stop();
}

#[test]
fn coming_and_going_leaves_nothing() {
    leaves_nothing(60, 12 << 20);
}

#[test]
#[ignore = "takes ten minutes"]
fn coming_and_going_for_long_leaves_nothing() {
    leaves_nothing(60_000, 24 << 20);
}
