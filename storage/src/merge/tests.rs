//! Random changes through the log into the tables, cut off at every commit: what is read is always what plain maps hold.

use super::*;
use crate::limits::Sizes;
use crate::read::{Damage, Reader, read};
use crate::rows::ChunkRow;
use crate::store::tests::TempDir;
use fluxion_engine::sealed::{Decoder, Sealed};
use fluxion_engine::{Batch, Change, ChangeRef};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Texts by collection, document or key, and time.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model(BTreeMap<(String, String), BTreeMap<i64, String>>);

impl Model {
    fn carry_out(&mut self, change: ChangeRef<'_>) {
        let name = |collection: &str, document: &str| (collection.to_string(), document.to_string());
        match change {
            Change::Put { collection, document, ts, data } => {
                self.0.entry(name(collection, document)).or_default().insert(ts, data.into());
            }
            Change::DeleteRecord { collection, document, ts } => {
                self.0.entry(name(collection, document)).or_default().remove(&ts);
            }
            Change::DeleteRange { collection, document, from, to } => {
                let gone = |ts: &i64| (from..=to).contains(ts);
                self.0.entry(name(collection, document)).or_default().retain(|ts, _| !gone(ts));
            }
            Change::DeleteDocument { collection, document } => {
                drop(self.0.remove(&name(collection, document)))
            }
            Change::DeleteCollection { collection } => self.0.retain(|(other, _), _| other != collection),
            Change::SetValue { collection, key, value } => {
                self.0.entry(name(collection, &format!("key {key}"))).or_default().insert(0, value.into());
            }
            Change::RemoveValue { collection, key } => {
                drop(self.0.remove(&name(collection, &format!("key {key}"))))
            }
            Change::SetApiKey { .. } | Change::RemoveApiKey { .. } => {}
        }
        self.0.retain(|_, records| !records.is_empty());
    }
}

impl Reader for Model {
    fn chunk(&mut self, collection: &str, document: &str, _: &ChunkRow, sealed: Sealed) -> Result<(), Error> {
        let mut decoder = Decoder::default();
        let mut reader = decoder.open(&sealed);
        for block in 0..sealed.block_count() {
            for (ts, data) in reader.block(block).records() {
                self.carry_out(Change::Put { collection, document, ts, data });
            }
        }
        Ok(())
    }

    fn entry(&mut self, collection: &str, key: &str, value: &str) -> Result<(), Error> {
        self.carry_out(Change::SetValue { collection, key, value });
        Ok(())
    }

    fn log(&mut self, row: LogRow) -> Result<(), Error> {
        Unpacker::new(&row.bytes).for_each(|change| self.carry_out(change.unwrap()));
        Ok(())
    }

    fn damage(&mut self, damage: Damage) -> Result<(), Error> {
        panic!("{damage:?}");
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }

    fn ts(&mut self, newest: &mut i64) -> i64 {
        match self.below(12) {
            0 => [i64::MIN, i64::MAX, 0][self.below(3) as usize],
            1..=3 => self.below(1 + *newest as u64 * 2) as i64,
            _ => {
                *newest += 1 + self.below(3) as i64;
                *newest
            }
        }
    }

    fn batch(&mut self, newest: &mut i64) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..self.below(60) {
            let collection = ["a", "b"][self.below(2) as usize];
            let document = ["x", "y", "z\0", ""][self.below(4) as usize];
            let ts = self.ts(newest);
            let data =
                format!("{{\"v\":{},\"n\":\"{}\"}}", self.below(1000), "x".repeat(self.below(20) as usize));
            batch.push(match self.below(200) {
                0 => Change::DeleteCollection { collection },
                1 | 2 => Change::DeleteDocument { collection, document },
                3..=5 => Change::DeleteRange { collection, document, from: ts, to: i64::MAX },
                6..=12 => Change::DeleteRange {
                    collection,
                    document,
                    from: ts,
                    to: ts.saturating_add(self.below(40) as i64),
                },
                13..=20 => Change::DeleteRecord { collection, document, ts },
                21..=28 => Change::SetValue { collection, key: document, value: &data },
                29..=31 => Change::RemoveValue { collection, key: document },
                32 => Change::SetApiKey { key: "k", scope: "readonly" },
                _ => Change::Put { collection, document, ts, data: &data },
            });
        }
        batch
    }
}

