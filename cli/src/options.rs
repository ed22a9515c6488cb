//! The command line: what may be said, and whether it makes sense by itself. What the machine allows is the
//! business of `checks`.

use crate::certificates::{TlsFlags, TlsSettings};
use crate::commands::Command;
use crate::cpus::Cores;
use crate::environment::without_empty_variables;
use clap::builder::{BoolishValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use fluxion_engine::SyncMode;
use fluxion_net::Compression;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A key must fit into the URL of a handshake.
const SECRET_KEY_BYTES_MAX: usize = 1024;
/// A message must hold at least one record of useful size, and no text that can't be stored.
const MESSAGE_BYTES_RANGE: std::ops::RangeInclusive<usize> = 1 << 10..=fluxion_storage::TEXT_BYTES_MAX;

/// Shorter intervals would be one long flush; a longer one than a day is surely a mistake.
const FLUSH_INTERVAL_RANGE: std::ops::RangeInclusive<f64> = 0.05..=86_400.0;
/// All connections together must have room for a few messages.
const CONNECTION_MEMORY_MIN: usize = 16 << 20;
/// The changes that may wait must be a few large messages at least.
const DIRTY_BYTES_MIN: usize = 4 << 20;

const EXAMPLES: &str = "\
Examples:
  fluxiondb --secret-key dev
      Serve on port 8080 of all addresses, one core per CPU. Clients connect to
      ws://HOST:8080/?api-key=dev

  FLUXIONDB_SECRET_KEY=dev fluxiondb --bind 127.0.0.1 --port 9000
      Only for this machine; the key does not show in `ps`.

  fluxiondb --secret-key dev --data /var/lib/fluxiondb
      Keep the data in SQLite files in that directory, written every 15 seconds and
      at the end. A fluxion.db found there is imported.

  fluxiondb --secret-key-file /run/secrets/fluxiondb --cores 2-5 --log-format json
      The key from a file, one core on each of the CPUs 2, 3, 4 and 5.

  fluxiondb --secret-key dev --metrics-bind 127.0.0.1:9100
      GET /metrics and /health are served there, for Prometheus and probes, without a key.

  fluxiondb --secret-key dev --tls-cert fullchain.pem --tls-key key.pem
      TLS: clients connect to wss://HOST:8080/?api-key=dev

Every flag can be given as an environment variable instead; the flag wins, and a variable
that is empty counts as not set.
SIGTERM or SIGINT answers what is in flight and exits with 0; a second one exits at once.
Without --data everything lives in memory only and is gone when the server stops.";

/// An in-memory time-series database over WebSockets, one core per CPU
#[derive(Debug, Parser)]
#[command(name = "fluxiondb", version, after_help = EXAMPLES)]
pub struct Options {
    /// The master key, which may do everything and manage other keys
    #[arg(short, long, env = "FLUXIONDB_SECRET_KEY", hide_env_values = true, value_name = "KEY")]
    secret_key: Option<String>,

    /// File with the master key; a newline at its end is ignored
    #[arg(long, env = "FLUXIONDB_SECRET_KEY_FILE", value_name = "FILE")]
    secret_key_file: Option<PathBuf>,

    /// Directory for the SQLite files, made if it isn't there [default: memory only]
    #[arg(short, long, env = "FLUXIONDB_DATA", value_name = "DIR")]
    data: Option<PathBuf>,

    /// Seconds after which changes are stored at the latest: the most that a crash may cost
    #[arg(short, long, env = "FLUXIONDB_FLUSH_INTERVAL", value_name = "SECONDS", default_value = "15",
          value_parser = parse_flush_interval)]
    flush_interval: Duration,

    /// When a write is acknowledged: at once, or after it has been stored for good
    #[arg(long, env = "FLUXIONDB_SYNC", value_name = "WHEN", default_value = "interval",
          value_parser = sync_parser())]
    sync: SyncMode,

    /// Go on with what is good of damaged files: the rest is told in the log, and kept in `shard-NNN.damaged`
    #[arg(long, env = "FLUXIONDB_SALVAGE", value_parser = BoolishValueParser::new())]
    salvage: bool,

    /// CPUs for the threads that seal and store data, a list such as `0-3,8` [default: wherever the system puts them]
    #[arg(long, env = "FLUXIONDB_STORAGE_CPUS", value_name = "LIST", value_parser = parse_cpus)]
    storage_cpus: Option<CpuList>,

    /// Changes that may wait to be stored; above it, connections that write are not read until there is room
    #[arg(long, env = "FLUXIONDB_MAX_DIRTY_BYTES", value_name = "SIZE", default_value = "128MiB",
          value_parser = parse_dirty_bytes)]
    max_dirty_bytes: usize,

    /// Port to listen on; 0 takes a free one and prints it
    #[arg(short, long, env = "FLUXIONDB_PORT", default_value = "8080", value_parser = parse_port)]
    port: u16,

    /// Address to listen on [default: [::], or 0.0.0.0 where there is no IPv6]
    #[arg(long, env = "FLUXIONDB_BIND", value_name = "IP", value_parser = parse_bind)]
    bind: Option<IpAddr>,

    /// Serve health and metrics at an address of their own, such as `127.0.0.1:9100`, where no key is asked for [default:
    /// at that of the clients, where `/metrics` takes a key]
    #[arg(long, env = "FLUXIONDB_METRICS_BIND", value_name = "IP:PORT", value_parser = parse_socket_address)]
    metrics_bind: Option<SocketAddr>,

    #[command(flatten)]
    tls: TlsFlags,

    /// Cores, as a count or as the CPUs to run on: `4`, or a list such as `0-3,8` (one CPU: `3-3`) [default: all CPUs
    /// this process may use]
    #[arg(long, env = "FLUXIONDB_CORES", value_name = "COUNT|LIST", value_parser = Cores::parse)]
    cores: Option<Cores>,

    /// Pin each core to its CPU [default: true]
    #[arg(long, env = "FLUXIONDB_PIN", value_name = "BOOL", default_missing_value = "true", num_args = 0..=1,
          require_equals = true, action = clap::ArgAction::Set, value_parser = BoolishValueParser::new())]
    pin: Option<bool>,

    /// Leave it to the system where each core runs
    #[arg(long, env = "FLUXIONDB_NO_PIN", value_parser = BoolishValueParser::new())]
    no_pin: bool,

    /// Microseconds that an idle core looks for work before it sleeps; 0 saves power
    #[arg(long, env = "FLUXIONDB_SPIN_US", value_name = "MICROSECONDS", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    spin_us: u64,

    /// Longest message taken from a client, from 1KiB to 512MiB: bytes, or with a unit as in `64k`, `16MiB`
    #[arg(long, env = "FLUXIONDB_MAX_MESSAGE_BYTES", value_name = "SIZE", default_value = "16MiB",
          value_parser = parse_message_bytes)]
    max_message_bytes: usize,

    /// Whether messages of 1 KiB or more are compressed for clients that offer it (permessage-deflate)
    #[arg(long, env = "FLUXIONDB_COMPRESSION", value_name = "HOW", default_value = "shared",
          value_parser = compression_parser())]
    compression: Compression,

    /// Most connections at a time; further ones are refused with status 503
    #[arg(long, env = "FLUXIONDB_MAX_CONNECTIONS", value_name = "COUNT", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    max_connections: u32,

    /// Most connections at a time with one API key; further ones are refused with status 429 [default: as many as there may
    /// be]
    #[arg(long, env = "FLUXIONDB_MAX_CONNECTIONS_PER_KEY", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    max_connections_per_key: Option<u32>,

    /// Most connections at a time from one address (of IPv6 its first 64 bits, which one machine or site has for itself);
    /// further ones are refused with status 429 [default: as many as there may be]
    #[arg(long, env = "FLUXIONDB_MAX_CONNECTIONS_PER_ADDRESS", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    max_connections_per_address: Option<u32>,

    /// Most handshakes under way at a time on each core; further connections are refused with status 503
    #[arg(long, env = "FLUXIONDB_MAX_HANDSHAKES", value_name = "COUNT", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_handshakes: u32,

    /// Memory that all connections together may take: replies that wait, requests under way, unfinished messages. Over it
    /// those that hold most are closed with code 1013. By default a quarter of the memory there is
    #[arg(long, env = "FLUXIONDB_MAX_CONNECTION_MEMORY", value_name = "SIZE", value_parser = parse_connection_memory)]
    max_connection_memory: Option<usize>,

    /// Seconds of silence after which a connection is dropped; it is pinged at half of them
    #[arg(long, env = "FLUXIONDB_IDLE_TIMEOUT", value_name = "SECONDS", default_value_t = 120,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    idle_timeout: u64,

    /// Let old LTDB clients authenticate with their first message instead of the URL
    #[arg(long, env = "FLUXIONDB_LEGACY_AUTH", value_parser = BoolishValueParser::new())]
    legacy_auth: bool,

    /// Level of the log on stderr: off, error, warn, info, debug, trace; at debug, connections are told one by one
    #[arg(
        long,
        visible_alias = "log-level",
        env = "FLUXIONDB_LOG",
        value_name = "LEVEL",
        default_value = "info"
    )]
    log: String,

    /// Form of the log: lines of text, or of JSON
    #[arg(long, env = "FLUXIONDB_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,

    /// Milliseconds from which a request is logged as slow; 0: none is
    #[arg(long, env = "FLUXIONDB_SLOW_MS", value_name = "MILLISECONDS", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(0..=86_400_000))]
    slow_ms: u64,

    // Run before the server's flags are looked at; here for the help, and to be refused behind those flags.
    #[command(subcommand)]
    command: Option<Command>,
}

