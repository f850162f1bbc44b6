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

/// How much of a body that turns out to be too large is read and dropped before the
/// answer. (One that says so in its head is refused at once.)
pub const BODY_BYTES_DROPPED_MAX: usize = 64 * 1024 * 1024;

/// How long a body may take as a whole, in milliseconds: 8 MiB at a megabit a second.
/// A component's instance is kept for it, of which a runtime has about a thousand.
pub const BODY_MS_MAX: u64 = 70_000;

/// How long the next bytes of a body may take, in milliseconds: some retransmissions
/// of TCP over a bad network.
pub const BODY_GAP_MS_MAX: u64 = 10_000;

/// How long a client may take to read the next bytes of an answer, in milliseconds.
pub const ANSWER_GAP_MS_MAX: u64 = 10_000;

/// How long a client may take to read all of an answer, in milliseconds.
pub const ANSWER_MS_MAX: u64 = 120_000;

/// The most rejected readings that one answer names; the others are counted.
pub const REJECTIONS_NAMED_MAX: usize = 1_000;

/// The longest piece of a request that an answer repeats, in characters.
pub const ECHO_CHARS_MAX: usize = 40;

/// The longest query string, in bytes.
pub const QUERY_BYTES_MAX: usize = 4_096;

/// The most quarantined entries in one answer.
pub const QUARANTINED_LISTED_MAX: usize = 1_000;

/// The most regions or conflicts in one answer; the next page goes on after the
/// last. The last good snapshot keeps as many regions.
pub const ITEMS_PER_PAGE_MAX: usize = 1_000;

/// The most windows in one answer; the next page goes on after the last.
pub const WINDOWS_PER_PAGE_MAX: usize = 10_000;

/// The longest window, in minutes: a leap year.
pub const WINDOW_MINUTES_MAX: i64 = 366 * 24 * 60;

/// The most records that are read to tell the devices of several windows at once,
/// and the devices and percentiles of parts of hours: two megabytes of runs.
/// Beyond it they are not told.
pub const DETAIL_RECORDS_MAX: i64 = 200_000;

/// The most windows that an answer is computed from: some hundred milliseconds.
pub const WINDOWS_READ_MAX: i64 = 500_000;

/// From this many windows on, histograms are read region by region: together they
/// would be megabytes.
pub const WINDOWS_READ_AT_ONCE: i64 = 20_000;

/// Device ids in one statement that looks for them.
pub const DEVICE_IDS_PER_STATEMENT: usize = 8_192;

/// Damaged rows that are known by name; a database with more is beyond mending row by
/// row.
pub const DAMAGED_ROWS_NAMED_MAX: usize = 100;

/// Damaged rows that one line of the log names.
pub const DAMAGED_ROWS_LOGGED_MAX: usize = 10;

/// How often one step of a fold begins again to go around damaged rows. Each time it
/// finds all of a table, and there are three.
pub const DAMAGE_ATTEMPTS_MAX: usize = 6;

/// The longest range of one device's readings, in days: each of its minutes is
/// looked up.
pub const READINGS_RANGE_DAYS_MAX: i64 = 31;

/// A run with more bytes is cut. So large that the row around it costs little, so
/// small that a reading that comes alone rewrites no more than a page.
pub const RUN_BYTES_MAX: usize = 2_000;

/// Records that are merged at once: where each belongs to a run of its own, or is one
/// of a dense group, their runs take 32 MB at most.
pub const RECORDS_PER_MERGE_MAX: usize = 8_192;

/// About how many bytes the parts then have: they are to grow.
pub const RUN_BYTES_CUT: usize = 1_333;

/// The most contradicting readings kept, the newest; all are counted.
pub const CONFLICTS_KEPT_MAX: i64 = 10_000;

/// A fold step ends with the entry that reaches this many readings. The more, the
/// fewer times a run is written (65,536 would fold a third faster); the fewer, the
/// less memory (10 MiB with so many), and the shorter the write lock is held (less
/// than a tenth of a second).
pub const READINGS_PER_FOLD_STEP: usize = 32_768;

/// The most entries in a fold step: one key-value call gets them all, and the
/// host answers at most 128 MiB.
pub const ENTRIES_PER_FOLD_STEP_MAX: usize = 4_096;

