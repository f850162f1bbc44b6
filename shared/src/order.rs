//! Sorting, once for all: the standard library's sort would be in a component once
//! for every type that is sorted, at eight kilobytes each.

/// Puts `items` in the order of their keys; those of the same key keep theirs.
pub(crate) fn sort_by_key<T>(items: &mut [T], key: impl Fn(&T) -> u128) {
    let mut keys = Vec::with_capacity(items.len());
    keys.extend(items.iter().enumerate().map(|(index, item)| {
        let half = |bits| u64::try_from(bits).unwrap_or(u64::MAX);
        let key = key(item);
        (half(key >> 64), half(key & u128::from(u64::MAX)), index)
    }));
    if keys.is_sorted() {
        return;
    }
    sort(&mut keys);
    // Where an item was is followed on through the swaps that have moved it.
    for to in 0..keys.len() {
        let mut from = index_of(&keys, to);
        while from < to {
            from = index_of(&keys, from);
        }
        items.swap(to, from);
    }
}

/// The halves of a key, and where its item was: eight bytes less than with the key
/// as it is, in what is the largest part of a fold's memory.
type Place = (u64, u64, usize);

#[inline(never)]
fn sort(keys: &mut [Place]) {
    keys.sort_unstable();
}

fn index_of(keys: &[Place], to: usize) -> usize {
    keys.get(to).map_or(to, |(_, _, index)| *index)
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

    #[test]
    fn it_is_the_order_of_the_standard_library() {
        for count in [0, 1, 2, 3, 10, 1_000] {
            let mut items: Vec<(u128, u128)> =
                (0..count).map(|i| (i * 7_919 % 1_009 % 100, i)).collect();
            let mut expected = items.clone();
            expected.sort();
            sort_by_key(&mut items, |(key, _)| (*key << 70) + (1_000 - *key));
            assert_eq!(items, expected);
        }
    }
}
