//! The machine that the numbers of a run were measured on. Nothing here names the machine: no host name, no address, no path.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::thread::{CpuSet, sched_getaffinity};
use serde_json::{Value, json};

/// The machine that the load comes from; on loopback also the server's.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The CPU's name as it gives it.
    pub cpu_model: String,
    /// CPUs this process may use.
    pub cpus: usize,
    /// Release of the kernel.
    pub kernel: String,
    /// The kernel's way of choosing the clock rate of the first CPU; nothing where it doesn't tell.
    pub governor: Option<String>,
    /// Whether the CPUs are a hypervisor's.
    pub is_virtual: bool,
    /// When it was looked at, in UTC.
    pub date: String,
}

impl Machine {
    /// This one, now.
    pub fn here() -> Self {
        let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            cpu_model: member(&cpu_info, "model name").unwrap_or("unknown").to_owned(),
            cpus: sched_getaffinity(None).map_or(0, |set: CpuSet| set.count() as usize),
            kernel: first_line("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
            governor: first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            is_virtual: member(&cpu_info, "flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            date: utc(now),
        }
    }

    /// The facts for programs.
    pub fn json(&self) -> Value {
        json!({
            "cpu_model": self.cpu_model,
            "cpus": self.cpus,
            "kernel": self.kernel,
            "governor": self.governor,
            "virtual": self.is_virtual,
            "date": self.date,
        })
    }
}

/// The value of the first line `name : value`.
fn member<'text>(text: &'text str, name: &str) -> Option<&'text str> {
    text.lines().find_map(|line| {
        let (left, right) = line.split_once(':')?;
        (left.trim() == name).then(|| right.trim())
    })
}

fn first_line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

/// Seconds since 1970 as `2026-01-31T12:00:00Z`.
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!("{year}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// Year, month and day of a number of days since 1970, counted in eras of 400 years that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let from_year_0 = days + 719_468;
    let (era, day_of_era) = (from_year_0 / 146_097, from_year_0 % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds), date);
        }
    }

    #[test]
    fn the_facts_are_there_and_name_no_machine() {
        let machine = Machine::here();
        assert!(machine.cpus > 0 && machine.date.starts_with("20"), "{machine:?}");
        let host = first_line("/proc/sys/kernel/hostname").unwrap_or_default();
        assert!(!machine.json().as_object().unwrap().values().any(|fact| *fact == host.as_str()));
        assert_eq!(member("a : 1\nmodel name\t: X Y\n", "model name"), Some("X Y"));
    }
}
