//! Decimals parsed exactly into scaled integers. Nothing between a sensor's text and
//! storage is binary floating point.

/// What happens to digits beyond the scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// Rounded to nearest, halves away from zero.
    HalfAwayFromZero,
    /// Dropped.
    TowardZero,
}

/// A decimal number split into its parts, valid by construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal<'a> {
    is_negative: bool,
    /// Digits, at least one.
    whole: &'a str,
    /// Digits after the point, possibly none.
    fraction: &'a str,
    /// Digits with an optional sign, possibly none.
    exponent: &'a str,
}

impl<'a> Decimal<'a> {
    /// Parses all of `text` by the number grammar of RFC 8259, section 6: no plus sign,
    /// no space, no leading zero, digits on both sides of a point.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let is_negative = unsigned.len() < text.len();
        let (whole, rest) = digits(unsigned);
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(rest) => Some(digits(rest)).filter(|(fraction, _)| !fraction.is_empty())?,
            None => ("", rest),
        };
        let exponent = match rest.strip_prefix(['e', 'E']) {
            Some(exponent) => {
                let (figures, rest) = digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
                if figures.is_empty() || !rest.is_empty() {
                    return None;
                }
                exponent
            }
            None if rest.is_empty() => "",
            None => return None,
        };
        Some(Self { is_negative, whole, fraction, exponent })
    }

    /// The value times 10 to the power of `scale`, as an integer. `None` if that has
    /// more than 18 digits, which is more than any quantity here.
    pub(crate) fn scaled(self, scale: i64, rounding: Rounding) -> Option<i64> {
        self.short(scale).or_else(|| self.any(scale, rounding))
    }

    /// The fast path for what sensors send: few digits, no exponent, no digit beyond
    /// the scale. `None` for all others.
    fn short(self, scale: i64) -> Option<i64> {
        const DIGITS_MAX: usize = 15;
        if !self.exponent.is_empty() || self.whole.len() + self.fraction.len() > DIGITS_MAX {
            return None;
        }
        let zeros = u32::try_from(scale - length(self.fraction)).ok()?;
        let value = self.digits().fold(0_i64, |value, digit| value * 10 + digit);
        let value = value.checked_mul(10_i64.checked_pow(zeros)?)?;
        Some(if self.is_negative { -value } else { value })
    }

    fn digits(self) -> impl Iterator<Item = i64> + Clone + use<'a> {
        self.whole.bytes().chain(self.fraction.bytes()).map(|byte| i64::from(byte & 15))
    }

    fn any(self, scale: i64, rounding: Rounding) -> Option<i64> {
        let leading_zeros = self.digits().take_while(|&d| d == 0).count();
        let point = length(self.whole).saturating_sub(length_of(leading_zeros));
        let significant = self.digits().skip(leading_zeros);
        if significant.clone().next().is_none() {
            return Some(0);
        }

        // The number of significant digits before the scaled point. Below 0, the value
        // is less than a tenth of a unit and rounds to 0.
        let exponent = saturating_exponent(self.exponent);
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
        Some(if self.is_negative { -(value + up) } else { value + up })
    }
}

/// Splits `text` after its leading digits.
fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn length(text: &str) -> i64 {
    length_of(text.len())
}

fn length_of(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// An exponent too long for 64 bits is clamped: the number is zero or out of range
/// either way.
fn saturating_exponent(text: &str) -> i64 {
    if text.is_empty() {
        return 0;
    }
    let bound = if text.starts_with('-') { i64::MIN / 4 } else { i64::MAX / 4 };
    text.parse::<i64>().map_or(bound, |e| e.clamp(i64::MIN / 4, i64::MAX / 4))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn scaled(number: &str, scale: i64, rounding: Rounding) -> Option<i64> {
        Decimal::parse(number).unwrap().scaled(scale, rounding)
    }

    fn millicelsius(number: &str) -> Option<i64> {
        scaled(number, 3, Rounding::HalfAwayFromZero)
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "", " ", "12 ", " 12", "1.2.3", "+5", "-", "--5", ".5", "5.", "-.5", "1e", "1e+", "e5",
            "1e5.0", "01", "-01", "0x10", "1_000", "1,5", "NaN", "Infinity", "٣", "１", "12\0",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }

    /// Text that is sometimes a number.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[-+.eE0-9]{0,12}",
            "-?[0-9]{1,25}([.][0-9]{1,25})?([eE][-+]?[0-9]{1,5})?",
            ".*"
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        #[test]
        fn any_text_is_a_number_if_it_is_one_of_json(text in text()) {
            let is_number = serde_json::from_str::<&RawValue>(&text).is_ok_and(|raw| {
                let begins = raw.get().starts_with(|c: char| c == '-' || c.is_ascii_digit());
                begins && raw.get() == text
            });
            prop_assert_eq!(Decimal::parse(&text).is_some(), is_number, "{}", text);
        }

        #[test]
        fn the_value_is_that_of_the_text(text in text()) {
            let Some(number) = Decimal::parse(&text) else { return Ok(()) };
            let value: f64 = text.parse().unwrap();
            match number.scaled(3, Rounding::HalfAwayFromZero) {
                // Equal up to the rounding and the precision of a double.
                Some(millicelsius) => {
                    let off = (millicelsius as f64 - value * 1_000.0).abs();
                    prop_assert!(off <= 0.5 + value.abs() * 1e-12, "{} is {}", text, millicelsius);
                }
                None => prop_assert!(value.abs() >= 0.999e15, "{} is too large", text),
            }
        }
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
            assert_eq!(millicelsius(number), Some(expected), "{number}");
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
                        let expected = Decimal::parse(&number).unwrap().any(scale, rounding);
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
            assert_eq!(millicelsius(number), Some(expected), "{number}");
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
        assert_eq!(millicelsius(&long), None);
        assert_eq!(millicelsius(&format!("21.{}", "5".repeat(400))), Some(21_556));
        assert_eq!(millicelsius(&format!("{}e-399", "2".repeat(400))), Some(2_222));
        assert_eq!(millicelsius(&format!("1e{long}")), None);
        assert_eq!(millicelsius(&format!("1e-{long}")), Some(0));
        assert_eq!(millicelsius(&format!("0e{long}")), Some(0));
        assert_eq!(millicelsius(&format!("0.{}1", "0".repeat(400))), Some(0));
    }
}
