//! Distinct names of a list.

use std::collections::HashMap;

/// The distinct names in order of first appearance, and for each listed name its place
/// among them.
#[derive(Debug, Default)]
pub(crate) struct Distinct<'a> {
    pub(crate) names: Vec<&'a str>,
    pub(crate) places: Vec<usize>,
}

impl<'a> Distinct<'a> {
    pub(crate) fn of(all: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let mut places = Vec::with_capacity(all.len());
        let (mut names, mut place_of) = (Vec::new(), HashMap::new());
        for name in all {
            let place = *place_of.entry(name).or_insert(names.len());
            if place == names.len() {
                names.push(name);
            }
            places.push(place);
        }
        Self { names, places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_place_of_its_first() {
        let distinct = Distinct::of(["b", "a", "b", "c", "a"].into_iter());
        assert_eq!(distinct.names, ["b", "a", "c"]);
        assert_eq!(distinct.places, [0, 1, 0, 2, 1]);
    }
}
