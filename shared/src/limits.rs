//! Every bound of the application, with its unit in its name and its reason
//! beside it. Relations between them are checked when this is compiled.

/// The longest device id or region, in bytes. Long enough for a UUID or a
/// dotted path, short enough that a batch of the largest stays under the body
/// limit.
pub const NAME_BYTES_MAX: usize = 64;

/// The most readings in one request. One request is one journal entry and is
/// folded whole, so this bounds a fold's smallest step.
pub const READINGS_PER_REQUEST_MAX: usize = 10_000;

/// The default of the variable `max_body_bytes`.
pub const BODY_BYTES_DEFAULT: usize = 8 * 1024 * 1024;

/// What `max_body_bytes` may be set to: a component's memory holds the body,
/// its readings and their journal entry at once.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The most rejected readings that one answer names; the others are counted.
pub const REJECTIONS_NAMED_MAX: usize = 1_000;

/// The longest piece of a request that an answer repeats, in characters.
pub const ECHO_CHARS_MAX: usize = 40;

/// The longest query string, in bytes.
pub const QUERY_BYTES_MAX: usize = 4_096;

/// The most regions in one answer; the next page goes on after the last.
pub const REGIONS_PER_PAGE_MAX: usize = 1_000;

/// The most contradicting readings kept; further ones are counted only.
pub const CONFLICTS_KEPT_MAX: i64 = 10_000;

/// A fold step ends with the entry that reaches this many readings. It bounds
/// memory (about 200 bytes a reading while it is folded) and how long the
/// write lock is held.
pub const READINGS_PER_FOLD_STEP: usize = 32_768;

/// The most entries in a fold step: one key-value call gets them all, and the
/// host answers at most 128 MiB.
pub const ENTRIES_PER_FOLD_STEP_MAX: usize = 1_024;

/// Rows written by one SQL statement. SQLite takes at most 32,766 parameters,
/// and libSQL is paid by the round trip.
pub const ROWS_PER_STATEMENT: usize = 512;

/// Parameters that SQLite takes in one statement (SQLITE_MAX_VARIABLE_NUMBER).
pub const SQL_PARAMETERS_MAX: usize = 32_766;

/// Journal entries from which `ingest` folds after it has answered.
pub const FOLD_DUE_ENTRIES: usize = 64;

/// Journaled readings from which `ingest` folds after it has answered.
pub const FOLD_DUE_READINGS: usize = 16_384;

/// How long `query` may fold before it answers, in milliseconds.
pub const QUERY_FOLD_MS_MAX: u64 = 250;

/// How long a `Prefer: wait` request waits for its fold unless it says how
/// long, in milliseconds.
pub const WAIT_MS_DEFAULT: u64 = 2_000;

/// The longest that a `Prefer: wait` request may wait, in milliseconds.
pub const WAIT_MS_MAX: u64 = 10_000;

/// How long `ingest` may fold after it has answered, in milliseconds.
pub const AFTER_ANSWER_FOLD_MS_MAX: u64 = 5_000;

/// How long to try to apply the schema while others do the same, in
/// milliseconds.
pub const MIGRATION_MS_MAX: u64 = 5_000;

/// Expired ledger rows removed by one fold: more than one usually adds, so
/// that the ledger does not grow without end.
pub const ROWS_PRUNED_PER_FOLD: i64 = 65_536;

/// How much longer than the dedup horizon ledger rows are kept, in
/// milliseconds: a reading accepted just inside the horizon is folded a little
/// later, perhaps by a node whose clock is a little ahead.
pub const PRUNE_SLACK_MS: i64 = 10 * 60 * 1_000;

/// What a sender is told to wait before it tries again, in seconds.
pub const RETRY_AFTER_S: u32 = 5;

/// Parameters that a ledger row takes in a statement.
pub(crate) const LEDGER_COLUMNS: usize = 5;

/// Parameters that a window takes in a statement.
pub(crate) const WINDOW_COLUMNS: usize = 11;

const _: () = assert!(ROWS_PER_STATEMENT * LEDGER_COLUMNS <= SQL_PARAMETERS_MAX);
const _: () = assert!(ROWS_PER_STATEMENT * WINDOW_COLUMNS <= SQL_PARAMETERS_MAX);
const _: () = assert!(READINGS_PER_REQUEST_MAX <= READINGS_PER_FOLD_STEP);
const _: () = assert!((READINGS_PER_FOLD_STEP as i64) < ROWS_PRUNED_PER_FOLD);
const _: () = assert!(BODY_BYTES_DEFAULT <= BODY_BYTES_MAX);
const _: () = assert!(WAIT_MS_DEFAULT <= WAIT_MS_MAX);
const _: () = assert!(FOLD_DUE_READINGS <= READINGS_PER_FOLD_STEP);
// A request of readings with the longest names fits into the default body.
const _: () = assert!(READINGS_PER_REQUEST_MAX * (2 * NAME_BYTES_MAX + 128) <= BODY_BYTES_DEFAULT);
