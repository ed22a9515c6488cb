//! That the server starts under the limits of lockable memory which are usual, and says what is missing where it can't.
//! The kernel counts such memory by user and spares root: so the server runs as a user that nobody else is.

use crate::support::KEY;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A user of this test's own, and a copy of the binary that it can reach.
struct Stranger {
    directory: PathBuf,
    uid: Option<u32>,
}

impl Stranger {
    /// Returns `None`, and says why, where such a user can't be had.
    fn new(offset: u32) -> Option<Stranger> {
        let root = rustix::process::geteuid().is_root();
        let uid = root.then(|| 100_000 + (std::process::id() % 10_000) * 10 + offset);
        let directory =
            std::env::temp_dir().join(format!("fluxiondb-locked-{}-{offset}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        std::fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
        let binary = directory.join("fluxiondb");
        std::fs::copy(env!("CARGO_BIN_EXE_fluxiondb"), &binary).unwrap();
        let stranger = Stranger { directory, uid };
        match stranger.under(8192, Path::new("true"), &[]).status() {
            Ok(status) if status.success() => Some(stranger),
            outcome => {
                eprintln!("left out: no other user with a limit of 8 MiB can be had here: {outcome:?}");
                None
            }
        }
    }

    /// A command under a limit of locked memory; hard, so that it can't be raised.
    fn under(&self, limit_kib: u64, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("ulimit -l {limit_kib} && exec \"$0\" \"$@\"")])
            .arg(program)
            .args(arguments);
        command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin").env("FLUXIONDB_SECRET_KEY", KEY);
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        command
    }

    fn server(&self, limit_kib: u64, cores: &str) -> Child {
        let arguments =
            ["--port", "0", "--bind", "127.0.0.1", "--no-pin", "--log", "error", "--cores", cores];
        self.under(limit_kib, &self.directory.join("fluxiondb"), &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Waits for the line that says it listens; an error is what it says instead.
fn wait_until_listening(server: &mut Child) -> Result<(), String> {
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if line.contains("listening") {
        return Ok(());
    }
    let mut error = String::new();
    server.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(1), "{error}");
    Err(error)
}

fn kill(mut server: Child) {
    server.kill().unwrap();
    server.wait().unwrap();
}

/// Starts a server and ends it as a crash would.
fn try_out(mut server: Child) -> Result<(), String> {
    let outcome = wait_until_listening(&mut server);
    kill(server);
    outcome
}

/// With 504 KiB a core, 17 of them did not start under the limit of 8 MiB that systems come with.
#[test]
fn seventeen_cores_start_under_eight_mebibytes() {
    let Some(stranger) = Stranger::new(0) else { return };
    assert_eq!(try_out(stranger.server(8192, "17")), Ok(()));
}

/// The kernel gives the memory back a moment after a server's end: a quick restart failed now and then. Here the limit
/// does not allow two servers, so each start must wait for it.
#[test]
fn a_quick_restart_waits_for_the_memory_of_the_last_server() {
    let Some(stranger) = Stranger::new(1) else { return };
    for _ in 0..10 {
        assert_eq!(try_out(stranger.server(3072, "8")), Ok(()));
    }
}

#[test]
fn two_cores_start_under_the_least_limit_and_more_are_refused_by_their_sum() {
    let Some(stranger) = Stranger::new(2) else { return };
    assert_eq!(try_out(stranger.server(512, "2")), Ok(()));
    // Kernels from 5.12 to 6.13 don't count rings, and start here too.
    if let Err(error) = try_out(stranger.server(512, "17")) {
        for part in ["17 cores", "only 512 KiB", "ulimit -l", "LimitMEMLOCK", "--cores 2"] {
            assert!(error.contains(part), "{part:?} is missing in {error}");
        }
    }
    let error = try_out(stranger.server(256, "1")).unwrap_err();
    assert!(error.contains("512 KiB") && error.contains("only 256 KiB"), "{error}");
}

/// Memory that other processes of the user hold is theirs: it is waited for, in vain, and named.
#[test]
fn a_second_server_that_finds_no_room_says_so() {
    let Some(stranger) = Stranger::new(3) else { return };
    let mut first = stranger.server(2048, "8");
    assert_eq!(wait_until_listening(&mut first), Ok(()));
    if let Err(error) = try_out(stranger.server(2048, "8")) {
        assert!(error.contains("another server") && error.contains("2048 KiB"), "{error}");
    }
    kill(first);
}
