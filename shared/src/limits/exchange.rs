//! The bounds of the exchange with other nodes.

use super::{NAME_BYTES_MAX, REASON_BYTES_MAX};

/// The most batches that a sender asks about, and so the most that are under way to a peer.
pub const BATCHES_ASKED_MAX: usize = 64;

/// The most corrections of a batch.
pub const CORRECTIONS_PER_BATCH_MAX: usize = 1_000;

/// The longest text of a correction (`Correction::to_text`), in bytes.
pub const CORRECTION_BYTES_MAX: usize = 3 * NAME_BYTES_MAX + REASON_BYTES_MAX + 64;

/// The longest name of a credential, in bytes.
pub const WHO_BYTES_MAX: usize = 64;

/// The most batches of a sender that are kept to tell that they were counted.
pub const RECEIVED_KEPT: i64 = 1_024;

/// The most databases under one name that are known as senders. A gateway whose database was
/// made again is another one; the last of them count.
pub const SENDERS_PER_NAME_MAX: i64 = 16;

/// The most senders that are known. One that is forgotten sends everything again.
pub const SENDERS_MAX: i64 = 10_000;

/// A sender that has readings of this many minutes to send, or fewer, is not behind: the newest
/// are always on their way.
pub const BEHIND_MINUTES_USUAL: i64 = 2;

/// The variable `outbox_max_bytes`: how much of the ledger is kept beyond `retention` for
/// peers that may not have it.
pub const OUTBOX_BYTES_DEFAULT: usize = 256 * 1024 * 1024;
/// See `OUTBOX_BYTES_DEFAULT`.
pub const OUTBOX_BYTES_MAX: usize = u32::MAX as usize;

/// The most minutes of a batch.
pub const MINUTES_PER_BATCH_MAX: i64 = 2_000;

/// The longest origin of a peer, in bytes without its scheme.
pub const ORIGIN_BYTES_MAX: usize = 261;

/// Reasons by which a peer's rejections are told apart.
pub const REASONS_PUT_ASIDE: [&str; 4] = ["in_future", "too_old", "too_many_names", "forbidden"];

/// After how long readings that were ahead of a peer's clock are sent again, in
/// milliseconds.
pub const ASIDE_AHEAD_MS: i64 = 60 * 1_000;

/// After how long other rejected readings are sent again, in milliseconds: until then the
/// peer's settings may be others.
pub const ASIDE_MS: i64 = 24 * 60 * 60 * 1_000;

/// After so many answers that did not know a batch to be counted, and after so long, it is
/// sent again: the peer's journal was lost. A peer that is busy takes minutes to count.
pub const ANSWERS_PER_BATCH_MAX: i64 = 6;
/// See `ANSWERS_PER_BATCH_MAX`; milliseconds.
pub const BATCH_LOST_MS: u64 = 10 * 60 * 1_000;

/// How long to wait before asking again where as many batches are under way as may be, in
/// milliseconds: the peer is counting.
pub const SYNC_FULL_MS: u64 = 500;

/// How long the database may take for a step of the exchange, in milliseconds.
pub const SYNC_STEP_MS_MAX: u64 = 10_000;

/// The longest that `POST /v1/sync` works on, in milliseconds: a timer that can only call
/// once a minute has beats all the same.
pub const SYNC_FOR_MS_MAX: u64 = 55_000;

/// From the beginning of one beat to that of the next, in milliseconds.
pub const SYNC_EVERY_MS: u64 = 10_000;

/// How long the lease of beats lasts without being renewed, in milliseconds: as long as an
/// exchange may take.
pub const LEASE_MS: i64 = 30_000;

/// The most exchanges with a peer in a beat.
pub const EXCHANGES_PER_BEAT_MAX: usize = 10_000;

/// The most bytes of a peer's answer: it names each rejected reading.
pub const SYNC_ANSWER_BYTES_MAX: usize = 256 * 1024;

/// How long nothing is sent to a peer that refused, in milliseconds: somebody has to change
/// something first.
pub const SYNC_REFUSED_MS: i64 = 5 * 60 * 1_000;

/// The longest wait after failures that pass by themselves, in milliseconds.
pub const SYNC_BACKOFF_MS_MAX: i64 = 30_000;

/// How much of an error of a peer is kept, in characters.
pub const SYNC_ERROR_CHARS_MAX: usize = 300;

/// A sender is silent after this long without a contact, in milliseconds (variable
/// `sender_silent_after`).
pub const SENDER_SILENT_MS_DEFAULT: i64 = 5 * 60 * 1_000;
