//! Texts that must not be seen: tokens, cookies, keys.

/// A text that no log line, error or answer can contain by accident: it has no `Debug`, no
/// `Display` and no serialization. `expose` is the one way to it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Each caller hashes or verifies it, or sends it to the one client that
    /// made it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// Whether two digests are the same. Takes the same time wherever they differ.
pub(crate) fn is_equal(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b));
    // The compiler must not stop at the first difference.
    a.len() == b.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_equal_in_all_their_bytes() {
        assert!(is_equal(&[1, 2, 3], &[1, 2, 3]) && is_equal(&[], &[]));
        for other in [&[0, 2, 3][..], &[1, 2, 4], &[1, 2], &[1, 2, 3, 0], &[]] {
            assert!(!is_equal(&[1, 2, 3], other), "{other:?}");
        }
    }
}
