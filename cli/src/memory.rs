//! The memory that this process may use: the machine's, or what its control group grants if that is less.

use std::path::{Path, PathBuf};

/// Bytes that the process may use; none if the system does not say.
pub fn available_bytes() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of(&text));
    let group = group_limits(&std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default());
    let limits = group.iter().filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok());
    machine.into_iter().chain(limits).min()
}

/// The total in the text of `/proc/meminfo`.
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// The files that may hold a limit for a process with this `/proc/self/cgroup`: its own group's, and those above it. In
/// a container the names of the groups above are not those of its file system, and the root is its own.
fn group_limits(cgroup: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => (Path::new("/sys/fs/cgroup"), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (Path::new("/sys/fs/cgroup/memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let own = root.join(group.trim_start_matches('/'));
        files.extend(own.ancestors().take_while(|path| path.starts_with(root)).map(|path| path.join(file)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_in_bytes() {
        assert_eq!(total_of("MemTotal:       24602864 kB\nMemFree: 1 kB\n"), Some(24_602_864 << 10));
        assert_eq!(total_of("MemFree: 1 kB"), None);
        assert!(available_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn limits_are_looked_for_from_the_group_up() {
        let texts = |cgroup| {
            group_limits(cgroup).iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            texts("0::/a/b\n"),
            "/sys/fs/cgroup/a/b/memory.max /sys/fs/cgroup/a/memory.max /sys/fs/cgroup/memory.max"
        );
        assert_eq!(texts("3:cpu,memory:/\n2:pids:/x\n"), "/sys/fs/cgroup/memory/memory.limit_in_bytes");
        assert_eq!(texts("nonsense"), "");
    }
}
