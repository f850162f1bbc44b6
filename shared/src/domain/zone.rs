//! Time zones: which offset from UTC holds when, by a zone file (TZif, RFC 9636) or by a
//! rule as POSIX writes it in the variable `TZ`.
//!
//! Own code, in integers: with the crate `tz-rs`, which does not find a day's begin by
//! itself, a component was 25 KB larger.

use crate::domain::calendar::DAY_S;
use crate::domain::reading::UnixMillis;
use crate::domain::zone_rule::Rule;
use crate::limits;

/// The largest offset, in seconds: RFC 9636 allows 26 hours.
pub(super) const OFFSET_S_MAX: i64 = 26 * 3_600;

/// A time zone. A local time is written as Unix seconds would be, if the zone were UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    /// The offset before the first change, in seconds east of UTC.
    first_s: i64,
    /// The changes, in ascending order: Unix seconds, and the offset from then on.
    changes: Vec<(i64, i64)>,
    /// What holds from the last change on.
    rule: Rule,
}

impl Zone {
    /// The name of Coordinated Universal Time, which needs no file.
    pub const UTC: &str = "UTC";

    /// What names a zone, for people.
    pub(crate) const FORMS: &str = "the name of a time zone, like Europe/Berlin, or a rule as in \
         POSIX' variable TZ, like CET-1CEST,M3.5.0,M10.5.0/3";

    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self::of_rule(Self::UTC, Rule::Fixed(0))
    }

    /// The zone of a rule, like `CET-1CEST,M3.5.0,M10.5.0/3`.
    pub fn from_rule(text: &str) -> Option<Self> {
        let is_short = text.len() <= limits::TIME_ZONE_BYTES_MAX;
        Some(Self::of_rule(text, Rule::parse(text.as_bytes()).filter(|_| is_short)?))
    }

    pub(super) fn of_rule(name: &str, rule: Rule) -> Self {
        Self { name: name.to_owned(), first_s: 0, changes: Vec::new(), rule }
    }

    /// The zone in a file of version 2 or later, without leap seconds, of at most
    /// `limits::ZONE_FILE_BYTES_MAX`.
    pub fn from_file(name: &str, file: &[u8]) -> Option<Self> {
        if file.len() > limits::ZONE_FILE_BYTES_MAX {
            return None;
        }
        // The first block has times of 32 bits, for readers of version 1.
        let (_, rest) = Block::take(file, 4)?;
        let (block, footer) = Block::take(rest, 8)?;
        let (first_s, changes) = block.changes()?;
        let rule = match footer.strip_prefix(b"\n")?.strip_suffix(b"\n")? {
            b"" => Rule::Fixed(changes.last().map_or(first_s, |(_, offset_s)| *offset_s)),
            text => Rule::parse(text)?,
        };
        Some(Self { name: name.to_owned(), first_s, changes, rule })
    }

    /// Where the file of the zone with this name is among those that are mounted; `None`
    /// if no zone can have it. No path leads out of the directory: a slash becomes a dot,
    /// and a name has none.
    pub fn file_of(name: &str) -> Option<String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-/".contains(&byte);
        let is_name = name.len() <= limits::TIME_ZONE_BYTES_MAX && name.bytes().all(is_plain);
        is_name.then(|| format!("zones/{}.tzif", name.replace('/', ".")))
    }

    /// As it was asked for: `Europe/Berlin`, or the rule.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether every day has 24 hours.
    pub(crate) fn is_fixed(&self) -> bool {
        self.changes.is_empty() && matches!(self.rule, Rule::Fixed(_))
    }

    /// The offset at this time, in seconds east of UTC.
    pub fn offset_s(&self, at_s: i64) -> i64 {
        let index = self.changes.partition_point(|(change_s, _)| *change_s <= at_s);
        if self.changes.get(index).is_none() {
            return self.rule.offset_s(at_s);
        }
        let last = index.checked_sub(1).and_then(|last| self.changes.get(last));
        last.map_or(self.first_s, |(_, offset_s)| *offset_s)
    }

    /// The first time after this one when another offset may begin.
    pub(super) fn next_change_s(&self, at_s: i64) -> Option<i64> {
        let index = self.changes.partition_point(|(change_s, _)| *change_s <= at_s);
        match self.changes.get(index) {
            Some((change_s, _)) => Some(*change_s),
            None => self.rule.next_change_s(at_s),
        }
    }

    /// The local time.
    pub fn local_s(&self, at: UnixMillis) -> i64 {
        let at_s = at.get().div_euclid(1_000);
        at_s + self.offset_s(at_s)
    }

    /// The local time of a whole minute, in whole minutes: what `minute_of` cut comes back.
    pub(crate) fn local_minute_s(&self, at: UnixMillis) -> i64 {
        -(-self.local_s(at)).div_euclid(60) * 60
    }

    /// The local date, in days since 1970-01-01.
    pub(crate) fn day(&self, at: UnixMillis) -> i64 {
        self.local_s(at).div_euclid(DAY_S)
    }

    /// The first minute, since 1970-01-01T00:00:00Z, in which it is this local time or
    /// later. So a time that there is twice is the first of the two, and one that the clock
    /// leaves out is that of the change. It may be before 1970.
    pub fn minute_of(&self, local_s: i64) -> i64 {
        // It is earlier than that here, whatever the offset is.
        let mut at_s = local_s - OFFSET_S_MAX;
        loop {
            let begin_s = at_s.max(local_s - self.offset_s(at_s));
            match self.next_change_s(at_s) {
                Some(change_s) if change_s <= begin_s => at_s = change_s,
                _ => return begin_s.div_euclid(60),
            }
        }
    }

    /// When the day with this number begins.
    pub(crate) fn midnight(&self, day: i64) -> UnixMillis {
        let minute = self.minute_of(day * DAY_S).max(0);
        UnixMillis::from_minute(minute, 0).unwrap_or(UnixMillis::MAX)
    }
}

