//! One sort for all types. The standard library's would be compiled into a component
//! once per sorted type, at eight kilobytes each.
//!
//! Most keys differ in few of their bits: readings of some minutes, of devices whose ids are
//! small. These bits, put together, leave room in 64 bits for the place of the item, and are
//! sorted by their digits, eight bits at a time: a third of the instructions of a sort that
//! compares.

/// Sorts `items` by key. The sort is stable.
#[inline(never)] // It has a name in profiles: xtask/src/instructions.rs.
pub(crate) fn sort_by_key<T>(items: &mut [T], key: impl Fn(&T) -> u128) {
    let mut keys = Vec::with_capacity(items.len());
    keys.extend(items.iter().map(key));
    if let Some(mut places) = order(keys) {
        arrange(items, &mut places);
    }
}

/// The index of each key in the order of the keys; `None` if they are in order already.
#[inline(never)]
fn order(keys: Vec<u128>) -> Option<Vec<u64>> {
    if keys.is_sorted() {
        return None;
    }
    let first = keys.first().copied().unwrap_or(0);
    let differ = keys.iter().fold(0, |differ, key| differ | key ^ first);
    let Some(packing) = Packing::of(differ, keys.len()) else {
        let mut keys: Vec<(u128, u64)> = keys.into_iter().zip(0..).collect();
        keys.sort_unstable();
        return Some(keys.into_iter().map(|(_, place)| place).collect());
    };
    let mut packed = Vec::with_capacity(keys.len());
    packed.extend(keys.iter().zip(0..).map(|(key, place)| packing.packed(*key, place)));
    drop(keys);
    sort_packed(&mut packed, packing.place_bits);
    packed.iter_mut().for_each(|key| *key &= packing.place_mask());
    Some(packed)
}

/// How the bits in which keys differ are put together: as pieces of neighbouring bits, above the
/// place of the item.
struct Packing {
    /// Of each piece its mask, when it is shifted down by the second number.
    pieces: Vec<(u64, u32, u32)>,
    place_bits: u32,
}

impl Packing {
    /// `None` if there is no room for keys that differ in these bits, of so many items.
    fn of(mut differ: u128, items: usize) -> Option<Self> {
        let place_bits = usize::BITS - items.leading_zeros();
        if differ.count_ones() + place_bits > u64::BITS {
            return None;
        }
        let (mut pieces, mut to) = (Vec::new(), place_bits);
        while differ != 0 {
            let from = differ.trailing_zeros();
            let length = (!(differ >> from)).trailing_zeros();
            let mask = u64::MAX >> (u64::BITS - length);
            pieces.push((mask, from, to));
            to += length;
            differ &= !(u128::from(mask) << from);
        }
        Some(Self { pieces, place_bits })
    }

    fn packed(&self, key: u128, place: u64) -> u64 {
        let piece = |(mask, from, to): &(u64, u32, u32)| {
            let low = key >> from & u128::from(*mask);
            u64::try_from(low).unwrap_or(u64::MAX) << to
        };
        self.pieces.iter().map(piece).fold(place, |packed, piece| packed | piece)
    }

    fn place_mask(&self) -> u64 {
        (1 << self.place_bits) - 1
    }
}

/// Fewer are sorted by comparing them.
const FEW: usize = 128;

/// Sorts by the bits above the lowest ones, which are in order.
fn sort_packed(keys: &mut Vec<u64>, place_bits: u32) {
    if keys.len() <= FEW {
        return keys.sort_unstable();
    }
    let differ = keys.iter().fold(0, |all, key| all | key) >> place_bits << place_bits;
    let mut sorted = vec![0; keys.len()];
    let mut shift = place_bits;
    while shift < u64::BITS && differ >> shift != 0 {
        sort_by_digit(keys, &mut sorted, shift);
        std::mem::swap(keys, &mut sorted);
        shift += 8;
    }
}

/// Puts `keys` into `sorted`, by eight bits; those that have the same stay in their order.
fn sort_by_digit(keys: &[u64], sorted: &mut [u64], shift: u32) {
    let digit = |key: u64| usize::from((key >> shift).to_le_bytes()[0]);
    let mut begins = [0_usize; 256];
    for key in keys {
        if let Some(count) = begins.get_mut(digit(*key)) {
            *count += 1;
        }
    }
    let mut before = 0;
    for begin in &mut begins {
        before += std::mem::replace(begin, before);
    }
    for key in keys {
        if let Some(next) = begins.get_mut(digit(*key))
            && let Some(place) = sorted.get_mut(*next)
        {
            *place = *key;
            *next += 1;
        }
    }
}

/// Puts each item where `places` has its index, along the cycles of the permutation.
/// Returns how many places it visited: each once.
fn arrange<T>(items: &mut [T], places: &mut [u64]) -> usize {
    let mut looked_at = 0;
    for start in 0..places.len() {
        let mut to = start;
        while let Some(place) = places.get_mut(to) {
            looked_at += 1;
            // From now on the place says that the right item is here.
            let from = std::mem::replace(place, u64::try_from(to).unwrap_or(u64::MAX));
            let from = usize::try_from(from).unwrap_or(usize::MAX);
            if from == start || from == to {
                break;
            }
            items.swap(to, from);
            to = from;
        }
    }
    looked_at
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

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
        let mut places: Vec<u64> = [count as u64].into_iter().chain(0..count as u64).collect();
        let looked_at = arrange(&mut items, &mut places);
        assert!(items.is_sorted());
        assert!(looked_at <= 2 * items.len(), "{looked_at} looks for {} items", items.len());
    }

    proptest! {
        #[test]
        fn keys_of_any_bits_are_sorted_and_equals_keep_their_order(
            keys in vec((any::<u128>(), 0..6_u32), 0..400), differ: u128, narrow: bool,
        ) {
            // Few bits that differ, anywhere; or all of them.
            let mask = if narrow { differ & differ.rotate_left(9) & differ.rotate_left(50) } else { u128::MAX };
            let key = |(key, repeated): (u128, u32)| (key | !mask) ^ u128::from(repeated / 5);
            let mut items: Vec<(u128, usize)> = keys.into_iter().map(key).zip(0..).collect();
            let mut expected = items.clone();
            expected.sort_by_key(|(key, _)| *key);
            sort_by_key(&mut items, |(key, _)| *key);
            prop_assert_eq!(items, expected);
        }
    }
}