/// CPUs, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuList(Vec<usize>);

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Where and how data is kept.
pub struct DataSettings {
    /// The directory of the files.
    pub directory: PathBuf,
    /// The longest that a change waits.
    pub flush_interval: Duration,
    /// When a write is acknowledged.
    pub sync: SyncMode,
    /// Whether to leave out what is damaged.
    pub salvage: bool,
    /// CPUs for the writers; empty for any.
    pub writer_cpus: Vec<usize>,
    /// Changes that may wait, over all shards.
    pub dirty_bytes_max: usize,
}

/// Options that have been found to make sense.
pub struct Settings {
    /// The master key.
    pub secret_key: String,
    /// The keeping of data; `None` is in memory only.
    pub data: Option<DataSettings>,
    /// CPUs for the writers and the thread that seals; empty for any.
    pub storage_cpus: Vec<usize>,
    /// Port to listen on, 0 for any.
    pub port: u16,
    /// Address to listen on; `None` is the default.
    pub bind: Option<IpAddr>,
    /// Where health and metrics are served, if at an address of their own.
    pub metrics_bind: Option<SocketAddr>,
    /// TLS, if it is spoken.
    pub tls: Option<TlsSettings>,
    /// The cores asked for; `None` is as many as the machine allows.
    pub cores: Option<Cores>,
    /// Whether to pin the cores.
    pub pin: bool,
    /// Busy-wait before sleep.
    pub spin_us: u64,
    /// Longest message.
    pub max_message_bytes: usize,
    /// How messages are compressed.
    pub compression: Compression,
    /// Most connections.
    pub max_connections: usize,
    /// Most connections with one key.
    pub max_connections_per_key: Option<usize>,
    /// Most connections from one address.
    pub max_connections_per_address: Option<usize>,
    /// Most handshakes under way on a core.
    pub max_handshakes: usize,
    /// Memory that all connections together may take; by default a part of what there is.
    pub max_connection_memory: Option<usize>,
    /// Silence allowed.
    pub idle_timeout: Duration,
    /// Authentication by first message.
    pub legacy_auth: bool,
    /// Requests that take longer are logged.
    pub slow: Option<Duration>,
    /// Log filter.
    pub log: String,
    /// Log format.
    pub log_format: LogFormat,
}

