//! Keeping threads on CPUs, and room for their file descriptors.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::limits::OTHER_FILES;

/// CPU numbers in the order in which threads take them; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(Vec<usize>);

impl CpuList {
    /// The CPU of a thread; more threads than CPUs share them.
    pub fn of_thread(&self, thread_index: usize) -> usize {
        self.0[thread_index % self.0.len()]
    }

    /// Splits the CPUs this process may use into some for the threads and one apart from them, if there are enough.
    pub fn beside_one(threads: usize) -> Option<(Self, usize)> {
        let allowed = sched_getaffinity(None).ok()?;
        let mut cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
        if cpus.len() <= threads {
            return None;
        }
        let apart = cpus.remove(0);
        cpus.truncate(threads);
        Some((Self(cpus), apart))
    }
}

impl FromStr for CpuList {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| -> Result<usize> {
                let cpu = text.trim().parse().with_context(|| format!("'{text}' is not a CPU number"))?;
                ensure!(cpu < CpuSet::MAX_CPU, "there is no CPU {cpu}");
                Ok(cpu)
            };
            let (first, last) = (number(first)?, number(last)?);
            ensure!(first <= last, "the range '{part}' is empty");
            cpus.extend(first..=last);
        }
        Ok(Self(cpus))
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(usize::to_string).collect();
        formatter.write_str(&numbers.join(","))
    }
}

/// Keeps the calling thread on one CPU.
pub fn pin_thread(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on CPU {cpu}"))
}

/// Raises the soft limit of open files so that this many connections fit.
pub fn allow_connections(connections: u32) -> Result<()> {
    let wanted = u64::from(connections) + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= wanted),
        "{connections} connections need more open files than the hard limit allows (ulimit -Hn)"
    );
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum })
        .context("cannot raise the limit of open files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_have_numbers_and_ranges() {
        assert_eq!("1".parse::<CpuList>().unwrap(), CpuList(vec![1]));
        assert_eq!("0-2,8".parse::<CpuList>().unwrap(), CpuList(vec![0, 1, 2, 8]));
        assert_eq!("0-2,8".parse::<CpuList>().unwrap().to_string(), "0,1,2,8");
        for text in ["", "x", "2-1", "1-", "99999999"] {
            assert!(text.parse::<CpuList>().is_err(), "{text}");
        }
    }

    #[test]
    fn threads_share_cpus_when_there_are_too_few() {
        let list: CpuList = "3,5".parse().unwrap();
        assert_eq!([0, 1, 2].map(|thread| list.of_thread(thread)), [3, 5, 3]);
    }
}
