//! Checks of what the machine must offer before the server starts, and in plain words what to do where it doesn't:
//! a kernel with io_uring, locked memory, file descriptors, CPUs, and a free port.

use crate::cpus::{self, CorePlacement, CpuLimits};
use crate::locked_memory;
use crate::memory;
use crate::options::Settings;
use io_uring::IoUring;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// The first kernel whose io_uring can do what the runtime asks of it.
const KERNEL_MIN: (u32, u32) = (5, 8);
/// Taken where the system does not say how much memory there is.
const MEMORY_BYTES_GUESS: u64 = 4 << 30;
/// File descriptors besides those of connections: standard streams, signals, and rings and events per core.
const FILES_BASE: u64 = 64;
const FILES_PER_CORE: u64 = 16;
/// With room for fewer connections than this it is better not to start.
const CONNECTIONS_MIN: u64 = 16;

/// The findings of the checks.
pub struct Checked {
    /// Where to listen; free a moment ago.
    pub address: SocketAddr,
    /// Where to serve pages, if at an address of their own.
    pub pages_address: Option<SocketAddr>,
    /// Where to speak TLS, if at a port beside the main one.
    pub tls_address: Option<SocketAddr>,
    /// Where the cores run.
    pub placement: CorePlacement,
    /// Connections there are file descriptors for.
    pub connections_max: usize,
    /// Handshakes under way on a core there are file descriptors for.
    pub handshakes_max: usize,
    /// Memory that all connections together may take.
    pub connection_bytes_max: usize,
}

/// Runs all checks; the error says what is missing and how to get it.
pub fn run(settings: &Settings) -> Result<Checked, String> {
    check_kernel()?;
    raise(Resource::Memlock);
    avoid_huge_pages();
    check_io_uring()?;
    let limits = CpuLimits { allowed: allowed_cpus()?, quota: cpu_quota() };
    let placement =
        cpus::place(settings.cores.as_ref(), settings.pin, &limits).map_err(|error| error.to_string())?;
    if placement.cpus.iter().any(Option::is_some) {
        check_topology(Path::new("/sys"))?;
    }
    cpus::check_allowed("--storage-cpus", &settings.storage_cpus, &limits.allowed)
        .map_err(|error| error.to_string())?;
    if placement.crowded {
        info!(
            cores = placement.cpus.len(),
            cpus = limits.allowed.len(),
            "more cores than CPUs: they take turns"
        );
    }
    locked_memory::check(placement.cpus.len())?;
    let (connections_max, handshakes_max) =
        raise_files(settings.max_connections, settings.max_handshakes, placement.cpus.len())?;
    let address = free_address(settings.bind, settings.port)?;
    let pages_address = settings.metrics_bind;
    if let Some(pages) = pages_address {
        probe(pages).map_err(|error| listen_advice(pages, ["--metrics-bind"; 2], &error))?;
    }
    let tls_port = settings.tls.as_ref().and_then(|tls| tls.port);
    let tls_address = tls_port.map(|port| SocketAddr::new(address.ip(), port));
    if let Some(tls) = tls_address {
        probe(tls).map_err(|error| listen_advice(tls, ["--tls-port", "--bind"], &error))?;
    }
    let connection_bytes_max = settings.max_connection_memory.unwrap_or_else(connection_memory);
    Ok(Checked {
        address,
        pages_address,
        tls_address,
        placement,
        connections_max,
        handshakes_max,
        connection_bytes_max,
    })
}

/// A quarter of the memory there is.
fn connection_memory() -> usize {
    let bytes = memory::available_bytes().unwrap_or(MEMORY_BYTES_GUESS) / 4;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn check_kernel() -> Result<(), String> {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    match kernel_version(&release) {
        Some(version) if version < KERNEL_MIN => Err(format!(
            "Linux {release} is too old: {}.{} is the least, 5.15 or later is better",
            KERNEL_MIN.0, KERNEL_MIN.1
        )),
        _ => Ok(()),
    }
}

fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn check_io_uring() -> Result<(), String> {
    match IoUring::new(4) {
        Ok(_) => Ok(()),
        // An earlier server may still hold the memory: `locked_memory` waits for it, and knows what is needed.
        Err(error) if error.raw_os_error() == Some(Errno::NOMEM.raw_os_error()) => Ok(()),
        Err(error) => Err(io_uring_advice(&error)),
    }
}

fn io_uring_advice(error: &Error) -> String {
    let why = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PERM | Errno::ACCESS) => {
            "it is blocked here. In a container, its seccomp profile does so: use a profile that allows \
             io_uring_setup, io_uring_enter and io_uring_register (scripts/seccomp.py makes one), or `docker \
             run --security-opt seccomp=unconfined`. On a host, look at `sysctl kernel.io_uring_disabled`, \
             which must be 0"
        }
        Some(Errno::NOSYS) => {
            "this kernel doesn't have it, or the sandbox (such as gVisor) hides it. Linux 5.8 is the least, \
             5.15 or later is better"
        }
        _ => "the kernel refused it",
    };
    format!("io_uring, which the server can't do without, is not available: {why} ({error})")
}

