//! Distinct names of a list.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

/// The distinct names in order of first appearance, and for each listed name its place
/// among them.
#[derive(Debug)]
pub(crate) struct Distinct<'a> {
    pub(crate) names: Vec<&'a str>,
    pub(crate) places: Vec<usize>,
    place_of: HashMap<&'a str, usize, SeedableRandomState>,
}

impl<'a> Distinct<'a> {
    pub(crate) fn of(all: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let mut places = Vec::with_capacity(all.len());
        let (mut names, mut place_of) = (Vec::new(), HashMap::with_hasher(hasher()));
        let mut seen: [Option<(&str, usize)>; SEEN] = [None; SEEN];
        for name in all {
            let mut nowhere = None;
            let seen = seen.get_mut(slot(name)).unwrap_or(&mut nowhere);
            let place = match *seen {
                Some((same, place)) if std::ptr::eq(same, name) => place,
                _ => {
                    let place = *place_of.entry(name).or_insert(names.len());
                    if place == names.len() {
                        names.push(name);
                    }
                    *seen = Some((name, place));
                    place
                }
            };
            places.push(place);
        }
        Self { names, places, place_of }
    }

    /// The place of a name among the distinct ones, if it is one of them.
    pub(crate) fn place_of(&self, name: &str) -> Option<usize> {
        self.place_of.get(name).copied()
    }
}

/// How many of the last names are known by where their text is: the readings of an entry share the
/// texts of their regions, which are not hashed again.
const SEEN: usize = 64;

/// Where a text with this address is remembered: by the upper six bits of a product, which spread
/// neighbours evenly (Knuth, TAOCP 6.4, "Fibonacci hashing").
fn slot(name: &str) -> usize {
    let spread = (name.as_ptr().addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::from(spread.to_be_bytes()[0] >> 2)
}

/// A hash that takes a third of the standard library's instructions. Names are from outside, and
/// many of one hash would take a request's time: so all of its seed is as random as the standard
/// library's, where foldhash by itself would have to guess what differs between instances.
fn hasher() -> SeedableRandomState {
    static SEED: OnceLock<SharedSeed> = OnceLock::new();
    let random = RandomState::new();
    let seed = SEED.get_or_init(|| SharedSeed::from_u64(random.hash_one(0)));
    SeedableRandomState::with_seed(random.hash_one(1), seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_place_of_its_first() {
        let distinct = Distinct::of(["b", "a", "b", "c", "a"].into_iter());
        assert_eq!(distinct.names, ["b", "a", "c"]);
        assert_eq!(distinct.places, [0, 1, 0, 2, 1]);
        assert_eq!(
            ["b", "a", "c", "d"].map(|name| distinct.place_of(name)),
            [Some(0), Some(1), Some(2), None]
        );
    }

    #[test]
    fn texts_at_the_same_place_are_the_same_name_only_if_they_are_as_long() {
        let text = "region-10";
        let names = [text, &text[..8], text, "region-10", &text[..8]];
        let distinct = Distinct::of(names.into_iter());
        assert_eq!(distinct.names, ["region-10", "region-1"]);
        assert_eq!(distinct.places, [0, 1, 0, 0, 1]);
        let many: Vec<String> = (0..1_000).map(|i| format!("name-{}", i % 300)).collect();
        let again = many.iter().chain(&many).map(String::as_str).collect::<Vec<_>>();
        let distinct = Distinct::of(again.iter().copied());
        assert_eq!(distinct.names.len(), 300);
        assert!(again.iter().zip(&distinct.places).all(|(name, at)| distinct.names[*at] == *name));
    }

    #[test]
    fn every_list_has_a_seed_of_its_own() {
        let [one, other] = [hasher(), hasher()].map(|hasher| hasher.hash_one("name"));
        assert_ne!(one, other);
    }
}
