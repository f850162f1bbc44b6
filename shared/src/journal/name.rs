//! The name of an entry, from which a fold plans its steps.

use sha2::{Digest, Sha256};

use crate::base::digest::hex;
use crate::journal::keys;

/// What identifies an entry: the part of its key after the prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryName {
    text: String,
    /// The lowest timestamp; `None` in keys of older releases.
    pub(super) base: Option<u64>,
    readings: usize,
    bytes: usize,
    hash: Hash,
}

/// What an entry's value is hashed by. The number of digits in its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    /// The first `BLAKE3_BYTES` of it.
    Blake3,
    /// In keys of older releases.
    Sha256,
}

/// Bytes of BLAKE3 in a name. An attacker who wants to overwrite another's entry has to find a
/// second text for 192 bits.
const BLAKE3_BYTES: usize = 24;

impl Hash {
    /// The one that has this many hex digits.
    fn with_digits(digits: usize) -> Option<Self> {
        const BLAKE3_DIGITS: usize = 2 * BLAKE3_BYTES;
        const SHA256_DIGITS: usize = 64;
        match digits {
            BLAKE3_DIGITS => Some(Self::Blake3),
            SHA256_DIGITS => Some(Self::Sha256),
            _ => None,
        }
    }

    /// The hash of a value, in hex.
    fn of(self, value: &[u8]) -> String {
        match self {
            Self::Blake3 => {
                let all = blake3::hash(value);
                hex(all.as_bytes().get(..BLAKE3_BYTES).unwrap_or_default())
            }
            Self::Sha256 => hex(&Sha256::digest(value)),
        }
    }
}

impl EntryName {
    /// The name of a new entry with this value, lowest timestamp and number of readings.
    pub(super) fn of(value: &[u8], base: u64, readings: usize) -> Self {
        Self::hashed_by(Hash::Blake3, value, Some(base), readings)
    }

    /// The name that an older release gave it.
    #[cfg(test)]
    pub(super) fn of_older_release(value: &[u8], base: Option<u64>, readings: usize) -> Self {
        Self::hashed_by(Hash::Sha256, value, base, readings)
    }

    /// Whether the value is the one that has this name: nothing of it was damaged.
    pub(super) fn is_of(&self, value: &[u8]) -> bool {
        Self::hashed_by(self.hash, value, self.base, self.readings) == *self
    }

    fn hashed_by(hash: Hash, value: &[u8], base: Option<u64>, readings: usize) -> Self {
        let bytes = value.len();
        let base_text = base.map_or(String::new(), |base| format!("{base:012x}-"));
        let text = format!("{base_text}{readings:08x}-{bytes:08x}-{}", hash.of(value));
        Self { text, base, readings, bytes, hash }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (base, rest) = match text.split_once('-')? {
            (base, rest) if base.len() == BASE_CHARS => (Some(base), rest),
            _ => (None, text),
        };
        let base = match base {
            Some(base) => Some(u64::from_str_radix(base, 16).ok()?),
            None => None,
        };
        let mut parts = rest.split('-');
        let mut number = || usize::from_str_radix(parts.next()?, 16).ok();
        let (readings, bytes) = (number()?, number()?);
        let hash = Hash::with_digits(parts.next()?.len())?;
        let is_whole = parts.next().is_none() && (base.is_some() || hash == Hash::Sha256);
        is_whole.then(|| Self { text: text.to_owned(), base, readings, bytes, hash })
    }

    /// The name of the entry under `key`, if that is the key of a journal entry.
    pub fn from_key(key: &str) -> Option<Self> {
        let prefixes = [keys::ENTRY, keys::ENTRY_OF_SHA256, keys::ENTRY_WITHOUT_BASE];
        let name = Self::parse(prefixes.into_iter().find_map(|prefix| key.strip_prefix(prefix))?)?;
        // Each name has exactly one key.
        (name.journal_key() == key).then_some(name)
    }

    /// The lowest timestamp of its readings, in Unix milliseconds; 0 if the key does
    /// not have it.
    pub fn base_ms(&self) -> u64 {
        self.base.unwrap_or(0)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The number of readings in the entry, by its key.
    pub fn readings(&self) -> usize {
        self.readings
    }

    /// The length of the entry's value in bytes, by its key.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn journal_key(&self) -> String {
        let prefix = match (self.hash, self.base) {
            (Hash::Blake3, _) => keys::ENTRY,
            (Hash::Sha256, Some(_)) => keys::ENTRY_OF_SHA256,
            (Hash::Sha256, None) => keys::ENTRY_WITHOUT_BASE,
        };
        format!("{prefix}{}", self.text)
    }
}

/// Hex digits of a timestamp: enough for the year 9999.
const BASE_CHARS: usize = 12;
