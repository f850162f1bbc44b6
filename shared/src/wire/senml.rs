//! Temperatures in SenML (RFC 8428), in its form in JSON: a pack of records, each with what it
//! shares with those before it left out.
//!
//! A pack has no region: the caller knows it. And times may be relative to now, which only
//! the caller knows.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};

use crate::domain::decimal::{self, Decimal, Rounding};
use crate::domain::reading::{DeviceId, MilliCelsius, UnixMillis};
use crate::domain::rejection::{Reason, Rejection};
use crate::limits;
use crate::wire::item::{self, Unreadable};
use crate::wire::json;
use crate::wire::json_fields::unquoted;
use crate::wire::senml_labels::Labels;

/// What a pack holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pack<'a> {
    /// The records with a temperature, in their order.
    pub(crate) records: Vec<Indexed<'a>>,
    /// How many records are something else: another quantity, or no number.
    pub(crate) ignored: usize,
}

/// A record with a temperature.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Indexed<'a> {
    /// Its place in the pack, from 0, among all records.
    pub(crate) index: usize,
    /// Its reading but for the region, or why it was rejected.
    pub(crate) record: Result<Record<'a>, Rejection>,
}

/// A reading without its region.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// The name, with `.` for each `/`: base name and name, one behind the other.
    pub(crate) device: DeviceId<'a>,
    /// Base value and value, added as decimals, then rounded once.
    pub(crate) temperature: MilliCelsius,
    /// Base time and time, added as decimals; what is finer than a millisecond is dropped.
    pub(crate) time: SenmlTime,
}

/// When a record was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SenmlTime {
    /// At this instant.
    Absolute(UnixMillis),
    /// So many milliseconds after the pack's arrival, or before it if negative (RFC 8428,
    /// 4.5.3): from minus 8,000 years to 2^28 seconds.
    Relative(i64),
}

/// The temperatures of a pack, at most `limits::READINGS_PER_REQUEST_MAX`: records with a value
/// `v` in the unit `Cel` or `K`. (`F` is farad.) Others are counted, except those that have base
/// fields alone. A byte order mark is skipped.
///
/// Fails for the whole pack if it is no JSON, no array of objects, of a later version than 10,
/// or has a label that has to be understood (it ends in `_`) and is not, or a base field that is
/// wrong: records behind it would mean something else.
pub(crate) fn parse(body: &[u8]) -> Result<Pack<'_>, Unreadable> {
    let text = item::text(body)?;
    match text.trim_ascii_start().as_bytes().first() {
        None => return Err(Unreadable::Empty),
        Some(b'[') => {}
        Some(_) => {
            return Err(Unreadable::Refused("a SenML pack must be an array of records".to_owned()));
        }
    }
    let mut reader = Reader::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize(&mut json).and_then(|()| json.end());
    match (reader.failed, read) {
        (Some(unreadable), _) => Err(unreadable),
        (None, Ok(())) => Ok(reader.pack),
        (None, Err(error)) if error.is_data() => Err(Unreadable::Refused(
            "a SenML pack must be an array of records, and a record an object".to_owned(),
        )),
        (None, Err(error)) => Err(match json::syntax(text, &error) {
            Unreadable::CutShort(_) => Unreadable::CutShort(body.len()),
            other => other,
        }),
    }
}

/// Reads a pack record by record, so that none is kept that has no temperature.
#[derive(Default)]
struct Reader<'a> {
    base: Base<'a>,
    pack: Pack<'a>,
    index: usize,
    failed: Option<Unreadable>,
}

impl<'a> DeserializeSeed<'a> for &mut Reader<'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for &mut Reader<'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SenML pack")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(labels) = seq.next_element::<Labels<'a>>()? {
            if let Err(unreadable) = self.take(&labels) {
                self.failed = Some(unreadable);
                return Err(serde::de::Error::custom("refused"));
            }
            self.index += 1;
        }
        Ok(())
    }
}

