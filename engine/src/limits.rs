//! Every cap of the engine, each with its reason.
//!
//! They bound how long one call may hold the core, and how much memory a reply, a pattern or a chunk may take.
//! None of them limits how much data a shard may hold.

/// The most that the first step of a reply writes; what is longer is finished by a cursor. Large enough that nearly
/// every reply is one piece, small enough that a thousand slow readers cost a few hundred MiB.
pub const PIECE_BYTES: usize = 256 * 1024;

/// The work of one step, in bytes of text examined, so that a search that finds nothing still yields the core.
pub(crate) const WORK_MAX: usize = 64 * 1024;

/// The work of looking at one record, document or entry: about 2000 of them make a step.
pub(crate) const WORK_PER_ITEM: usize = 32;

/// Records in a chunk: an insert in its middle moves at most this many timestamps.
pub(crate) const CHUNK_RECORDS: usize = 512;

/// Text in a chunk, unless a single record is longer: what a writer copies when a snapshot holds the chunk.
pub(crate) const CHUNK_TEXT_BYTES: usize = 32 * 1024;

/// Chunks in a page of a document's chunks: what a change in their middle moves, and copies if a snapshot holds it.
pub(crate) const CHUNK_PAGE_LEN: usize = 64;

/// Patches of a sealed chunk, beyond which it is opened: each change of one looks through them, and may copy them.
pub(crate) const PATCHES_MAX: usize = 256;

/// Patches of a sealed chunk from which on it is sealed anew with them, without waiting.
pub(crate) const PATCHES_DUE: usize = 64;

/// Patches from which on it is sealed anew when it has been left alone; fewer take less memory than it is worth.
pub(crate) const PATCHES_COLD: usize = 16;

/// Text of the patches of a sealed chunk.
pub(crate) const PATCH_TEXT_BYTES: usize = 32 * 1024;

/// Records inside a sealed chunk that are deleted one by one; for more it is opened.
pub(crate) const PATCHES_REMOVED: usize = 16;

/// The longest pattern that is compiled: longer ones are refused before the parser sees them.
pub(crate) const PATTERN_BYTES_MAX: usize = 8 * 1024;

/// Classes of Unicode (`\w`, `\d`, `\pL`) in a pattern, each looked up in a table in up to 40 µs.
pub(crate) const PATTERN_TABLES_MAX: usize = 100;

/// Characters in the classes of a pattern that ignores case, each looked at in up to 8 ns: enough for five times `[\w.]`.
pub(crate) const PATTERN_FOLDED_CHARS_MAX: usize = 800_000;

/// The size of each automaton of a pattern: some 20,000 states.
pub(crate) const PATTERN_COMPILED_BYTES_MAX: usize = 512 * 1024;

/// The memory of the states of a pattern that are made while it searches; when it is full they are made anew.
pub(crate) const PATTERN_LAZY_BYTES: usize = 256 * 1024;

/// The work of making a state, beside one for each part of the pattern: so a step is at worst a millisecond.
pub(crate) const PATTERN_STATE_WORK: usize = 64;

/// The work of looking for the next of a pattern's prefixes, beside the bytes that are passed.
pub(crate) const PATTERN_PREFIX_WORK: usize = 16;

/// A prefix is no longer than this; those that are extracted from patterns have at most 100 bytes.
pub(crate) const PATTERN_PREFIX_BYTES_MAX: usize = 256;

/// A literal that a pattern needs is looked for first, unless it is shorter and so in nearly every text.
pub(crate) const PATTERN_NEEDED_BYTES_MIN: usize = 3;

/// Compiled patterns kept by a shard: clients repeat a handful.
pub(crate) const PATTERN_CACHE_LEN_MAX: usize = 64;

/// The memory of all of them.
pub(crate) const PATTERN_CACHE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The characters of a pattern that an error repeats, so that an error stays readable.
pub(crate) const ERROR_PATTERN_CHARS_MAX: usize = 200;

/// The things that one step of freeing may drop, in chunks, documents or entries: well under a millisecond.
pub(crate) const GARBAGE_STEP_ITEMS: usize = 256;

/// A deleted document of no more chunks than this is freed on the spot: queueing it would cost as much.
pub(crate) const GARBAGE_INLINE_CHUNKS: usize = 4;

/// Entries of a part of an index, on average at most: splitting one takes some 100 µs.
pub(crate) const INDEX_PART_LEN: usize = 4096;

/// Records or keys of records in one step of a change: even where each makes a collection, half a millisecond.
pub(crate) const CHANGE_ITEMS: usize = 128;

