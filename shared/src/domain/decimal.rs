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
    /// Digits, possibly none.
    whole: &'a str,
    /// Digits after the point, possibly none; here or before it is at least one.
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
        Some(Self { is_negative, whole, fraction, exponent: exponent(rest)? })
    }

    /// Parses all of `text` as `printf` and Go's `ParseFloat` write and read decimals: a
    /// plus sign, leading zeros, `.5` and `5.` are allowed, too. No space, no digit that is
    /// not ASCII, nothing hexadecimal, no infinity and no NaN.
    pub(crate) fn parse_loose(text: &'a str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, rest) = digits(unsigned);
        let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = exponent(rest)?;
        Some(Self { is_negative: text.starts_with('-'), whole, fraction, exponent })
    }

    /// Whether there is a minus sign.
    pub(crate) fn is_negative(self) -> bool {
        self.is_negative
    }

    /// The value without its sign, times 10 to the power of `scale`, cut to an integer, and
    /// whether anything but zeros was cut off. `None` if the integer has more than 18 digits.
    pub(crate) fn cut(self, scale: i64) -> Option<(i64, bool)> {
        let mut significant = self.significant();
        let Some(point) = self.point() else { return Some((0, false)) };
        let kept = match usize::try_from(point.saturating_add(scale)) {
            Ok(kept) if kept <= 18 => kept,
            Ok(_) => return None,
            Err(_negative) => return Some((0, true)),
        };
        let next = |_| significant.next().unwrap_or(0);
        let value = (0..kept).map(next).fold(0_i64, |value, digit| value * 10 + digit);
        Some((value, significant.any(|digit| digit != 0)))
    }

    /// Whether both are the same number, however they are written: `85`, `85.0`, `8.5e1`.
    pub(crate) fn is_same(self, other: Decimal<'_>) -> bool {
        let is_equal = self.point() == other.point()
            && self.trimmed_length() == other.trimmed_length()
            && self.significant().zip(other.significant()).all(|(a, b)| a == b);
        is_equal && (self.point().is_none() || self.is_negative == other.is_negative)
    }

    /// The digits from the first one that is not zero.
    fn significant(self) -> impl Iterator<Item = i64> + Clone + use<'a> {
        self.digits().skip_while(|digit| *digit == 0)
    }

    /// The number of significant digits without the zeros at the end.
    fn trimmed_length(self) -> usize {
        let last = self.significant().enumerate().filter(|(_, digit)| *digit != 0).last();
        last.map_or(0, |(index, _)| index + 1)
    }

    /// How many significant digits stand before the point: -1 for 0.01. `None` for zero.
    fn point(self) -> Option<i64> {
        let zeros = self.digits().position(|digit| digit != 0)?;
        let point = length(self.whole).saturating_sub(length_of(zeros));
        Some(point.saturating_add(saturating_exponent(self.exponent)))
    }

    /// The value times 10 to the power of `scale`, as an integer. `None` if that has
    /// more than 18 digits, which is more than any quantity here.
    pub(crate) fn scaled(self, scale: i64, rounding: Rounding) -> Option<i64> {
        self.short(scale).or_else(|| self.any(scale, rounding))
    }

    /// The most digits of an exact value: sums of a few of them fit 128 bits.
    pub(crate) const EXACT_DIGITS_MAX: i64 = 36;

    /// The value times 10 to the power of `scale`, exactly. `None` if it has digits beyond
    /// the scale, or more than `EXACT_DIGITS_MAX` before that.
    pub(crate) fn exact(self, scale: i64) -> Option<i128> {
        let leading_zeros = self.digits().take_while(|&d| d == 0).count();
        let count = self.whole.len() + self.fraction.len();
        if leading_zeros == count {
            return Some(0);
        }
        let significant = self.digits().skip(leading_zeros);
        let point = length(self.whole).saturating_sub(length_of(leading_zeros));
        let kept = point.saturating_add(saturating_exponent(self.exponent)).saturating_add(scale);
        let kept = usize::try_from(kept).ok().filter(|_| kept <= Self::EXACT_DIGITS_MAX)?;
        if significant.clone().skip(kept).any(|digit| digit != 0) {
            return None;
        }
        let padded = significant.chain(std::iter::repeat(0)).take(kept);
        let value = padded.fold(0_i128, |value, digit| value * 10 + i128::from(digit));
        Some(if self.is_negative { -value } else { value })
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
        let Some(point) = self.point() else { return Some(0) };
        // The number of significant digits before the scaled point. Below 0, the value
        // is less than a tenth of a unit and rounds to 0.
        let kept = match usize::try_from(point.saturating_add(scale)) {
            Ok(kept) if kept <= 18 => kept,
            Ok(_) => return None,
            Err(_negative) => return Some(0),
        };
        let padded = self.significant().chain(std::iter::repeat(0));
        let value = padded.clone().take(kept).fold(0i64, |value, digit| value * 10 + digit);
        let next = padded.clone().nth(kept).unwrap_or(0);
        let up = i64::from(rounding == Rounding::HalfAwayFromZero && next >= 5);
        Some(if self.is_negative { -(value + up) } else { value + up })
    }
}