impl<'a> Reader<'a> {
    fn take(&mut self, labels: &Labels<'a>) -> Result<(), Unreadable> {
        let refused = |why: String| Unreadable::Refused(format!("record {}: {why}", self.index));
        if let Some(name) = &labels.mandatory {
            return Err(refused(format!(
                "the label {name:?} has to be understood, as it ends in _, and is not"
            )));
        }
        if let Some(twice) = labels.twice.filter(|_| labels.has_base_twice()) {
            return Err(refused(format!("{twice} is given twice")));
        }
        self.base.take(labels).map_err(|why| refused(why.to_owned()))?;
        let Some(unit) = temperature_unit(labels, self.base.unit.as_deref()) else {
            self.pack.ignored += usize::from(!labels.is_base_alone());
            return Ok(());
        };
        if self.pack.records.len() == limits::READINGS_PER_REQUEST_MAX {
            return Err(Unreadable::TooMany);
        }
        let record = name(labels, self.base.name.as_deref()).and_then(|name| {
            record(name.clone(), labels, unit, &self.base)
                .map_err(|rejection| rejection.sent_as(Some(&name), None))
        });
        self.pack.records.push(Indexed { index: self.index, record });
        Ok(())
    }
}

/// The digits behind the point that sums are exact to.
const PLACES: u32 = 24;
const UNIT: i128 = 10_i128.pow(PLACES);
/// From a unit to a thousandth of it.
const PLACES_BELOW_MILLI: u32 = PLACES - 3;
/// 0 °C in kelvins, scaled.
const ZERO_CELSIUS: i128 = 27_315 * UNIT / 100;
/// A time below this, in seconds, is relative to now (RFC 8428, 4.5.3).
const RELATIVE_BELOW: i128 = UNIT << 28;
/// The version of SenML in RFC 8428.
const VERSION_MAX: i64 = 10;

// A sum of two numbers of the most digits fits, and so does its conversion.
const _: () = assert!(i128::MAX / 3 > 10_i128.pow(36) && Decimal::EXACT_DIGITS_MAX <= 36);

/// The base fields that hold.
#[derive(Default)]
struct Base<'a> {
    name: Option<Cow<'a, str>>,
    unit: Option<Cow<'a, str>>,
    /// Scaled by `UNIT`.
    time: i128,
    /// Scaled by `UNIT`.
    value: i128,
}

impl<'a> Base<'a> {
    fn take(&mut self, labels: &Labels<'a>) -> Result<(), &'static str> {
        if let Some(raw) = labels.get("bver") {
            let version =
                Decimal::parse(raw).and_then(|version| version.scaled(0, Rounding::TowardZero));
            let version = version.ok_or("bver must be a number")?;
            if !(1..=VERSION_MAX).contains(&version) {
                return Err("bver must be at most 10, the version of RFC 8428");
            }
        }
        if let Some(raw) = labels.get("bn") {
            self.name = Some(unquoted(raw).ok_or("bn must be a string")?);
        }
        if let Some(raw) = labels.get("bu") {
            self.unit = Some(unquoted(raw).ok_or("bu must be a string")?);
        }
        if let Some(raw) = labels.get("bt") {
            self.time = exact(raw).ok_or("bt must be a number, of at most 24 decimals")?;
        }
        if let Some(raw) = labels.get("bv") {
            self.value = exact(raw).ok_or("bv must be a number, of at most 24 decimals")?;
        }
        Ok(())
    }
}

/// A number, scaled by `UNIT`.
fn exact(raw: &str) -> Option<i128> {
    Decimal::parse(raw)?.exact(PLACES.into())
}

#[derive(Clone, Copy)]
enum Unit {
    Celsius,
    Kelvin,
}

/// The unit of a record with a temperature; `None` for others.
fn temperature_unit(labels: &Labels<'_>, base: Option<&str>) -> Option<Unit> {
    labels.get("v")?;
    let own = labels.get("u").map(unquoted);
    match own.as_ref().map_or(base, |unit| unit.as_deref())? {
        "Cel" => Some(Unit::Celsius),
        "K" => Some(Unit::Kelvin),
        _ => None,
    }
}

/// Base name and name, one behind the other, with `.` for each `/`. What is longer than a name
/// may be is not copied: every record may have the base name.
fn name<'a>(labels: &Labels<'a>, base: Option<&str>) -> Result<Cow<'a, str>, Rejection> {
    let unreadable = || Rejection::new(Reason::WrongType, "n must be a string of valid Unicode");
    let own = labels.get("n").map(|raw| unquoted(raw).ok_or_else(unreadable)).transpose()?;
    let (base, own) = match (base, own) {
        (None, None) => return Err(item::missing_fields(&["bn", "n"])),
        (base, own) => (base.unwrap_or_default(), own.unwrap_or_default()),
    };
    if base.len() + own.len() > limits::NAME_BYTES_MAX {
        return Err(Rejection::new(Reason::InvalidDeviceId, item::NAME_RULE));
    }
    let name = if base.is_empty() { own } else { [base, &own].concat().into() };
    Ok(if name.contains('/') { name.replace('/', ".").into() } else { name })
}

