//! What subscriptions may cost: memory that is kept for those who don't take what they are pushed, and who is ended for it.

#![allow(clippy::unwrap_used)]

use fluxion_engine::{Mode, Outcome, Push, Receiver, Record, Request, Shard, Slow, SubscriptionId, Terms};
use serde_json::Value;

const MIB: usize = 1 << 20;
const ALL: Terms<&str> = Terms {
    collection: "c",
    document: None,
    contains: None,
    excludes: None,
    mode: Mode::All,
    snapshot: false,
    since: None,
    every_ms: 0,
    slow: Slow::Close,
    buffer_bytes: MIB,
};

fn shard() -> Shard {
    let mut shard = Shard::new();
    shard.set_epoch(1, None);
    shard
}

fn subscribe(shard: &mut Shard, terms: &Terms<&str>, now_ms: u64) -> SubscriptionId {
    shard.subscribe(terms, Receiver([0; 4]), now_ms).unwrap().id
}

fn insert(shard: &mut Shard, ts: i64, data: &str) {
    let record = Record { ts, document: "d", data, collection: "c" };
    assert!(matches!(shard.execute(&Request::Insert(vec![record]), &mut Vec::new()), Ok(Outcome::Done)));
}

fn pump(shard: &mut Shard, now_ms: u64) -> Vec<Push> {
    let mut pushes = Vec::new();
    while shard.pump(now_ms, &mut pushes) {}
    pushes
}

fn read(push: &Push) -> Value {
    serde_json::from_str(&format!("{{\"sub\":0{}", std::str::from_utf8(&push.body).unwrap())).unwrap()
}

/// What is there for a subscription that takes everything at once: each push is followed by credit, a millisecond later.
fn take_all(shard: &mut Shard, id: SubscriptionId, now_ms: &mut u64) -> Vec<Value> {
    let mut taken = Vec::new();
    loop {
        let pushes = pump(shard, *now_ms);
        if pushes.is_empty() {
            return taken;
        }
        assert!(pushes.iter().all(|push| !push.is_end), "{:?}", pushes.first().map(read));
        taken.extend(pushes.iter().map(read));
        *now_ms += 1;
        shard.give_credit(id, *now_ms);
    }
}

fn times(pushes: &[Value]) -> Vec<i64> {
    let changes = pushes.iter().flat_map(|push| push["changes"].as_array().unwrap());
    changes.map(|change| change["ts"].as_i64().unwrap()).collect()
}

#[test]
fn a_burst_beyond_the_history_is_pushed_to_who_takes_it_and_then_forgotten() {
    let mut shard = shard();
    let id = subscribe(&mut shard, &ALL, 0);
    let text = "x".repeat(100_000);
    (0..500).for_each(|ts| insert(&mut shard, ts, &text));
    let mut now_ms = 1000;
    assert_eq!(times(&take_all(&mut shard, id, &mut now_ms)), (0..500).collect::<Vec<_>>());
    now_ms += 1000;
    pump(&mut shard, now_ms);
    assert!(shard.subscription_bytes() < 25 * MIB, "{}", shard.subscription_bytes());
    // More than can be kept even for who takes it.
    (0..1500).for_each(|ts| insert(&mut shard, ts, &text));
    let pushes = pump(&mut shard, now_ms);
    assert!(pushes[0].is_end && read(&pushes[0])["error"].as_str().unwrap().starts_with("too slow"));
}

#[test]
fn who_takes_nothing_has_nothing_kept_beyond_the_bound() {
    let mut shard = shard();
    subscribe(&mut shard, &Terms { slow: Slow::Drop, buffer_bytes: 16 * MIB, ..ALL }, 0);
    let text = "x".repeat(100_000);
    for ts in 0..600 {
        insert(&mut shard, ts, &text);
        assert!(pump(&mut shard, 1000 + ts as u64).len() <= 1);
    }
    assert!(shard.subscription_bytes() < 26 * MIB, "{}", shard.subscription_bytes());
}

#[test]
fn who_drops_is_told_exactly_how_many_also_when_caught_up_before() {
    let mut shard = shard();
    let terms = Terms { slow: Slow::Drop, buffer_bytes: 100_000, document: Some("d"), ..ALL };
    let id = subscribe(&mut shard, &terms, 0);
    let mut now_ms = 1000;
    insert(&mut shard, 0, "x");
    take_all(&mut shard, id, &mut now_ms);
    // What is about others moves the place of those who are caught up.
    for ts in 0..5000 {
        let other = Record { ts, document: "e", data: "x", collection: "c" };
        shard.execute(&Request::Insert(vec![other]), &mut Vec::new()).unwrap();
    }
    pump(&mut shard, now_ms);
    let text = "x".repeat(100_000);
    (1..2000).for_each(|ts| insert(&mut shard, ts, &text));
    let pushes = take_all(&mut shard, id, &mut now_ms);
    let skipped: u64 = pushes.iter().filter_map(|push| push["skipped"].as_u64()).sum();
    let got = times(&pushes);
    assert!(skipped > 0 && got.last() == Some(&1999));
    assert_eq!(skipped + got.len() as u64, 1999);
    // It is counted for as long as the shard lives.
    shard.unsubscribe(id, now_ms);
    shard.expire_subscriptions(now_ms + 60_000);
    assert!(!shard.has_subscriptions() && shard.skipped_changes() == skipped);
}

#[test]
fn a_snapshot_is_not_kept_for_who_takes_nothing_of_it() {
    let mut shard = shard();
    let text = "x".repeat(100_000);
    (0..50).for_each(|ts| insert(&mut shard, ts, &text));
    for slow in [Slow::Close, Slow::Drop] {
        subscribe(&mut shard, &Terms { slow, snapshot: true, ..ALL }, 0);
    }
    assert_eq!(pump(&mut shard, 0).iter().filter(|push| !push.is_end).count(), 2);
    insert(&mut shard, 50, "x");
    assert!(pump(&mut shard, 9_000).is_empty());
    let pushes = pump(&mut shard, 11_000);
    assert_eq!(pushes.iter().filter(|push| push.is_end).count(), 2);
    assert_eq!(shard.subscription_count(), 0);
}

#[test]
fn one_that_drops_lives_on_beside_one_that_is_ended_for_the_same() {
    let mut shard = shard();
    for slow in [Slow::Drop, Slow::Close] {
        subscribe(&mut shard, &Terms { slow, buffer_bytes: 100_000, ..ALL }, 0);
    }
    let text = "x".repeat(100_000);
    let mut ended = 0;
    for ts in 0..50 {
        insert(&mut shard, ts, &text);
        ended += pump(&mut shard, 1000 + 20 * ts as u64).iter().filter(|push| push.is_end).count();
    }
    assert_eq!((ended, shard.subscription_count()), (1, 1));
}
