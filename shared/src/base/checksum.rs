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

/// The XXH64 of `bytes`. It is the same on every machine and in every release.
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    XxHash64::oneshot(seed, bytes)
}

/// A key to sort and group texts by: equal texts have equal keys, and others practically never.
pub(crate) fn text_key(text: &str) -> u128 {
    u128::from(hash(0, text.as_bytes())) << 64 | u128::from(hash(1, text.as_bytes()))
}
