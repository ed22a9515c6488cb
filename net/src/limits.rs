//! Every cap of the network layer, with the reason beside it. The ones that users set are in
//! `server::ServerOptions`; these are the rest.

use std::time::Duration;

/// Bytes asked of a socket in one read. Large enough that a pipelining client's burst is one call, small
/// enough to stay in the second-level cache. One such buffer is shared by all connections of a core.
pub const READ_BYTES: usize = 128 * 1024;

/// Spare bytes kept behind every message that is parsed, for the SIMD loads of the JSON parser.
pub const PADDING_BYTES: usize = simd_json::INPUT_PADDING;

/// Requests of one connection that may be waiting for another core. With the connection count it bounds
/// every mailbox; more than enough to keep the cores busy.
pub const IN_FLIGHT_MAX: usize = 256;

/// Reply bytes that one connection may have made or asked for and not yet sent: at the mark it stops being
/// read. A read that another core answers reserves a whole piece of it.
pub const WINDOW_BYTES: usize = 8 * 1024 * 1024;

/// Bytes in a connection's send buffer above which no further piece of a large reply is fetched, and no
/// further request of that connection is executed.
pub const OUT_HIGH_BYTES: usize = 512 * 1024;

/// What a request whose reply is small reserves of the window.
pub const SMALL_REPLY_BYTES: usize = 1024;

/// Buffers of an idle connection above this size are given back.
pub const IDLE_BUFFER_BYTES: usize = 4 * 1024;

/// Parser state larger than this is given back after the message that needed it.
pub const DECODER_NODES_MAX: usize = 256 * 1024;

/// Messages that a core takes from its mailbox before it looks at its sockets again.
pub const MAILBOX_BATCH: usize = 512;

/// How long a task works on messages from other cores before it looks whether others want to run.
pub const TURN: Duration = Duration::from_micros(200);

/// Socket reads that one connection may do before the other tasks of the core have their turn.
pub const READS_PER_TURN: usize = 4;

/// How soon a core that has fallen behind looks again whether connections that write can be read.
pub const PACE: Duration = Duration::from_millis(2);

/// Time that a client has for its handshake, and with `--legacy-auth` for its first message.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time that a client has to answer a close frame.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Time that a stopping core gives its connections to take what they are owed.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// Pause after a failed accept, such as when the process is out of file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Longest API key: a longer one would not fit a handshake comfortably.
pub const API_KEY_BYTES_MAX: usize = 1024;

/// API keys a server keeps.
pub const API_KEYS_MAX: usize = 65_536;

/// Entries that each of a core's io_uring rings takes between two calls of the kernel; more wait in the runtime. Locked
/// memory grows with it, and from 128 up no load was served faster.
pub const RING_DEPTH: usize = 128;

/// Memory that the runtime registers for direct I/O, which sockets don't use: the least that it takes.
pub const IO_MEMORY_BYTES: usize = 64 << 10;
