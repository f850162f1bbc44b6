//! Units of temperatures, and their exact conversion.

use crate::domain::decimal::Decimal;
use crate::domain::reading::MilliCelsius;

/// A unit that temperatures are sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Degrees Celsius.
    Celsius,
    /// Degrees Fahrenheit.
    Fahrenheit,
    /// Kelvin.
    Kelvin,
}

/// How many decimals are looked at. The temperatures half way between two thousandths of a
/// degree Celsius have at most four in any of the units. So five, and a last one that is 1 if
/// there are more, round as all of them would.
const DECIMALS: i64 = 5;

/// 1 in the last of these decimals.
const ONE: i128 = 1_000_000;

impl Unit {
    /// The unit of `C`, `F` or `K`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "C" => Some(Self::Celsius),
            "F" => Some(Self::Fahrenheit),
            "K" => Some(Self::Kelvin),
            _ => None,
        }
    }

    /// The temperature that `value` times 10 to the power of `scale` is in this unit, with one
    /// rounding, half away from zero. `None` if it is below absolute zero or above 1,000 °C.
    pub(crate) fn millicelsius(self, value: Decimal<'_>, scale: i64) -> Option<MilliCelsius> {
        let (cut, has_more) = value.cut(scale.saturating_add(DECIMALS))?;
        let size = i128::from(cut) * 10 + i128::from(has_more);
        let value = if value.is_negative() { -size } else { size };
        let millicelsius = match self {
            Self::Celsius => rounded(value * 1_000, ONE),
            Self::Fahrenheit => rounded((value - 32 * ONE) * 5_000, 9 * ONE),
            Self::Kelvin => rounded(value * 1_000 - 273_150 * ONE, ONE),
        };
        i64::try_from(millicelsius).ok().and_then(MilliCelsius::new)
    }
}

/// The quotient, rounded half away from zero. The divisor is positive.
fn rounded(dividend: i128, divisor: i128) -> i128 {
    let half = if dividend < 0 { -divisor } else { divisor };
    (2 * dividend + half) / (2 * divisor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn milli(unit: Unit, text: &str, scale: i64) -> Option<i32> {
        let value = Decimal::parse_loose(text).unwrap();
        unit.millicelsius(value, scale).map(MilliCelsius::get)
    }

    #[test]
    fn known_temperatures_are_exact() {
        use Unit::{Celsius, Fahrenheit, Kelvin};
        for (unit, text, expected) in [
            (Fahrenheit, "70.5", 21_389),
            (Fahrenheit, "-40", -40_000),
            (Fahrenheit, "98.6", 37_000),
            (Fahrenheit, "0.1", -17_722),
            (Fahrenheit, "-459.67", -273_150),
            (Fahrenheit, "68.2", 20_111),
            (Fahrenheit, "32.0", 0),
            (Fahrenheit, "67.8", 19_889),
            (Kelvin, "293.15", 20_000),
            (Kelvin, "0", -273_150),
            (Kelvin, "273.1505", 1),
            (Kelvin, "273.1495", -1),
            (Celsius, "21.4375", 21_438),
            (Celsius, "-21.4375", -21_438),
            (Celsius, "+.0005", 1),
            (Celsius, "-.00049999999999999999999", 0),
            (Celsius, "2.15e1", 21_500),
        ] {
            assert_eq!(milli(unit, text, 0), Some(expected), "{text} {unit:?}");
        }
        assert_eq!(milli(Celsius, "2150", -2), Some(21_500));
        assert_eq!(milli(Kelvin, "29315", -2), Some(20_000));
        assert_eq!(milli(Fahrenheit, "7.05", 1), Some(21_389));
    }

    #[test]
    fn halves_go_away_from_zero_however_many_digits_are_behind() {
        // 32.0009 °F is half a thousandth of a degree Celsius.
        for (text, expected) in [
            ("32.0009", 1),
            ("32.0008999999999999999999999999", 0),
            ("32.00090000000000000000000001", 1),
            ("31.9991", -1),
            ("31.9991000000000000000000001", 0),
            ("31.9990999999999999999999999", -1),
        ] {
            assert_eq!(milli(Unit::Fahrenheit, text, 0), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_no_temperature_can_be_is_none() {
        for (unit, text) in [
            (Unit::Fahrenheit, "-459.68"),
            (Unit::Fahrenheit, "1832.1"),
            (Unit::Kelvin, "-0.001"),
            (Unit::Kelvin, "1273.151"),
            (Unit::Celsius, "1000.0005"),
            (Unit::Celsius, "1e400"),
            (Unit::Celsius, "-999999999999999999999999"),
        ] {
            assert_eq!(milli(unit, text, 0), None, "{text} {unit:?}");
        }
        assert_eq!(milli(Unit::Fahrenheit, "1832.0", 0), Some(1_000_000));
        assert_eq!(milli(Unit::Celsius, "1e-400", 0), Some(0));
        assert_eq!(milli(Unit::Celsius, "1", i64::MAX), None);
        assert_eq!(milli(Unit::Celsius, "1", i64::MIN), Some(0));
    }

    /// The nearest integer to a fraction, by trial: of the two around it the nearer, and in
    /// the middle the one further from zero.
    fn nearest(dividend: i64, divisor: i64) -> i64 {
        let below = dividend.div_euclid(divisor);
        let (down, up) = (dividend - below * divisor, (below + 1) * divisor - dividend);
        match down.cmp(&up) {
            std::cmp::Ordering::Less => below,
            std::cmp::Ordering::Greater => below + 1,
            std::cmp::Ordering::Equal if dividend > 0 => below + 1,
            std::cmp::Ordering::Equal => below,
        }
    }

    #[test]
    fn every_tenth_of_a_degree_fahrenheit_is_its_fraction() {
        for tenths in -4_596_i64..=18_320 {
            let sign = if tenths < 0 { "-" } else { "" };
            let text = format!("{sign}{}.{}", tenths.abs() / 10, tenths.abs() % 10);
            // (t/10 - 32) · 5/9 · 1000 = (t - 320) · 500/9
            let expected = nearest((tenths - 320) * 500, 9);
            assert_eq!(milli(Unit::Fahrenheit, &text, 0).map(i64::from), Some(expected), "{text}");
            let scaled = milli(Unit::Fahrenheit, &tenths.to_string(), -1).map(i64::from);
            assert_eq!(scaled, Some(expected), "{tenths} tenths");
        }
    }

    #[test]
    fn every_hundredth_of_a_kelvin_is_its_fraction() {
        for hundredths in 0_i64..=127_315 {
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            let expected = Some(hundredths * 10 - 273_150);
            assert_eq!(milli(Unit::Kelvin, &text, 0).map(i64::from), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_decimal_is_rounded_once(digits in -4_596_700_000_i64..18_320_000_000, tail in "0{0,30}") {
            // Seven decimals: more than are looked at.
            let (size, sign) = (digits.abs(), if digits < 0 { "-" } else { "" });
            let text = format!("{sign}{}.{:07}{tail}", size / 10_000_000, size % 10_000_000);
            let of = |dividend: i64, divisor: i64| Some(nearest(dividend, divisor));
            let fahrenheit = of((digits - 320_000_000) * 5, 9 * 10_000);
            let millicelsius = milli(Unit::Fahrenheit, &text, 0).map(i64::from);
            prop_assert_eq!(millicelsius, fahrenheit.filter(|milli| *milli >= -273_150));
            let celsius = of(digits, 10_000).filter(|milli| (-273_150..=1_000_000).contains(milli));
            prop_assert_eq!(milli(Unit::Celsius, &text, 0).map(i64::from), celsius);
        }
    }
}
