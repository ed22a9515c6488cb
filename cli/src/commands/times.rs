//! Times as an operator writes them: a number in the unit of the records, a date with a clock time, or a time from now.

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use std::time::{SystemTime, UNIX_EPOCH};

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const EXPECTED: &str = "not a time: write a number, a date such as 2026-03-01T12:00:00Z, now, or now-1h (ns, us, ms, s, m, h, d, w)";

/// The unit in which the records' times count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Unit {
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
    /// Nanoseconds
    Ns,
}

/// The flag that names the unit.
#[derive(Args, Clone)]
pub struct UnitFlag {
    /// Unit of your records' times, which dates and `now` are turned into
    #[arg(long, value_name = "UNIT", default_value = "s")]
    unit: Unit,
}

/// A time as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Time {
    /// In the unit of the records.
    Number(i64),
    /// Nanoseconds since 1970.
    Moment(i128),
    /// Nanoseconds from now on.
    FromNow(i128),
}

impl UnitFlag {
    /// A time in this unit.
    pub fn resolve(&self, time: Time) -> Result<i64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
        resolve(time, self.unit, now)
    }

    /// The same for one that need not be given.
    pub fn resolve_if(&self, time: Option<Time>) -> Result<Option<i64>> {
        time.map(|time| self.resolve(time)).transpose()
    }
}

fn resolve(time: Time, unit: Unit, now: i128) -> Result<i64> {
    let nanos = match time {
        Time::Number(number) => return Ok(number),
        Time::Moment(nanos) => nanos,
        Time::FromNow(nanos) => now + nanos,
    };
    let divisor = match unit {
        Unit::S => NANOS_PER_SECOND,
        Unit::Ms => 1_000_000,
        Unit::Us => 1_000,
        Unit::Ns => 1,
    };
    let value = nanos.div_euclid(divisor);
    i64::try_from(value)
        .with_context(|| format!("the time is {value} in that unit, which 64 bits can't hold"))
}

impl Time {
    /// Reads a time.
    pub fn parse(text: &str) -> Result<Time, String> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("now") {
            return from_now(rest).map(Time::FromNow).ok_or_else(|| EXPECTED.to_owned());
        }
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = text.parse().map_err(|_| "a time that 64 bits can't hold".to_owned());
            return number.map(Time::Number);
        }
        moment(text).map(Time::Moment)
    }
}

/// Reads what follows `now`: nothing, or a sign and one or more amounts, as in `-1h30m`.
fn from_now(text: &str) -> Option<i128> {
    if text.is_empty() {
        return Some(0);
    }
    let (sign, mut rest) = match text.split_at_checked(1)? {
        ("-", rest) => (-1, rest),
        ("+", rest) => (1, rest),
        _ => return None,
    };
    let mut sum = 0_i128;
    loop {
        let unit_at = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let amount: u64 = rest[..unit_at].parse().ok()?;
        let behind = &rest[unit_at..];
        let unit_end = behind.find(|letter: char| letter.is_ascii_digit()).unwrap_or(behind.len());
        let nanos = match &behind[..unit_end] {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => NANOS_PER_SECOND,
            "m" => 60 * NANOS_PER_SECOND,
            "h" => 3_600 * NANOS_PER_SECOND,
            "d" => 86_400 * NANOS_PER_SECOND,
            "w" => 604_800 * NANOS_PER_SECOND,
            _ => return None,
        };
        sum = sum.checked_add(i128::from(amount) * nanos)?;
        rest = &behind[unit_end..];
        if rest.is_empty() {
            return Some(sign * sum);
        }
    }
}

/// A date with a clock time and its offset, as RFC 3339 has it.
fn moment(text: &str) -> Result<i128, String> {
    let date_and_time = text.split_at_checked(10).filter(|(date, _)| date.as_bytes()[4] == b'-');
    let Some((date, rest)) = date_and_time else { return Err(EXPECTED.to_owned()) };
    let wrong =
        |what: &str| format!("not a time: {what}, as in 2026-03-01T12:00:00Z or 2026-03-01T12:00:00.5+01:00");
    let day = day(date).ok_or_else(|| wrong("the date must be a day of the calendar"))?;
    let clock =
        rest.strip_prefix(['T', 't', ' ']).ok_or_else(|| wrong("a clock time must follow the date"))?;
    let (clock, rest) = clock.split_at_checked(8).ok_or_else(|| wrong("the clock time must have seconds"))?;
    let second = second(clock).ok_or_else(|| wrong("the clock time must be hours, minutes and seconds"))?;
    let (fraction, offset) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
            let nanos = nanos(&rest[..end]).ok_or_else(|| wrong("a fraction has 1 to 9 digits"))?;
            (nanos, &rest[end..])
        }
        None => (0, rest),
    };
    let offset = offset_seconds(offset).ok_or_else(|| wrong("the offset must be Z or hours and minutes"))?;
    Ok((day * 86_400 + second - offset) * NANOS_PER_SECOND + fraction)
}

