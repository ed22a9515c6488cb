//! Every cap of the network layer, with the reason beside it. The ones that users set are in `options::ServerOptions`;
//! these are the rest.

use std::time::Duration;

/// Bytes asked of a socket in one read. Large enough that a pipelining client's burst is one call, small
/// enough to stay in the second-level cache. One such buffer is shared by all connections of a core.
pub const READ_BYTES: usize = 128 * 1024;

/// The shortest message that is compressed: below it nothing is gained that matters.
pub const DEFLATE_BYTES_MIN: usize = 1024;

/// The longest payload that is compressed in one go: some milliseconds of work. Of a longer reply that comes in one piece, the piece
/// is sent as it is.
pub const DEFLATE_BYTES_MAX: usize = 1 << 20;

/// Memory of a compressor that a connection has for itself, with the largest window.
pub const DEFLATER_BYTES: usize = 320 * 1024;

/// The same of what takes messages apart.
pub const INFLATER_BYTES: usize = 48 * 1024;

/// Bytes of a compressed message that are inflated before others have their turn, if it is over: a fraction of a millisecond.
pub const INFLATE_STEP_BYTES: usize = 256 * 1024;

/// What a core keeps to inflate messages with: more are made for a moment where so many messages are taken apart at a time.
pub const INFLATERS_KEPT: usize = 4;

/// The longest stored block of the format.
pub const STORED_BYTES_MAX: usize = 0xffff;

/// Longest file with a certificate and those that vouch for it, or with a key: some thousand bytes are usual.
pub const PEM_BYTES_MAX: u64 = 1 << 20;

/// The longest record of TLS, with its header and what its encryption may add.
pub const TLS_RECORD_BYTES_MAX: usize = 5 + (16 << 10) + (2 << 10);

/// Ciphertext that is asked of a socket at least: as much as the library takes at a time.
pub const TLS_READ_BYTES_MIN: usize = 4096;

/// Ciphertext that is asked of a socket at most: with what a session has of a record before, it fits the buffer of a read.
pub const TLS_READ_BYTES_MAX: usize = READ_BYTES - TLS_RECORD_BYTES_MAX;

/// Reads in a row that may bring nothing but the parts of one record; a peer that goes on so sends empty ones.
pub const TLS_EMPTY_READS_MAX: usize = 8;

/// Bytes that a session encrypts before it offers them to the socket: four records, which is all that it holds twice.
pub const TLS_SEND_BYTES: usize = 64 * 1024;

/// Memory that a session takes while it has nothing to send, which is counted as the connection's: its keys and the buffers
/// of its library, 8 KiB when it is idle, and half of a long record.
pub const SESSION_BYTES: usize = 16 * 1024;

/// The time that the arithmetic of a handshake takes, before one has been seen.
pub const TLS_HANDSHAKE_GUESS: Duration = Duration::from_micros(300);

/// Ready sockets that one look at them tells; the rest is told by the next.
pub const READY_EVENTS: usize = 256;

/// Connections that wait to be accepted by a core; the kernel refuses more, or lets them try again.
pub const BACKLOG: i32 = 1024;

/// Spare bytes kept behind every text that is parsed, for the SIMD loads of the JSON parser.
pub const PADDING_BYTES: usize = simd_json::INPUT_PADDING;

/// Requests of one connection that may be waiting for another core. With the connection count it bounds
/// every mailbox; more than enough to keep the cores busy.
pub const IN_FLIGHT_MAX: usize = 256;

/// Bytes that one connection may have under way: requests, and replies made or asked for and not yet sent. At the mark it
/// stops being read, so it never holds more than this and one message. A read reserves a piece for its reply.
pub const WINDOW_BYTES: usize = 8 * 1024 * 1024;

/// Bytes in a connection's send buffer above which no further piece of a large reply is fetched, and no
/// further request of that connection is executed.
pub const OUT_HIGH_BYTES: usize = 512 * 1024;

/// Reserved of the window for a small reply.
pub const SMALL_REPLY_BYTES: usize = 1024;

/// Buffers of an idle connection above this size are given back.
pub const IDLE_BUFFER_BYTES: usize = 4 * 1024;

/// Parser state larger than this is given back after the message that needed it.
pub const DECODER_NODES_MAX: usize = 256 * 1024;

/// Places of quotes in the data of a message for which memory is kept: those of some thousand records.
pub const QUOTES_MAX: usize = 128 * 1024;

/// A message longer than this is not parsed in one go: about a millisecond of work.
pub const LONG_DATA_BYTES: usize = 512 * 1024;

/// Text of long data that one step unescapes, or parses.
pub const LONG_STEP_BYTES: usize = 64 * 1024;

/// The deepest nesting in the outer part of a message: one bit each says whether it is an object, in a fixed array.
pub const DEPTH_MAX: usize = 1024;

/// Longest message before a connection has authenticated itself, with `--legacy-auth`: a key and little around it.
pub const UNAUTHENTICATED_MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// Bytes of replies that a core holds back to the end of a round: with more than fits the second-level cache beside all
/// else, sending them would wait for memory.
pub const HELD_BACK_BYTES: usize = 256 * 1024;

/// Connections whose replies it holds back, so that the first of them doesn't wait long for the last.
pub const HELD_BACK_MAX: usize = 16;

/// Messages that a core takes from its mailbox before it looks at its sockets again.
pub const MAILBOX_BATCH: usize = 512;

