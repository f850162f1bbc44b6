//! What is kept of sources, and of senders without a clock.

/// The longest name of a source, in bytes.
pub const SOURCE_NAME_BYTES_MAX: usize = 32;

/// The largest body of a message to a source, in bytes, after inflating. Lines may have as much
/// as readings in JSON.
pub const SOURCE_BODY_BYTES_MAX: usize = 1024 * 1024;

/// The most sources of which something is stored: each is read for the list of them.
pub const SOURCES_MAX: usize = 100;

/// The largest body with a table of devices, in bytes: 100,000 rows of some 80.
pub const TABLE_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most requests by one ingest key in a minute. A gateway that sends each message of its
/// devices alone has some hundred.
pub const KEY_USES_PER_MINUTE_MAX: u64 = 1_200;

/// One request in this many counts for all of them.
pub const KEY_USES_PER_NOTE: u64 = 8;

/// The longest id of a device in a source's messages that is kept, in bytes.
pub const SOURCE_ID_BYTES_MAX: usize = 512;

/// The most devices listed of a source that are not in its table.
pub const UNKNOWN_DEVICES_MAX: usize = 1_000;

/// The most bodies kept of a source of which something could not be used.
pub const REFUSED_BODIES_MAX: usize = 20;

/// How much of such a body is kept, in bytes.
pub const REFUSED_BODY_BYTES_MAX: usize = 2_048;

/// How long a sender's own number stands for the same reading, in milliseconds: counters wrap
/// and start again, and a message that is sent again comes within some hours.
pub const NUMBER_MS: i64 = 6 * 60 * 60 * 1_000;

/// How long numbers are kept, in milliseconds: readings may have waited in the journal for
/// long while the database was away.
pub const NUMBERS_KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1_000;

// Hints on devices that seem to be set up wrong

/// Fewer readings of a device say nothing about its mean.
pub const HINT_READINGS_MIN: i64 = 12;

/// Of fewer devices in a region, any may be the wrong one.
pub const HINT_DEVICES_MIN: i64 = 3;

/// In a region with more devices, none is looked at: all of their windows would be read.
pub const HINT_DEVICES_MAX: i64 = 2_000;

/// The most regions looked at.
pub const HINT_REGIONS_MAX: i64 = 200;

/// How far a mean may be from that of the region in the other unit, in degrees: devices of one
/// room differ by that.
pub const HINT_TOLERANCE_C: f64 = 4.0;

/// The most hints of a kind.
pub const HINTS_MAX: usize = 100;

/// The least lag that is no chance, in quarter hours.
pub const LAG_QUARTERS_MIN: i64 = 2;

/// The largest: no time zone is further from UTC.
pub const LAG_QUARTERS_MAX: i64 = 14 * 4;

/// How long a reading may be on its way, in milliseconds, beside a lag of whole quarter hours.
pub const LAG_ON_THE_WAY_MS: i64 = 2 * 60 * 1_000;

/// How far a device's clock may be ahead beside it, in milliseconds.
pub const LAG_EARLY_MS: i64 = 60 * 1_000;

/// How long a lag must have been the same to be told, in milliseconds.
pub const LAG_STEADY_MS: i64 = 2 * 24 * 60 * 60 * 1_000;

/// After this long without it, it begins anew, in milliseconds.
pub const LAG_GAP_MS: i64 = 26 * 60 * 60 * 1_000;

/// How often the lag of a device is written at most, in milliseconds.
pub const LAG_NOTED_MS: i64 = 6 * 60 * 60 * 1_000;

/// The most devices of a request whose lag is looked at, and the most that are kept.
pub const LAGS_PER_REQUEST_MAX: usize = 100;
/// See above.
pub const LAGS_MAX: usize = 200;

const _: () = assert!(LAG_NOTED_MS < LAG_GAP_MS && LAG_GAP_MS < LAG_STEADY_MS);
const _: () = assert!(2 * NUMBER_MS < NUMBERS_KEPT_MS);
