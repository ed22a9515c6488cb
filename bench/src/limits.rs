//! Every cap of the load generator, and why it has that size.

use std::time::Duration;

/// Requests one connection may have in flight: beyond this the load is a queue, not concurrency.
pub const IN_FLIGHT_MAX: u32 = 65_536;

/// Connections of one run; each is a file descriptor here and one in the server.
pub const CONNECTIONS_MAX: u32 = 60_000;

/// Connections that the wire server can do with where not more are to be had.
pub const WIRE_CONNECTIONS: u32 = 500;

/// The longest reply of the wire server.
pub const WIRE_REPLY_BYTES_MAX: u64 = 16 << 20;

/// The longest request: what the server takes unless it is configured otherwise.
pub const REQUEST_BYTES_MAX: usize = 16 << 20;

/// All requests that can be waiting to be sent, over all connections; protects the machine from a mistyped option.
pub const OUTGOING_BYTES_MAX: usize = 4 << 30;

/// Bytes that a record or query needs besides its payload, with room to spare; the length of a request is bounded by it.
pub const PART_BYTES: u64 = 150;

/// The length of one made-up text.
pub const PAYLOAD_BYTES_MAX: usize = 16_000_000;

/// A file of texts: it lies in memory as a whole, with its escapes.
pub const PAYLOAD_FILE_BYTES_MAX: u64 = 64 << 20;

/// The longest text of a shape, escaped twice.
pub const SHAPE_BYTES_MAX: u64 = 400;

/// Steps of a track of texts: more records of a document than a store keeps in one piece.
pub const TRACK_STEPS: usize = 4_096;

/// Tracks of a shape; with their steps about 3 MiB.
pub const TEXT_TRACKS: usize = 8;

/// Bytes of made-up letters that a run takes turns with.
pub const TEXTS_BYTES: usize = 1 << 20;

/// Bytes that one read may bring: a few large replies, or thousands of small ones, and it still fits a core's cache.
pub const RECEIVE_BYTES: usize = 256 << 10;

/// Ciphertext read at a time.
pub const SECURE_RECEIVE_BYTES: usize = 64 << 10;

/// Bytes encrypted before the socket is offered them.
pub const SECURE_SEND_BYTES: usize = 64 << 10;

/// What is read of a file of certificate authorities.
pub const AUTHORITIES_BYTES_MAX: u64 = 16 << 20;

/// Bytes of a reply's start that are looked at; holds the id and an error's text, and any control frame as a whole.
pub const HEAD_BYTES: usize = 256;

/// In the head, how far from its start the error member may begin.
pub const ERROR_WITHIN_BYTES: usize = 64;

/// Sent bytes are cut off the front of an outgoing buffer when there are this many, so that it cannot grow for ever.
pub const OUTGOING_COMPACT_BYTES: usize = 256 << 10;

/// Bytes that a control frame may carry, by RFC 6455.
pub const CONTROL_BYTES_MAX: u64 = 125;

/// A line of Redis' protocol: a number, or the text of an error.
pub const RESP_LINE_BYTES_MAX: usize = 4 << 10;

/// A message of the server on a connection that subscribes, which is put together as a whole.
pub const MESSAGE_BYTES_MAX: u64 = 64 << 20;

/// Subscriptions of a connection: the server's own limit.
pub const SUBSCRIPTIONS_MAX: u32 = 64;

/// Time in which all subscriptions must have been answered.
pub const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(60);

/// What the kernel may receive for a subscriber that does not read, so that the server notices soon.
pub const STUCK_RECEIVE_BYTES: usize = 4 << 10;

/// Silence after the last reply, beside what subscriptions themselves wait, that says that no push comes any more.
pub const PUSH_SILENCE: Duration = Duration::from_millis(200);

/// Response head and body of the handshake; a server that sends more is not one of ours.
pub const HANDSHAKE_BYTES_MAX: usize = 16 << 10;

/// For connecting, and for each read of the handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for which the replies of a finished run are waited for; longer than the stall one wants to see in the latencies.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// Files open besides those of connections: standard streams, events, a report.
pub const OTHER_FILES: u64 = 64;

/// Records in each document before the measurement, when documents are read.
pub const PREFILL_PER_DOCUMENT: u64 = 1_000;

/// Records in a message that fills the server before the measurement.
pub const PREFILL_RECORDS: u64 = 100;

/// Length that such a message should at most have, when its records are long.
pub const PREFILL_REQUEST_BYTES: u64 = 64 << 10;

/// Ready connections taken from one wait.
pub const EVENTS_PER_WAIT: usize = 256;

/// The longest sleep between two looks at the clock.
pub const WAIT_MAX: Duration = Duration::from_millis(500);

/// With a fixed rate, the last stretch before the next message is spun: a wait counts in milliseconds.
pub const SPIN_WITHIN: Duration = Duration::from_millis(2);

/// Intervals of a run's course: as many as a chart can show apart.
pub const TIMELINE_SLOTS_MAX: u64 = 200;

/// Facts that may be noted with a run; a table of more is no longer read.
pub const FACTS_MAX: usize = 32;

/// With a fixed rate, messages that are due at once and go to one connection: about what a client pipelines.
pub const OPEN_BURST_MAX: u32 = 16;

/// Latencies above this are counted as this.
pub const LATENCY_MAX: Duration = Duration::from_secs(600);

/// Distance in time between two records made in order.
pub const TIMESTAMP_STEP: u64 = 16;

/// Timestamps a run may need above its first: days of load at full speed.
pub const TIMESTAMP_HEADROOM: u64 = 1_000_000_000_000;

/// Distance back in its document to which a late or overwriting record reaches, in records.
pub const LATE_RECORDS_MAX: u64 = 1_000;

/// Below this many nanoseconds latencies are not told apart.
pub const LATENCY_UNIT_NS: u64 = 64;
