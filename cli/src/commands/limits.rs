//! Every cap of the commands, each with its reason.

/// Bytes of a file's name: what file systems allow.
pub const FILE_NAME_BYTES_MAX: usize = 255;

/// Bytes of a collection's name that is taken for a path: the system allows 4096 in all, and the export's directory and
/// a document's file need room too.
pub const COLLECTION_PATH_BYTES_MAX: usize = 3072;

/// Bytes of an API key that is read from stdin; the server takes no longer ones.
pub const KEY_BYTES_MAX: u64 = 4096;

/// Names of documents that the shell offers; more are not looked through by anybody.
pub const OFFERED_NAMES_MAX: usize = 200;

/// Attempts in a row to connect again while a collection is followed: with the client's pauses of up to three seconds about
/// five minutes, in which a server is restarted with much data.
pub const TAIL_ATTEMPTS: u32 = 100;
