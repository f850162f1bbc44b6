//! Every bound of the application, with its unit in its name and its reason beside it.
//! Relations between bounds are checked at compile time.

mod access;
mod exchange;
mod excursions;
mod export;
mod formats;
mod intake;
mod pressure;
mod silence;
mod sources;

pub use self::access::*;
pub use self::exchange::*;
pub use self::excursions::*;
pub use self::export::*;
pub use self::formats::*;
pub use self::intake::*;
pub use self::pressure::*;
pub use self::silence::*;
pub use self::sources::*;

// Requests and bodies

/// The most readings in one request. One request is one journal entry and is folded
/// whole, so this bounds the smallest step of a fold.
pub const READINGS_PER_REQUEST_MAX: usize = 10_000;

/// The default of the variable `max_body_bytes`.
pub const BODY_BYTES_DEFAULT: usize = 8 * 1024 * 1024;

/// The upper limit of `max_body_bytes`: a component's memory holds the body, its
/// readings and their journal entry at once.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The most renamings and merges that are listed.
pub const RENAMINGS_LISTED_MAX: i64 = 100;

/// The largest body of a request to `query` or `inspect`, in bytes: a setting, or a
/// correction.
pub const SMALL_BODY_BYTES_MAX: usize = 16 * 1024;

/// How much of a refused body is read and dropped, so that the client reads the answer.
/// A body that is too large by its `content-length` is refused before it is read.
pub const BODY_BYTES_DROPPED_MAX: usize = 64 * 1024 * 1024;

/// How long a whole body may take, in milliseconds: 8 MiB at a megabit per second. It
/// occupies an instance of the component, of which a runtime has about a thousand.
pub const BODY_MS_MAX: u64 = 70_000;

/// How long the next bytes of a body may take, in milliseconds: some retransmissions of
/// TCP over a bad network.
pub const BODY_GAP_MS_MAX: u64 = 10_000;

/// The longest query string, in bytes.
pub const QUERY_BYTES_MAX: usize = 4_096;

const _: () = assert!(BODY_BYTES_DEFAULT <= BODY_BYTES_MAX);
const _: () = assert!(BODY_GAP_MS_MAX <= BODY_MS_MAX);
// A request of readings with the longest names fits into the default body.
const _: () = assert!(READINGS_PER_REQUEST_MAX * (2 * NAME_BYTES_MAX + 128) <= BODY_BYTES_DEFAULT);
// The default body takes no longer than a body may, at a thousand bits per millisecond.
const _: () = assert!(BODY_BYTES_DEFAULT as u64 * 8 / 1_000 <= BODY_MS_MAX);

// Answers and pages

/// How long a client may take to read the next bytes of an answer, in milliseconds.
pub const ANSWER_GAP_MS_MAX: u64 = 10_000;

/// How long a client may take to read a whole answer, in milliseconds.
pub const ANSWER_MS_MAX: u64 = 120_000;

/// The most rejected readings that one answer names; the others are counted.
pub const REJECTIONS_NAMED_MAX: usize = 1_000;

/// The most ignored fields that an answer names, and the most unknown ones that a rejection
/// does; the rejection says how many more there are.
pub const FIELDS_NAMED_MAX: usize = 20;

/// The longest piece of a request that an answer repeats, in characters.
pub const ECHO_CHARS_MAX: usize = 40;

/// The most regions or conflicts in one answer; the next page continues after the last.
/// The last good snapshot keeps as many regions.
pub const ITEMS_PER_PAGE_MAX: usize = 1_000;

/// The most quarantined entries in one answer.
pub const QUARANTINED_LISTED_MAX: usize = 1_000;

/// The most windows in one answer; the next page continues after the last.
pub const WINDOWS_PER_PAGE_MAX: usize = 10_000;

/// The longest window of a fixed length, in minutes: a leap year.
pub const WINDOW_MINUTES_MAX: i64 = 366 * 24 * 60;

/// The most local days in a window: a leap year.
pub const STEP_DAYS_MAX: i64 = 366;

/// The most weeks in a window: a year.
pub const STEP_WEEKS_MAX: i64 = 52;

/// The most months in a window: ten years.
pub const STEP_MONTHS_MAX: i64 = 120;

