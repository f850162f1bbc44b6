//! One sort for all types. The standard library's would be compiled into a component
//! once per sorted type, at eight kilobytes each.

/// Sorts `items` by key. The sort is stable.
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
    arrange(items, &mut keys);
}

/// Puts each item where `places` has its index, along the cycles of the permutation.
/// Returns how many places it visited: each once.
fn arrange<T>(items: &mut [T], places: &mut [Place]) -> usize {
    let mut looked_at = 0;
    for start in 0..places.len() {
        let mut to = start;
        while let Some((_, _, from)) = places.get_mut(to) {
            looked_at += 1;
            // From now on the place says that the right item is here.
            let from = std::mem::replace(from, to);
            if from == start || from == to {
                break;
            }
            items.swap(to, from);
            to = from;
        }
    }
    looked_at
}

/// The halves of a key, and the index of its item. Eight bytes less than with the whole
/// key, in the largest part of a fold's memory.
type Place = (u64, u64, usize);

#[inline(never)]
fn sort(keys: &mut [Place]) {
    keys.sort_unstable();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_keep_their_order() {
        let mut items = vec![(2, 'a'), (1, 'b'), (2, 'c'), (1, 'd'), (0, 'e')];
        sort_by_key(&mut items, |(number, _)| *number);
        assert_eq!(items, [(0, 'e'), (1, 'b'), (1, 'd'), (2, 'a'), (2, 'c')]);
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

    #[test]
    fn a_straggler_behind_sorted_items_costs_no_more_than_any_other_order() {
        // Sorted by key, except that the last item belongs first.
        let count = 10_000;
        let mut items: Vec<usize> = (1..=count).chain([0]).collect();
        let mut places: Vec<Place> = [(0, 0, count)]
            .into_iter()
            .chain((0..count).map(|index| (0, index as u64 + 1, index)))
            .collect();
        let looked_at = arrange(&mut items, &mut places);
        assert!(items.is_sorted());
        assert!(looked_at <= 2 * items.len(), "{looked_at} looks for {} items", items.len());
    }
}