/// The most rows in one SQL statement, where the database takes as many bindings
/// (`ledger::rows_per_statement`): libSQL is paid by the round trip.
pub const ROWS_PER_STATEMENT: usize = 512;

/// How long to repeat a failing key-value call, in milliseconds.
pub const JOURNAL_RETRY_MS_MAX: u64 = 1_000;

/// How long the regions database may take to be opened, in milliseconds; one
/// that takes longer counts as away.
pub const REGIONS_RESPONSE_MS_MAX: u64 = 2_000;

/// Failures in a row after which the regions database is spared.
pub const BREAKER_FAILURES_TO_OPEN: u32 = 3;

/// How long it is spared at first, in milliseconds.
pub const BREAKER_COOLDOWN_MS_MIN: i64 = 1_000;

/// How long it is spared at most, in milliseconds: as long as the averages may
/// go on being stale after the database is back.
pub const BREAKER_COOLDOWN_MS_MAX: i64 = 15_000;

/// How long ago a request may have read the clock, in milliseconds: what another has
/// written since is in its future.
pub const REQUEST_MS_MAX: i64 = 10_000;

/// The default of the variable `journal_max_entries`: a listing of so many
/// leaves a component room in 64 MiB of memory.
pub const JOURNAL_ENTRIES_DEFAULT: usize = 100_000;

/// What `journal_max_entries` may be set to: the host lists at most 128 MiB of
/// keys, and what can't be listed can't be folded.
pub const JOURNAL_ENTRIES_MAX: usize = 1_000_000;

/// The default of the variable `journal_max_bytes`.
pub const JOURNAL_BYTES_DEFAULT: usize = 512 * 1024 * 1024;

/// What `journal_max_bytes` may be set to, on a machine of 32 bits.
pub const JOURNAL_BYTES_MAX: usize = u32::MAX as usize;

/// How long a full journal is taken to be full without looking again, in
/// milliseconds.
pub const JOURNAL_FULL_MS: i64 = 2_000;

/// How old the last good snapshot may be before another is kept, in
/// milliseconds.
pub const SNAPSHOT_AGE_MS_MAX: u64 = 10_000;

/// A fold step ends with the entry that reaches this many bytes.
pub const BYTES_PER_FOLD_STEP: usize = 2 * 1024 * 1024;

/// As much as this many readings, a region makes `ingest` fold after its answer: what
/// may be new should be known to the door.
pub const READINGS_PER_REGION_TO_FOLD: usize = 8;

/// Of single readings, one in so many makes `ingest` fold after its answer; of
/// batches, the more the larger they are. (With 64, folding was a fifth of what a
/// single reading cost.)
pub const SINGLES_PER_FOLD: usize = 256;

/// A batch of so many readings would make `ingest` fold for certain.
pub const FOLD_CERTAIN_AT_READINGS: usize = 65_536;

/// What a full step of a fold takes at least, in milliseconds, on a machine faster than
/// any measured. Where the clock stands still while a request computes, a budget of time
/// ends after as many steps.
pub const FOLD_STEP_MS_MIN: u64 = 20;

/// How long `query` may fold before it answers, in milliseconds.
pub const QUERY_FOLD_MS_MAX: u64 = 250;

/// How long a `Prefer: wait` request waits for its fold unless it says how
/// long, in milliseconds.
pub const WAIT_MS_DEFAULT: u64 = 2_000;

/// The longest that a `Prefer: wait` request may wait, in milliseconds.
pub const WAIT_MS_MAX: u64 = 10_000;

/// How long `ingest` may fold after it has answered, in milliseconds.
pub const AFTER_ANSWER_FOLD_MS_MAX: u64 = 5_000;

/// Expired runs of the ledger removed in one transaction, which bounds how long it
/// holds the write lock.
pub const RUNS_PRUNED_PER_STEP: i64 = 1_024;

/// How much longer than the dedup horizon ledger rows are kept, in
/// milliseconds: a reading accepted just inside the horizon is folded a little
/// later, perhaps by a node whose clock is a little ahead.
pub const PRUNE_SLACK_MS: i64 = 10 * 60 * 1_000;

/// How long the door must have known how far will be pruned before it is, in
/// milliseconds: longer than a request takes, from its look at the clock to its entry.
/// (The body has come before that look.)
pub const PRUNE_PUBLISHED_MS_MIN: i64 = 60_000;