/// The most years in a window.
pub const STEP_YEARS_MAX: i64 = 10;

/// The longest name or rule of a time zone, in bytes. A rule with all its parts has 80.
pub const TIME_ZONE_BYTES_MAX: usize = 128;

/// The largest zone file, in bytes. The largest that there is has 3 KB.
pub const ZONE_FILE_BYTES_MAX: usize = 64 * 1024;

/// The most windows that an answer is computed from: some hundred milliseconds.
pub const WINDOWS_READ_MAX: i64 = 500_000;

/// Above this many windows, histograms are read region by region: together they would
/// be megabytes.
pub const WINDOWS_READ_AT_ONCE: i64 = 20_000;

/// The most records read to count the devices of several windows at once, and to
/// compute devices and percentiles of parts of hours: two megabytes of runs. Above it,
/// they are unknown.
pub const DETAIL_RECORDS_MAX: i64 = 200_000;

/// The longest range of one device's readings, in days: each of its minutes is looked
/// up.
pub const READINGS_RANGE_DAYS_MAX: i64 = 31;

/// The most readings, and minutes in which they are looked up, that a page of a device's
/// windows is computed from: half a second. A page that reaches it ends early.
pub const STEP_READINGS_MAX: usize = 200_000;

/// The most regions whose newest reading is in `/metrics`: each is a time series in
/// whatever scrapes it.
pub const REGIONS_IN_METRICS_MAX: i64 = 1_000;

/// The most devices whose temperature is in `/metrics`, likewise.
pub const DEVICES_IN_METRICS_MAX: usize = 5_000;

/// The most runs of devices' windows read to say what is measured now: eight megabytes,
/// some 150,000 devices.
pub const LATEST_RUNS_MAX: i64 = 4_096;

/// The most devices of which it is looked up in which other regions they are.
pub const DEVICES_LOOKED_UP_MAX: usize = 2_000;

/// The most silent devices that a region names; the others are counted.
pub const SILENT_NAMED_MAX: usize = 20;

/// The longest silence or gap that can be asked for, in milliseconds: a hundred years.
pub const DURATION_MS_MAX: i64 = 36_500 * 24 * 60 * 60 * 1_000;

/// The most devices looked at to find a page of those that are wanted. A page that reaches
/// it may have fewer, or none, and has a next one.
pub const DEVICES_SCANNED_MAX: usize = 20_000;

/// The age at which the last good snapshot is replaced, in milliseconds.
pub const SNAPSHOT_AGE_MS_MAX: u64 = 10_000;

const _: () = assert!(ANSWER_GAP_MS_MAX <= ANSWER_MS_MAX);
const _: () = assert!(WINDOWS_READ_AT_ONCE <= WINDOWS_READ_MAX);
// A page at the finest step can be computed.
const _: () = assert!(WINDOWS_PER_PAGE_MAX as i64 <= WINDOWS_READ_MAX);

// Journal and fold

/// The default of the variable `journal_max_entries`: listing this many leaves a
/// component room in 64 MiB of memory.
pub const JOURNAL_ENTRIES_DEFAULT: usize = 100_000;

/// The upper limit of `journal_max_entries`: the host lists at most 128 MiB of keys,
/// and what can't be listed can't be folded.
pub const JOURNAL_ENTRIES_MAX: usize = 900_000;

/// The default of the variable `journal_max_bytes`.
pub const JOURNAL_BYTES_DEFAULT: usize = 512 * 1024 * 1024;

/// The upper limit of `journal_max_bytes`, on a 32-bit machine.
pub const JOURNAL_BYTES_MAX: usize = u32::MAX as usize;

/// How long a full journal counts as full without another look, in milliseconds.
pub const JOURNAL_FULL_MS: i64 = 2_000;

/// A fold step ends with the entry that reaches this many readings. With more, each run
/// is written less often: with half of it, a fold takes a third more instructions. With fewer, a fold
/// takes less memory and holds the write lock for a shorter time.
pub const READINGS_PER_FOLD_STEP: usize = 65_536;

/// A fold step ends with the entry that reaches this many bytes.
pub const BYTES_PER_FOLD_STEP: usize = 2 * 1024 * 1024;

