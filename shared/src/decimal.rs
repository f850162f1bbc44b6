//! JSON decimals as scaled integers, exactly: no binary floating point on the
//! way from a sensor's text to storage.

/// What becomes of the digits that the scale has no place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// To the nearest; a half goes away from zero.
    HalfAwayFromZero,
    /// Dropped.
    TowardZero,
}

/// The value of a JSON number times ten to the power of `scale`, as an integer.
///
/// `number` must follow the grammar of RFC 8259, section 6. Numbers of any
/// length are taken; `None` if the result has more than 18 digits, which is
/// more than any quantity here.
pub(crate) fn scaled(number: &str, scale: i64, rounding: Rounding) -> Option<i64> {
    short(number, scale).or_else(|| any(number, scale, rounding))
}

/// The numbers that sensors send, at a fraction of the cost: a few digits, none of
/// which the scale has no place for. `None` for all others.
fn short(number: &str, scale: i64) -> Option<i64> {
    const DIGITS_MAX: usize = 15;
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    if unsigned.len() > DIGITS_MAX {
        return None;
    }
    let (mut value, mut places) = (0_i64, None);
    for byte in unsigned.bytes() {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + i64::from(byte - b'0');
                places = places.map(|places| places + 1);
            }
            b'.' => places = Some(0),
            _ => return None,
        }
    }
    let zeros = u32::try_from(scale - places.unwrap_or(0)).ok()?;
    let value = value.checked_mul(10_i64.checked_pow(zeros)?)?;
    Some(if unsigned.len() < number.len() { -value } else { value })
}

fn any(number: &str, scale: i64, rounding: Rounding) -> Option<i64> {
    let (negative, unsigned) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, saturating_exponent(exponent)),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));

    let digits = || whole.bytes().chain(fraction.bytes()).map(|b| i64::from(b.wrapping_sub(b'0')));
    let leading_zeros = digits().take_while(|&d| d == 0).count();
    let point = length(whole).saturating_sub(length_of(leading_zeros));
    let significant = digits().skip(leading_zeros);
    if significant.clone().next().is_none() {
        return Some(0);
    }

    // How many significant digits stand before the scaled point; below 0 the
    // value is less than a tenth of a unit, which no rounding brings back.
    let kept = point.saturating_add(exponent).saturating_add(scale);
    let kept = match usize::try_from(kept) {
        Ok(kept) if kept <= 18 => kept,
        Ok(_) => return None,
        Err(_negative) => return Some(0),
    };
    let padded = significant.chain(std::iter::repeat(0));
    let value = padded.clone().take(kept).fold(0i64, |value, digit| value * 10 + digit);
    let next = padded.clone().nth(kept).unwrap_or(0);
    let up = i64::from(rounding == Rounding::HalfAwayFromZero && next >= 5);
    Some(if negative { -(value + up) } else { value + up })
}

fn length(text: &str) -> i64 {
    length_of(text.len())
}

fn length_of(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An exponent too long for 64 bits is as good as the largest: its number is
/// either zero or out of range.
fn saturating_exponent(text: &str) -> i64 {
    let bound = if text.starts_with('-') { i64::MIN / 4 } else { i64::MAX / 4 };
    text.parse::<i64>().map_or(bound, |e| e.clamp(i64::MIN / 4, i64::MAX / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milli(number: &str) -> Option<i64> {
        scaled(number, 3, Rounding::HalfAwayFromZero)
    }

    #[test]
    fn decimals_are_taken_exactly() {
        for (number, expected) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0", 0),
            ("21", 21_000),
            ("21.5", 21_500),
            ("21.437", 21_437),
            ("-273.15", -273_150),
            ("0.001", 1),
            ("-0.001", -1),
            ("2.15e1", 21_500),
            ("2150E-2", 21_500),
            ("0.0000215e+6", 21_500),
            ("1e3", 1_000_000),
        ] {
            assert_eq!(milli(number), Some(expected), "{number}");
        }
    }

    #[test]
    fn short_numbers_are_what_all_are() {
        for whole in ["0", "7", "21", "1000", "123456789012", "999999999999999", "9999999999999999"]
        {
            for fraction in ["", ".0", ".5", ".25", ".125", ".0005", ".999"] {
                for sign in ["", "-"] {
                    let number = format!("{sign}{whole}{fraction}");
                    for (scale, rounding) in
                        [(3, Rounding::HalfAwayFromZero), (0, Rounding::TowardZero)]
                    {
                        let expected = any(&number, scale, rounding);
                        assert_eq!(scaled(&number, scale, rounding), expected, "{number}");
                    }
                }
            }
        }
    }

    #[test]
    fn finer_digits_are_rounded_half_away_from_zero() {
        for (number, expected) in [
            ("21.4375", 21_438),
            ("-21.4375", -21_438),
            ("21.400000000000002", 21_400),
            ("21.43749999999999999999999", 21_437),
            ("0.0005", 1),
            ("0.0004999", 0),
            ("5e-4", 1),
            ("5e-5", 0),
        ] {
            assert_eq!(milli(number), Some(expected), "{number}");
        }
    }

    #[test]
    fn fractions_can_be_dropped_instead() {
        let whole = |number| scaled(number, 0, Rounding::TowardZero);
        assert_eq!(whole("1700000000000"), Some(1_700_000_000_000));
        assert_eq!(whole("1700000000000.999"), Some(1_700_000_000_000));
        assert_eq!(whole("1.7e12"), Some(1_700_000_000_000));
        assert_eq!(whole("-0.9"), Some(0));
    }

    #[test]
    fn numbers_of_400_digits_are_no_trouble() {
        let long = "9".repeat(400);
        assert_eq!(milli(&long), None);
        assert_eq!(milli(&format!("21.{}", "5".repeat(400))), Some(21_556));
        assert_eq!(milli(&format!("{}e-399", "2".repeat(400))), Some(2_222));
        assert_eq!(milli(&format!("1e{long}")), None);
        assert_eq!(milli(&format!("1e-{long}")), Some(0));
        assert_eq!(milli(&format!("0e{long}")), Some(0));
        assert_eq!(milli(&format!("0.{}1", "0".repeat(400))), Some(0));
    }
}