fn content(file: &ShardFile) -> Model {
    let mut found = Model::default();
    read(file, &mut found).unwrap();
    found
}

/// Merges, but lets only so many commits through; true if it came to its end.
fn merge_for(file: &mut ShardFile, commits: usize) -> bool {
    let done = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&done);
    let hook = move || count.fetch_add(1, Ordering::SeqCst) >= commits;
    file.run(|connection| connection.commit_hook(Some(hook))).unwrap();
    let ended = merge_all(file).is_ok();
    file.run(|connection| connection.commit_hook(None::<fn() -> bool>)).unwrap();
    ended
}

fn run(seed: u64, sizes: Sizes) -> usize {
    let directory = TempDir::new();
    let mut file = ShardFile::create(&directory.0, 0, None).unwrap();
    file.sizes = sizes;
    file.connection.pragma_update(None, "synchronous", "OFF").unwrap();
    let mut random = Random(seed);
    let (mut expected, mut newest, mut cuts) = (Model::default(), 0, 0);
    for _ in 0..60 {
        let batch = random.batch(&mut newest);
        let mut end = LogEnd::find(&file).unwrap();
        end.append(&file, &batch).unwrap();
        assert_eq!(end, LogEnd::find(&file).unwrap());
        batch.changes().for_each(|change| expected.carry_out(change));
        assert!(content(&file) == expected, "what is in the log counts");
        if random.below(4) == 0 {
            // Each time it comes a step further than the last time, which may have been cut off anywhere.
            let mut commits = 0;
            while !merge_for(&mut file, commits) {
                assert!(content(&file) == expected, "seed {seed}, cut off after {commits} commits");
                commits += 1 + random.below(3) as usize;
                cuts += 1;
            }
            assert!(content(&file) == expected, "seed {seed}");
            assert_eq!(file.query::<i64>("SELECT count(*) FROM log").unwrap(), 0);
            let orphans = "SELECT count(*) FROM documents WHERE id NOT IN (SELECT document FROM chunks)";
            assert_eq!(file.query::<i64>(orphans).unwrap(), 0);
        }
    }
    cuts
}

#[test]
fn what_is_merged_is_what_was_changed_wherever_it_is_cut_off() {
    let sizes = |chunk_records, window_records| Sizes {
        log_row_bytes: 700,
        step_bytes: 400,
        chunk_records,
        chunk_text_bytes: 300,
        window_records,
        ..Sizes::default()
    };
    let all = [sizes(1, 1), sizes(2, 3), sizes(7, 20), sizes(512, 8), Sizes::default()];
    let cuts: usize = all.iter().enumerate().map(|(seed, sizes)| run(seed as u64 + 1, *sizes)).sum();
    println!("cut off {cuts} times");
    assert!(cuts > 300, "{cuts}");
}

fn batch_of(times: std::ops::Range<i64>) -> Batch {
    let mut batch = Batch::default();
    for ts in times {
        let data = format!("{{\"speed\":{}}}", ts * 7 % 100);
        batch.push(Change::Put { collection: "c", document: "d", ts, data: &data });
    }
    batch
}

/// A document that gets few records at a time: its chunks become full, and each record is written anew a few times.
#[test]
fn small_chunks_are_put_together() {
    let directory = TempDir::new();
    let file = ShardFile::create(&directory.0, 0, None).unwrap();
    file.connection.pragma_update(None, "synchronous", "OFF").unwrap();
    for part in 0..1000 {
        LogEnd::find(&file).unwrap().append(&file, &batch_of(part * 10..part * 10 + 10)).unwrap();
        merge_all(&file).unwrap();
        let chunks: i64 = file.query("SELECT count(*) FROM chunks").unwrap();
        assert!(chunks <= part * 10 / 768 + 8, "{chunks} chunks of {} records", part * 10);
    }
    let (small, records): (i64, i64) = (
        file.query("SELECT count(*) FROM chunks WHERE records < 768").unwrap(),
        file.query("SELECT sum(records) FROM chunks").unwrap(),
    );
    assert!(small <= 6 && records == 10_000, "{small} small chunks of {records} records");
}