/// A data block of a zone file: what of it is needed.
struct Block<'a> {
    /// Of each change, the time, and which type of local time begins.
    times: &'a [u8],
    time_bytes: usize,
    kinds: &'a [u8],
    /// Of each type, the offset in four bytes, and two bytes of something else.
    types: &'a [u8],
}

const TYPE_BYTES: usize = 6;

impl<'a> Block<'a> {
    /// Takes a header and its block, with times of so many bytes. Returns what follows,
    /// too.
    fn take(file: &'a [u8], time_bytes: usize) -> Option<(Self, &'a [u8])> {
        let rest = file.strip_prefix(b"TZif")?;
        let (head, rest) = rest.split_first_chunk::<16>()?;
        let (counts, mut rest) = rest.split_first_chunk::<24>()?;
        let mut counts = counts.chunks_exact(4).map(number);
        let mut count = || counts.next().and_then(|count| usize::try_from(count).ok());
        let (is_ut, is_standard, leaps) = (count()?, count()?, count()?);
        let (changes, types, chars) = (count()?, count()?, count()?);
        let [version, ..] = *head;
        if version < b'2' || leaps > 0 {
            return None;
        }
        let mut part = |count: usize, bytes: usize| {
            let (part, behind) = rest.split_at_checked(count.checked_mul(bytes)?)?;
            rest = behind;
            Some(part)
        };
        let block = Self {
            times: part(changes, time_bytes)?,
            time_bytes,
            kinds: part(changes, 1)?,
            types: part(types, TYPE_BYTES)?,
        };
        part(chars, 1)?;
        part(is_standard, 1)?;
        part(is_ut, 1)?;
        Some((block, rest))
    }

    /// The offset of the first type, which holds before the first change, and the changes.
    fn changes(&self) -> Option<(i64, Vec<(i64, i64)>)> {
        let offset_s = |bytes: &[u8]| {
            let offset_s = number(bytes.get(..4)?);
            Some(offset_s).filter(|s| (-OFFSET_S_MAX..=OFFSET_S_MAX).contains(s))
        };
        let offsets: Option<Vec<i64>> = self.types.chunks_exact(TYPE_BYTES).map(offset_s).collect();
        let offsets = offsets?;
        let times = self.times.chunks_exact(self.time_bytes).map(number);
        let change = |(time, kind): (i64, &u8)| Some((time, *offsets.get(usize::from(*kind))?));
        let changes: Option<Vec<(i64, i64)>> = times.zip(self.kinds).map(change).collect();
        let changes = changes?;
        let is_ascending = changes.windows(2).all(|pair| pair.is_sorted_by(|a, b| a.0 < b.0));
        Some((*offsets.first()?, changes)).filter(|_| is_ascending)
    }
}

