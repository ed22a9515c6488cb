//! Memory that io_uring locks for the cores: how much it is, and whether this user may lock so much now.
//!
//! The kernel counts it per user, over all processes, and gives it back some tens of milliseconds after a process has
//! ended: so an earlier server may still hold it, and is waited for. Which kernels count the rings themselves has
//! changed twice (until 5.12, and again since 6.14), so the kernel is asked rather than computed with.

use fluxion_net::{IO_MEMORY_BYTES, RING_DEPTH};
use io_uring::IoUring;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::{Duration, Instant};

/// The runtime does without less on no account, whatever the cores take.
const LIMIT_BYTES_MIN: u64 = 512 << 10;
/// Rings of a core: for work, for polling of disks, and for what is urgent.
const RINGS_PER_CORE: u64 = 3;
/// The ring by which the kernel is asked, and that by which the runtime does.
const SPARE_RINGS: u64 = 2;
const SPARE_RING_DEPTH: u32 = 4;
/// Bytes of a submission entry; of two completion entries and an index, which go with it; and of a ring's head.
const SUBMISSION_BYTES: u64 = 64;
const COMPLETIONS_BYTES: u64 = 2 * 16 + 4;
const HEAD_BYTES: u64 = 512;
/// Time for which an earlier server's memory is waited for. The kernel takes 25 to 35 ms when it isn't busy.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);

/// Makes sure that the rings of so many cores can be made. The limit has been raised as far as it can be.
pub fn check(core_count: usize) -> Result<(), String> {
    let limit = getrlimit(Resource::Memlock);
    let Some(allowed) = limit.current else { return Ok(()) };
    let page_bytes = rustix::param::page_size() as u64;
    let needed = needed_bytes(core_count, page_bytes);
    if allowed < LIMIT_BYTES_MIN {
        return Err(too_low(core_count, page_bytes, allowed));
    }
    let begun = Instant::now();
    while !has_room(needed, limit)? {
        if allowed < needed {
            return Err(too_low(core_count, page_bytes, allowed));
        }
        if begun.elapsed() > PATIENCE {
            return Err(in_use(core_count, needed, allowed));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Whether the kernel lets this user lock so many bytes more. A small ring is made under a limit that is lower by them,
/// so nothing has to be locked, and waited for again, to find out.
fn has_room(bytes: u64, limit: Rlimit) -> Result<bool, String> {
    let lowered = Rlimit { current: limit.current.map(|allowed| allowed.saturating_sub(bytes)), ..limit };
    let set = |limit| {
        setrlimit(Resource::Memlock, limit)
            .map_err(|error| format!("can't change the limit of locked memory: {error}"))
    };
    set(lowered)?;
    let ring = IoUring::new(SPARE_RING_DEPTH);
    set(limit)?;
    // Other errors would have been met, and told, when io_uring was checked.
    Ok(!ring.is_err_and(|error| error.raw_os_error() == Some(Errno::NOMEM.raw_os_error())))
}

fn needed_bytes(core_count: usize, page_bytes: u64) -> u64 {
    core_count as u64 * core_bytes(page_bytes) + SPARE_RINGS * ring_bytes(SPARE_RING_DEPTH as u64, page_bytes)
}

/// Bytes that a core locks at most: its rings, and the runtime's buffer once for each of them.
fn core_bytes(page_bytes: u64) -> u64 {
    let buffer_bytes = (IO_MEMORY_BYTES as u64).next_multiple_of(page_bytes);
    RINGS_PER_CORE * (ring_bytes(RING_DEPTH as u64, page_bytes) + buffer_bytes)
}

fn ring_bytes(depth: u64, page_bytes: u64) -> u64 {
    let submissions = (SUBMISSION_BYTES * depth).next_multiple_of(page_bytes);
    let queues = (HEAD_BYTES + COMPLETIONS_BYTES * depth).next_multiple_of(page_bytes);
    submissions + queues
}

fn too_low(core_count: usize, page_bytes: u64, allowed: u64) -> String {
    let needed = needed_bytes(core_count, page_bytes).max(LIMIT_BYTES_MIN);
    let fitting = (1..core_count).rev().find(|count| needed_bytes(*count, page_bytes) <= allowed);
    let fewer = match fitting {
        Some(count) if allowed >= LIMIT_BYTES_MIN => {
            format!(", or run {} with --cores {count}", cores(count))
        }
        _ => String::new(),
    };
    format!(
        "io_uring locks up to {} KiB of memory for {}, and only {} KiB may be locked: {REMEDY}{fewer}",
        needed >> 10,
        cores(core_count),
        allowed >> 10
    )
}

fn in_use(core_count: usize, needed: u64, allowed: u64) -> String {
    format!(
        "io_uring locks up to {} KiB of memory for {}, and of the {} KiB that this user may lock, other processes \
         hold too much, after a wait of {} s too: stop them (does another server run?), or {REMEDY}",
        needed >> 10,
        cores(core_count),
        allowed >> 10,
        PATIENCE.as_secs()
    )
}

const REMEDY: &str = "raise the limit with `ulimit -l unlimited`, `LimitMEMLOCK=infinity` in systemd, or `docker run \
     --ulimit memlock=-1`";

fn cores(count: usize) -> String {
    if count == 1 { "1 core".into() } else { format!("{count} cores") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory that Linux 6.18 was seen to count, in pages of 4 KiB.
    #[test]
    fn rings_as_the_kernel_counts_them() {
        for (depth, pages) in [(4, 2), (64, 2), (128, 4), (256, 7), (512, 13), (1024, 26), (4096, 101)] {
            assert_eq!(ring_bytes(depth, 4096), pages * 4096, "{depth}");
        }
    }

    #[test]
    fn thirty_four_cores_fit_the_usual_limit() {
        assert!(needed_bytes(34, 4096) <= 8 << 20);
        assert!(needed_bytes(2, 4096) <= LIMIT_BYTES_MIN, "{}", needed_bytes(2, 4096));
    }

    #[test]
    fn the_errors_name_the_sum_and_the_remedy() {
        let text = too_low(17, 4096, 1 << 20);
        let sum = format!("{} KiB", needed_bytes(17, 4096) >> 10);
        assert!(text.contains(&sum) && text.contains("1024 KiB") && text.contains("ulimit -l"), "{text}");
        assert!(text.contains("--cores 4"), "{text}");
        assert!(!too_low(2, 4096, 64 << 10).contains("--cores"), "the runtime needs 512 KiB in any case");
        let text = in_use(8, needed_bytes(8, 4096), 8 << 20);
        assert!(text.contains("another server") && text.contains("8192 KiB"), "{text}");
    }

    #[test]
    fn the_limit_is_as_before_after_the_check() {
        let before = getrlimit(Resource::Memlock);
        let _ = check(1);
        assert_eq!(getrlimit(Resource::Memlock), before);
    }
}
