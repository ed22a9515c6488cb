//! Damaged files: what `check` finds in them, and what is left of them with `salvage`. Whatever is damaged, the rest is
//! there, and what was damaged is kept.

use crate::support::{Running, TempDir, bytes, options, records};
use fluxion_engine::{Batch, Change, Outcome, Progress, Request, Shard, shard_of};
use fluxion_storage::{Checked, Damage, Sizes, Stopped, Store, StoreOptions, check};
use fluxion_testkit::Random;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;

const DOCUMENTS: usize = 4;

/// Texts by collection, document or key, and time.
type Content = BTreeMap<(String, String, i64), String>;

/// Small chunks, so that there are many rows of each table, and rows that fill pages of their own.
fn small(directory: &Path, salvage: bool) -> StoreOptions {
    let sizes = Sizes { chunk_records: 40, ..Sizes::default() };
    StoreOptions { salvage, sizes, ..options(directory, 2) }
}

fn fill(directory: &Path, killed: Option<&Path>) {
    let running = Running::start_with(small(directory, false));
    for collection in ["c0", "c1", "c2", "c3"] {
        let mut batch = Batch::default();
        for number in 0..DOCUMENTS {
            let document = format!("d{number}");
            for ts in 0..400 {
                let data = format!("{} {}", ts * 7919 % 1013, "x".repeat((ts * ts % 97) as usize));
                batch.push(Change::Put { collection, document: &document, ts, data: &data });
            }
        }
        for number in 0..100 {
            let key = format!("k{number:03}");
            batch.push(Change::SetValue { collection, key: &key, value: &format!("{number:090}") });
        }
        running.writers[shard_of(collection, 2).0].store(batch);
    }
    let mut batch = Batch::default();
    batch.push(Change::SetApiKey { key: "reader", scope: "readonly" });
    running.writers[0].store(batch);
    if let Some(killed) = killed {
        for (path, bytes) in bytes_of(directory) {
            std::fs::write(killed.join(path), bytes).unwrap();
        }
    }
    running.end();
}

