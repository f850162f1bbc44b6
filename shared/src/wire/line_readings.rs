//! Readings in InfluxDB's line protocol: lines with a field `temperature_c` and tags
//! `device_id` and `region`. One pass, which builds no line and copies nothing.

use crate::domain::decimal::Decimal;
use crate::domain::reading::{DeviceId, MilliCelsius, Region, UnixMillis};
use crate::domain::rejection::{Reason, Rejection};
use crate::limits;
use crate::wire::item::{self, Unreadable};
use crate::wire::line::{self, Field};
use crate::wire::line_scan::{Detail, Scan};
use crate::wire::line_time::{self, Precision};

/// What a body holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LineReadings<'a> {
    /// A line with a temperature each, or one that can't be read, in their order.
    pub(crate) items: Vec<LineItem<'a>>,
    /// How many lines have no field `temperature_c`.
    pub(crate) ignored: usize,
}

/// A line with a temperature, or one that can't be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LineItem<'a> {
    /// The number of the line in the body that it begins in, from 1.
    pub(crate) line: usize,
    /// Its reading, or why it was rejected. A line that can't be read is `Reason::Malformed`.
    pub(crate) reading: Result<LineReading<'a>, Rejection>,
}

/// A reading whose time may be missing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LineReading<'a> {
    /// The tag `device_id`.
    pub(crate) device_id: DeviceId<'a>,
    /// The tag `region`.
    pub(crate) region: Region<'a>,
    /// The field `temperature_c`.
    pub(crate) temperature: MilliCelsius,
    /// The line's time; `None` if it has none.
    pub(crate) time: Option<UnixMillis>,
}

/// The readings of a body. Other tags and fields are skipped: in line protocol they are other
/// quantities and places, never the unit of this field.
///
/// Fails with `Unreadable::TooMany` if more lines than `limits::READINGS_PER_REQUEST_MAX` have
/// a temperature or can't be read. A body without a line has no items.
pub(crate) fn readings(body: &str, precision: Precision) -> Result<LineReadings<'_>, Unreadable> {
    let mut scan = Scan::of(body);
    let mut found = LineReadings::default();
    while let Some(line) = scan.begin() {
        let mut raw = Raw::default();
        let reading = match raw.read(&mut scan) {
            Ok(()) if raw.temperature_c.is_none() => {
                found.ignored += 1;
                continue;
            }
            Ok(()) => raw.judged(precision),
            Err(detail) => {
                scan.give_up();
                Err(item::at_line(Rejection::new(Reason::Malformed, detail), line))
            }
        };
        if found.items.len() == limits::READINGS_PER_REQUEST_MAX {
            return Err(Unreadable::TooMany);
        }
        let reading = reading.map_err(|rejection| raw.named_in(rejection));
        found.items.push(LineItem { line, reading });
    }
    Ok(found)
}

/// The pieces of a line that make a reading, as they are written.
#[derive(Default)]
struct Raw<'a> {
    device_id: Option<&'a str>,
    region: Option<&'a str>,
    temperature_c: Option<&'a str>,
    time: Option<&'a str>,
    /// What was given twice.
    twice: Option<&'static str>,
}

impl<'a> Raw<'a> {
    /// Takes a line. What was found before an error stays.
    fn read(&mut self, scan: &mut Scan<'a>) -> Result<(), Detail> {
        scan.measurement()?;
        while let Some((key, value)) = scan.tag()? {
            match key {
                "device_id" => put(&mut self.device_id, value, "device_id", &mut self.twice),
                "region" => put(&mut self.region, value, "region", &mut self.twice),
                _ => {}
            }
        }
        while let Some((key, value)) = scan.field()? {
            if !line::is_value(value) {
                return Err(line::no_value(key));
            }
            if key == "temperature_c" {
                put(&mut self.temperature_c, value, "temperature_c", &mut self.twice);
            }
        }
        self.time = scan.end()?;
        Ok(())
    }

    fn judged(&self, precision: Precision) -> Result<LineReading<'a>, Rejection> {
        if let Some(name) = self.twice {
            let detail = format!("{name} is given twice");
            return Err(Rejection::new(Reason::DuplicateField, detail));
        }
        let (device_id, region) = match (self.device_id, self.region) {
            (Some(device_id), Some(region)) => (device_id, region),
            (None, Some(_)) => return Err(item::missing_fields(&["device_id"])),
            (Some(_), None) => return Err(item::missing_fields(&["region"])),
            (None, None) => return Err(item::missing_fields(&["device_id", "region"])),
        };
        let (device_id, region) = item::both_names(
            item::device_id(line::tag_value(device_id)),
            item::region(line::tag_value(region)),
        )?;
        let temperature = temperature(self.temperature_c.unwrap_or_default())?;
        let time = self.time.map(|time| line_time::instant(time, precision)).transpose()?;
        Ok(LineReading { device_id, region, temperature, time })
    }

    /// The rejection with the names that the line has.
    fn named_in(&self, rejection: Rejection) -> Rejection {
        let [device_id, region] = [self.device_id, self.region].map(|raw| raw.map(line::tag_value));
        rejection.sent_as(device_id.as_deref(), region.as_deref())
    }
}