/// The most entries in a fold step: one key-value call gets them all, and the host
/// answers at most 128 MiB.
pub const ENTRIES_PER_FOLD_STEP_MAX: usize = 4_096;

/// Above a database server, a fold step has this part of what it may have above a file: each of
/// its statements is a request, and others wait at the server until the transaction has ended.
pub const FOLD_STEP_PARTS_ON_A_SERVER: usize = 8;

/// The least time that a full fold step takes, in milliseconds, on a machine faster
/// than any measured. A time budget allows no more than one step for each such time,
/// because the clock may stand still while a request computes.
pub const FOLD_STEP_MS_MIN: u64 = 20;

/// How long `query` may fold before it answers, in milliseconds.
pub const QUERY_FOLD_MS_MAX: u64 = 250;

/// How long a read waits at least for a database that is busy, in milliseconds, however long the
/// fold before it took: the last connection that is closed locks the file while it tidies up.
pub const READ_BUSY_MS: u64 = 250;

/// How long `ingest` may fold after it has answered, in milliseconds.
pub const AFTER_ANSWER_FOLD_MS_MAX: u64 = 5_000;

/// On average one single-reading request in this many makes `ingest` fold after its
/// answer; the larger a batch, the likelier it does. A fold of few readings writes nearly as much
/// as one of many: with 256, a single reading took 12 KB of writing; with 64, folding was a fifth of
/// its cost. An answer folds what waits in any case.
pub const SINGLES_PER_FOLD: usize = 1_024;

/// The size of a batch that would make `ingest` fold for certain.
pub const FOLD_CERTAIN_AT_READINGS: usize = 65_536;

/// Each further region of a batch makes a fold as likely as this many readings do: it
/// may be new, and the door should know it.
pub const READINGS_PER_REGION_TO_FOLD: usize = 8;

/// The most corrections in one fold step: each changes a dozen windows.
pub const CORRECTIONS_PER_FOLD_STEP: usize = 128;

/// The longest reason of a correction, in bytes.
pub const REASON_BYTES_MAX: usize = 200;

/// The most readings that one request corrects in bulk.
pub const CORRECTED_AT_ONCE_MAX: usize = 1_000;

/// The most entries in quarantine that are tried again at once.
pub const RETRIED_AT_ONCE_MAX: usize = 1_000;

/// How often one fold step starts over to avoid damaged rows. Each time it finds all of
/// one table, and there are three.
pub const DAMAGE_ATTEMPTS_MAX: usize = 6;

/// The most damaged rows known by name; a database with more is beyond repair row by
/// row.
pub const DAMAGED_ROWS_NAMED_MAX: usize = 100;

/// The most damaged rows that one log line names.
pub const DAMAGED_ROWS_LOGGED_MAX: usize = 10;

/// How much newer the newest reading must be before the door is updated, in
/// milliseconds: each update is a write.
pub const DOOR_NEWEST_STEP_MS: i64 = 10 * 60 * 1_000;

/// How long what was read of the door with a request's token holds, in milliseconds: a body
/// may take longer to arrive.
pub const DOOR_FRESH_MS: u64 = 100;

/// After this long without a note of rejected readings, the next one is written for
/// certain, in milliseconds: a note is a synced write of several kilobytes.
pub const REJECTED_NOTED_MS: i64 = 60_000;

/// In a burst of requests, on average one in this many writes a note.
pub const REJECTED_PER_NOTE_MAX: i64 = 256;

/// One more is certain for each such time, in milliseconds: a few devices are found at once.
pub const REJECTED_CERTAIN_MS: i64 = 15_000;

/// So many in a row are certain.
pub const REJECTED_CERTAIN_MAX: i64 = 10;

/// The most rejected items kept.
pub const REJECTIONS_KEPT_MAX: usize = 1_000;

/// Their most bytes: each note writes all.
pub const REJECTIONS_BYTES_MAX: usize = 32 * 1024;

/// The most records of one request: a batch must not displace all others.
pub const REJECTIONS_PER_REQUEST_MAX: usize = 50;

/// The longest detail of such a record, in characters.
pub const REJECTION_DETAIL_CHARS_MAX: usize = 200;