fn bytes_of(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = directory.read_dir().unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    let kept = named.filter(|(name, _)| !name.ends_with("-shm"));
    kept.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

fn copy(from: &Path) -> TempDir {
    let directory = TempDir::new();
    for (name, bytes) in bytes_of(from) {
        std::fs::write(directory.file(&name), bytes).unwrap();
    }
    directory
}

fn reply(shard: &mut Shard, request: &Request<&str>) -> serde_json::Value {
    // Names come without their brackets.
    let [open, close] = if *request == Request::Collections { *b"[]" } else { *b"{}" };
    let mut out = vec![open];
    match shard.execute(request, &mut out).unwrap() {
        Outcome::Reply(mut rest) => while rest.step(&mut out, 1 << 16) != Progress::Done {},
        Outcome::Done => {}
        Outcome::Change(_) => unreachable!(),
    }
    out.push(close);
    serde_json::from_slice(&out).unwrap()
}

fn content_of(shards: Vec<Shard>) -> Content {
    let mut content = Content::new();
    for mut shard in shards {
        let names = reply(&mut shard, &Request::Collections);
        for name in names.as_array().unwrap() {
            let collection = name.as_str().unwrap();
            for number in 0..DOCUMENTS {
                let document = format!("d{number}");
                let history = Request::History {
                    collection,
                    document: &document,
                    from: None,
                    to: i64::MAX,
                    limit: None,
                    reverse: false,
                    contains: None,
                    excludes: None,
                };
                for record in reply(&mut shard, &history)["records"].as_array().unwrap() {
                    let ts = record["ts"].as_i64().unwrap();
                    let data = record["data"].as_str().unwrap().to_owned();
                    content.insert((collection.to_owned(), document.clone(), ts), data);
                }
            }
            let values = reply(&mut shard, &Request::AllValues { collection })["values"].take();
            for (key, value) in values.as_object().unwrap() {
                let value = value.as_str().unwrap().to_owned();
                content.insert((collection.to_owned(), format!("key {key}"), 0), value);
            }
        }
    }
    content
}

fn content(directory: &Path) -> Content {
    content_of(Stopped::open(directory).unwrap().load().unwrap())
}

fn checked(directory: &Path) -> Checked {
    check(directory, &mut |_, _| {}).unwrap()
}

/// Starts with `--salvage`, and stops.
fn salvage(directory: &Path) {
    let store = Store::open(small(directory, true)).unwrap();
    for loader in store.loaders() {
        loader.load(&mut Shard::new()).unwrap();
    }
    let (senders, writers) = store.start_writers(vec![|_| (), |_| ()]).unwrap();
    drop(senders);
    writers.join().unwrap();
}

#[test]
fn a_good_directory_is_found_to_be_good_and_left_alone() {
    let (stopped, killed) = (TempDir::new(), TempDir::new());
    fill(&stopped.0, Some(&killed.0));
    let whole = content(&stopped.0);
    assert_eq!(whole.len(), 4 * (DOCUMENTS * 400 + 100));
    for directory in [&stopped, &killed] {
        let before = bytes(directory);
        let checked = checked(&directory.0);
        assert!(checked.damage.is_empty(), "{:?}", checked.damage);
        assert_eq!((checked.files, checked.api_keys, checked.more), (2, 1, 0));
        let merged = (checked.documents, checked.records, checked.entries, checked.log_changes);
        match checked.log_changes {
            0 => assert_eq!(merged, (16, 6400, 400, 0)),
            changes => assert_eq!((merged, changes), ((0, 0, 0, changes), 6801)),
        }
        assert!(content(&directory.0) == whole);
        let mut after = bytes(directory);
        after.retain(|path, _| before.contains_key(path));
        assert!(before == after);
        salvage(&directory.0);
        assert!(content(&directory.0) == whole);
        assert!(!directory.file("shard-000.damaged").exists());
    }
}

/// Rows that were changed behind the server's back, each a kind of damage that SQLite does not notice.
#[test]
fn what_is_damaged_is_named_and_left_out() {
    let original = TempDir::new();
    fill(&original.0, None);
    let whole = content(&original.0);
    let shard = shard_of("c1", 2).0;
    let name = format!("shard-{shard:03}.db");
    let in_c1 = "document = (SELECT id FROM documents WHERE collection = 'c1' AND document = 'd2')";
    let chunk = format!("id = (SELECT id FROM chunks WHERE {in_c1} ORDER BY first_ts LIMIT 1 OFFSET 1)");
    let cases = [
        (format!("UPDATE chunks SET bytes = zeroblob(length(bytes)) WHERE {chunk}"), "checksum", 40),
        (format!("UPDATE chunks SET bytes = substr(bytes, 1, 20) WHERE {chunk}"), "checksum", 40),
        (format!("UPDATE chunks SET last_ts = last_ts + 1 WHERE {chunk}"), "checksum", 40),
        (format!("DELETE FROM chunks WHERE {chunk}"), "rows of chunks", 40),
        (
            "UPDATE documents SET document = 'd9' WHERE collection = 'c1' AND document = 'd2'".into(),
            "name of a document",
            400,
        ),
        (
            "DELETE FROM documents WHERE collection = 'c1' AND document = 'd2'".into(),
            "belong to no document",
            400,
        ),
        (
            "UPDATE entries SET value = 'other' WHERE collection = 'c1' AND key = 'k007'".into(),
            "entry of key \"k007\"",
            1,
        ),
        ("UPDATE state SET sum = sum + 1 WHERE name = 'entries'".into(), "not all those", 0),
        ("DELETE FROM state".into(), "says of itself", 0),
    ];
    for (damage, word, lost) in cases {
        let directory = copy(&original.0);
        Connection::open(directory.file(&name)).unwrap().execute_batch(&damage).unwrap();
        let found = checked(&directory.0);
        let (file, first) = &found.damage[0];
        assert!(file.ends_with(&name), "{damage}: {file:?}");
        assert!(
            found.damage.iter().any(|(_, found)| found.what.contains(word)),
            "{damage}: {:?}",
            found.damage
        );
        if lost == 40 && word == "checksum" {
            let Damage { collection, document, from, to, .. } = first;
            assert_eq!((collection.as_deref(), document.as_deref()), (Some("c1"), Some("d2")));
            assert!(from.is_some_and(|from| from > 0) && to > from, "{first:?}");
        }
        let damaged = std::fs::read(directory.file(&name)).unwrap();
        salvage(&directory.0);
        let left = content(&directory.0);
        assert_eq!(whole.len() - left.len(), lost, "{damage}");
        assert!(left.iter().all(|(name, text)| whole.get(name) == Some(text)), "{damage}");
        let kept = std::fs::read(directory.file(&format!("shard-{shard:03}.damaged"))).unwrap();
        assert!(kept == damaged, "{damage}: it is kept as it was");
        assert!(checked(&directory.0).damage.is_empty(), "{damage}");
    }
}

/// Pages that SQLite can't make sense of, or that hold something else.
#[test]
fn a_page_that_is_damaged_costs_what_was_in_it() {
    let original = TempDir::new();
    fill(&original.0, None);
    let whole = content(&original.0);
    let name = "shard-001.db";
    let pages = std::fs::read(original.file(name)).unwrap().len() / 4096;
    let (mut salvaged, mut noticed, mut small_loss) = (0, 0, 0);
    for page in 1..pages {
        let directory = copy(&original.0);
        let mut bytes = std::fs::read(directory.file(name)).unwrap();
        bytes[page * 4096..(page + 1) * 4096].fill(0xa5);
        std::fs::write(directory.file(name), &bytes).unwrap();
        let found = checked(&directory.0);
        noticed += usize::from(!found.damage.is_empty());
        if Store::open(small(&directory.0, true)).is_err() {
            // The schema or what the file says of itself: it is left as it is.
            assert!(std::fs::read(directory.file(name)).unwrap() == bytes);
            continue;
        }
        salvage(&directory.0);
        let left = content(&directory.0);
        assert!(left.iter().all(|(name, text)| whole.get(name) == Some(text)), "page {page}");
        // A page above others costs what is in those.
        assert!(left.len() == whole.len() || !found.damage.is_empty(), "page {page}");
        small_loss += usize::from((whole.len() - left.len()) * 8 < whole.len());
        assert!(checked(&directory.0).damage.is_empty(), "page {page}");
        salvaged += 1;
    }
    println!("{pages} pages, {noticed} noticed, {salvaged} salvaged, {small_loss} with a small loss");
    assert!(small_loss * 10 > salvaged * 8, "{small_loss} of {salvaged}");
    // But those that are free.
    assert!(
        noticed > pages / 3 && salvaged > pages / 2,
        "{pages} pages, {noticed} noticed, {salvaged} salvaged"
    );
}

/// Single bits, in the tables and in the write-ahead log of a killed server: none changes what is read without a word.
/// `FLUXIONDB_TEST_ROUNDS=1000` makes it long.
#[test]
fn a_bit_that_flips_is_noticed_or_changes_nothing() {
    let (stopped, killed) = (TempDir::new(), TempDir::new());
    fill(&stopped.0, Some(&killed.0));
    let whole = content(&stopped.0);
    let mut random = Random(0xB17F);
    let (mut noticed, mut harmless) = (0, 0);
    let rounds = std::env::var("FLUXIONDB_TEST_ROUNDS").map_or(100, |text| text.parse().unwrap());
    for round in 0..rounds {
        let (origin, end) = [(&stopped, "db"), (&killed, "db-wal"), (&killed, "db")][round % 3];
        let directory = copy(&origin.0);
        let path = directory.file(&format!("shard-{:03}.{end}", round % 2));
        let mut bytes = std::fs::read(&path).unwrap();
        let bit = random.below(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bytes).unwrap();
        let place = format!("{}: bit {bit}", path.display());
        let found = checked(&directory.0);
        let is_missing = found.damage.iter().any(|(_, found)| found.what.contains("changes are missing"));
        let read = Stopped::open(&directory.0).and_then(|stopped| {
            let keys = stopped.api_keys()?.into_iter().map(|key| (key.key, key.scope)).collect::<Vec<_>>();
            stopped.load().map(|shards| (keys, shards))
        });
        match read {
            Err(wrong) => assert!(!found.damage.is_empty(), "{place}: {wrong}"),
            Ok((keys, shards)) => {
                let is_whole = keys == [("reader".into(), "readonly".into())] && content_of(shards) == whole;
                assert!(is_whole || is_missing, "{place}: {:?}", found.damage);
            }
        }
        if found.damage.is_empty() {
            harmless += 1;
            continue;
        }
        noticed += 1;
        if Store::open(small(&directory.0, true)).is_ok() {
            salvage(&directory.0);
            let left = content(&directory.0);
            assert!(left.iter().all(|(name, text)| whole.get(name) == Some(text)), "{place}");
            assert!(checked(&directory.0).damage.is_empty(), "{place}");
        }
    }
    println!("{noticed} noticed, {harmless} harmless");
    assert!(noticed > rounds / 4, "{noticed} noticed, {harmless} harmless");
}

/// Of the log, rows that do not go on from what is before them can't be told from rows of another time.
#[test]
fn a_damaged_log_costs_the_changes_that_are_damaged() {
    let (stopped, killed) = (TempDir::new(), TempDir::new());
    let running = Running::start(&stopped.0, 2);
    let shard = shard_of("c", 2).0;
    for part in 0..5 {
        running.writers[shard].store(records("c", part * 10..part * 10 + 10));
    }
    for (name, bytes) in bytes_of(&stopped.0) {
        std::fs::write(killed.file(&name), bytes).unwrap();
    }
    running.end();
    let name = format!("shard-{shard:03}.db");
    for (damage, left) in [
        ("UPDATE log SET bytes = zeroblob(length(bytes)) WHERE first = 21", 40),
        ("UPDATE log SET bytes = bytes || x'00' WHERE first = 41", 40),
        ("DELETE FROM log WHERE first = 21", 30),
        ("DELETE FROM log WHERE first = 1", 30),
        ("UPDATE log SET chain = chain + 1 WHERE first = 31", 30),
    ] {
        let directory = copy(&killed.0);
        Connection::open(directory.file(&name)).unwrap().execute_batch(damage).unwrap();
        let found = checked(&directory.0);
        assert!(
            found.damage.iter().any(|(_, found)| found.what.contains("of the log")),
            "{damage}: {found:?}"
        );
        assert!(
            Store::open(options(&directory.0, 2))
                .unwrap()
                .loaders()
                .into_iter()
                .any(|loader| { loader.load(&mut Shard::new()).is_err() })
        );
        salvage(&directory.0);
        let stopped = Stopped::open(&directory.0).unwrap().load().unwrap();
        assert_eq!(stopped.iter().map(Shard::record_count).sum::<usize>(), left, "{damage}");
        // Numbers are not given twice.
        let connection = Connection::open(directory.file(&name)).unwrap();
        let next: i64 =
            connection.query_row("SELECT count FROM state WHERE name = 'log'", [], |row| row.get(0)).unwrap();
        assert_eq!(next, 51, "{damage}");
    }
}

#[test]
fn changes_that_are_missing_are_given_up() {
    let (stopped, killed) = (TempDir::new(), TempDir::new());
    fill(&stopped.0, Some(&killed.0));
    std::fs::remove_file(killed.file("shard-001.db-wal")).unwrap();
    let mark = std::fs::read(killed.file("shard-001.mark")).unwrap();
    salvage(&killed.0);
    assert!(!killed.file("shard-001.mark").exists());
    Running::start(&killed.0, 2).end();
    assert!(!mark.is_empty() && content(&killed.0).len() < content(&stopped.0).len());
}

/// Whatever is cut off is done again, and a start without `salvage` doesn't go on with the damaged file meanwhile.
#[test]
fn salvaging_may_be_cut_off() {
    let original = TempDir::new();
    fill(&original.0, None);
    let name = "shard-001.db";
    let damage = "UPDATE chunks SET checksum = 0 WHERE id = 1";
    Connection::open(original.file(name)).unwrap().execute_batch(damage).unwrap();
    let whole = copy(&original.0);
    drop(Store::open(small(&whole.0, true)).unwrap());
    let expected = content(&whole.0);
    let good = std::fs::read(whole.file(name)).unwrap();
    for (moved, new) in
        [(false, "shard-001.salvaging"), (false, "shard-001.salvaged"), (true, "shard-001.salvaged")]
    {
        let directory = copy(&original.0);
        std::fs::write(directory.file(new), &good).unwrap();
        if moved {
            std::fs::hard_link(directory.file(name), directory.file("shard-001.damaged")).unwrap();
        }
        if new.ends_with("salvaged") {
            let wrong = Store::open(small(&directory.0, false)).err().unwrap().to_string();
            assert!(wrong.contains("--salvage") && wrong.contains(new), "{wrong}");
            assert!(Stopped::open(&directory.0).is_err());
        }
        salvage(&directory.0);
        assert!(content(&directory.0) == expected, "{new}");
        assert!(!directory.file("shard-001.damaged-2").exists());
        assert!(!directory.file(new).exists());
    }
}

#[test]
fn what_is_wrong_with_a_directory_as_a_whole_is_found() {
    let (original, killed) = (TempDir::new(), TempDir::new());
    fill(&original.0, Some(&killed.0));
    let earlier = copy(&original.0);
    Running::start(&original.0, 2).end();
    let found = |directory: &TempDir| {
        let damage = checked(&directory.0).damage;
        damage
            .into_iter()
            .map(|(file, found)| format!("{}: {}", file.display(), found.what))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&original), Vec::<String>::new());
    let directory = copy(&original.0);
    std::fs::copy(earlier.file("shard-001.db"), directory.file("shard-001.db")).unwrap();
    assert!(found(&directory)[0].contains("older than the other files"));
    std::fs::remove_file(directory.file("shard-001.db")).unwrap();
    assert!(found(&directory)[0].contains("shard-001.db: it is missing"));
    std::fs::write(directory.file("shard-001.db"), "no database").unwrap();
    assert!(found(&directory)[0].contains("shard-001.db"));
    std::fs::remove_file(killed.file("shard-001.db-wal")).unwrap();
    assert!(found(&killed)[0].contains("changes are missing"));
    let empty = TempDir::new();
    assert!(check(&empty.0, &mut |_, _| {}).unwrap_err().to_string().contains("no shard-000.db"));
    assert!(check(&empty.file("none"), &mut |_, _| {}).is_err());
    let running = Running::start(&empty.0, 1);
    assert!(check(&empty.0, &mut |_, _| {}).unwrap_err().to_string().contains("in use"));
    running.end();
}
