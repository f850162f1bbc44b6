//! A source: a kind of sender whose messages are read by a mapping.

use crate::base::input::{Input, put_text};
use crate::limits;

/// How many bytes of a mapping's SHA-256 name it.
pub(crate) const DIGEST_BYTES: usize = 16;

/// By which source and mapping readings came: kept with them in the journal and counted in the
/// database, so an average can name the rules that it was read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfSource<'a> {
    /// The source's name: 1 to 32 of `A-Z a-z 0-9 . _ -`.
    pub name: &'a str,
    /// The first bytes of the SHA-256 of the mapping.
    pub digest: [u8; DIGEST_BYTES],
}

impl<'a> OfSource<'a> {
    /// Whether a source may have this name.
    pub fn is_name(name: &str) -> bool {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let length = (1..=limits::SOURCE_NAME_BYTES_MAX).contains(&name.len());
        length && name.bytes().all(allowed) && !matches!(name, "." | "..")
    }

    /// Appends its name and digest.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_text(out, self.name);
        out.extend(self.digest);
    }

    /// Takes what `put` wrote; `None` if it can't have written that.
    pub(crate) fn take(input: &mut Input<'a>) -> Option<Self> {
        let name = input.text(limits::SOURCE_NAME_BYTES_MAX)?;
        let digest = input.bytes()?;
        Self::is_name(name).then_some(Self { name, digest })
    }
}