/// A number as most senders write it: no exponent, and at most `Short::DIGITS_MAX` digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    /// All digits as one integer, with the sign.
    digits: i64,
    /// How many of the digits are behind the point.
    places: u32,
}

impl Short {
    /// With as many, no step of reading one overflows.
    const DIGITS_MAX: usize = 15;

    /// Reads the number that `text` begins with, by the grammar of `Decimal::parse`. Returns
    /// what follows it, too: that may make it another number, as an exponent does.
    #[inline]
    pub(crate) fn leading(text: &[u8]) -> Option<(Self, &[u8])> {
        let unsigned = text.strip_prefix(b"-").unwrap_or(text);
        let (whole, rest) = leading_digits(0, unsigned);
        let whole_digits = unsigned.len() - rest.len();
        if whole_digits == 0 || whole_digits > 1 && unsigned.first() == Some(&b'0') {
            return None;
        }
        let (digits, places, rest) = match rest.strip_prefix(b".") {
            None => (whole, 0, rest),
            Some(fraction) => {
                let (digits, rest) = leading_digits(whole, fraction);
                let places = fraction.len() - rest.len();
                if places == 0 {
                    return None;
                }
                (digits, places, rest)
            }
        };
        if whole_digits + places > Self::DIGITS_MAX {
            return None;
        }
        let digits = if unsigned.len() < text.len() { -digits } else { digits };
        Some((Self { digits, places: u32::try_from(places).ok()? }, rest))
    }

    /// The number times 10 to the power of `scale`, 0 to 3. `None` if it has digits beyond the
    /// scale.
    pub(crate) fn scaled(self, scale: u32) -> Option<i64> {
        const POWERS: [i64; 4] = [1, 10, 100, 1_000];
        let missing = usize::try_from(scale.checked_sub(self.places)?).ok()?;
        self.digits.checked_mul(*POWERS.get(missing)?)
    }
}

/// Appends the digits that `text` begins with to those of `number`, and returns what follows.
/// With too many of them the number is meaningless.
#[inline]
fn leading_digits(mut number: i64, mut text: &[u8]) -> (i64, &[u8]) {
    // Not tried where the eighth letter says that it would fail.
    if text.get(7).is_some_and(u8::is_ascii_digit)
        && let Some((eight, rest)) = text.split_first_chunk::<8>()
        && let Some(value) = eight_digits(*eight)
    {
        number = number.wrapping_mul(100_000_000).wrapping_add(value);
        text = rest;
    }
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit & 15));
        text = rest;
    }
    (number, text)
}

