//! Variable-length integers: LEB128, zigzag for signed ones.

/// Why no integer could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoInteger {
    /// The bytes end within the integer.
    Truncated,
    /// The integer has more than 64 bits.
    TooLarge,
}

pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = (value & 0x7f).to_le_bytes()[0];
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Takes an integer from the front of `bytes`.
pub(crate) fn take(bytes: &mut &[u8]) -> Result<u64, NoInteger> {
    // Most have one or two bytes.
    match **bytes {
        [byte, ref rest @ ..] if byte < 0x80 => {
            *bytes = rest;
            Ok(u64::from(byte))
        }
        [low, high, ref rest @ ..] if high < 0x80 => {
            *bytes = rest;
            Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
        }
        _ => take_long(bytes),
    }
}

#[inline(never)]
fn take_long(bytes: &mut &[u8]) -> Result<u64, NoInteger> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(NoInteger::Truncated)?;
        *bytes = rest;
        // The tenth byte has room for one bit.
        if shift == 63 && byte > 1 {
            return Err(NoInteger::TooLarge);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(NoInteger::TooLarge)
}

/// Maps small magnitudes of either sign to small unsigned numbers.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// The number that has a mark in it.
const MARKED: u64 = 1 << 22;

/// A number like `zigzag`'s with a mark, for numbers below 2²¹ in magnitude: temperatures in
/// thousandths of a degree, and differences of two. Without the mark it is that of `zigzag`,
/// and as short; with it, it takes four bytes.
pub(crate) fn marked(value: i64, is_marked: bool) -> u64 {
    zigzag(value) | if is_marked { MARKED } else { 0 }
}

/// The number and its mark.
pub(crate) fn unmarked(value: u64) -> (i64, bool) {
    (unzigzag(value & !MARKED), value & MARKED != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn more_than_64_bits_are_no_integer() {
        let bytes = |last: u8| [&[0xff; 9][..], &[last]].concat();
        assert_eq!(take(&mut bytes(1).as_slice()), Ok(u64::MAX));
        for last in [2, 3, 0x7f, 0x80, 0x81, 0xff] {
            assert_eq!(take(&mut bytes(last).as_slice()), Err(NoInteger::TooLarge), "{last}");
        }
        // 2⁶⁴, which would be 0 in 64 bits.
        let bytes = [&[0x80; 9][..], &[2]].concat();
        assert_eq!(take(&mut bytes.as_slice()), Err(NoInteger::TooLarge));
        assert_eq!(take(&mut &[0x80; 9][..]), Err(NoInteger::Truncated));
    }

    #[test]
    fn a_mark_leaves_the_number_alone_whatever_two_temperatures_differ_by() {
        for value in [0, 1, -1, 21_500, 1_000_000, -273_150, 1_273_150, -1_273_150] {
            assert_eq!(marked(value, false), zigzag(value));
            for is_marked in [false, true] {
                assert_eq!(unmarked(marked(value, is_marked)), (value, is_marked));
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_put_is_taken_and_nothing_more(value: u64, behind: u8) {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            bytes.push(behind);
            let mut input = bytes.as_slice();
            prop_assert_eq!(take(&mut input), Ok(value));
            prop_assert_eq!(input, &[behind]);
        }

        #[test]
        fn an_integer_is_the_same_whatever_stands_behind_it(
            value: u64, bits in 0..=64_u32, behind in prop::collection::vec(any::<u8>(), 0..10),
        ) {
            let value = value.checked_shr(bits).unwrap_or(0);
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            bytes.extend(&behind);
            let mut input = bytes.as_slice();
            prop_assert_eq!(take(&mut input), Ok(value));
            prop_assert_eq!(input, behind.as_slice());
        }

        #[test]
        fn bytes_are_read_as_one_by_one(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let (mut expected, mut rest) = (0_u128, bytes.as_slice());
            let length = bytes.iter().take_while(|byte| **byte >= 0x80).count() + 1;
            for (index, byte) in bytes.iter().take(length.min(10)).enumerate() {
                expected |= u128::from(byte & 0x7f) << (7 * index);
            }
            let expected = match (length <= bytes.len(), u64::try_from(expected)) {
                (true, Ok(value)) if length <= 10 => Ok(value),
                (false, _) if bytes.len() < 10 => Err(NoInteger::Truncated),
                _ => Err(NoInteger::TooLarge),
            };
            prop_assert_eq!(take(&mut rest), expected);
        }

        #[test]
        fn signed_integers_come_back(value: i64) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
