//! One sort for all types. The standard library's would be compiled into a component
//! once per sorted type, at eight kilobytes each.
//!
//! Most keys differ in few of their bits: readings of some minutes, of devices whose ids are
//! small. These bits, put together, leave room in 64 bits for the place of the item, and are
//! sorted by their digits, eight bits at a time: half of the instructions of a sort that
//! compares, and less code.

/// Sorts `items` by key. The sort is stable.
#[inline(never)] // It has a name in profiles: xtask/src/instructions.rs.
pub(crate) fn sort_by_key<T>(items: &mut [T], key: impl Fn(&T) -> u128) {
    let mut keys = Vec::with_capacity(items.len());
    keys.extend(items.iter().map(key));
    if let Some(mut places) = order(keys) {
        arrange(items, &mut places);
    }
}

/// Sorts `items` by text, byte by byte. The sort is stable, and for some thousands at most: each is
/// put where it belongs.
pub(crate) fn sort_by_text<T>(items: &mut [T], text: impl Fn(&T) -> &str) {
    let mut places = order_of_texts(&items.iter().map(text).collect::<Vec<_>>());
    arrange(items, &mut places);
}

#[inline(never)]
fn order_of_texts(texts: &[&str]) -> Vec<u64> {
    let text_at = |place: u64| usize::try_from(place).ok().and_then(|place| texts.get(place));
    let mut places: Vec<u64> = Vec::with_capacity(texts.len());
    for (text, place) in texts.iter().zip(0..) {
        let before = |other: &u64| text_at(*other).is_some_and(|other| other <= text);
        // Nearly always behind all others.
        let is_last = places.last().is_none_or(before);
        places.insert(if is_last { places.len() } else { places.partition_point(before) }, place);
    }
    places
}

/// The index of each key in the order of the keys; `None` if they are in order already.
#[inline(never)]
fn order(keys: Vec<u128>) -> Option<Vec<u64>> {
    if keys.is_sorted() {
        return None;
    }
    let place_bits = usize::BITS - keys.len().leading_zeros();
    let first = keys.first().copied().unwrap_or(0);
    let mut differ = keys.iter().fold(0, |differ, key| differ | key ^ first);
    let mut places: Vec<u64> = (0..).take(keys.len()).collect();
    // Nearly always once: the bits fit.
    while differ != 0 {
        let packing = Packing::of(&mut differ, place_bits);
        for place in &mut places {
            *place |= packing.packed(key_at(&keys, *place));
        }
        sort_packed(&mut places, place_bits);
        places.iter_mut().for_each(|place| *place &= (1 << place_bits) - 1);
    }
    Some(places)
}

fn key_at(keys: &[u128], place: u64) -> u128 {
    usize::try_from(place).ok().and_then(|place| keys.get(place)).copied().unwrap_or(0)
}

/// How bits of a key are put together: as pieces of neighbouring bits, above the place of the item.
struct Packing {
    /// Of each piece its mask, when it is shifted down, by how far, and how far up it belongs.
    pieces: Vec<(u64, u32, u32)>,
}

impl Packing {
    /// Takes as many of the lowest bits in `differ` as there is room for.
    fn of(differ: &mut u128, place_bits: u32) -> Self {
        let (mut pieces, mut to) = (Vec::new(), place_bits);
        while *differ != 0 && to < u64::BITS {
            let from = differ.trailing_zeros();
            let length = (!(*differ >> from)).trailing_zeros().min(u64::BITS - to);
            let mask = u64::MAX >> (u64::BITS - length);
            pieces.push((mask, from, to));
            to += length;
            *differ &= !(u128::from(mask) << from);
        }
        Self { pieces }
    }

    fn packed(&self, key: u128) -> u64 {
        let piece = |(mask, from, to): &(u64, u32, u32)| {
            let low = key >> from & u128::from(*mask);
            u64::try_from(low).unwrap_or(u64::MAX) << to
        };
        self.pieces.iter().map(piece).fold(0, |packed, piece| packed | piece)
    }
}

/// Sorts by the bits above the lowest ones; those that have the same stay in their order.
fn sort_packed(keys: &mut Vec<u64>, place_bits: u32) {
    /// Fewer are put where they belong one by one.
    const FEW: usize = 32;
    if keys.len() < FEW {
        return insert_each(keys, place_bits);
    }
    let differ = keys.iter().fold(0, |all, key| all | key);
    let mut sorted = vec![0; keys.len()];
    let mut shift = place_bits;
    while shift < u64::BITS && differ >> shift != 0 {
        sort_by_digit(keys, &mut sorted, shift);
        std::mem::swap(keys, &mut sorted);
        shift += 8;
    }
}

fn insert_each(keys: &mut [u64], place_bits: u32) {
    for end in 1..=keys.len() {
        let Some((last, sorted)) = keys.get_mut(..end).and_then(|keys| keys.split_last_mut())
        else {
            return;
        };
        let place = sorted.partition_point(|key| key >> place_bits <= *last >> place_bits);
        if let Some(later) = keys.get_mut(place..end) {
            later.rotate_right(1);
        }
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
        fn texts_are_sorted_and_equals_keep_their_order(texts in vec("[ab]{0,2}", 0..40)) {
            let mut items: Vec<(String, usize)> = texts.into_iter().zip(0..).collect();
            let mut expected = items.clone();
            expected.sort();
            sort_by_text(&mut items, |(text, _)| text);
            prop_assert_eq!(items, expected);
        }

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