/// The first touch of a huge page waits until all 2 MiB of it are cleared: on a virtual machine that took 5 ms, was the
/// greater part of the p99 of inserts, and cost a quarter of their rate. Small pages cost nothing that was measurable.
fn avoid_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        info!(%error, "transparent huge pages can't be switched off for this process");
    }
}

/// Raises the soft limit to the hard one, and says what it is then.
fn raise(resource: Resource) -> Rlimit {
    let limit = getrlimit(resource);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(resource, raised) {
        Ok(()) => raised,
        Err(_) => limit,
    }
}

/// Raises the limit of open files, and says how many connections, and handshakes on each core, there is room for. Where that
/// is not enough, fewer are taken, so that the last ones are refused with a status rather than left hanging.
fn raise_files(
    connections_max: usize,
    handshakes_max: usize,
    core_count: usize,
) -> Result<(usize, usize), String> {
    let Some(files) = raise(Resource::Nofile).current else { return Ok((connections_max, handshakes_max)) };
    let (connections, handshakes) = files_room(files, handshakes_max as u64, core_count as u64);
    if connections < CONNECTIONS_MIN {
        return Err(format!(
            "only {files} files may be open at a time, too few for {core_count} cores and their connections: \
             raise it with `ulimit -n 65536`, `LimitNOFILE=65536` in systemd, or `docker run --ulimit nofile=65536`"
        ));
    }
    if connections < connections_max as u64 {
        warn!(
            open_files = files,
            asked = connections_max,
            allowed = connections,
            "the limit of open files allows fewer connections than --max-connections; raise it with `ulimit -n`"
        );
    }
    Ok((connections_max.min(connections as usize), handshakes as usize))
}

/// The connections that there is room for, and the handshakes on each core. Handshakes get a quarter of the room at most.
fn files_room(files: u64, handshakes_max: u64, core_count: u64) -> (u64, u64) {
    let room = files.saturating_sub(FILES_BASE + FILES_PER_CORE * core_count);
    let handshakes = handshakes_max.min(room / 4 / core_count).max(1);
    (room.saturating_sub(handshakes * core_count), handshakes)
}

/// To pin a core, the runtime reads which CPUs there are, and does not come back where it can't.
fn check_topology(sysfs: &Path) -> Result<(), String> {
    let path = sysfs.join("devices/system/cpu/online");
    std::fs::read(&path).map(drop).map_err(|error| {
        format!(
            "can't pin cores to CPUs without {} ({error}): mount sysfs there, or give --no-pin",
            path.display()
        )
    })
}

fn allowed_cpus() -> Result<Vec<usize>, String> {
    let set = rustix::thread::sched_getaffinity(None)
        .map_err(|error| format!("can't find out which CPUs this process may use: {error}"))?;
    Ok((0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// The tightest quota among this process's control group and those above it.
fn cpu_quota() -> Option<usize> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    Path::new(path)
        .ancestors()
        .filter_map(|group| {
            let group = group.to_str()?.trim_start_matches('/');
            let text = std::fs::read_to_string(format!("/sys/fs/cgroup/{group}/cpu.max")).ok()?;
            parse_quota(&text)
        })
        .min()
}

/// Reads `cpu.max`: microseconds of CPU time in a period, or `max`.
fn parse_quota(text: &str) -> Option<usize> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period) = (quota.parse::<usize>().ok()?, period.parse::<usize>().ok()?);
    (period > 0).then(|| quota.div_ceil(period).max(1))
}

