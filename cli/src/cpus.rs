//! Which core runs on which CPU. Invariant: a pinned CPU is one that this process may use, and carries one core.

use crate::limits::CORES_MAX;
use std::collections::BTreeSet;
use std::fmt;

/// The cores that `--cores` asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Cores {
    /// So many, on any CPUs.
    Count(usize),
    /// One on each of these CPUs, ascending.
    List(Vec<usize>),
}

/// Where the cores run.
#[derive(Debug, PartialEq)]
pub struct CorePlacement {
    /// A CPU for each core; `None` leaves it to the system.
    pub cpus: Vec<Option<usize>>,
    /// There are more cores than CPUs to run them.
    pub crowded: bool,
}

/// The limits that the machine sets.
pub struct CpuLimits {
    /// CPUs this process may use, ascending.
    pub allowed: Vec<usize>,
    /// CPUs' worth of time that the control group grants, rounded up.
    pub quota: Option<usize>,
}

/// Why CPUs can't be chosen as asked.
#[derive(Debug, PartialEq)]
pub enum Error {
    /// Neither a count nor a list.
    NotUnderstood,
    /// A count of none.
    None,
    /// More than `CORES_MAX`.
    TooMany,
    /// A range whose first CPU comes after its last.
    Backwards(usize, usize),
    /// A CPU that is listed twice.
    Twice(usize),
    /// A CPU that this process may not use.
    NotAllowed {
        /// The flag that names it.
        flag: &'static str,
        /// The CPU.
        cpu: usize,
        /// Those it may use.
        allowed: Vec<usize>,
    },
    /// This process may not use any.
    NoneAllowed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotUnderstood => f.write_str("not a count such as 4, or a list such as 0-3,8"),
            Error::None => f.write_str("at least one core is needed"),
            Error::TooMany => write!(f, "more than {CORES_MAX} cores"),
            Error::Backwards(first, last) => write!(f, "{first} comes after {last}"),
            Error::Twice(cpu) => write!(f, "CPU {cpu} is listed twice"),
            Error::NotAllowed { flag, cpu, allowed } => {
                let allowed: Vec<String> = allowed.iter().map(usize::to_string).collect();
                write!(
                    f,
                    "{flag} names CPU {cpu}, which this process may not use; it may use {}. Look at `taskset`, \
                     `docker run --cpuset-cpus` or the CPU manager of the cluster",
                    allowed.join(", ")
                )
            }
            Error::NoneAllowed => f.write_str("this process may not use any CPU"),
        }
    }
}

impl std::error::Error for Error {}

impl Cores {
    /// Reads `4` as a count, and `0-3,8` as a list.
    pub fn parse(text: &str) -> Result<Cores, Error> {
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| Error::NotUnderstood);
        if !text.contains([',', '-']) {
            return match number(text)? {
                0 => Err(Error::None),
                count if count > CORES_MAX => Err(Error::TooMany),
                count => Ok(Cores::Count(count)),
            };
        }
        let mut cpus = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                return Err(Error::Backwards(first, last));
            }
            if last - first >= CORES_MAX {
                return Err(Error::TooMany);
            }
            for cpu in first..=last {
                if !cpus.insert(cpu) {
                    return Err(Error::Twice(cpu));
                }
            }
        }
        if cpus.len() > CORES_MAX {
            return Err(Error::TooMany);
        }
        Ok(Cores::List(cpus.into_iter().collect()))
    }
}

/// Checks that this process may use all CPUs that a flag names.
pub fn check_allowed(flag: &'static str, cpus: &[usize], allowed: &[usize]) -> Result<(), Error> {
    match cpus.iter().find(|cpu| !allowed.contains(cpu)) {
        Some(cpu) => Err(Error::NotAllowed { flag, cpu: *cpu, allowed: allowed.to_vec() }),
        None => Ok(()),
    }
}

/// Chooses a CPU for each core.
pub fn place(cores: Option<&Cores>, pin: bool, limits: &CpuLimits) -> Result<CorePlacement, Error> {
    let allowed = &limits.allowed;
    let usable = limits.quota.map_or(allowed.len(), |quota| quota.min(allowed.len())).max(1);
    let chosen = match cores {
        None => allowed.iter().copied().take(usable).collect(),
        Some(Cores::Count(count)) if *count <= allowed.len() => allowed[..*count].to_vec(),
        Some(Cores::Count(count)) => return Ok(CorePlacement { cpus: vec![None; *count], crowded: true }),
        Some(Cores::List(list)) => {
            check_allowed("--cores", list, allowed)?;
            list.clone()
        }
    };
    if chosen.is_empty() {
        return Err(Error::NoneAllowed);
    }
    let crowded = chosen.len() > usable;
    Ok(CorePlacement { cpus: chosen.into_iter().map(|cpu| pin.then_some(cpu)).collect(), crowded })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(allowed: &[usize], quota: Option<usize>) -> CpuLimits {
        CpuLimits { allowed: allowed.to_vec(), quota }
    }

    #[test]
    fn counts_and_lists() {
        assert_eq!(Cores::parse("4"), Ok(Cores::Count(4)));
        assert_eq!(Cores::parse("0-3,8"), Ok(Cores::List(vec![0, 1, 2, 3, 8])));
        assert_eq!(Cores::parse("5, 1"), Ok(Cores::List(vec![1, 5])));
        assert_eq!(Cores::parse("3-3"), Ok(Cores::List(vec![3])));
        for text in ["", "0", "-1", "x", "3-1", "1,1", "0-2,2", "0-", "1,,2", "0-99999999999", "1025"] {
            assert!(Cores::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn by_default_one_core_per_allowed_cpu() {
        let placement = place(None, true, &limits(&[1, 3], None)).unwrap();
        assert_eq!(placement, CorePlacement { cpus: vec![Some(1), Some(3)], crowded: false });
    }

    #[test]
    fn a_quota_takes_cores_away() {
        assert_eq!(place(None, true, &limits(&[0, 1, 2, 3], Some(2))).unwrap().cpus.len(), 2);
        assert_eq!(place(None, true, &limits(&[0, 1], Some(8))).unwrap().cpus.len(), 2);
        assert!(place(Some(&Cores::Count(3)), true, &limits(&[0, 1, 2, 3], Some(2))).unwrap().crowded);
    }

    #[test]
    fn more_cores_than_cpus_are_not_pinned() {
        let placement = place(Some(&Cores::Count(3)), true, &limits(&[0, 1], None)).unwrap();
        assert_eq!(placement, CorePlacement { cpus: vec![None; 3], crowded: true });
    }

    #[test]
    fn a_list_must_be_allowed() {
        let list = Cores::List(vec![1, 2]);
        assert!(
            place(Some(&list), true, &limits(&[0, 1], None))
                .unwrap_err()
                .to_string()
                .contains("--cores names CPU 2")
        );
        assert_eq!(place(Some(&list), true, &limits(&[0, 1, 2], None)).unwrap().cpus, [Some(1), Some(2)]);
        assert_eq!(place(Some(&list), false, &limits(&[0, 1, 2], None)).unwrap().cpus, [None, None]);
    }
}
