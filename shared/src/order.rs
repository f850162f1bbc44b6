//! Sorting, once for all: the standard library's sort would be in a component once
//! for every type that is sorted, at eight kilobytes each.

/// Puts `items` in the order of their keys; those of the same key keep theirs.
pub(crate) fn sort_by_key<T: Clone>(items: &mut Vec<T>, key: impl Fn(&T) -> u128) {
    let mut keys: Vec<(u128, usize)> = Vec::with_capacity(items.len());
    keys.extend(items.iter().enumerate().map(|(index, item)| (key(item), index)));
    if keys.is_sorted() {
        return;
    }
    sort(&mut keys);
    *items = keys.iter().filter_map(|(_, index)| items.get(*index).cloned()).collect();
}

#[inline(never)]
fn sort(keys: &mut [(u128, usize)]) {
    keys.sort_unstable();
}

/// Numbers of 32 bits as one key, in which the first counts most.
pub(crate) fn key_of(parts: [u32; 4]) -> u128 {
    parts.iter().fold(0, |key, part| (key << 32) | u128::from(*part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_part_counts_most_and_equals_keep_their_order() {
        let mut items = vec![(2, 'a'), (1, 'b'), (2, 'c'), (1, 'd'), (0, 'e')];
        sort_by_key(&mut items, |(number, _)| key_of([*number, 7, 7, 7]));
        assert_eq!(items, [(0, 'e'), (1, 'b'), (1, 'd'), (2, 'a'), (2, 'c')]);
        assert!(key_of([0, 0, 1, 0]) > key_of([0, 0, 0, u32::MAX]));
        assert!(key_of([1, 0, 0, 0]) > key_of([0, u32::MAX, u32::MAX, u32::MAX]));
    }
}