fn record<'a>(
    name: Cow<'a, str>,
    labels: &Labels<'a>,
    unit: Unit,
    base: &Base<'a>,
) -> Result<Record<'a>, Rejection> {
    if let Some(twice) = labels.twice {
        return Err(Rejection::new(Reason::DuplicateField, format!("{twice} is given twice")));
    }
    if labels.other_values > 0 {
        let detail = "a record with v must have no vs, vb, vd or s";
        return Err(Rejection::new(Reason::Malformed, detail));
    }
    let device = item::device_id(name)?;
    let temperature = temperature(labels.get("v").unwrap_or_default(), unit, base.value)?;
    Ok(Record { device, temperature, time: time(labels.get("t"), base.time)? })
}

fn temperature(raw: &str, unit: Unit, base: i128) -> Result<MilliCelsius, Rejection> {
    let wrong = |detail: &'static str| Rejection::new(Reason::WrongType, detail);
    let number = Decimal::parse(raw).ok_or_else(|| wrong("v must be a number"))?;
    let Some(value) = number.exact(PLACES.into()) else {
        let is_large =
            number.scaled(0, Rounding::TowardZero).is_none_or(|whole| whole.abs() > 1_000_000);
        return Err(if is_large {
            item::out_of_range()
        } else {
            wrong("v must have at most 24 decimals")
        });
    };
    let zero = match unit {
        Unit::Celsius => 0,
        Unit::Kelvin => ZERO_CELSIUS,
    };
    let celsius = value + base - zero;
    let milli = decimal::rescaled(celsius, PLACES_BELOW_MILLI, Rounding::HalfAwayFromZero);
    i64::try_from(milli).ok().and_then(MilliCelsius::new).ok_or_else(item::out_of_range)
}