/// The number that eight digits are, all at once: neighbours are added up in pairs, these in
/// pairs, and these again (Daniel Lemire, "Quickly parsing eight digits", 2018). `None` if one
/// of them is none.
fn eight_digits(text: [u8; 8]) -> Option<i64> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let text = u64::from_le_bytes(text);
    // A digit has the upper half 3, also with 6 more.
    let (upper, six_more) = (text & (EACH * 0xf0), text.wrapping_add(EACH * 6) & (EACH * 0xf0));
    if upper != EACH * 0x30 || six_more != EACH * 0x30 {
        return None;
    }
    let ones = text & (EACH * 0x0f);
    let pairs = (ones.wrapping_mul(10) + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let eight = fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff;
    i64::try_from(eight).ok()
}

/// `value`, which is scaled by 10 to the power of `places`, without these places. `places`
/// is from 0 to `Decimal::EXACT_DIGITS_MAX`; with more, the value is 0.
pub(crate) fn rescaled(value: i128, places: u32, rounding: Rounding) -> i128 {
    let unit = 10_i128.checked_pow(places).unwrap_or(i128::MAX);
    let (whole, rest) = (value / unit, value % unit);
    let is_up = rounding == Rounding::HalfAwayFromZero && rest.abs() >= unit - rest.abs();
    if is_up { whole + rest.signum() } else { whole }
}