impl Options {
    /// Reads the command line and the environment; a variable that is empty counts as not set. Ends the process where they
    /// can't be read, or only ask for help.
    pub fn read() -> Options {
        let command = without_empty_variables(Options::command());
        Options::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }

    /// Checks what the parser can't: flags that depend on each other, and the key.
    pub fn check(self) -> Result<Settings, String> {
        if self.command.is_some() {
            return Err("a command takes none of the server's flags: write it first, as in \
                        `fluxiondb export --all --out-dir DIR`"
                .into());
        }
        if self.data.is_none() && self.sync == SyncMode::Always {
            return Err("--sync always stores every write, so it needs a directory: --data DIR".into());
        }
        if self.data.is_none() && self.salvage {
            return Err("--salvage is about the files of a directory: --data DIR".into());
        }
        if self.pin == Some(true) && self.no_pin {
            return Err(
                "--pin and --no-pin are both given (an environment variable counts too); give one of them"
                    .into(),
            );
        }
        let storage_cpus = self.storage_cpus.map_or_else(Vec::new, |CpuList(cpus)| cpus);
        let data = self.data.map(|directory| DataSettings {
            directory,
            flush_interval: self.flush_interval,
            sync: self.sync,
            salvage: self.salvage,
            writer_cpus: storage_cpus.clone(),
            dirty_bytes_max: self.max_dirty_bytes,
        });
        Ok(Settings {
            secret_key: secret_key(self.secret_key, self.secret_key_file)?,
            data,
            storage_cpus,
            port: self.port,
            bind: self.bind,
            metrics_bind: self.metrics_bind,
            tls: self.tls.check(self.port)?,
            cores: self.cores,
            pin: self.pin.unwrap_or(true) && !self.no_pin,
            spin_us: self.spin_us,
            max_message_bytes: self.max_message_bytes,
            compression: self.compression,
            max_connections: self.max_connections as usize,
            max_connections_per_key: self.max_connections_per_key.map(|count| count as usize),
            max_connections_per_address: self.max_connections_per_address.map(|count| count as usize),
            max_handshakes: self.max_handshakes as usize,
            max_connection_memory: self.max_connection_memory,
            idle_timeout: Duration::from_secs(self.idle_timeout),
            legacy_auth: self.legacy_auth,
            slow: (self.slow_ms > 0).then(|| Duration::from_millis(self.slow_ms)),
            log: self.log,
            log_format: self.log_format,
        })
    }
}

