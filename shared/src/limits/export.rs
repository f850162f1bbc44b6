//! The bounds of `GET /v1/readings`, whose pages are much larger than others.

use super::NAME_BYTES_MAX;

/// The most readings on a page of `GET /v1/readings`: a month of 40 sensors, with a reading
/// a minute each, is 18 pages.
pub const READINGS_PER_PAGE_MAX: usize = 100_000;

/// The most readings on such a page if the request does not say.
pub const READINGS_PER_PAGE_DEFAULT: usize = 10_000;

/// Such a page ends before it has more bytes than this. They are allocated at once, and
/// 100,000 readings fit with names of some thirty characters together; the whole instance
/// needs less than the 32 MiB that it has on a gateway.
pub const READINGS_PAGE_BYTES_MAX: usize = 12 * 1024 * 1024;

/// The most bytes of a reading on such a page: two names, and what is around them.
pub const READING_BYTES_MAX: usize = 2 * NAME_BYTES_MAX + 112;

/// The most pieces of the ledger that such a page looks at. What is asked for may be rare;
/// with this many a page takes about a second at most, and says where the next one begins.
pub const PIECES_PER_PAGE_MAX: usize = 128;

/// The most runs in a piece of the ledger, and for one device the most minutes: two
/// megabytes of runs.
pub const RUNS_PER_PIECE_MAX: usize = 1_024;

/// A piece of the ledger ends with the run that reaches this many readings: a megabyte.
pub const READINGS_PER_PIECE: usize = 32_768;

// A month (31 days) of 40 sensors that report every minute takes fewer than 20 requests.
const _: () = assert!(40 * 31 * 24 * 60 <= 19 * READINGS_PER_PAGE_MAX);
const _: () = assert!(READINGS_PER_PAGE_DEFAULT <= READINGS_PER_PAGE_MAX);
// A page that is full has looked at no more than it may, though each run has one reading.
const _: () = assert!(READINGS_PER_PAGE_MAX < PIECES_PER_PAGE_MAX * RUNS_PER_PIECE_MAX);
