//! The bounds of sources: of mappings, of messages that are read by them, and of tables of
//! devices.

use super::NAME_BYTES_MAX;

/// The largest mapping, in bytes: the largest preset has less than 2 KB.
pub const SOURCE_MAPPING_BYTES_MAX: usize = 16 * 1024;

/// The most alternatives of a mapping: each is tried on each item of a message.
pub const SOURCE_TAKES_MAX: usize = 32;

/// The most entries of any other list or table in a mapping, likewise.
pub const SOURCE_LIST_MAX: usize = 32;

/// The most ways to read a time that a mapping lists.
pub const SOURCE_TIME_FORMS_MAX: usize = 4;

/// The most steps of a pointer, as deep as a message may be.
pub const SOURCE_POINTER_STEPS_MAX: usize = SOURCE_DEPTH_MAX;

/// The largest power of ten that a mapping scales by, either way.
pub const SOURCE_SCALE_MAX: i64 = 9;

/// The longest slot that an arrival is cut to, in milliseconds: some sensors report once a
/// day.
pub const SOURCE_SLOT_MS_MAX: i64 = 24 * 60 * 60 * 1_000;

/// A time of a message before this one is missing, if the mapping does not say otherwise:
/// 2020-01-01T00:00:00Z, Unix milliseconds. A device without a clock sends the time since its
/// start.
pub const SOURCE_NOT_BEFORE_MS: i64 = 1_577_836_800_000;

/// The longest text that a mapping answers with, in bytes.
pub const SOURCE_REPLY_BYTES_MAX: usize = 1_024;

/// How deep a message may be nested. The deepest of a known device has seven levels.
pub const SOURCE_DEPTH_MAX: usize = 16;

/// The most values, arrays and objects in one message: in a component they take 30 bytes each.
pub const SOURCE_NODES_MAX: usize = 200_000;

/// The most columns of a message in CSV.
pub const SOURCE_COLUMNS_MAX: usize = 1_024;

/// The most steps that a mapping takes for each byte of a message. All 32 alternatives tried
/// on each item of a short line are some 20.
pub const SOURCE_STEPS_PER_BYTE: u64 = 64;

/// How many steps it may take whatever the message: a small one may be tried against
/// all of the mapping.
pub const SOURCE_STEPS_FREE: u64 = 100_000;

/// How much of a device's text is kept as it was sent, in characters: a topic of MQTT is
/// longer than a name.
pub const SOURCE_ID_CHARS_MAX: usize = 128;

/// The longest pointer that names a value of a message, in characters; longer ones are cut.
pub const SOURCE_POINTER_CHARS_MAX: usize = 200;

/// The most rows of a source's table of devices.
pub const DEVICE_ROWS_MAX: usize = 100_000;

/// The most different globs in such a table: all are tried for an id that no row has.
pub const DEVICE_GLOBS_MAX: usize = 256;

// A device's text is long enough for a name.
const _: () = assert!(NAME_BYTES_MAX <= SOURCE_ID_CHARS_MAX);