fn put<'a>(
    place: &mut Option<&'a str>,
    value: &'a str,
    name: &'static str,
    twice: &mut Option<&'static str>,
) {
    if place.replace(value).is_some() {
        *twice = Some(name);
    }
}

/// A temperature in degrees Celsius: a number of any kind, as it is written.
fn temperature(raw: &str) -> Result<MilliCelsius, Rejection> {
    let number = match line::scalar(raw) {
        Some(Field::Float(text) | Field::Integer(text) | Field::Unsigned(text)) => {
            Decimal::parse_loose(text)
        }
        _ => None,
    };
    let detail = "temperature_c must be a number without quotes, in degrees Celsius";
    number.ok_or_else(|| Rejection::new(Reason::WrongType, detail)).and_then(item::millicelsius)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::line::Lines;
    use crate::wire::samples::{Sample, decimal, sample};

    const GOOD: &str = "m,device_id=d1,region=hall temperature_c=21.5 1700000000000";

    /// What becomes of each item, and how many lines were ignored.
    fn outcomes(body: &str) -> (Vec<String>, usize) {
        let found = readings(body, Precision::Auto).unwrap();
        (found.items.iter().map(outcome).collect(), found.ignored)
    }

    fn outcome(item: &LineItem<'_>) -> String {
        match &item.reading {
            Ok(LineReading { device_id, region, temperature, time }) => {
                let time = time.map_or("-".to_owned(), |time| time.get().to_string());
                let (device_id, region) = (device_id.as_str(), region.as_str());
                format!("{} {device_id} {region} {} {time}", item.line, temperature.get())
            }
            Err(rejection) => {
                format!("{} {}: {}", item.line, rejection.reason.code(), rejection.detail)
            }
        }
    }

    #[test]
    fn lines_with_a_temperature_are_readings_and_others_are_counted() {
        let body = "cpu,host=a usage=1 5\n\
                    m,z=1,region=hall,device_id=d1 a=\"temperature_c=1\nm\",temperature_c=21.5,b=t 1700000000\n\
                    \n# a comment\n\
                    m,device_id=d2,region=hall temperature_c=-4i\r\n\
                    m,device_id=d3,region=hall temperature_c=+.5e1,x=1 1700000000123456789\n\
                    disk free=1u";
        let (items, ignored) = outcomes(body);
        assert_eq!(
            items,
            ["2 d1 hall 21500 1700000000000", "6 d2 hall -4000 -", "7 d3 hall 5000 1700000000123",]
        );
        assert_eq!(ignored, 2);
        assert_eq!(readings("\n", Precision::Auto), Ok(LineReadings::default()));
    }

    #[test]
    fn each_fault_has_its_reason() {
        for (line, expected) in [
            ("m temperature_c=1", "missing_field: device_id, region are missing"),
            ("m,region=r temperature_c=1", "missing_field: device_id is missing"),
            ("m,device_id=d temperature_c=1", "missing_field: region is missing"),
            (
                "m,device_id=d,region=r,region=r temperature_c=1",
                "duplicate_field: region is given twice",
            ),
            (
                "m,device_id=d,region=r temperature_c=1,temperature_c=2",
                "duplicate_field: temperature_c is",
            ),
            ("m,device_id=d\\ 1,region=r temperature_c=1", "invalid_device_id: names are"),
            ("m,device_id=d,region=\u{fffd} temperature_c=1", "invalid_region: names are"),
            (
                "m,device_id=d,region=r temperature_c=\"1\"",
                "wrong_type: temperature_c must be a number",
            ),
            (
                "m,device_id=d,region=r temperature_c=t",
                "wrong_type: temperature_c must be a number",
            ),
            ("m,device_id=d,region=r temperature_c=1e9", "temperature_out_of_range: "),
            ("m,device_id=d,region=r temperature_c=1 5", "invalid_timestamp: "),
            (
                "m,device_id=d,region=r temperature_c=NaN 5",
                "malformed: line 1: the value of the field",
            ),
            (
                "m,device_id=d,region=r temperature_c=1,x=NaN 5",
                "malformed: line 1: the value of the field",
            ),
            ("m,device_id=d,region=r temperature_c=1 x", "malformed: line 1: the timestamp is"),
        ] {
            let (items, ignored) = outcomes(line);
            assert_eq!((items.len(), ignored), (1, 0), "{line}");
            assert!(items[0].starts_with(&format!("1 {expected}")), "{line}: {items:?}");
        }
        let late =
            readings("m,device_id=d\\ 1,region=r temperature_c=1,x=y", Precision::Auto).unwrap();
        let sent = late.items[0].reading.as_ref().unwrap_err().sent.clone().unwrap();
        assert_eq!((sent.device_id.as_deref(), sent.region.as_deref()), (Some("d 1"), Some("r")));
    }

    #[test]
    fn the_precision_is_that_of_the_request() {
        let line = "m,device_id=d,region=r temperature_c=1 1700000000";
        let seconds = readings(line, Precision::Seconds).unwrap();
        assert_eq!(outcome(&seconds.items[0]), "1 d r 1000 1700000000000");
        let nanoseconds = readings(line, Precision::Nanoseconds).unwrap();
        assert!(outcome(&nanoseconds.items[0]).starts_with("1 timestamp_in_seconds: "));
    }

    #[test]
    fn ten_thousand_are_taken_beside_any_number_of_other_lines() {
        let body =
            |n: usize| format!("{}{}", "m f=1\n".repeat(20_000), format!("{GOOD}\n").repeat(n));
        let text = body(10_000);
        let found = readings(&text, Precision::Auto).unwrap();
        assert_eq!((found.items.len(), found.ignored), (10_000, 20_000));
        assert_eq!(readings(&body(10_001), Precision::Auto), Err(Unreadable::TooMany));
    }

    fn line((device, region, milli, time): &Sample) -> String {
        format!(
            "m,a=1,device_id={device},region={region} temperature_c={},b=t {time}",
            decimal(*milli)
        )
    }

    /// The same by way of whole lines: numbers of those with a temperature or a fault, and how
    /// many have none.
    fn by_lines(body: &str) -> (Vec<usize>, usize) {
        let mut numbers = Vec::new();
        let mut ignored = 0;
        for line in Lines::of(body) {
            match line {
                Ok(line) if line.fields.iter().all(|(key, _)| key != "temperature_c") => {
                    ignored += 1
                }
                Ok(line) => numbers.push(line.number),
                Err(bad) => numbers.push(bad.line_number),
            }
        }
        (numbers, ignored)
    }

    proptest! {
        #[test]
        fn readings_are_read_as_they_were_written(samples in prop::collection::vec(sample(), 1..10)) {
            let body = samples.iter().map(line).collect::<Vec<_>>().join("\n");
            let found = readings(&body, Precision::Milliseconds).unwrap();
            for (item, (device, region, milli, time)) in found.items.iter().zip(&samples) {
                let read = item.reading.as_ref().unwrap();
                prop_assert_eq!(read.device_id.as_str(), device);
                prop_assert_eq!(read.region.as_str(), region);
                prop_assert_eq!(i64::from(read.temperature.get()), *milli);
                prop_assert_eq!(read.time.map(UnixMillis::get), Some(*time));
            }
            prop_assert_eq!(found.items.len(), samples.len());
        }

        #[test]
        fn damage_within_a_line_costs_that_line_alone(
            count in 1_usize..20, which: prop::sample::Index, at: prop::sample::Index,
            damage in "[ -~ü\"\\\\,= ]{1,3}",
        ) {
            let mut lines = vec![GOOD.to_owned(); count];
            let damaged = which.index(count);
            lines[damaged].insert_str(at.index(GOOD.len() + 1), &damage);
            let body = lines.join("\n");
            let found = readings(&body, Precision::Auto).unwrap();
            for number in (1..=count).filter(|number| *number != damaged + 1) {
                let item = found.items.iter().find(|item| item.line == number);
                prop_assert!(item.is_some_and(|item| item.reading.is_ok()), "{}: {}", number, body);
            }
        }

        #[test]
        fn the_short_way_takes_the_lines_that_the_long_one_takes(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "m", ",", " ", "=", "\"", "\\", "\n", "\r", "#", "1", "temperature_c=1", "t",
                    ",device_id=d", ",region=r", GOOD, "\n",
                ]),
                0..40,
            ),
        ) {
            let body = pieces.concat();
            let found = readings(&body, Precision::Auto).unwrap();
            let numbers = found.items.iter().map(|item| item.line).collect();
            prop_assert_eq!((numbers, found.ignored), by_lines(&body));
        }
    }
}
