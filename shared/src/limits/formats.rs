//! The bounds of bodies in other formats than JSON.

/// The most tags and fields together of a line in InfluxDB's line protocol. Telegraf's widest
/// plugins write about two hundred.
pub const LINE_PARTS_MAX: usize = 512;

/// The most members of a gzip stream. Each may have a table of its own, which takes some
/// microseconds; programs that compress in blocks of 64 KiB write 128 for the default body.
pub const GZIP_MEMBERS_MAX: usize = 1_024;