/// Finds where to listen. The cores share their port, which would hide that another server has it: so it is
/// taken for a moment without sharing.
fn free_address(bind: Option<IpAddr>, port: u16) -> Result<SocketAddr, String> {
    let address = SocketAddr::new(bind.unwrap_or(Ipv6Addr::UNSPECIFIED.into()), port);
    match probe(address) {
        Ok(()) => Ok(address),
        Err(error) if bind.is_none() && lacks_ipv6(&error) => {
            let address = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
            probe(address)
                .map(|()| address)
                .map_err(|error| listen_advice(address, ["--port", "--bind"], &error))
        }
        Err(error) => Err(listen_advice(address, ["--port", "--bind"], &error)),
    }
}

/// Whether the address can be listened on. Connections of an earlier server that linger in TIME_WAIT are in
/// the way of this probe, and not in that of sockets which share the port: so a port is taken only if
/// somebody answers there. The kernel frees the io_uring sockets of a killed server a moment after its end,
/// so the answer is waited for.
fn probe(address: SocketAddr) -> Result<(), Error> {
    const PATIENCE: Duration = Duration::from_secs(1);
    const PAUSE: Duration = Duration::from_millis(20);
    let begun = Instant::now();
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                if !somebody_answers(address) {
                    return Ok(());
                }
                if begun.elapsed() > PATIENCE {
                    return Err(error);
                }
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome.map(drop),
        }
    }
}

fn somebody_answers(address: SocketAddr) -> bool {
    const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
    let ip = if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    match TcpStream::connect_timeout(&SocketAddr::new(ip, address.port()), ANSWER_TIMEOUT) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::ConnectionRefused,
    }
}

fn lacks_ipv6(error: &Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error())
}

fn listen_advice(address: SocketAddr, [port_flag, address_flag]: [&str; 2], error: &Error) -> String {
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "port {port} is taken by another process (`ss -ltnp 'sport = :{port}'` shows which): stop it, or \
             choose another with {port_flag}"
        ),
        ErrorKind::PermissionDenied => {
            format!("port {port} needs privileges: choose one from 1024 up, or grant CAP_NET_BIND_SERVICE")
        }
        ErrorKind::AddrNotAvailable => {
            format!("this machine has no address {}: choose another with {address_flag}", address.ip())
        }
        _ => format!("can't listen on {address}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases() {
        assert_eq!(kernel_version("5.15.0-1051-aws"), Some((5, 15)));
        assert_eq!(kernel_version("6.8-rc1"), Some((6, 8)));
        assert_eq!(kernel_version("4.19.325+"), Some((4, 19)));
        assert_eq!(kernel_version("unknown"), None);
    }

    #[test]
    fn quotas() {
        assert_eq!(parse_quota("max 100000\n"), None);
        assert_eq!(parse_quota("200000 100000\n"), Some(2));
        assert_eq!(parse_quota("150000 100000"), Some(2));
        assert_eq!(parse_quota("1000 100000"), Some(1));
        assert_eq!(parse_quota(""), None);
        assert_eq!(parse_quota("5 0"), None);
    }

    #[test]
    fn room_for_connections() {
        assert_eq!(files_room(100_000, 1024, 4), (100_000 - 64 - 64 - 4 * 1024, 1024));
        assert_eq!(files_room(1024, 1024, 4), (672, 56), "handshakes take a quarter");
        assert_eq!(files_room(10, 1024, 1), (0, 1));
    }

    #[test]
    fn each_reason_has_its_advice() {
        for (errno, word) in [(1, "seccomp"), (38, "kernel"), (5, "refused")] {
            let text = io_uring_advice(&Error::from_raw_os_error(errno));
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn pinning_needs_sysfs() {
        assert_eq!(check_topology(Path::new("/sys")), Ok(()));
        let error = check_topology(Path::new("/nonexistent")).unwrap_err();
        assert!(error.contains("/nonexistent/devices") && error.contains("--no-pin"), "{error}");
    }

    #[test]
    fn a_taken_port_is_noticed() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = free_address(Some(address.ip()), address.port()).unwrap_err();
        assert!(error.contains("taken"), "{error}");
        drop(taken);
        assert_eq!(free_address(Some(address.ip()), 0), Ok(SocketAddr::new(address.ip(), 0)));
    }
}
