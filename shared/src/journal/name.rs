//! The name of an entry, from which a fold plans its steps.

use sha2::{Digest, Sha256};

use crate::journal::keys;

/// What identifies an entry: the part of its key after the prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryName {
    text: String,
    /// The lowest timestamp; `None` in keys of older releases.
    pub(super) base: Option<u64>,
    readings: usize,
    bytes: usize,
}

impl EntryName {
    pub(super) fn of(value: &[u8], base: Option<u64>, readings: usize) -> Self {
        let bytes = value.len();
        let mut text = base.map_or(String::new(), |base| format!("{base:012x}-"));
        text += &format!("{readings:08x}-{bytes:08x}-");
        for byte in Sha256::digest(value) {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('?'));
            }
        }
        Self { text, base, readings, bytes }
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
        let digest = parts.next()?;
        let whole = digest.len() == DIGEST_CHARS && parts.next().is_none();
        whole.then(|| Self { text: text.to_owned(), base, readings, bytes })
    }

    /// The name of the entry under `key`, if that is the key of a journal entry.
    pub fn from_key(key: &str) -> Option<Self> {
        let name = match key.strip_prefix(keys::ENTRY) {
            Some(name) => Self::parse(name)?,
            None => Self::parse(key.strip_prefix(keys::ENTRY_WITHOUT_BASE)?)?,
        };
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
        let prefix = if self.base.is_some() { keys::ENTRY } else { keys::ENTRY_WITHOUT_BASE };
        format!("{prefix}{}", self.text)
    }
}

/// Hex digits of a SHA-256.
const DIGEST_CHARS: usize = 64;

/// Hex digits of a timestamp: enough for the year 9999.
const BASE_CHARS: usize = 12;
