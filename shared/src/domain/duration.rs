//! Durations as text, such as `90s` or `7d`.

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// Milliseconds, at most 36,500 days, of `0` or a whole number with a unit: `250ms`,
/// `90s`, `5m`, `12h`, `7d`.
pub(crate) fn parse_duration_ms(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => MINUTE_MS,
        "h" => 60 * MINUTE_MS,
        "d" => DAY_MS,
        _ => return None,
    };
    let ms = number.parse::<i64>().ok()?.checked_mul(unit_ms)?;
    (ms <= 36_500 * DAY_MS).then_some(ms)
}

/// A duration as `parse_duration_ms` reads it, in the largest unit that divides it: `7d`,
/// `90s`.
pub(crate) fn duration_text(ms: i64) -> String {
    const UNITS: [(i64, &str); 4] =
        [(DAY_MS, "d"), (60 * MINUTE_MS, "h"), (MINUTE_MS, "m"), (1_000, "s")];
    let unit = UNITS.into_iter().find(|(unit_ms, _)| ms % unit_ms == 0);
    match (ms, unit) {
        (0, _) => "0".to_owned(),
        (_, Some((unit_ms, unit))) => format!("{}{unit}", ms / unit_ms),
        (_, None) => format!("{ms}ms"),
    }
}

/// A duration in the largest unit that divides it: `7 days`, `90 seconds`.
pub(crate) fn duration_in_words(ms: i64) -> String {
    const UNITS: [(i64, &str); 4] =
        [(DAY_MS, "day"), (60 * MINUTE_MS, "hour"), (MINUTE_MS, "minute"), (1_000, "second")];
    let unit = UNITS.into_iter().find(|(unit_ms, _)| ms % unit_ms == 0);
    let (unit_ms, name) = unit.unwrap_or((1, "millisecond"));
    let count = ms / unit_ms;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// A duration in its two largest units, the rest cut off: `1 h 3 min`, `400 d`, `250 ms`.
pub(crate) fn rough_duration(ms: i64) -> String {
    const UNITS: [(i64, &str); 4] =
        [(DAY_MS, "d"), (60 * MINUTE_MS, "h"), (MINUTE_MS, "min"), (1_000, "s")];
    let Some(first) = UNITS.iter().position(|(unit_ms, _)| ms >= *unit_ms) else {
        return format!("{ms} ms");
    };
    let mut rest = ms;
    let mut parts = Vec::new();
    for (unit_ms, unit) in UNITS.into_iter().skip(first).take(2) {
        if rest >= unit_ms {
            parts.push(format!("{} {unit}", rest / unit_ms));
        }
        rest %= unit_ms;
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit() {
        for (text, ms) in [
            ("0", Some(0)),
            ("0d", Some(0)),
            ("250ms", Some(250)),
            ("90s", Some(90_000)),
            ("5m", Some(300_000)),
            ("12h", Some(43_200_000)),
            ("7d", Some(604_800_000)),
            ("7", None),
            ("d", None),
            ("", None),
            ("-7d", None),
            ("7 d", None),
            ("1.5h", None),
            ("36501d", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(parse_duration_ms(text), ms, "{text}");
            if let Some(ms) = ms {
                assert_eq!(parse_duration_ms(&duration_text(ms)), Some(ms), "{text}");
            }
        }
    }

    #[test]
    fn a_rough_duration_has_its_two_largest_units() {
        for (ms, words) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (63_500, "1 min 3 s"),
            (63 * MINUTE_MS + 59_999, "1 h 3 min"),
            (DAY_MS + 59 * MINUTE_MS, "1 d"),
            (400 * DAY_MS + 61 * MINUTE_MS, "400 d 1 h"),
        ] {
            assert_eq!(rough_duration(ms), words, "{ms}");
        }
    }

    #[test]
    fn a_duration_is_told_in_its_largest_whole_unit() {
        for (text, words) in [
            ("7d", "7 days"),
            ("1d", "1 day"),
            ("36h", "36 hours"),
            ("90m", "90 minutes"),
            ("90s", "90 seconds"),
            ("1500ms", "1500 milliseconds"),
        ] {
            assert_eq!(duration_in_words(parse_duration_ms(text).unwrap()), words);
            assert_eq!(duration_text(parse_duration_ms(text).unwrap()), text);
        }
    }
}