const _: () = assert!(JOURNAL_ENTRIES_DEFAULT <= JOURNAL_ENTRIES_MAX);
// The host can list the keys, though all of them are of the quarantine: at most 123 bytes
// each, and 24 around them.
const _: () = assert!(JOURNAL_ENTRIES_MAX * (123 + 24) <= 128 * 1024 * 1024);
// The host can answer a fold step: its last entry is smaller than the body it came in.
const _: () = assert!(BYTES_PER_FOLD_STEP + BODY_BYTES_MAX <= 128 * 1024 * 1024);
const _: () = assert!(READINGS_PER_REQUEST_MAX <= READINGS_PER_FOLD_STEP);
const _: () = assert!(SINGLES_PER_FOLD <= FOLD_CERTAIN_AT_READINGS);

// Ledger and pruning

/// A run with more bytes is cut. Large enough that the row around it costs little,
/// small enough that a reading that comes alone rewrites no more than a page.
pub const RUN_BYTES_MAX: usize = 2_000;

/// About how many bytes the parts have after a cut: they need room to grow.
pub const RUN_BYTES_CUT: usize = 1_333;

/// The most records merged at once. Their runs take at most 32 MB, whether each record
/// belongs to a run of its own or is one of a dense group.
pub const RECORDS_PER_MERGE_MAX: usize = 8_192;

/// The most rows in one SQL statement, if the database takes as many bindings
/// (`ledger::rows_per_statement`): libSQL is paid by the round trip.
pub const ROWS_PER_STATEMENT: usize = 512;

/// The most bindings in one SQL statement. Parsing them costs as much as what is done with them,
/// and full statements are parsed once for all of a fold: so not many more than rows are wide.
pub const BINDINGS_PER_STATEMENT: usize = 2_048;

/// The most names that are read at once, in the place of looking up each: 2.4 MB where all have 64
/// bytes.
pub const NAMES_READ_AT_ONCE_MAX: usize = 32_768;

/// The most device ids in one statement that looks them up.
pub const DEVICE_IDS_PER_STATEMENT: usize = 8_192;

/// The most contradicting readings kept, the newest; all are counted.
pub const CONFLICTS_KEPT_MAX: i64 = 10_000;

/// The most expired runs of the ledger removed in one transaction. It bounds how long
/// pruning holds the write lock: with the quarter hours that are kept of them, a twentieth of
/// a second.
pub const RUNS_PRUNED_PER_STEP: i64 = 256;

/// How much longer than `retention` ledger rows are kept, in milliseconds: a reading
/// accepted just inside the horizon is folded a little later, perhaps by a node whose
/// clock is a little ahead.
pub const PRUNE_SLACK_MS: i64 = 10 * 60 * 1_000;

/// How long the door must have known the pruning limit before rows go, in milliseconds:
/// longer than a request takes from reading the clock to storing its entry. (It reads
/// the clock after the body has come, and the door at most `DOOR_FRESH_MS` before.)
pub const PRUNE_PUBLISHED_MS_MIN: i64 = 60_000;

/// Pruning takes an hour for past if at least one in this many of the ledger's hours
/// with readings is newer (decision 8).
pub const HOURS_PER_WITNESS: usize = 10;

/// Two hours with readings that are no further apart than this, in milliseconds, belong
/// to the same stretch of time: some sensors report once a day.
pub const HOURS_APART_MAX_MS: i64 = 26 * 60 * 60 * 1_000;

/// The most hours read to tell a clock that is behind from a reading of the future.
pub const HOURS_LOOKED_AT_MAX: i64 = 1_000;

/// A reading older than this, in milliseconds, is looked up in the database if the door
/// was never told how far that was pruned.
pub const OLD_READING_MS: i64 = 24 * 60 * 60 * 1_000;

// A run that is cut has at least two parts, which can grow.
const _: () = assert!(RUN_BYTES_CUT < RUN_BYTES_MAX);
const _: () = assert!(REQUEST_MS_MAX + DOOR_FRESH_MS.cast_signed() < PRUNE_PUBLISHED_MS_MIN);
const _: () = assert!(PRUNE_PUBLISHED_MS_MIN < PRUNE_SLACK_MS);
const _: () = assert!((HOURS_PER_WITNESS as i64) < HOURS_LOOKED_AT_MAX);

// Names

