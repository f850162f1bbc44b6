//! Converts the temperatures of a file to JSON numbers, digit by digit.

use crate::left_out::{Unusable, Why, echo};

/// The decimal sign: a comma or a point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalSign {
    /// 21.5
    #[default]
    Point,
    /// 21,5
    Comma,
}

/// `text` as a JSON number with the same digits, or why it is not a number.
pub fn to_json(text: &str, sign: DecimalSign) -> Result<String, Unusable> {
    let point = text.replacen(',', ".", 1);
    let (why, hint) = match sign {
        DecimalSign::Comma if !text.contains('.') => {
            return json(&point).ok_or_else(|| no_number(text));
        }
        DecimalSign::Comma => (Why::DecimalPoint, ""),
        DecimalSign::Point => match json(text) {
            Some(number) => return Ok(number),
            None => (Why::DecimalComma, ": if it is the decimal sign, say --decimal-comma"),
        },
    };
    // With the other decimal sign it would be a number.
    let is_other = json(if sign == DecimalSign::Comma { text } else { &point }).is_some();
    match is_other {
        true => Err(Unusable::new(why, format!("{}{hint}", echo(text)))),
        false => Err(no_number(text)),
    }
}

fn no_number(text: &str) -> Unusable {
    let detail = format!("{}: if it stands for nothing, say --missing", echo(text));
    Unusable::new(Why::NoNumber, detail)
}

/// Drops what JSON does not allow: a plus sign, leading zeros, a point without digits
/// on one side. A minus sign may be the typographic one.
fn json(text: &str) -> Option<String> {
    let (minus, unsigned) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_exponent = |text: &str| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        !digits.is_empty() && is_digits(digits)
    };
    let good = is_digits(whole)
        && is_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(is_exponent);
    if !good {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let e = if exponent.is_some() { "e" } else { "" };
    Some(format!("{minus}{whole}{point}{fraction}{e}{}", exponent.unwrap_or_default()))
}

/// Texts for a missing value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing(Vec<String>);

/// Texts for a missing value in any file, in upper or lower case. So is an empty text.
const MISSING: [&str; 5] = ["NA", "N/A", "NaN", "null", "-"];

impl Missing {
    /// Adds `text`. If it is a number, other spellings of it count as well: -999 is
    /// -999.0, and -999,00.
    pub fn add(&mut self, text: &str) {
        self.0.push(text.trim().to_owned());
    }

    /// Whether `text` is a missing value.
    pub fn has(&self, text: &str) -> bool {
        let known = MISSING.iter().any(|known| known.eq_ignore_ascii_case(text));
        text.is_empty() || known || self.0.iter().any(|named| is_same(named, text))
    }
}

fn is_same(named: &str, text: &str) -> bool {
    let plain = |text: &str| {
        let number = json(&text.replacen(',', ".", 1))?;
        match number.contains('.') && !number.contains('e') {
            true => Some(number.trim_end_matches('0').trim_end_matches('.').to_owned()),
            false => Some(number),
        }
    };
    named == text || plain(named).is_some_and(|number| plain(text) == Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, sign: DecimalSign) -> String {
        to_json(text, sign).unwrap_or_else(|bad| format!("{:?} {}", bad.why, bad.detail))
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (text, expected) in [
            ("21.5", "21.5"),
            ("-0.0", "-0.0"),
            ("21.500", "21.500"),
            ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
            ("+21.5", "21.5"),
            ("\u{2212}3", "-3"),
            ("007.5", "7.5"),
            ("000", "0"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            ("2.15E+1", "2.15e+1"),
        ] {
            assert_eq!(read(text, DecimalSign::Point), expected, "{text}");
            assert!(serde_json::from_str::<f64>(expected).is_ok(), "{expected}");
        }
    }

    #[test]
    fn a_decimal_comma_is_read_where_it_is_said_to_be_one() {
        for (text, expected) in [
            ("21,5", "21.5"),
            ("-3,25", "-3.25"),
            (",5", "0.5"),
            ("21", "21"),
            ("2,15e1", "2.15e1"),
            ("21.5", "DecimalPoint \"21.5\""),
            ("1,234,5", "NoNumber \"1,234,5\": if it stands for nothing, say --missing"),
            ("1.234,5", "NoNumber \"1.234,5\": if it stands for nothing, say --missing"),
        ] {
            assert_eq!(read(text, DecimalSign::Comma), expected, "{text}");
        }
        for (text, expected) in [
            ("21,5", "DecimalComma \"21,5\": if it is the decimal sign, say --decimal-comma"),
            ("1,234.5", "NoNumber \"1,234.5\": if it stands for nothing, say --missing"),
        ] {
            assert_eq!(read(text, DecimalSign::Point), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_made_one() {
        for text in [
            "true", "\"21\"", "[1]", "inf", "1e", "1e+", "e1", ".", "+", "--1", "+-1", "0x1",
            "21.5°C", "1 2",
        ] {
            assert_eq!(to_json(text, DecimalSign::Point).unwrap_err().why, Why::NoNumber, "{text}");
        }
    }

    #[test]
    fn what_is_missing_has_many_names_but_no_number_unless_it_is_named() {
        let mut missing = Missing::default();
        for text in ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "-"] {
            assert!(missing.has(text), "{text:?}");
        }
        for text in ["-999", "-999.0", "0", "None", "--"] {
            assert!(!missing.has(text), "{text:?}");
        }
        missing.add("-999");
        missing.add("None");
        missing.add("0.10");
        for text in ["-999", "-999.0", "-999,00", "-0999", "None", "0.1", ".1"] {
            assert!(missing.has(text), "{text:?}");
        }
        missing.add("1.0e10");
        assert!(missing.has("1.0E10") && !missing.has("1.0e1"));
        for text in ["999", "-999.5", "-9990", "none", "1", "0", "-0.1"] {
            assert!(!missing.has(text), "{text:?}");
        }
    }
}