fn secret_key(key: Option<String>, file: Option<PathBuf>) -> Result<String, String> {
    let (key, source) = match (key, file) {
        (Some(key), None) => (key, "--secret-key".to_string()),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| format!("can't read the secret key from {}: {error}", file.display()))?;
            let line = text.strip_suffix('\n').unwrap_or(&text);
            let key = line.strip_suffix('\r').unwrap_or(line).to_string();
            (key, format!("the key in {}", file.display()))
        }
        (Some(_), Some(_)) => {
            return Err("--secret-key and --secret-key-file are both given (an environment variable counts \
                        too); give one of them"
                .into());
        }
        (None, None) => {
            return Err("a secret key is required: --secret-key KEY, --secret-key-file FILE, or the \
                        environment variable FLUXIONDB_SECRET_KEY"
                .into());
        }
    };
    if key.trim().is_empty() {
        let what = if key.is_empty() { "empty" } else { "blank" };
        return Err(format!("{source} is {what}: a key must have letters or digits that nobody guesses"));
    }
    if key.len() > SECRET_KEY_BYTES_MAX {
        return Err(format!(
            "{source} is {} bytes long; at most {SECRET_KEY_BYTES_MAX} are allowed",
            key.len()
        ));
    }
    Ok(key)
}

fn parse_port(text: &str) -> Result<u16, String> {
    text.trim().parse().map_err(|_| "not a port: a number from 0 to 65535".to_string())
}

