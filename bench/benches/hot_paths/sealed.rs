//! Sealed chunks of 1,024 records: made, taken from bytes, and read, a core each. The shapes are what devices send: random
//! walks with the digits that they print.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use fluxion_engine::sealed::{Decoder, Sealed, Sealer};

const RECORDS: usize = 1024;

/// Documents of each shape, so that no branch is learnt by heart.
const DOCUMENTS: u64 = 32;

const SHAPES: [&str; 5] = ["sensor", "flight", "tick", "ids", "log"];

type Records = Vec<(i64, String)>;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between 0 and 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About 0, seldom further than 2.
    fn noise(&mut self) -> f64 {
        (0..6).map(|_| self.part()).sum::<f64>() - 3.0
    }
}

/// The values that wander from record to record.
struct Walk {
    random: Random,
    ts: i64,
    state: usize,
    a: f64,
    b: f64,
    c: f64,
    d: f64,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let random = Random(88_172_645_463_325_252 ^ seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Self { random, ts: 1_700_000_000_000, state: 0, a: 22.5, b: 48.0, c: 3.7, d: 10668.0 }
    }

    fn step(&mut self) {
        self.ts += 990 + (self.random.next() % 21) as i64;
        self.a += self.random.noise() * 0.05;
        self.b += self.random.noise() * 0.1;
        self.c -= 0.00001;
        self.d += self.random.noise() * 5.0;
        self.state ^= usize::from(self.random.next().is_multiple_of(200));
    }

    fn text(&mut self, shape: &str, index: usize) -> String {
        let (step, random) = (index as f64, &mut self.random);
        match shape {
            "sensor" => format!(
                r#"{{"temperature":{:.2},"humidity":{:.1},"battery":{:.2},"state":"{}"}}"#,
                self.a,
                self.b,
                self.c,
                ["ok", "low"][self.state]
            ),
            "flight" => format!(
                r#"{{"lat":{:.5},"lon":{:.5},"alt":{},"spd":{:.1},"hdg":{},"state":"{}"}}"#,
                48.1 + step * 0.0011 + random.noise() * 0.00002,
                11.5 + step * 0.0007 + random.noise() * 0.00002,
                self.d as i64,
                245.3 + random.noise(),
                271 + random.next() % 3,
                ["flying", "landed"][self.state]
            ),
            "tick" => format!(
                r#"{{"p":"{:.2}","q":"0.{:05}","side":"{}","id":{}}}"#,
                64123.45 + self.a * 10.0,
                random.next() % 100_000,
                ["buy", "sell"][random.next() as usize >> 7 & 1],
                123_456_789 + index as u64 * 3 + random.next() % 3
            ),
            "ids" => format!(r#"{{"v":{},"u":"{:016x}"}}"#, random.part(), random.next()),
            _ => format!(
                "{} request of user {} took {:.1} ms: {}",
                ["INFO", "WARN"][random.next() as usize >> 9 & 1],
                random.next() % 5000,
                random.part() * 100.0,
                ["done", "not found", "the upstream has closed the connection"]
                    [random.next() as usize >> 5 & 1]
            ),
        }
    }
}

fn documents(shape: &str) -> Vec<Records> {
    let document = |seed| {
        let mut walk = Walk::new(seed);
        (0..RECORDS)
            .map(|index| {
                walk.step();
                (walk.ts, walk.text(shape, index))
            })
            .collect()
    };
    (1..=DOCUMENTS).map(document).collect()
}

fn texts(records: &Records) -> impl Iterator<Item = (i64, &str)> + Clone {
    records.iter().map(|(ts, text)| (*ts, text.as_str()))
}

fn chunks(shape: &str) -> Vec<Sealed> {
    let mut sealer = Sealer::default();
    documents(shape).iter().map(|records| sealer.seal(texts(records), None).unwrap()).collect()
}

fn text_bytes(chunks: &[Sealed]) -> usize {
    chunks.iter().map(Sealed::text_bytes).sum()
}

const ALL: usize = RECORDS * DOCUMENTS as usize;

#[divan::bench(args = SHAPES)]
fn seal(bencher: Bencher<'_, '_>, shape: &str) {
    let documents = documents(shape);
    let mut sealer = Sealer::default();
    bencher.counter(ItemsCount::new(ALL)).bench_local(|| {
        for records in &documents {
            black_box(sealer.seal(texts(records), None));
        }
    });
}

#[divan::bench(args = SHAPES)]
fn from_bytes(bencher: Bencher<'_, '_>, shape: &str) {
    let chunks = chunks(shape);
    let mut decoder = Decoder::default();
    bencher.counter(ItemsCount::new(ALL)).bench_local(|| {
        for chunk in &chunks {
            black_box(Sealed::from_bytes(chunk.bytes().clone(), |_| None, &mut decoder).unwrap());
        }
    });
}

#[divan::bench(args = SHAPES)]
fn whole_history(bencher: Bencher<'_, '_>, shape: &str) {
    let chunks = chunks(shape);
    let mut decoder = Decoder::default();
    let counted = bencher.counter(ItemsCount::new(ALL)).counter(BytesCount::new(text_bytes(&chunks)));
    counted.bench_local(|| {
        for chunk in &chunks {
            let mut reader = decoder.open(chunk);
            for block in 0..chunk.block_count() {
                black_box(reader.block(block).text());
            }
        }
    });
}

/// The newest record of each of 32 chunks.
#[divan::bench(args = SHAPES)]
fn newest(bencher: Bencher<'_, '_>, shape: &str) {
    let chunks = chunks(shape);
    let mut decoder = Decoder::default();
    bencher.counter(ItemsCount::new(chunks.len())).bench_local(|| {
        for chunk in &chunks {
            let mut reader = decoder.open(chunk);
            black_box(reader.record(chunk.len() - 1).text());
        }
    });
}

/// The record at a time in each of 32 chunks, whose place is looked for first.
#[divan::bench(args = SHAPES)]
fn at_a_time(bencher: Bencher<'_, '_>, shape: &str) {
    let chunks = chunks(shape);
    let mut decoder = Decoder::default();
    bencher.counter(ItemsCount::new(chunks.len())).bench_local(|| {
        for (index, chunk) in chunks.iter().enumerate() {
            let ts = chunk.first_ts() + (chunk.last_ts() - chunk.first_ts()) / 32 * index as i64;
            let place = chunk.count_through(black_box(ts)) - 1;
            let mut reader = decoder.open(chunk);
            black_box(reader.record(place).text());
        }
    });
}

#[divan::bench(args = SHAPES)]
fn may_contain(bencher: Bencher<'_, '_>, shape: &str) {
    let chunks = chunks(shape);
    let mut decoder = Decoder::default();
    bencher.counter(ItemsCount::new(chunks.len())).bench_local(|| {
        for chunk in &chunks {
            black_box(decoder.open(chunk).may_contain(black_box("\"state\":\"broken\"")));
        }
    });
}
