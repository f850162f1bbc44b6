//! Bytes that are left to decode: what `varint` and lengths wrote.

use crate::base::varint;

/// The bytes left. Each function takes from the front; `None` is what no encoder wrote.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        varint::take(&mut self.0).ok()
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.bytes()? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    /// A length, or a number of things, of at most `most`.
    pub(crate) fn length(&mut self, most: usize) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|length| *length <= most)
    }

    /// A text of at most so many bytes.
    pub(crate) fn text(&mut self, bytes_max: usize) -> Option<&'a str> {
        let length = self.length(bytes_max)?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

pub(crate) fn put_length(out: &mut Vec<u8>, length: usize) {
    varint::put(out, u64::try_from(length).unwrap_or(u64::MAX));
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}