/// Records or keys of records up to which a change is carried out in one go, without the copy that steps need: commonly a
/// third of a millisecond, and some milliseconds where each makes a collection.
pub(crate) const CHANGE_AT_ONCE_ITEMS: usize = 2048;

/// Text in one step of a change, unless a single record is longer: it is copied into the chunk and into the feed.
pub(crate) const CHANGE_TEXT_BYTES: usize = 256 * 1024;

/// Collections that one step of a change looks into, each a few cache misses.
pub(crate) const CHANGE_COLLECTIONS: usize = 512;

/// Chunks that one step takes out of a document, each a cache miss.
pub(crate) const CHANGE_CHUNKS: usize = 1024;

/// Text in a segment of the feed, unless a single change is longer: what growing it may copy at a time.
pub(crate) const SEGMENT_TEXT_BYTES: usize = 512 * 1024;

/// Changes in a segment of the feed, for those that have little text: as many as that much text of records in practice.
pub(crate) const SEGMENT_CHANGES: usize = 8192;

/// Documents that an insertion looks up before it writes to the first: enough to wait for all their memory at once, and so
/// few that what was fetched is still there.
pub(crate) const INSERT_AHEAD: usize = 16;

/// Documents, or records, that a read has fetched from memory before it comes to them.
pub(crate) const READ_AHEAD: usize = 8;

/// Work of making one push, in bytes of text examined and things looked at, beside the piece that it may write.
pub(crate) const PUSH_WORK_MAX: usize = 256 * 1024;

/// Work of one call that makes pushes, in the same measure: about half a millisecond.
pub(crate) const PUMP_WORK_MAX: usize = 512 * 1024;

/// The work of looking at a group of subscriptions.
pub(crate) const GROUP_WORK: usize = 256;
/// The work of pushing to one member of a group.
pub(crate) const MEMBER_WORK: usize = 64;

/// Members that are pushed the same bytes in one go, so that the list of them stays short.
pub(crate) const FANOUT_MAX: usize = 4096;

/// Changes that subscriptions learn of in one step, each a few cache misses.
pub(crate) const INTAKE_CHANGES: usize = 2048;

/// Steps of that before pushes are made.
pub(crate) const INTAKE_STEPS_MAX: usize = 8;

/// Groups of subscriptions that changes are held against in one step.
pub(crate) const INTAKE_WORK_MAX: usize = 16_384;

/// Documents of a deleted collection that they learn of in one step.
pub(crate) const INTAKE_DELETED: usize = 1024;

/// Documents that are gone, of which a collection's order tells that; the subscribers to a collection that loses more at
/// once begin anew.
pub(crate) const ORDER_GONE_MAX: usize = 65_536;

/// Documents that a shard's groups remember to be held back by their filters.
pub(crate) const FAILING_MAX: usize = 2 * 1024 * 1024;

/// The text in a block of a history: what is forgotten at a time.
pub(crate) const HISTORY_BLOCK_BYTES: usize = 64 * 1024;

/// Changes in a block of a history.
pub(crate) const HISTORY_BLOCK_CHANGES: usize = 1024;

/// The weight of a change beside its texts: about what stands around them when it is sent.
pub(crate) const HISTORY_CHANGE_BYTES: usize = 40;

/// The memory of a collection's history: more than the largest buffer that a subscription may ask for.
pub(crate) const HISTORY_BYTES_MAX: usize = 24 * 1024 * 1024;

/// The same while there are subscriptions that take what they are pushed and have not come to its end.
pub(crate) const HISTORY_BURST_BYTES_MAX: usize = 96 * 1024 * 1024;

/// The memory of all histories of a shard.
pub(crate) const HISTORIES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Time for which what is known of a collection's changes is kept when nobody asks for it any more, so that who was cut
/// off can go on.
pub(crate) const KEPT_MS: u64 = 30_000;

/// The memory of the names of which a group remembers whether they match its pattern, counted with the patterns.
pub(crate) const NAMES_KNOWN_BYTES_MAX: usize = 256 * 1024;

/// Collections of which something is kept; while there are more, nothing is of those that nobody asks for.
pub(crate) const TRACKED_KEPT_MAX: usize = 16_384;

/// The longest name of a collection of which something is kept when nobody asks for it.
pub(crate) const KEPT_NAME_BYTES_MAX: usize = 1024;

/// Time for which a subscription may take nothing before what waits for it is held against its buffer.
pub(crate) const SLOW_GRACE_MS: u64 = 100;