fn time(raw: Option<&str>, base: i128) -> Result<SenmlTime, Rejection> {
    let wrong = |reason, detail: &'static str| Rejection::new(reason, detail);
    let own = match raw {
        None => 0,
        Some(raw) => {
            let number = Decimal::parse(raw)
                .ok_or_else(|| wrong(Reason::WrongType, "t must be a number, in seconds"))?;
            number.exact(PLACES.into()).ok_or_else(|| {
                wrong(Reason::InvalidTimestamp, "t must be in seconds, with at most 24 decimals")
            })?
        }
    };
    let seconds = base + own;
    let millis = decimal::rescaled(seconds, PLACES_BELOW_MILLI, Rounding::TowardZero);
    let millis = i64::try_from(millis).ok().filter(|millis| *millis >= -UnixMillis::MAX.get());
    let time = millis.and_then(|millis| match seconds < RELATIVE_BELOW {
        true => Some(SenmlTime::Relative(millis)),
        false => UnixMillis::new(millis).map(SenmlTime::Absolute),
    });
    time.ok_or_else(|| {
        wrong(
            Reason::InvalidTimestamp,
            "bt and t must be in seconds, together not after the year 9999",
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::samples::decimal;

    /// What becomes of each record with a temperature, and how many others there are.
    fn outcomes(body: &str) -> (Vec<String>, usize) {
        let pack = parse(body.as_bytes()).unwrap_or_else(|bad| panic!("{body}: {bad:?}"));
        (pack.records.iter().map(outcome).collect(), pack.ignored)
    }

    fn outcome(Indexed { index, record }: &Indexed<'_>) -> String {
        match record {
            Ok(Record { device, temperature, time }) => {
                let time = match time {
                    SenmlTime::Absolute(at) => at.get().to_string(),
                    SenmlTime::Relative(millis) => format!("now{millis:+}"),
                };
                format!("{index} {} {} {time}", device.as_str(), temperature.get())
            }
            Err(rejection) => format!("{index} {}: {}", rejection.reason.code(), rejection.detail),
        }
    }

    /// The outcome of one record.
    fn of(labels: &str) -> String {
        let (mut found, ignored) = outcomes(&format!("[{{{labels}}}]"));
        assert_eq!((found.len(), ignored), (1, 0), "{labels}");
        found.remove(0)
    }

    #[test]
    fn base_fields_hold_until_they_are_given_again() {
        let body = r#"[
            {"bn":"urn:dev:mac:01:","bt":1.795647e9,"bu":"Cel","bver":10,"v":21.3},
            {"t":60,"v":21.4},
            {"n":"humidity","u":"%RH","v":40},
            {"n":"in/1","v":-0.5,"t":-0.001,"ut":5,"x":[1,{"y_":2}]},
            {"bn":"b/","bt":0,"bv":20},
            {"n":"x","u":"K","v":273.15,"t":1795647000.5},
            {"n":"y","v":1.5,"bv":-1},
            {"n":"open","vb":true},
            {"n":"z","v":1e0}
        ]"#;
        let (records, ignored) = outcomes(body);
        assert_eq!(
            records,
            [
                "0 urn:dev:mac:01: 21300 1795647000000",
                "1 urn:dev:mac:01: 21400 1795647060000",
                "3 urn:dev:mac:01:in.1 -500 1795646999999",
                "5 b.x 20000 1795647000500",
                "6 b.y 500 now+0",
                "8 b.z 0 now+0",
            ]
        );
        assert_eq!(ignored, 2);
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // Section 5.1.1, and the temperatures of 5.1.3.
        let single = r#"[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]"#;
        assert_eq!(outcomes(single).0, ["0 urn:dev:ow:10e2073a01080063 23100 now+0"]);
        let resources = r#"[
            {"bn":"2001:db8::2/","bt":1.320078429e+09,"n":"temperature","u":"Cel","v":27.2},
            {"n":"humidity","u":"%RH","v":80},
            {"bn":"2001:db8::1/","n":"temperature","u":"Cel","v":12.3}
        ]"#;
        let (records, ignored) = outcomes(resources);
        assert_eq!(
            records,
            [
                "0 2001:db8::2.temperature 27200 1320078429000",
                "2 2001:db8::1.temperature 12300 1320078429000",
            ]
        );
        assert_eq!(ignored, 1);
        // Section 5.1.2: volts and amperes.
        let volts = r#"[{"bn":"urn:dev:ow:1:","n":"voltage","u":"V","v":120.1},{"n":"current","u":"A","v":1.2}]"#;
        assert_eq!(outcomes(volts), (vec![], 2));
    }

    #[test]
    fn values_are_added_and_rounded_once() {
        for (unit, base, value, expected) in [
            ("Cel", "0", "21.4375", "21438"),
            ("Cel", "0", "-0.0005", "-1"),
            ("Cel", "0.0003", "0.0002", "1"),
            ("Cel", "0.0003", "0.0001999999999999999", "0"),
            ("Cel", "1e2", "-1E2", "0"),
            ("Cel", "0.1", "0.2", "300"),
            ("K", "0", "293.15", "20000"),
            ("K", "0", "0", "-273150"),
            ("K", "0", "273.1495", "-1"),
            ("K", "0", "273.1505", "1"),
            ("K", "0", "273.1504999999999999", "0"),
            ("K", "273.15", "4.0005", "4001"),
        ] {
            let found = of(&format!("\"n\":\"d\",\"u\":\"{unit}\",\"bv\":{base},\"v\":{value}"));
            assert_eq!(found, format!("0 d {expected} now+0"), "{unit} {base} {value}");
        }
    }

    #[test]
    fn times_are_added_and_small_ones_are_relative() {
        for (base, time, expected) in [
            ("0", "0", "now+0"),
            ("0", "-5", "now-5000"),
            ("0", "-0.0019", "now-1"),
            ("0", "268435455.9999", "now+268435455999"),
            ("0", "268435456", "268435456000"),
            ("268435456", "-0.0001", "now+268435455999"),
            ("1795647000", "0.0009", "1795647000000"),
            ("1.795647e9", "1.5e0", "1795647001500"),
            ("1795647000.1", "0.2", "1795647000300"),
            ("253402300799", "0.9999", "253402300799999"),
        ] {
            let found =
                of(&format!("\"n\":\"d\",\"u\":\"Cel\",\"bt\":{base},\"t\":{time},\"v\":1"));
            assert_eq!(found, format!("0 d 1000 {expected}"), "{base} {time}");
        }
    }

    #[test]
    fn a_record_that_is_wrong_costs_only_itself() {
        let good = "\"n\":\"d\",\"u\":\"Cel\",\"v\":1";
        for (labels, expected) in [
            ("\"u\":\"Cel\",\"v\":1", "missing_field: bn, n are missing"),
            ("\"n\":\"\",\"u\":\"Cel\",\"v\":1", "invalid_device_id: "),
            ("\"n\":\"a b\",\"u\":\"Cel\",\"v\":1", "invalid_device_id: "),
            ("\"n\":7,\"u\":\"Cel\",\"v\":1", "wrong_type: n must be a string"),
            ("\"n\":\"d\",\"u\":\"Cel\",\"v\":\"21\"", "wrong_type: v must be a number"),
            ("\"n\":\"d\",\"u\":\"Cel\",\"v\":null", "wrong_type: v must be a number"),
            ("\"n\":\"d\",\"u\":\"Cel\",\"v\":1001", "temperature_out_of_range: "),
            ("\"n\":\"d\",\"u\":\"Cel\",\"v\":1e99", "temperature_out_of_range: "),
            ("\"n\":\"d\",\"u\":\"K\",\"v\":-0.001", "temperature_out_of_range: "),
            (
                "\"n\":\"d\",\"u\":\"Cel\",\"v\":1e-25",
                "wrong_type: v must have at most 24 decimals",
            ),
            ("\"n\":\"d\",\"u\":\"Cel\",\"v\":1,\"t\":\"5\"", "wrong_type: t must be a number"),
            ("\"n\":\"d\",\"u\":\"Cel\",\"v\":1,\"t\":253402300800", "invalid_timestamp: bt and t"),
            (
                "\"n\":\"d\",\"u\":\"Cel\",\"v\":1,\"t\":-253402300800",
                "invalid_timestamp: bt and t",
            ),
            ("\"n\":\"d\",\"u\":\"Cel\",\"v\":1,\"t\":1e99", "invalid_timestamp: t must be"),
            ("\"n\":\"d\",\"u\":\"Cel\",\"v\":1,\"vs\":\"a\"", "malformed: a record with v"),
            ("\"n\":\"d\",\"u\":\"Cel\",\"v\":1,\"v\":2", "duplicate_field: v is given twice"),
        ] {
            let (found, ignored) = outcomes(&format!("[{{{good}}},{{{labels}}},{{{good}}}]"));
            assert_eq!((found.len(), ignored), (3, 0), "{labels}");
            assert_eq!([&found[0], &found[2]], ["0 d 1000 now+0", "2 d 1000 now+0"]);
            assert!(found[1].starts_with(&format!("1 {expected}")), "{labels}: {}", found[1]);
        }
        let pack = parse(br#"[{"bn":"a","n":"/b c","u":"Cel","v":1}]"#).unwrap();
        let sent = pack.records[0].record.as_ref().unwrap_err().sent.clone().unwrap();
        assert_eq!(sent.device_id.as_deref(), Some("a.b c"));
    }

    #[test]
    fn what_is_no_temperature_is_counted() {
        for labels in [
            "\"n\":\"d\",\"u\":\"F\",\"v\":1",
            "\"n\":\"d\",\"u\":\"cel\",\"v\":1",
            "\"n\":\"d\",\"v\":1",
            "\"n\":\"d\",\"u\":7,\"v\":1",
            "\"n\":\"d\",\"bu\":\"Cel\",\"u\":\"V\",\"v\":1",
            "\"n\":\"d\",\"u\":\"Cel\",\"vs\":\"21\"",
            "\"n\":\"d\",\"u\":\"Cel\",\"s\":21",
        ] {
            assert_eq!(outcomes(&format!("[{{{labels}}}]")), (vec![], 1), "{labels}");
        }
        assert_eq!(outcomes("[]"), (vec![], 0));
        assert_eq!(outcomes("[{},{\"bn\":\"a\",\"bu\":\"Cel\"}]"), (vec![], 0));
    }

    #[test]
    fn what_changes_the_records_behind_it_refuses_the_pack() {
        for (labels, said) in [
            ("\"bver\":11", "record 1: bver must be at most 10"),
            ("\"bver\":0", "record 1: bver must be at most 10"),
            ("\"bver\":\"10\"", "record 1: bver must be a number"),
            ("\"bn\":7", "record 1: bn must be a string"),
            ("\"bu\":null", "record 1: bu must be a string"),
            ("\"bt\":\"5\"", "record 1: bt must be a number"),
            ("\"bv\":1e-25", "record 1: bv must be a number, of at most 24"),
            ("\"bt\":1e36", "record 1: bt must be a number, of at most 24"),
            ("\"bn\":\"a\",\"bn\":\"b\"", "record 1: bn is given twice"),
            ("\"x_\":1", "record 1: the label \"x_\" has to be understood"),
            ("\"\\u0078_\":1", "record 1: the label \"x_\" has to be understood"),
        ] {
            let body = format!("[{{\"n\":\"d\",\"u\":\"Cel\",\"v\":1}},{{{labels}}}]");
            match parse(body.as_bytes()) {
                Err(Unreadable::Refused(why)) => assert!(why.starts_with(said), "{labels}: {why}"),
                other => panic!("{labels}: {other:?}"),
            }
        }
        for body in ["{}", "7", "[1]", "[[]]", "[null]"] {
            let found = parse(body.as_bytes());
            assert!(matches!(found, Err(Unreadable::Refused(_))), "{body}: {found:?}");
        }
        for body in ["[{}]]", "[{\"v\":NaN}]", "[{},]", "[{}{}]", "[}"] {
            let found = parse(body.as_bytes());
            assert!(matches!(found, Err(Unreadable::Syntax(_))), "{body}: {found:?}");
        }
        for body in ["[", "[{}", "[{\"v\":", "\u{feff}[{\"v\":1}"] {
            assert_eq!(parse(body.as_bytes()), Err(Unreadable::CutShort(body.len())), "{body}");
        }
        for empty in ["", " \n", "\u{feff}"] {
            assert_eq!(parse(empty.as_bytes()), Err(Unreadable::Empty));
        }
    }

    #[test]
    fn ten_thousand_temperatures_are_taken_beside_any_number_of_others() {
        let body = |n: usize| {
            let temperature = "{\"u\":\"Cel\",\"v\":1},".repeat(n);
            let other = "{\"u\":\"V\",\"v\":1},".repeat(20_000);
            format!("[{temperature}{other}{{\"v\":1}}]")
        };
        let text = body(10_000);
        let pack = parse(text.as_bytes()).unwrap();
        assert_eq!((pack.records.len(), pack.ignored), (10_000, 20_001));
        assert_eq!(parse(body(10_001).as_bytes()), Err(Unreadable::TooMany));
    }

    #[test]
    fn a_long_base_name_is_not_copied_for_each_record() {
        let long = "a".repeat(1 << 20);
        let records = "{\"n\":\"b\",\"v\":1},".repeat(9_999);
        let body = format!("[{records}{{\"bn\":\"\\u0061{long}\",\"bu\":\"Cel\"}},{records}{{}}]");
        let pack = parse(body.as_bytes()).unwrap();
        assert_eq!(pack.records.len(), 9_999);
        assert!(pack.records.iter().all(|entry| entry.record.is_err()));
    }

    proptest! {
        #[test]
        fn readings_are_read_as_they_were_written(
            names in prop::collection::vec("[a-z0-9][A-Za-z0-9:._-]{0,20}", 1..10),
            milli in prop::collection::vec(-273_150_i64..=1_000_000, 10),
            millis in prop::collection::vec(268_435_456_000_i64..253_402_300_800_000, 10),
            base_milli in -1_000_000_i64..1_000_000,
            base_millis in -1_000_000_000_000_i64..2_000_000_000_000,
            is_kelvin: bool,
        ) {
            let (unit, zero) = if is_kelvin { ("K", 273_150) } else { ("Cel", 0) };
            let record = |index: usize| {
                format!(
                    "{{\"n\":\"{}\",\"v\":{},\"t\":{}}}",
                    names[index],
                    decimal(milli[index] + zero - base_milli),
                    decimal(millis[index] - base_millis),
                )
            };
            let records: Vec<String> = (0..names.len()).map(record).collect();
            let body = format!(
                "[{{\"bn\":\"n/\",\"bu\":\"{unit}\",\"bv\":{},\"bt\":{}}},{}]",
                decimal(base_milli), decimal(base_millis), records.join(","),
            );
            let expected: Vec<String> = (0..names.len())
                .map(|n| format!("{} n.{} {} {}", n + 1, names[n], milli[n], millis[n]))
                .collect();
            prop_assert_eq!(outcomes(&body), (expected, 0));
        }

        #[test]
        fn any_bytes_give_a_pack_or_an_error(body in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(pack) = parse(&body) {
                prop_assert!(pack.records.len() + pack.ignored <= body.len());
            }
        }

        #[test]
        fn damage_gives_a_pack_or_an_error(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let whole = br#"[{"bn":"a/","bt":1.7e9,"bu":"Cel","v":1,"w":1},{"n":"b","bv":2,"v":1,"t":-1}]"#;
            let mut body = whole.to_vec();
            body[at.index(whole.len())] = byte;
            if let Ok(pack) = parse(&body) {
                prop_assert!(pack.records.len() + pack.ignored <= 2);
            }
            prop_assert!(parse(&whole[..cut.index(whole.len())]).is_err());
        }
    }
}
