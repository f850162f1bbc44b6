//! Checksums of stored data.

use twox_hash::XxHash64;

/// The lower half of the XXH64 of `bytes`, little endian.
///
/// XXH64 is a dozen times faster than a cryptographic hash. It detects damage, not
/// forgery.
pub(crate) fn checksum(seed: u64, bytes: &[u8]) -> [u8; 4] {
    let hash = XxHash64::oneshot(seed, bytes);
    let [a, b, c, d, ..] = hash.to_le_bytes();
    [a, b, c, d]
}