/// Requests that are counted together by one look at the clock: as many as a turn carries out between two, and some.
pub const SLICE_REQUESTS_MAX: usize = 16;

/// Answers to `GET /metrics` that a core makes at a time: each asks all cores.
pub const SCRAPES_MAX: usize = 4;

/// The longest that a task works before it looks whether others want to run.
pub const TURN: Duration = Duration::from_micros(200);

/// The shortest turn, however many connections are busy: below it, changing turns would be most of the work.
pub const TURN_MIN: Duration = Duration::from_micros(20);

/// The time that a round may take in which every busy connection has its turn.
pub const ROUND: Duration = Duration::from_millis(20);

/// The share of a round that the mailbox gets for each message that waits in it, so that a backlog shrinks while
/// connections are busy.
pub const MAILBOX_TURN_PER_MESSAGE: Duration = Duration::from_micros(2);
/// The longest turn of the mailbox.
pub const MAILBOX_TURN_MAX: Duration = Duration::from_millis(10);

/// Time after which a core that has fallen behind looks again whether connections that write can be read.
pub const PACE: Duration = Duration::from_millis(2);

/// Longest head of an HTTP request: far more than any client sends.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most header fields in it, which the parser holds in a fixed array.
pub const HEADERS_MAX: usize = 64;

/// Longest label of a connection, so that a list of all connections stays small; what is over it is cut.
pub const NAME_BYTES_MAX: usize = 256;

/// Time that a client has for its handshake, and with `--legacy-auth` for its first message.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time that a client has to answer a close frame.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Time that a client whose connection is ending has to take some of what it is owed, again and again.
pub const CLOSE_STALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Time that a stopping core gives its connections to take what they are owed.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// Pause after a failed accept, such as when the process is out of file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// The growth of what its connections hold at which a core tells the others and looks at the sum.
pub const HELD_BYTES_STEP: usize = 256 * 1024;

/// The part by which less than allowed is held after connections were closed for it, so that it is not at once too much again.
pub const HELD_BYTES_RELIEF: usize = 16;

/// A connection that holds less than this is not closed for what all of them hold: it would free next to nothing.
pub const SHED_BYTES_MIN: usize = 64 * 1024;

/// Bytes of the name of a collection that the log tells of a request: they travel with it.
pub const SHORT_NAME_BYTES: usize = 46;

/// A reply from this size on is told in the log, when its last piece has been made.
pub const LARGE_REPLY_BYTES: usize = 16 * 1024 * 1024;

/// Time between two lines of the log that say the same of different clients; those between are counted.
pub const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Longest API key: a longer one would not fit a handshake comfortably.
pub const API_KEY_BYTES_MAX: usize = 1024;

/// API keys a server keeps.
pub const API_KEYS_MAX: usize = 65_536;

/// Entries that each of a core's io_uring rings takes between two calls of the kernel; more wait in the runtime. Locked
/// memory grows with it, and from 128 up no load was served faster.
pub const RING_DEPTH: usize = 128;

/// Memory that the runtime registers for direct I/O, which sockets don't use: the least that it takes.
pub const IO_MEMORY_BYTES: usize = 64 << 10;

/// Time for which cores whose executor can't be made are tried again at the start, and the pause between: an earlier
/// server's locked memory is given back some 30 ms after its end, more on a busy machine.
pub const START_PATIENCE: Duration = Duration::from_secs(3);
/// The pause between two tries.
pub const START_PAUSE: Duration = Duration::from_millis(50);

/// The longest time that a subscription may ask for between two pushes.
pub const EVERY_MS_MAX: i64 = 60_000;

/// Bytes of changes that may wait for a subscription, unless it asks for another number.
pub const BUFFER_BYTES_DEFAULT: usize = 1 << 20;

/// The most that it may ask for: histories hold more than that.
pub const BUFFER_BYTES_MAX: usize = 16 << 20;

/// Subscriptions of one connection.
pub const SUBSCRIPTIONS_PER_CONNECTION_MAX: usize = 64;

/// Subscriptions of all connections.
pub const SUBSCRIPTIONS_MAX: usize = 100_000;

/// Bytes of pushes that may wait in a connection's send buffer before its subscriptions are pushed more: enough to keep a
/// fast reader busy, and little beside what the kernel takes for a slow one.
pub const PUSHES_WAITING_BYTES: usize = 64 * 1024;

/// Receivers of a push that are sent it at once, each a call of the kernel; where there are more, their tasks take turns.
pub const PUSHED_AT_ONCE_MAX: usize = 16;

/// A push longer than this is not copied behind what a connection has not taken yet, but waits as one for all.
pub const PUSH_COPIED_BYTES_MAX: usize = 16 * 1024;

/// Time between two looks at whose time has come.
pub const SUBSCRIPTION_TICK: Duration = Duration::from_millis(5);

/// Pause of a core that can't sleep until a socket is ready, such as when the process is out of file descriptors.
pub const LOOK_PAUSE: Duration = Duration::from_millis(1);

/// The longest that a core spins without looking at its timers.
pub const SPIN_SLICE: Duration = Duration::from_millis(1);

/// Pause between two rounds over all documents for chunks that have been left alone: what is written late into one comes in
/// the same few seconds, or seldom.
pub const COOL_PAUSE: Duration = Duration::from_secs(10);

/// Pause between two steps of such a round, each of which looks at a thousand documents in some hundred microseconds.
pub const COOL_STEP_PAUSE: Duration = Duration::from_millis(20);
