//! Texts as devices send them: numbers that wander, a state that changes now and then, seldom a remark.
//!
//! A track is what one device says over time. Its end leads back to its beginning without a jump, so that it can be
//! repeated; that is why each number is a walk whose drift is taken out again.

use std::fmt::Write;

use crate::payload::Payload;
use crate::random::Random;

/// One record in this many has a remark.
const REMARK_EVERY: u64 = 128;
/// A state changes after this many records on average.
const STATE_EVERY: u64 = 200;

/// What people and firmware write: with quotes of its own, a line break, and letters beyond ASCII.
const REMARKS: [&str; 4] = [
    r#"recalibrated after service, offset +0.12 °C, technician M. Núñez"#,
    r#"input \"intake 2\" out of range for 3 samples, last good value kept"#,
    r#"firmware 2.4.1 installed\nwatchdog reset at 03:12, uptime 0 s"#,
    r#"link lost, 41 samples were buffered and sent late; signal -97 dBm, cell 26201-4711-90210, roaming off"#,
];

/// The texts of one track, in order.
pub fn track(payload: &Payload, number: u64, steps: usize) -> Vec<String> {
    let mut random = Random::new(0x7EC0_0000 + number);
    match payload {
        Payload::Sensor => sensor(&mut random, steps),
        Payload::Flight => flight(&mut random, steps),
        Payload::Tick => tick(&mut random, number, steps),
        Payload::Letters(bytes) => (0..steps).map(|_| letters(&mut random, *bytes)).collect(),
        Payload::Lines { lines, .. } => lines.to_vec(),
    }
}

fn sensor(random: &mut Random, steps: usize) -> Vec<String> {
    let start = 1_800 + random.below(900) as i64;
    let temperature = walk(random, steps, start, 5, 1);
    let humidity = walk(random, steps, 480, 2, 2);
    let battery = walk(random, steps, 370, 1, 40);
    let states = states(random, steps);
    let texts = (0..steps).map(|step| {
        let mut text = format!(
            r#"{{"temperature":{},"humidity":{},"battery":{},"state":"{}""#,
            Decimal(temperature[step], 2),
            Decimal(humidity[step], 1),
            Decimal(battery[step], 2),
            ["ok", "low"][states[step]]
        );
        if random.below(REMARK_EVERY) == 0 {
            let remark = REMARKS[random.below(REMARKS.len() as u64) as usize];
            // Writing to a string does not fail.
            let _ = write!(text, r#","remark":"{remark}""#);
        }
        text + "}"
    });
    texts.collect()
}

fn flight(random: &mut Random, steps: usize) -> Vec<String> {
    let (latitude, longitude) = (walk(random, steps, 0, 2, 1), walk(random, steps, 0, 2, 1));
    let altitude = walk(random, steps, 10_668, 5, 1);
    let speed = walk(random, steps, 2_453, 3, 1);
    let heading = random.below(360) as i64;
    let states = states(random, steps);
    let texts = (0..steps).map(|step| {
        // Out and back again, at the pace of one position a second.
        let way = step.min(steps - step) as i64;
        format!(
            r#"{{"lat":{},"lon":{},"alt":{},"spd":{},"hdg":{},"state":"{}"}}"#,
            Decimal(4_810_000 + way * 110 + latitude[step], 5),
            Decimal(1_150_000 + way * 70 + longitude[step], 5),
            altitude[step],
            Decimal(speed[step], 1),
            (heading + random.below(3) as i64) % 360,
            ["cruise", "turn"][states[step]]
        )
    });
    texts.collect()
}

fn tick(random: &mut Random, number: u64, steps: usize) -> Vec<String> {
    let price = walk(random, steps, 6_412_345, 40, 1);
    let mut trade = 100_000_000 + number * 50_000_000;
    let texts = (0..steps).map(|step| {
        trade += 1 + random.below(4);
        format!(
            r#"{{"p":"{}","q":"0.{:05}","side":"{}","id":{trade}}}"#,
            Decimal(price[step], 2),
            random.below(100_000),
            ["buy", "sell"][random.below(2) as usize]
        )
    });
    texts.collect()
}

fn letters(random: &mut Random, bytes: usize) -> String {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..bytes).map(|_| char::from(ALPHABET[random.below(ALPHABET.len() as u64) as usize])).collect()
}

/// A random walk that ends where it began; it moves once in `every` steps.
fn walk(random: &mut Random, steps: usize, start: i64, reach: u64, every: u64) -> Vec<i64> {
    let mut at = 0;
    let mut places = Vec::with_capacity(steps);
    for _ in 0..steps {
        places.push(at);
        if random.below(every) == 0 {
            // The sum of two is nearer to how measurements scatter than one even draw.
            at += (random.below(reach + 1) + random.below(reach + 1)) as i64 - reach as i64;
        }
    }
    let straight = |step: usize| at * step as i64 / steps as i64;
    places.iter().enumerate().map(|(step, place)| start + place - straight(step)).collect()
}

fn states(random: &mut Random, steps: usize) -> Vec<usize> {
    let mut state = 0;
    let mut states: Vec<usize> = (0..steps)
        .map(|_| {
            if random.below(STATE_EVERY) == 0 {
                state = 1 - state;
            }
            state
        })
        .collect();
    if let Some(last) = states.last_mut() {
        *last = 0;
    }
    states
}

/// A number as its digits and how many of them are decimals.
struct Decimal(i64, u32);

impl std::fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = 10_u64.pow(self.1);
        let (sign, size) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(formatter, "{sign}{}.{:0width$}", size / unit, size % unit, width = self.1 as usize)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn temperatures(texts: &[String]) -> Vec<f64> {
        let number = |text: &String| serde_json::from_str::<Value>(text).unwrap()["temperature"].as_f64();
        texts.iter().map(|text| number(text).unwrap()).collect()
    }

    #[test]
    fn every_shape_is_json_of_the_length_that_devices_send() {
        for (payload, least, most) in
            [(Payload::Sensor, 60, 72), (Payload::Flight, 78, 92), (Payload::Tick, 52, 66)]
        {
            let texts = track(&payload, 3, 2_000);
            let quotes: usize = texts.iter().map(|text| text.matches('"').count()).sum();
            assert!((10..=14).contains(&(quotes / texts.len())), "{payload}: {quotes}");
            let bytes: usize = texts.iter().map(String::len).sum();
            assert!((least..most).contains(&(bytes / texts.len())), "{payload}: {bytes}");
            for text in &texts {
                assert!(serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object()), "{text}");
            }
        }
    }

    #[test]
    fn numbers_wander_in_small_steps_also_from_the_end_to_the_beginning() {
        let mut values = temperatures(&track(&Payload::Sensor, 0, 1_024));
        values.push(values[0]);
        let steps: Vec<f64> = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
        assert!(steps.iter().all(|&step| step < 0.2), "{steps:?}");
        assert!(steps.iter().filter(|&&step| step > 0.001).count() > 200);
    }

    #[test]
    fn states_change_and_remarks_come_now_and_then() {
        let texts = track(&Payload::Sensor, 1, 4_096);
        let counted = |part: &str| texts.iter().filter(|text| text.contains(part)).count();
        assert!((100..3_996).contains(&counted(r#""state":"low""#)));
        assert!((10..80).contains(&counted(r#""remark""#)), "{}", counted("remark"));
    }

    #[test]
    fn decimals_keep_their_sign_and_their_zeros() {
        let cases = [(Decimal(-5, 2), "-0.05"), (Decimal(2_250, 2), "22.50"), (Decimal(7, 1), "0.7")];
        for (number, text) in cases {
            assert_eq!(number.to_string(), text);
        }
    }
}
