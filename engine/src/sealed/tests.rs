//! Whole chunks: what goes in comes out, in the bytes that were promised, and damage is noticed.

use std::fmt::Write as _;
use std::sync::Arc;

use super::*;

type Records = Vec<(i64, String)>;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
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

/// What devices send: random walks with the digits that they print.
fn shape(kind: &str, count: usize, seed: u64) -> Records {
    let mut random = Random(88_172_645_463_325_252 ^ seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let (mut ts, mut state) = (1_700_000_000_000_i64, 0);
    let (mut a, mut b, mut c, mut d) = (22.5, 48.0, 3.7, 10668.0);
    let mut record = |index: usize| {
        ts += 990 + (random.next() % 21) as i64;
        a += random.noise() * 0.05;
        b += random.noise() * 0.1;
        c -= 0.00001;
        d += random.noise() * 5.0;
        state ^= usize::from(random.next().is_multiple_of(200));
        let step = index as f64;
        let text = match kind {
            "sensor" => format!(
                r#"{{"temperature":{a:.2},"humidity":{b:.1},"battery":{c:.2},"state":"{}"}}"#,
                ["ok", "low"][state]
            ),
            "flight" => format!(
                r#"{{"lat":{:.5},"lon":{:.5},"alt":{},"spd":{:.1},"hdg":{},"state":"{}"}}"#,
                48.1 + step * 0.0011 + random.noise() * 0.00002,
                11.5 + step * 0.0007 + random.noise() * 0.00002,
                d as i64,
                245.3 + random.noise(),
                271 + random.next() % 3,
                ["flying", "landed"][state]
            ),
            "tick" => format!(
                r#"{{"p":"{:.2}","q":"0.{:05}","side":"{}","id":{}}}"#,
                64123.45 + a * 10.0,
                random.next() % 100_000,
                random.pick(&["buy", "sell"]),
                123_456_789 + index as u64 * 3 + random.next() % 3
            ),
            "ids" => format!(r#"{{"v":{},"u":"{:016x}"}}"#, random.part(), random.next()),
            "log" => format!(
                "{} {}: {} took {:.1} ms for {:x}",
                random.pick(&["INFO", "WARN", "ERROR größer"]),
                random.pick(&["auth", "db.query", "net"]),
                random.pick(&["request", "select", "connect\t", "say \"hi\""]),
                random.part() * 100.0,
                random.next() % 4096
            ),
            _ => r#"{"temperature":22.517,"state":"ok"}"#.to_owned(),
        };
        (ts, text)
    };
    (0..count).map(&mut record).collect()
}

/// Numbers, near-numbers, escapes and all else that may trip a parser, in texts that may be JSON.
fn mutated(random: &mut Random, count: usize) -> Records {
    const ODD: [&str; 32] = [
        "1.0",
        "1.00",
        "-0",
        "-0.0",
        "1e5",
        "00",
        "12345678901234567890",
        ".5",
        "5.",
        "-",
        "--1",
        "0x1F",
        "007",
        "999999999999999999",
        "-999999999999999999",
        "0.000000000000000001",
        "null",
        "true",
        "\"",
        "\\\"",
        "\\",
        "\\u00e9",
        "größe",
        "😀",
        "\u{0}",
        "{",
        "}",
        ":",
        ",",
        " ",
        "\"a\":",
        "",
    ];
    let kind = random.pick(&["sensor", "flight", "tick", "ids", "log", "same"]);
    let mut records = shape(kind, count, random.next());
    let rate = random.below(30);
    let mut ts = random.next() as i64 >> random.below(60);
    for (time, text) in &mut records {
        if random.below(40) < rate {
            let mut at = random.below(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.insert_str(at, random.pick(&ODD));
        }
        if random.below(200) == 0 {
            *text = random.pick(&ODD).repeat(random.below(50));
        }
        ts = ts.saturating_add(1 + (random.next() >> random.below(64)).min(1 << 50) as i64);
        *time = ts;
    }
    records.dedup_by_key(|record| record.0);
    records
}

fn seal(records: &Records) -> Sealed {
    seal_with(records, None)
}

fn seal_with(records: &Records, table: Option<&Arc<TemplateTable>>) -> Sealed {
    Sealer::default().seal(records.iter().map(|(ts, text)| (*ts, text.as_str())), table).unwrap()
}

fn opened(bytes: &[u8]) -> Result<Sealed, Damaged> {
    Sealed::from_bytes(bytes, |_| None, &mut Decoder::default())
}

fn plain_bytes(records: &Records) -> usize {
    records.iter().map(|(_, text)| text.len() + 12).sum()
}

/// Checks all that can be read of a chunk, and returns the bytes a record.
fn check(records: &Records, chunk: &Sealed) -> f64 {
    let decoder = &mut Decoder::default();
    let table = chunk.table().cloned();
    let chunk = &Sealed::from_bytes(chunk.bytes().clone(), |_| table, decoder).unwrap();
    chunk.verify(decoder).unwrap();
    let mut found = Vec::new();
    let mut reader = decoder.open(chunk);
    for block in 0..chunk.block_count() {
        found.extend(reader.block(block).records().map(|(ts, text)| (ts, text.to_owned())));
    }
    assert!(found == *records);
    for index in [0, 1, 127, 128, 200, records.len() / 2, records.len() - 1] {
        let read: Vec<_> = reader.record(index).records().collect();
        let expected: Vec<_> =
            records.get(index).map(|(ts, text)| (*ts, text.as_str())).into_iter().collect();
        assert_eq!(read, expected);
        let Some(&(ts, _)) = records.get(index) else { continue };
        for ts in [ts.saturating_sub(1), ts, ts.saturating_add(1)] {
            assert_eq!(chunk.count_before(ts), records.partition_point(|record| record.0 < ts));
            assert_eq!(chunk.count_through(ts), records.partition_point(|record| record.0 <= ts));
        }
        assert_eq!(chunk.ts(index), ts);
    }
    let lengths = || records.iter().map(|(_, text)| text.len());
    assert_eq!((chunk.len(), chunk.text_bytes()), (records.len(), lengths().sum()));
    assert_eq!(Some((chunk.shortest_text(), chunk.longest_text())), lengths().min().zip(lengths().max()));
    assert_eq!((chunk.first_ts(), chunk.last_ts()), (records[0].0, records[records.len() - 1].0));
    assert!(chunk.bytes().len() <= plain_bytes(records) + 128 + 40 * records.len().div_ceil(128));
    chunk.allocated_bytes() as f64 / records.len() as f64
}

#[test]
fn telemetry_takes_few_bytes() {
    let mut report = String::new();
    for (kind, most) in
        [("sensor", 3.0), ("flight", 5.0), ("tick", 6.0), ("ids", 30.0), ("log", 12.0), ("same", 1.6)]
    {
        for count in [50, 256, 1024, 2048] {
            let mut bytes = 0.0;
            for seed in 1..5 {
                let records = shape(kind, count, seed);
                bytes += check(&records, &seal(&records)) / 4.0;
            }
            write!(report, "{kind} {count}: {bytes:.2}  ").unwrap();
            assert!(bytes <= if count < 1024 { 30.0 } else { most }, "{report}");
        }
    }
    println!("{report}");
}

#[test]
fn whatever_goes_in_comes_out() {
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let table = Arc::new(TemplateTable::new(3, seal(&shape("tick", 5, 1)).own_templates()));
    for round in 0..600 {
        let count = 1 + random.below([2, 20, 130, 700][round % 4]);
        let records = mutated(&mut random, count);
        check(&records, &seal_with(&records, (round % 3 == 0).then_some(&table)));
    }
}

#[test]
fn edges_come_out() {
    let one = |text: &str| vec![(5, text.to_owned())];
    let large = "1234567 größe ".repeat(400_000);
    for text in ["", "0", "x", &large, &"y".repeat(6 << 20), &"1 ".repeat(1000)] {
        check(&one(text), &seal(&one(text)));
    }
    let extremes = vec![(i64::MIN, "a".into()), (0, String::new()), (i64::MAX, "-1.50".into())];
    check(&extremes, &seal(&extremes));
    let many: Records = (0..65_536).map(|index| (index * index, index.to_string())).collect();
    check(&many, &seal(&many));
}

#[test]
fn what_no_chunk_should_be_is_not_sealed() {
    let mut sealer = Sealer::default();
    let mut refuses = |records: &[(i64, &str)]| sealer.seal(records.iter().copied(), None).is_none();
    assert!(refuses(&[]));
    assert!(refuses(&[(1, "a"), (1, "b")]) && refuses(&[(2, "a"), (1, "b")]));
    let large = "x".repeat(3 << 20);
    assert!(refuses(&[(1, &large), (2, &large)]) && !refuses(&[(1, &large), (2, "")]));
    let many: Vec<_> = (0..65_537).map(|ts| (ts, "")).collect();
    assert!(refuses(&many) && !refuses(&many[1..]));
}

#[test]
fn a_table_spares_small_chunks_their_templates() {
    let sample = seal(&shape("flight", 50, 1));
    let table = Arc::new(TemplateTable::new(9, sample.own_templates()));
    let records = shape("flight", 50, 2);
    let (own, sharing) = (seal(&records), seal_with(&records, Some(&table)));
    check(&records, &sharing);
    assert!(sharing.bytes().len() + 30 < own.bytes().len());
    assert!(sharing.own_templates().is_empty() && own.own_templates().len() == 1);
    assert_eq!(Arc::strong_count(&table), 2);
    // Another table of that number, or none, is no help.
    let other = Arc::new(TemplateTable::new(9, [&b"other"[..]]));
    for table in [None, Some(other)] {
        let damaged = Sealed::from_bytes(sharing.bytes().clone(), |_| table, &mut Decoder::default());
        assert_eq!(damaged.err(), Some(Damaged::Table(9)));
    }
    // Records that the table doesn't fit have none.
    assert!(seal_with(&shape("log", 50, 2), Some(&table)).table().is_none());
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let bytes = seal(&shape("sensor", 300, 1)).bytes().to_vec();
    assert!(opened(&bytes).is_ok());
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(opened(&damaged).is_err() && opened(&bytes[..at]).is_err());
    }
    let error = |at: usize, by: u8| {
        let mut damaged = bytes.clone();
        damaged[at] ^= by;
        opened(&damaged).err()
    };
    assert_eq!((error(0, 1), error(4, 2)), (Some(Damaged::Magic), Some(Damaged::Version(3))));
    assert!(matches!(error(8, 1), Some(Damaged::Length { .. })));
    assert!(matches!(error(200, 1), Some(Damaged::Checksum { .. })));
    assert_eq!(opened(b"SQLite format 3").err(), Some(Damaged::Magic));
}

/// A damaged chunk whose checksum was made anew may be taken for one, but reading it is safe.
#[test]
fn forged_chunks_are_refused_or_read_safely() {
    let mut random = Random(0x1234_5678_9ABC_DEF1);
    let decoder = &mut Decoder::default();
    let mut taken = 0;
    for round in 0..20_000 {
        let kind = ["sensor", "tick", "ids", "log"][round % 4];
        let mut bytes = seal(&shape(kind, 1 + round % 200, 1)).bytes().to_vec();
        let body = bytes.len() - 4;
        for _ in 0..=random.below(2) {
            bytes[random.below(body).max(12)] = random.next() as u8;
        }
        let checksum = crc32fast::hash(&bytes[..body]);
        bytes[body..].copy_from_slice(&checksum.to_le_bytes());
        let Ok(chunk) = Sealed::from_bytes(bytes, |_| None, decoder) else { continue };
        taken += 1;
        let mut reader = decoder.open(&chunk);
        for block in 0..chunk.block_count() {
            assert_eq!(reader.block(block).records().count(), chunk.block_len(block));
        }
        reader.may_contain("\"state\":\"low");
        assert_eq!(reader.record(chunk.len() - 1).times(), [chunk.last_ts()]);
        assert!(chunk.count_before(chunk.last_ts()) < chunk.len());
        let _ = chunk.verify(decoder);
    }
    assert!(taken > 100, "{taken}");
}

#[test]
fn numbers_and_their_statistics_are_told() {
    // Often enough that templates pay.
    let texts = [
        r#"{"a":1.5,"b":"x","c":-2}"#,
        r#"{"a":22,"b":"y","c":7}"#,
        r#"{"c":"other"}"#,
        r#"{"a":-0.25,"b":"z","c":3}"#,
    ];
    let records = (0..160).map(|ts| (ts, texts[ts as usize % 4].to_owned())).collect();
    let chunk = seal(&records);
    let mut decoder = Decoder::default();
    let mut reader = decoder.open(&chunk);
    let columns: Vec<_> = reader.number_columns().collect();
    assert_eq!(
        columns.iter().map(|column| (column.template, column.slot)).collect::<Vec<_>>(),
        [(0, 0), (0, 2)]
    );
    let a = columns[0].stats;
    assert_eq!((a.count, a.scale, a.least, a.greatest, a.first, a.last), (120, 2, -25, 2200, 150, -25));
    assert_eq!((a.sum, columns[1].stats.sum), (Some(40 * 2325), Some(40 * 8)));
    let mut numbers = Vec::new();
    assert_eq!(reader.numbers(1, 0, 0, &mut numbers), 24);
    let expected = [(15, 1), (22, 0), (-25, 2)].map(|(mantissa, decimals)| Decimal { mantissa, decimals });
    assert_eq!(numbers[..3], expected);
    assert_eq!(reader.numbers(0, 0, 1, &mut numbers) + reader.numbers(0, 7, 0, &mut numbers), 0);
    assert_eq!(reader.numbers(2, 0, 0, &mut numbers), 0);
}

#[test]
fn a_literal_that_occurs_is_never_denied() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut decoder = Decoder::default();
    let (mut denied, mut absent) = (0, 0);
    for _ in 0..400 {
        let count = 1 + random.below(300);
        let records = mutated(&mut random, count);
        let chunk = seal(&records);
        let reader = decoder.open(&chunk);
        for _ in 0..20 {
            let text = &records[random.below(records.len())].1;
            let [mut start, mut end] = [random.below(text.len() + 1), random.below(text.len() + 1)];
            (start, end) = (start.min(end), start.max(end).min(start.min(end) + 20));
            let Some(literal) = text.get(start..end) else { continue };
            assert!(reader.may_contain(literal), "{literal:?} of {text:?}");
            let mut other = literal.to_owned();
            other.push(char::from(b' ' + random.below(90) as u8));
            if !records.iter().any(|(_, text)| text.contains(&other)) {
                absent += 1;
                denied += usize::from(!reader.may_contain(&other));
            }
        }
    }
    assert!(denied * 2 > absent, "{denied} of {absent}");
}

#[test]
fn literals_that_templates_and_columns_exclude_are_denied() {
    let chunk = seal(&shape("sensor", 500, 1));
    let mut decoder = Decoder::default();
    let reader = decoder.open(&chunk);
    for literal in
        ["error", "\"state\":\"off\"", "temperature\":9", "battery\":4", "x", "{\"humidity\"", "\"ok\"}}"]
    {
        assert!(!reader.may_contain(literal), "{literal}");
    }
    for literal in
        ["", "state\":\"low\"", "temperature\":2", "2", "ok\"}", "{\"temperature\":-0".get(..15).unwrap()]
    {
        assert!(reader.may_contain(literal), "{literal}");
    }
    let ids = seal(&shape("ids", 500, 1));
    let reader = decoder.open(&ids);
    assert!(
        !reader.may_contain("\"u\":\"xyz")
            && !reader.may_contain("\"v\":-")
            && reader.may_contain("\"u\":\"ab")
    );
}
