//! Which core runs on which CPU. Invariant: a pinned CPU is one that this process may use, and carries one core.

use std::collections::BTreeSet;

/// Most cores of one server; far above what one machine makes good use of.
const CORES_MAX: usize = 1024;

/// What `--cores` asks for.
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

/// What the machine allows.
pub struct CpuLimits {
    /// CPUs this process may use, ascending.
    pub allowed: Vec<usize>,
    /// CPUs' worth of time that the control group grants, rounded up.
    pub quota: Option<usize>,
}

impl Cores {
    /// Reads `4` as a count, and `0-3,8` as a list.
    pub fn parse(text: &str) -> Result<Cores, String> {
        let number = |text: &str| {
            text.trim()
                .parse::<usize>()
                .map_err(|_| "not a count such as 4, or a list such as 0-3,8".to_string())
        };
        if !text.contains([',', '-']) {
            return match number(text)? {
                0 => Err("at least one core is needed".into()),
                count if count > CORES_MAX => Err(format!("more than {CORES_MAX} cores")),
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
                return Err(format!("{first} comes after {last}"));
            }
            if last - first >= CORES_MAX {
                return Err(format!("more than {CORES_MAX} cores"));
            }
            for cpu in first..=last {
                if !cpus.insert(cpu) {
                    return Err(format!("CPU {cpu} is listed twice"));
                }
            }
        }
        if cpus.len() > CORES_MAX {
            return Err(format!("more than {CORES_MAX} cores"));
        }
        Ok(Cores::List(cpus.into_iter().collect()))
    }
}

/// Whether this process may use all of these CPUs.
pub fn check_allowed(cpus: &[usize], allowed: &[usize]) -> Result<(), String> {
    match cpus.iter().find(|cpu| !allowed.contains(cpu)) {
        Some(cpu) => Err(not_allowed(*cpu, allowed)),
        None => Ok(()),
    }
}

/// Chooses a CPU for each core.
pub fn place(cores: Option<&Cores>, pin: bool, limits: &CpuLimits) -> Result<CorePlacement, String> {
    let allowed = &limits.allowed;
    let usable = limits.quota.map_or(allowed.len(), |quota| quota.min(allowed.len())).max(1);
    let chosen = match cores {
        None => allowed.iter().copied().take(usable).collect(),
        Some(Cores::Count(count)) if *count <= allowed.len() => allowed[..*count].to_vec(),
        Some(Cores::Count(count)) => return Ok(CorePlacement { cpus: vec![None; *count], crowded: true }),
        Some(Cores::List(list)) => {
            check_allowed(list, allowed)?;
            list.clone()
        }
    };
    if chosen.is_empty() {
        return Err("this process may not use any CPU".into());
    }
    let crowded = chosen.len() > usable;
    Ok(CorePlacement { cpus: chosen.into_iter().map(|cpu| pin.then_some(cpu)).collect(), crowded })
}

fn not_allowed(cpu: usize, allowed: &[usize]) -> String {
    let allowed: Vec<String> = allowed.iter().map(usize::to_string).collect();
    format!(
        "--cores names CPU {cpu}, which this process may not use; it may use {}. Look at `taskset`, \
         `docker run --cpuset-cpus` or the CPU manager of the cluster",
        allowed.join(", ")
    )
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
        assert!(place(Some(&list), true, &limits(&[0, 1], None)).unwrap_err().contains("CPU 2"));
        assert_eq!(place(Some(&list), true, &limits(&[0, 1, 2], None)).unwrap().cpus, [Some(1), Some(2)]);
        assert_eq!(place(Some(&list), false, &limits(&[0, 1, 2], None)).unwrap().cpus, [None, None]);
    }
}
