//! Running commands, and directories to run them in.

use crate::support::{KEY, Server, TempDir, command};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Names that break whatever does not treat names as text.
pub const HARD_NAMES: [&str; 6] = ["a/b", "..", "ünï \"q\"", "-dash", "50%", "a b+c;d=e&f"];

/// The binary with the server's address and key in its environment.
pub fn operator(server: &Server) -> Command {
    let mut command = command();
    command.env("FLUXIONDB_URL", format!("ws://127.0.0.1:{}", server.port)).env("FLUXIONDB_APIKEY", KEY);
    command.stdin(Stdio::null());
    command
}

/// The outcome of a command.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Outcome {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

pub fn run(server: &Server, arguments: &[&str]) -> Outcome {
    operator(server).args(arguments).output().unwrap().into()
}

/// Runs a command that must go well, and gives what it prints.
pub fn text(server: &Server, arguments: &[&str]) -> String {
    let outcome = run(server, arguments);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    outcome.stdout
}

/// As `text`, parsed.
pub fn json(server: &Server, arguments: &[&str]) -> Value {
    let text = text(server, arguments);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

/// Runs a command that must print `{"status": "ok"}`.
pub fn ok(server: &Server, arguments: &[&str]) {
    assert_eq!(text(server, arguments), "{\n  \"status\": \"ok\"\n}\n", "{arguments:?}");
}

/// Runs a command that must fail with exit code 1, and gives the error.
pub fn error(server: &Server, arguments: &[&str]) -> String {
    let outcome = run(server, arguments);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{arguments:?}");
    assert!(!outcome.stderr.contains(KEY), "{}", outcome.stderr);
    outcome.stderr
}

/// A directory that is removed at the end of the test, with paths as a command line has them.
pub struct Scratch(TempDir);

impl Scratch {
    pub fn new() -> Scratch {
        Scratch(TempDir::new())
    }

    pub fn path(&self, name: &str) -> String {
        self.0.file(name).to_str().unwrap().to_owned()
    }

    /// Writes a file, with the directories that it lies in.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.0.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// The files below a directory with what is in them.
pub fn files(dir: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    collect(Path::new(dir), Path::new(dir), &mut found);
    found
}

fn collect(root: &Path, dir: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
}