fn parse_bind(text: &str) -> Result<IpAddr, String> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bracketed {
        Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|error| error.to_string()),
        None => text.parse().map_err(|_| "not an IP address, such as 127.0.0.1 or [::1]".to_string()),
    }
}

fn parse_socket_address(text: &str) -> Result<SocketAddr, String> {
    text.trim()
        .parse()
        .map_err(|_| "not an address with a port, such as 127.0.0.1:9100 or [::1]:9100".to_string())
}

fn sync_parser() -> impl TypedValueParser<Value = SyncMode> {
    let interval = PossibleValue::new("interval").help("At once; it is stored within the flush interval");
    let always =
        PossibleValue::new("always").help("After it has been stored, and would survive a power failure");
    PossibleValuesParser::new([interval, always])
        .map(|name| if name == "always" { SyncMode::Always } else { SyncMode::Interval })
}

fn compression_parser() -> impl TypedValueParser<Value = Compression> {
    let off = PossibleValue::new("off").help("None is");
    let shared = PossibleValue::new("shared").help("Each by itself, which takes no memory for a connection");
    let dedicated = PossibleValue::new("dedicated")
        .help("With what was sent before in mind: smaller, for a third of a MiB a connection and more work");
    PossibleValuesParser::new([off, shared, dedicated]).map(|name| match name.as_str() {
        "off" => Compression::Off,
        "dedicated" => Compression::Dedicated,
        _ => Compression::Shared,
    })
}

fn parse_flush_interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.trim().parse().map_err(|_| "not a number of seconds, such as 15 or 0.5".to_string())?;
    if FLUSH_INTERVAL_RANGE.contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("not between 0.05 and 86400 seconds; to have every write stored before its reply, use --sync always".into())
    }
}

/// A list as of `--cores`, but a number alone is a CPU.
fn parse_cpus(text: &str) -> Result<CpuList, String> {
    let text = text.trim();
    let list = if text.contains([',', '-']) { text.to_string() } else { format!("{text}-{text}") };
    match Cores::parse(&list) {
        Ok(Cores::List(cpus)) => Ok(CpuList(cpus)),
        _ => Err("not a list of CPUs such as 0-3,8".into()),
    }
}

fn parse_dirty_bytes(text: &str) -> Result<usize, String> {
    let bytes = parse_bytes(text)?;
    if bytes < DIRTY_BYTES_MIN {
        return Err(format!("{bytes} bytes is less than 4MiB"));
    }
    Ok(bytes)
}

fn parse_connection_memory(text: &str) -> Result<usize, String> {
    let bytes = parse_bytes(text)?;
    if bytes < CONNECTION_MEMORY_MIN {
        return Err(format!("{bytes} bytes is less than 16MiB"));
    }
    Ok(bytes)
}

fn parse_message_bytes(text: &str) -> Result<usize, String> {
    let bytes = parse_bytes(text)?;
    if MESSAGE_BYTES_RANGE.contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!("{bytes} bytes is not between 1KiB and 512MiB"))
    }
}

/// A size in bytes, in whole units of 1024: `1000`, `64k`, `64KiB`, `16MiB`, `1g`.
fn parse_bytes(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let digits_len = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at(digits_len);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err("not a size, such as 65536, 64k or 16MiB".into()),
    };
    let number: usize = digits.parse().map_err(|_| "not a size, such as 65536, 64k or 16MiB".to_string())?;
    number.checked_mul(1 << shift).ok_or_else(|| "too large".to_string())
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
