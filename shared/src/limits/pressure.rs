//! How senders are slowed down before they are refused.

/// The highest pressure of the journal: it is at its bound. At half of the bound it is 0.
pub const JOURNAL_PRESSURE_MAX: u8 = 8;

/// How long a request waits before its answer at the highest pressure of the journal, in
/// milliseconds; with less pressure, less by its square. A sender that waits for answers is slowed
/// down to what is folded, long before its patience ends.
pub const PRESSURE_PAUSE_MS_MAX: u64 = 512;

/// Under pressure, one request in this many folds, at least.
pub const REQUESTS_PER_FOLD_UNDER_PRESSURE: u64 = 8;