/// The exponent that `text` is, without its letter, or "" if it is empty. `None` if it is
/// something else.
fn exponent(text: &str) -> Option<&str> {
    let Some(exponent) = text.strip_prefix(['e', 'E']) else {
        return text.is_empty().then_some("");
    };
    let (figures, rest) = digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    (!figures.is_empty() && rest.is_empty()).then_some(exponent)
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

    #[test]
    fn what_printf_and_go_write_is_a_number_where_that_is_allowed() {
        for (text, expected) in [
            ("+5", 5_000),
            ("005", 5_000),
            ("-007.25", -7_250),
            (".5", 500),
            ("-.5", -500),
            ("+.5e1", 5_000),
            ("5.", 5_000),
            ("5.e-1", 500),
            ("000", 0),
            ("0000000000000000000021.5", 21_500),
            ("1e5", 100_000_000),
            ("21.5", 21_500),
        ] {
            let number = Decimal::parse_loose(text).unwrap();
            assert_eq!(number.scaled(3, Rounding::HalfAwayFromZero), Some(expected), "{text}");
        }
        for text in [
            "", " ", ".", "+", "-", "+-5", "--5", "5 ", " 5", "5..", "1.2.3", "e5", ".e5", "5e",
            "5e+", "5e1.", "0x10", "1_0", "1,5", "inf", "+Inf", "NaN", "Infinity", "٣", "5f", "5i",
        ] {
            assert_eq!(Decimal::parse_loose(text), None, "{text:?}");
        }
    }

    #[test]
    fn exact_values_lose_no_digit_or_are_none() {
        let exact = |text: &str, scale| Decimal::parse_loose(text).unwrap().exact(scale);
        for (text, scale, expected) in [
            ("0", 24, Some(0)),
            ("-0.000e999999999999999999999", 3, Some(0)),
            ("21.5", 3, Some(21_500)),
            ("-21.5000", 1, Some(-215)),
            ("21.5", 0, None),
            ("1e3", 0, Some(1_000)),
            ("1500e-2", 0, Some(15)),
            ("1e-24", 24, Some(1)),
            ("1e-25", 24, None),
            ("1e35", 0, Some(10_i128.pow(35))),
            ("1e36", 0, None),
            ("1e-99999999999999999999999", 24, None),
            (".000001", 6, Some(1)),
        ] {
            assert_eq!(exact(text, scale), expected, "{text}");
        }
    }

    #[test]
    fn places_are_rounded_off_or_dropped() {
        let rounded = |value| rescaled(value, 2, Rounding::HalfAwayFromZero);
        let dropped = |value| rescaled(value, 2, Rounding::TowardZero);
        for (value, near, toward_zero) in
            [(149, 1, 1), (150, 2, 1), (-149, -1, -1), (-150, -2, -1), (49, 0, 0), (-50, -1, 0)]
        {
            assert_eq!((rounded(value), dropped(value)), (near, toward_zero), "{value}");
        }
        assert_eq!(rescaled(7, 0, Rounding::HalfAwayFromZero), 7);
        assert_eq!(rescaled(10_i128.pow(36), 99, Rounding::HalfAwayFromZero), 0);
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written() {
        let is_same =
            |a, b| Decimal::parse_loose(a).unwrap().is_same(Decimal::parse_loose(b).unwrap());
        for (a, b) in [
            ("85", "85.00"),
            ("85.0", "8.5e1"),
            ("0", "-0.000"),
            ("-127", "-127.0"),
            (".5", "0.50"),
            ("100", "1e2"),
            ("0e9", "0"),
            ("0.001", "1e-3"),
        ] {
            assert!(is_same(a, b) && is_same(b, a), "{a} {b}");
        }
        for (a, b) in [("85", "-85"), ("85", "85.01"), ("85", "850"), ("85", "8.5"), ("0", "1")] {
            assert!(!is_same(a, b) && !is_same(b, a), "{a} {b}");
        }
    }

    #[test]
    fn what_is_cut_off_is_told() {
        for (text, scale, expected) in [
            ("-21.4375", 3, Some((21_437, true))),
            ("21.4370000", 3, Some((21_437, false))),
            ("0.00001", 3, Some((0, true))),
            ("0.000", 3, Some((0, false))),
            ("1e400", 3, None),
            ("2150", -2, Some((21, true))),
            ("999999999999999999", 0, Some((999_999_999_999_999_999, false))),
            ("1000000000000000000", 0, None),
        ] {
            assert_eq!(Decimal::parse_loose(text).unwrap().cut(scale), expected, "{text}");
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

    #[test]
    fn a_short_number_is_read_up_to_what_is_none_of_it() {
        for (text, expected, rest) in [
            ("21.5,", 21_500, ","),
            ("-0.001}", -1, "}"),
            ("0 ", 0, " "),
            ("-0", 0, ""),
            ("12345678", 12_345_678_000, ""),
            ("123456789.5e3", 123_456_789_500, "e3"),
        ] {
            let (number, left) = Short::leading(text.as_bytes()).unwrap();
            assert_eq!((number.scaled(3), left), (Some(expected), rest.as_bytes()), "{text}");
        }
        assert_eq!(Short::leading(b"21.4375").unwrap().0.scaled(3), None);
        for none in ["", "-", "+5", "01", "-00", ".5", "5.", "5.e1", "x", "1234567890123456"] {
            assert_eq!(Short::leading(none.as_bytes()), None, "{none}");
        }
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
        fn what_is_a_number_of_json_is_the_same_loosely(text in text()) {
            if let Some(number) = Decimal::parse(&text) {
                prop_assert_eq!(Decimal::parse_loose(&text), Some(number));
            }
            // Rust reads decimals as Go does, beside words and underscores.
            let has_words = text.trim_start_matches(['-', '+']).starts_with(['i', 'I', 'n', 'N']);
            let is_float = text.parse::<f64>().is_ok() && !has_words;
            prop_assert_eq!(Decimal::parse_loose(&text).is_some(), is_float, "{}", text);
        }

        #[test]
        fn a_short_number_is_that_of_its_text(text in text()) {
            let Some((number, rest)) = Short::leading(text.as_bytes()) else { return Ok(()) };
            let read = Decimal::parse(text.strip_suffix(std::str::from_utf8(rest).unwrap()).unwrap());
            let read = read.expect("a number");
            for scale in [0, 3] {
                let expected = read.exact(i64::from(scale)).map(|value| i64::try_from(value).unwrap());
                prop_assert!(number.scaled(scale).is_none_or(|value| Some(value) == expected));
            }
        }

        #[test]
        fn an_exact_value_is_that_which_is_rounded(text in text()) {
            let Some(number) = Decimal::parse_loose(&text) else { return Ok(()) };
            if let Some(exact) = number.exact(9) {
                let rounded = rescaled(exact, 6, Rounding::HalfAwayFromZero);
                if let Some(value) = number.scaled(3, Rounding::HalfAwayFromZero) {
                    prop_assert_eq!(i128::from(value), rounded, "{}", text);
                }
            }
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