/// A big-endian number with a sign, of four or eight bytes.
fn number(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|byte| *byte > 127);
    bytes.iter().fold(-i64::from(negative), |number, byte| number << 8 | i64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::calendar::parse_date;

    /// A zone of the files that are mounted.
    fn zone(name: &str) -> Zone {
        let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../query/assets/");
        let path = format!("{assets}{}", Zone::file_of(name).unwrap());
        let file = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Zone::from_file(name, &file).unwrap_or_else(|| panic!("{path}"))
    }

    fn at(text: &str) -> UnixMillis {
        UnixMillis::parse_rfc3339(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn a_day_begins_at_the_first_instant_of_its_date() {
        for (name, date, begin) in [
            ("UTC", "2026-10-25", "2026-10-25T00:00:00Z"),
            ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z"),
            ("Europe/Berlin", "2026-03-30", "2026-03-29T22:00:00Z"),
            ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z"),
            ("Europe/Berlin", "2026-10-26", "2026-10-25T23:00:00Z"),
            ("Europe/Berlin", "9999-07-01", "9999-06-30T22:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-06", "2026-04-05T13:30:00Z"),
            ("Asia/Kathmandu", "2026-04-05", "2026-04-04T18:15:00Z"),
            // Midnight is left out: the clock went from 0:00 to 1:00.
            ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"),
            // It was there twice: the clock went back from 1:00 to 0:00.
            ("America/Havana", "2025-11-02", "2025-11-02T04:00:00Z"),
            // The clock went back from 0:01 to 23:01 of the day before.
            ("America/St_Johns", "2010-11-07", "2010-11-07T02:30:00Z"),
            // The clock went back from 24:00 to 23:00.
            ("America/Asuncion", "2024-03-24", "2024-03-24T04:00:00Z"),
            // A day that there was not, and the one after it.
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
            ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"),
            // 44 minutes and 30 seconds west, until January 1972: cut to the minute.
            ("Africa/Monrovia", "1971-01-01", "1971-01-01T00:44:00Z"),
        ] {
            let zone = if name == "UTC" { Zone::utc() } else { zone(name) };
            let day = parse_date(date).unwrap();
            assert_eq!(zone.midnight(day), at(begin), "{date} in {name}");
        }
    }

    #[test]
    fn before_1970_and_after_9999_nothing_begins() {
        assert_eq!(zone("Europe/Berlin").midnight(0), UnixMillis::MIN);
        let after = parse_date("9999-12-31").unwrap() + 1;
        assert_eq!(Zone::utc().midnight(after), UnixMillis::MAX);
    }

    #[test]
    fn a_rule_and_a_file_are_the_same_zone() {
        let (file, rule) = (
            zone("Australia/Lord_Howe"),
            Zone::from_rule("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0").unwrap(),
        );
        let first = at("2020-01-01T00:00:00Z").get() / 1_000;
        for hour in 0..24 * 366 * 2 {
            let at_s = first + hour * 3_600;
            assert_eq!(file.offset_s(at_s), rule.offset_s(at_s), "{at_s}");
        }
        assert!(!rule.is_fixed() && Zone::from_rule("EST5").unwrap().is_fixed());
    }

    #[test]
    fn a_name_becomes_one_plain_file_name() {
        let file = Zone::file_of("America/Argentina/Ushuaia");
        assert_eq!(file.as_deref(), Some("zones/America.Argentina.Ushuaia.tzif"));
        for name in ["Etc/GMT+5", "NZ-CHAT", "America/Port-au-Prince"] {
            assert!(Zone::file_of(name).is_some(), "{name}");
        }
        let long = "x".repeat(limits::TIME_ZONE_BYTES_MAX + 1);
        for name in ["..", "../x", "a.b", "a\\b", "a b", "a%2Fb", "Zürich", "a\0", long.as_str()] {
            assert_eq!(Zone::file_of(name), None, "{name}");
        }
    }

    #[test]
    fn every_cut_and_every_flipped_bit_of_a_file_is_a_zone_or_none() {
        let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../query/assets/zones/");
        let file = std::fs::read(format!("{assets}Europe.Berlin.tzif")).unwrap();
        assert!(Zone::from_file("x", &file).is_some());
        for end in 0..file.len() {
            assert_eq!(Zone::from_file("x", &file[..end]), None, "cut at {end}");
        }
        for index in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[index / 8] ^= 1 << (index % 8);
            if let Some(zone) = Zone::from_file("x", &flipped) {
                zone.minute_of(1_800_000_000);
            }
        }
        let large = vec![0; limits::ZONE_FILE_BYTES_MAX + 1];
        assert_eq!(Zone::from_file("x", &large), None);
    }

    proptest! {
        #[test]
        fn rubbish_is_no_zone_and_no_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,80}",
        ) {
            let mut file = b"TZif2".to_vec();
            file.extend(&bytes);
            Zone::from_file("x", &file);
            Zone::from_file("x", &bytes);
            Zone::from_rule(&text);
        }

        #[test]
        fn a_rule_of_its_characters_is_a_zone_or_none(text in "[<>A-C0-9+:,./MJ-]{0,40}") {
            if let Some(zone) = Zone::from_rule(&text) {
                zone.minute_of(1_800_000_000);
            }
        }

        #[test]
        fn any_rule_has_a_first_minute_of_each_local_time(
            (standard, summer) in (-24_i64..=24, -24_i64..=24),
            (begin, end) in (moment(), moment()),
            local_s in 0..UnixMillis::MAX.get() / 1_000,
        ) {
            let text = format!("AAA{standard}BBB{summer},{begin},{end}");
            let zone = Zone::from_rule(&text).ok_or(TestCaseError::fail(text))?;
            let first_s = zone.minute_of(local_s) * 60;
            // Seconds do not matter here: all offsets are whole hours.
            prop_assert!(first_s + 59 + zone.offset_s(first_s + 59) >= local_s);
            prop_assert!(first_s - 1 + zone.offset_s(first_s - 1) < local_s);
        }
    }

    fn moment() -> impl Strategy<Value = String> {
        prop_oneof![
            (1..=12, 1..=5, 0..=6, -167..=167).prop_map(|(m, w, d, h)| format!("M{m}.{w}.{d}/{h}")),
            (1..=365, -167..=167).prop_map(|(day, h)| format!("J{day}/{h}")),
            (0..=365, -167..=167).prop_map(|(day, h)| format!("{day}/{h}")),
        ]
    }
}