/// The longest device id or region, in bytes. Long enough for a UUID or a dotted path,
/// short enough that a batch with the longest names stays under the body limit.
pub const NAME_BYTES_MAX: usize = 64;

/// The default of the variable `regions_max`. Each region is a card on the page, a
/// series in metrics, and 33 MB of windows a year.
pub const REGIONS_DEFAULT: usize = 10_000;

/// The default of the variable `devices_max`. A device is about a hundred bytes.
pub const DEVICES_DEFAULT: usize = 1_000_000;

/// The upper limit of `regions_max` and `devices_max`.
pub const NAMES_MAX: usize = 100_000_000;

const _: () = assert!(REGIONS_DEFAULT <= NAMES_MAX && DEVICES_DEFAULT <= NAMES_MAX);

// Events

/// The most streams of events at once: each occupies an instance of the component, and
/// looks into the stores every second.
pub const EVENT_STREAMS_MAX: usize = 32;

/// How often a stream looks for something to send, in milliseconds.
pub const EVENTS_EVERY_MS: u64 = 1_000;

/// How often a stream looks into the database although the journal has nothing new, in
/// milliseconds: another request may have folded what came.
pub const EVENTS_LOOK_MS: u64 = 5_000;

/// The longest silence on a stream of events, in milliseconds.
pub const EVENTS_KEEPALIVE_MS: u64 = 5_000;

/// How long one stream of events lasts, in milliseconds: less than the request timeout
/// of proxies and hosted platforms.
pub const EVENTS_MS_MAX: u64 = 25_000;

const _: () = assert!(EVENTS_EVERY_MS <= EVENTS_LOOK_MS && EVENTS_LOOK_MS <= EVENTS_MS_MAX);
const _: () =
    assert!(EVENTS_EVERY_MS <= EVENTS_KEEPALIVE_MS && EVENTS_KEEPALIVE_MS <= EVENTS_MS_MAX);

// Retries and times

/// How long ago a request may have read the clock, in milliseconds. What other requests
/// have written since then is in its future.
pub const REQUEST_MS_MAX: i64 = 10_000;

/// How long a `Prefer: wait` request waits for its fold if it names no time, in
/// milliseconds.
pub const WAIT_MS_DEFAULT: u64 = 2_000;

/// The longest that a `Prefer: wait` request may wait, in milliseconds.
pub const WAIT_MS_MAX: u64 = 10_000;

/// How long to repeat a failing key-value call, in milliseconds.
pub const JOURNAL_RETRY_MS_MAX: u64 = 1_000;

/// How long the regions database may take to open, in milliseconds; one that takes
/// longer counts as away.
pub const REGIONS_RESPONSE_MS_MAX: u64 = 2_000;

/// Failures in a row that open the circuit breaker of the regions database.
pub const BREAKER_FAILURES_TO_OPEN: u32 = 3;

/// The first cool-down of the circuit breaker, in milliseconds.
pub const BREAKER_COOLDOWN_MS_MIN: i64 = 1_000;

/// The longest cool-down of the circuit breaker, in milliseconds: as long as averages
/// may stay stale after the database is back.
pub const BREAKER_COOLDOWN_MS_MAX: i64 = 15_000;

/// How long a sender is told to wait before it tries again, in seconds.
pub const RETRY_AFTER_S: i64 = 5;

/// The same if the operator must do something first, in seconds.
pub const CLOCK_RETRY_AFTER_S: i64 = 60;

/// No node's clock is right before this release: 2026-11-01T00:00:00Z, Unix
/// milliseconds. (A gateway without a clock chip starts in 1970.) To be moved on with
/// each release.
pub const RELEASED_MS: i64 = 1_793_491_200_000;

const _: () = assert!(WAIT_MS_DEFAULT <= WAIT_MS_MAX);
const _: () = assert!(WAIT_MS_MAX <= REQUEST_MS_MAX.unsigned_abs());
const _: () = assert!(AFTER_ANSWER_FOLD_MS_MAX <= REQUEST_MS_MAX.unsigned_abs());
const _: () = assert!(0 < BREAKER_COOLDOWN_MS_MIN);
const _: () = assert!(BREAKER_COOLDOWN_MS_MIN <= BREAKER_COOLDOWN_MS_MAX);
