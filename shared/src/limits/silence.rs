//! Silent devices: when a device that sends nothing is one.

/// How many times the usual gap between its readings may pass before a device is silent.
pub const GAPS_TO_SILENCE: i64 = 3;

/// A device is not silent before its newest reading is this old, in milliseconds: a
/// gateway may send for its devices once a minute.
pub const SILENT_AFTER_MS_MIN: i64 = 2 * 60 * 1_000;

/// When a device is silent of which it is not known how often it sends, in milliseconds.
pub const SILENT_AFTER_MS_UNLEARNED: i64 = 60 * 60 * 1_000;

/// The longest interval that a device is expected to send at, in milliseconds.
pub const EXPECTED_INTERVAL_MS_MAX: i64 = 7 * 24 * 60 * 60 * 1_000;

/// The most devices of which an interval can be set: all are read for every answer about
/// devices.
pub const DEVICE_SETTINGS_MAX: i64 = 10_000;