fn number(text: &str) -> Option<i128> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Days from 1970-01-01 on.
fn day(text: &str) -> Option<i128> {
    let mut parts = text.splitn(3, '-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month).ok()?.checked_sub(1)?;
    if !(1..=*lengths.get(before)?).contains(&day) || text.len() != 10 {
        return None;
    }
    // Leap days up to the end of the year before.
    let past = year - 1;
    let leaps = |year: i128| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some((year - 1970) * 365 + leaps(past) - leaps(1969) + lengths[..before].iter().sum::<i128>() + day - 1)
}

/// Seconds from midnight on; a leap second is the first one of the next minute.
fn second(text: &str) -> Option<i128> {
    let mut parts = text.splitn(3, ':').map(number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let fits = text.as_bytes()[2] == b':' && hour < 24 && minute < 60 && second <= 60;
    fits.then_some(hour * 3_600 + minute * 60 + second)
}

fn nanos(digits: &str) -> Option<i128> {
    let width = u32::try_from(digits.len()).ok().filter(|width| *width <= 9)?;
    Some(number(digits)? * 10_i128.pow(9 - width))
}

fn offset_seconds(text: &str) -> Option<i128> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, clock) = match text.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let (hour, minute) = clock.split_once(':')?;
    let (hour, minute) = (number(hour)?, number(minute)?);
    (clock.len() == 5 && hour < 24 && minute < 60).then_some(sign * (hour * 3_600 + minute * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str, unit: Unit) -> Result<i64, String> {
        let now = 1_700_000_000_123_456_789;
        Time::parse(text).and_then(|time| resolve(time, unit, now).map_err(|error| error.to_string()))
    }

    #[test]
    fn numbers_are_in_the_unit_already() {
        for unit in [Unit::S, Unit::Ns] {
            assert_eq!(time("-5", unit), Ok(-5));
            assert_eq!(time("9223372036854775807", unit), Ok(i64::MAX));
        }
        assert!(time("9223372036854775808", Unit::S).unwrap_err().contains("64 bits"));
    }

    #[test]
    fn dates_are_rfc_3339() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2023-11-14T22:13:20Z", 1_700_000_000),
            ("2023-11-14t23:13:20.999+01:00", 1_700_000_000),
            ("2023-11-14 16:43:20-05:30", 1_700_000_000),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2000-03-01T00:00:00z", 951_868_800),
            ("1969-12-31T23:59:59.5Z", -1),
            ("0001-01-01T00:00:00Z", -62_135_596_800),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
        ] {
            assert_eq!(time(text, Unit::S), Ok(seconds), "{text}");
        }
        assert_eq!(time("2023-11-14T22:13:20.0625Z", Unit::Ms), Ok(1_700_000_000_062));
        assert_eq!(time("2023-11-14T22:13:20.123456789Z", Unit::Ns), Ok(1_700_000_000_123_456_789));
        assert!(time("9999-01-01T00:00:00Z", Unit::Ns).unwrap_err().contains("64 bits"));
    }

    #[test]
    fn times_from_now() {
        for (text, unit, value) in [
            ("now", Unit::S, 1_700_000_000),
            ("now", Unit::Us, 1_700_000_000_123_456),
            ("now-1h", Unit::S, 1_699_996_400),
            ("now-1h30m", Unit::S, 1_699_994_600),
            ("now+250ms", Unit::Ms, 1_700_000_000_373),
            ("now-2w", Unit::S, 1_698_790_400),
        ] {
            assert_eq!(time(text, unit), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_says_what_would_be() {
        for text in [
            "",
            "noon",
            "now-",
            "now-1",
            "now-h",
            "nowish",
            "now 1h",
            "now-1y",
            "1.5",
            "2026-03-01",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T12:00:00",
            "2026-03-01T12:00Z",
            "2026-03-01T12:00:00.Z",
            "2026-03-01T12:00:00+1:00",
            "2026-3-01T12:00:00Z ",
            "ü026-03-01",
            "2026-03-01Tü2:00:00Z",
        ] {
            assert!(time(text, Unit::S).unwrap_err().contains("not a time"), "{text}");
        }
    }
}