/// Of the hours in which the ledger has readings, one in this many must have come
/// after an hour, the newest, before pruning takes it for past (decision 8).
pub const HOURS_PER_WITNESS: usize = 10;

/// How much newer the newest reading must be before the door is told, in milliseconds:
/// each time is a write.
pub const DOOR_NEWEST_STEP_MS: i64 = 10 * 60 * 1_000;

/// Entries in quarantine that are tried again at once.
pub const RETRIED_AT_ONCE_MAX: usize = 1_000;

/// Two hours with readings that are no further apart than this, in milliseconds, are
/// taken for the same run of time: some sensors report once a day.
pub const HOURS_APART_MAX_MS: i64 = 26 * 60 * 60 * 1_000;

/// Hours that are looked at to tell a clock that is behind from a reading of the future.
pub const HOURS_LOOKED_AT_MAX: i64 = 1_000;

/// A reading that is older than this, in milliseconds, is looked up in the database
/// where the door was never told how far that was pruned.
pub const OLD_READING_MS: i64 = 24 * 60 * 60 * 1_000;

/// The default of the variable `regions_max`. Each region is a card on the page, a
/// series in metrics, and 33 MB of windows a year.
pub const REGIONS_DEFAULT: usize = 10_000;

/// The default of the variable `devices_max`. A device is about a hundred bytes.
pub const DEVICES_DEFAULT: usize = 1_000_000;

/// What `regions_max` and `devices_max` may be set to.
pub const NAMES_MAX: usize = 100_000_000;

/// How long after a note of rejected readings the next one is written for certain, in
/// milliseconds: a note is a synced write of several kilobytes.
pub const REJECTED_NOTED_MS: i64 = 60_000;

/// Of requests that come all at once, one in this many writes a note.
pub const REJECTED_PER_NOTE_MAX: i64 = 256;

/// What a sender is told to wait before it tries again, in seconds.
pub const RETRY_AFTER_S: i64 = 5;

/// The same where the operator must do something first, in seconds.
pub const CLOCK_RETRY_AFTER_S: i64 = 60;

/// No node's clock is right before this release: 2026-11-01T00:00:00Z, Unix
/// milliseconds. (A gateway without a clock chip starts in 1970.) To be moved on with
/// each release.
pub const RELEASED_MS: i64 = 1_793_491_200_000;

const _: () = assert!(READINGS_PER_REQUEST_MAX <= READINGS_PER_FOLD_STEP);
const _: () = assert!(BODY_BYTES_DEFAULT <= BODY_BYTES_MAX);
const _: () = assert!(WAIT_MS_DEFAULT <= WAIT_MS_MAX);
const _: () = assert!(BODY_GAP_MS_MAX <= BODY_MS_MAX);
const _: () = assert!(EVENTS_EVERY_MS <= EVENTS_LOOK_MS && EVENTS_LOOK_MS <= EVENTS_MS_MAX);
const _: () = assert!(REGIONS_DEFAULT <= NAMES_MAX && DEVICES_DEFAULT <= NAMES_MAX);
const _: () = assert!(WINDOWS_READ_AT_ONCE <= WINDOWS_READ_MAX);
const _: () = assert!(PRUNE_PUBLISHED_MS_MIN < PRUNE_SLACK_MS);
// A request of readings with the longest names fits into the default body.
const _: () = assert!(READINGS_PER_REQUEST_MAX * (2 * NAME_BYTES_MAX + 128) <= BODY_BYTES_DEFAULT);

/// Regions whose newest reading `/metrics` tells: each is a time series of its own
/// in who scrapes it.
pub const REGIONS_IN_METRICS_MAX: i64 = 1_000;

/// Streams of events at once: each keeps an instance of the component, and looks into
/// the stores every second.
pub const EVENT_STREAMS_MAX: usize = 32;

/// When a stream looks into the database though the journal has nothing new, in
/// milliseconds: somebody else may have folded what came.
pub const EVENTS_LOOK_MS: u64 = 5_000;

/// How long one stream of events lasts, in milliseconds: less than what proxies
/// and hosted platforms end a request after.
pub const EVENTS_MS_MAX: u64 = 25_000;

/// How often it is looked whether there is something to tell, in milliseconds.
pub const EVENTS_EVERY_MS: u64 = 1_000;

/// How long nothing is written to a stream of events, in milliseconds.
pub const EVENTS_KEEPALIVE_MS: u64 = 5_000;