/// Time for which a subscription that is being sent all records may take nothing: what they were must be kept for it.
pub(crate) const SNAPSHOT_GRACE_MS: u64 = 10_000;

/// Time between two looks at who takes nothing.
pub(crate) const SLOW_CHECK_MS: u64 = 20;

/// The memory of the patterns of a shard's subscriptions, as large as they can get: those of some thousand different ones.
pub(crate) const SUBSCRIPTION_PATTERNS_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Records in a sealed chunk: an opened one is decoded as a whole, and its block directory is read as a whole.
pub const SEALED_RECORDS_MAX: usize = 64 * 1024;

/// Text in a sealed chunk, unless it holds a single record: so no damaged chunk, however small, makes more of itself.
pub const SEALED_TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Templates of a sealed chunk that a reader takes.
pub(crate) const SEALED_TEMPLATES_MAX: usize = 256;

/// Templates that sealing makes for one chunk: where there are more, the texts are too different to gain by them.
pub(crate) const SEALED_TEMPLATES_MADE: usize = 64;

/// Numbers and varying texts in one template; a text with more is stored as a whole.
pub(crate) const SEALED_SLOTS_MAX: usize = 256;

/// Columns of a sealed chunk: a reader has two buffers of a KiB for each.
pub(crate) const SEALED_COLUMNS_MAX: usize = 1024;

/// Different texts in the dictionary of a column; with more, numbers of texts are little shorter than texts.
pub(crate) const SEALED_DICTIONARY_LEN_MAX: usize = 1024;

/// Templates in a table that chunks share.
pub(crate) const SEALED_TABLE_TEMPLATES_MAX: usize = 4096;

/// What is kept of a buffer of text for the next chunk that is sealed or read.
pub(crate) const SEALED_KEPT_BYTES: usize = 1024 * 1024;

/// The beginning of a literal that is looked for in templates and columns, which takes up to its length squared.
pub(crate) const SEALED_LITERAL_BYTES: usize = 64;

/// Steps of looking for a literal in templates and columns; then it counts as possible.
pub(crate) const SEALED_LITERAL_STEPS: usize = 16 * 1024;

/// Records that a sealed chunk is made of: with half as many a record takes a quarter more, with twice as many little less,
/// and a late record opens them all.
pub(crate) const SEALING_CHUNK_RECORDS: usize = 1024;

/// Text that a sealed chunk is made of, so that reading one of its records takes some tens of microseconds at most.
pub(crate) const SEALING_CHUNK_TEXT_BYTES: usize = 128 * 1024;

/// The newest records of a document, which stay open: more than are commonly asked for.
pub(crate) const SEALING_OPEN_RECORDS: usize = 128;

/// How often that is doubled where records keep coming late: then 8,192 stay open, of which most are so for a while only.
pub(crate) const SEALING_LATENESS_MAX: u8 = 6;

/// Records under which sealing gains next to nothing.
pub(crate) const SEALING_RECORDS_MIN: usize = 16;

/// Rounds for which a document's newest records must have been left alone before all but one are sealed.
pub(crate) const SEALING_IDLE_ROUNDS: u8 = 2;

/// Chunks that are looked at for work in one go.
pub(crate) const SEALING_LOOK_CHUNKS: usize = 1024;

/// Text that takes as long to seal as a record, where records are long.
pub(crate) const SEALING_WORK_TEXT: usize = 128;

/// Records that are given to be sealed at a time, about: half a millisecond of work. If documents have more than that waiting,
/// the thread that seals does not keep up.
pub(crate) const SEALING_WORK_RECORDS: usize = 4096;

/// Pieces of such work that may be under way: enough that the thread that does it need not wait for the core.
pub(crate) const SEALING_UNDER_WAY_MAX: usize = 8;

/// Documents that wait to be looked at; more are found by the round over all.
pub(crate) const SEALING_QUEUE_MAX: usize = 1024 * 1024;

/// Documents that wait, from which on the core helps the thread that seals.
pub(crate) const SEALING_WAITING: usize = 4096;

/// Documents that are looked at for work in one go, each some cache misses.
pub(crate) const SEALING_LOOKS: usize = 64;

/// Documents that a step of the round over all looks at, and chunks in them.
pub(crate) const SEALING_COOL_LOOKS: usize = 1024;

/// The work of looking whether a sealed chunk may hold a literal.
pub(crate) const SEALED_LITERAL_WORK: usize = 1024;
