//! Readings in CSV (RFC 4180): a header with the names of the fields, then a row each.
//!
//! Own code, as a damaged row has to cost only itself: `csv-core` reads a quote at a wrong place
//! as a part of the field, and joins what is behind it.

use std::borrow::Cow;

use crate::domain::decimal::Decimal;
use crate::domain::reading::{Reading, UnixMillis};
use crate::domain::rejection::{Reason, Rejection};
use crate::limits;
use crate::wire::csv_row::{Bad, Field, Rows};
use crate::wire::item::{self, Item, Parsed, Unreadable};

/// The columns of a reading.
const NAMES: [&str; 4] = ["device_id", "region", "temperature_c", "timestamp"];

/// The readings of a body. Its first row names the columns: `device_id`, `region`,
/// `temperature_c` and `timestamp` in any order, once each. Columns that can't change what a
/// temperature means (`item::is_harmless`) are ignored. A temperature is written as in JSON;
/// a timestamp is a number of Unix milliseconds, or RFC 3339. An empty field is a missing one.
/// Rows end in LF or CR LF, rows without a character are skipped, and a byte order mark before
/// the first is, too.
///
/// A row with another number of fields than the header, with a quote at a place where none may
/// be, or that is not UTF-8 is `Reason::Malformed` alone, and says the number of its line.
///
/// Fails with `Unreadable::Empty` without a header, `CutShort` if a quote is never closed,
/// `Refused` for a header that is not as above, and `TooMany` for more rows than
/// `limits::READINGS_PER_REQUEST_MAX`.
pub(crate) fn parse(body: &[u8]) -> Result<Parsed<'_>, Unreadable> {
    let mut rows = Rows::of(item::without_mark(body));
    let mut parsed = Parsed::default();
    if !rows.begin() {
        return Err(Unreadable::Empty);
    }
    let columns = header(&mut rows, &mut parsed).map_err(|bad| refusal(bad, body))?;
    while rows.begin() {
        if parsed.items.len() == limits::READINGS_PER_REQUEST_MAX {
            return Err(Unreadable::TooMany);
        }
        let line = rows.line();
        let item = match row(&mut rows, &columns) {
            Ok(raw) => raw.into_reading(),
            Err(bad @ Bad::Open) => return Err(refusal(bad, body)),
            Err(Bad::Row(detail)) => Err(Rejection::new(Reason::Malformed, detail)),
        };
        parsed.items.push(item.map_err(|rejection| item::at_line(rejection, line)));
    }
    Ok(parsed)
}

/// Why the body is refused if its header is bad, or a row has a quote that is never closed.
fn refusal(bad: Bad, body: &[u8]) -> Unreadable {
    match bad {
        Bad::Open => Unreadable::CutShort(body.len()),
        Bad::Row(detail) => Unreadable::Refused(detail),
    }
}

/// Of each column, which of `NAMES` it is; `None` if it is ignored.
type Columns = Vec<Option<usize>>;

fn header<'a>(rows: &mut Rows<'a>, parsed: &mut Parsed<'a>) -> Result<Columns, Bad> {
    let mut columns = Columns::new();
    while let Some(field) = rows.field() {
        let field = field?;
        let name = field.text().ok_or_else(|| Bad::Row("the header is not UTF-8".to_owned()))?;
        let column = NAMES.iter().position(|known| *known == name);
        match (column, name) {
            (Some(_), name) if columns.contains(&column) => {
                return Err(Bad::Row(format!("the header has the column {name} twice")));
            }
            (Some(_), _) => {}
            (None, Cow::Borrowed(name)) if item::is_harmless(name) => parsed.ignore(name),
            (None, name) => return Err(unknown_column(&name)),
        }
        columns.push(column);
    }
    let is_missing = |(index, _): &(usize, &str)| !columns.contains(&Some(*index));
    let missing: Vec<&str> =
        NAMES.into_iter().enumerate().filter(is_missing).map(|(_, name)| name).collect();
    match missing[..] {
        [] => Ok(columns),
        [name] => Err(Bad::Row(format!("the header has no column {name}"))),
        _ => Err(Bad::Row(format!("the header has no columns {}", missing.join(", ")))),
    }
}

fn unknown_column(name: &str) -> Bad {
    let separator = [(';', "semicolons"), ('\t', "tabs")]
        .into_iter()
        .find(|(separator, _)| {
            NAMES.iter().any(|known| name.split(*separator).any(|n| n == *known))
        })
        .filter(|(separator, _)| name.contains(*separator));
    if let Some((_, word)) = separator {
        return Bad::Row(format!("the header is separated by {word}; separate columns by commas"));
    }
    let shown: String = name.chars().take(limits::ECHO_CHARS_MAX).collect();
    Bad::Row(format!(
        "the header has the unknown column {shown:?}. The first line names the columns device_id, \
         region, temperature_c and timestamp; others such as humidity, battery or rssi are ignored"
    ))
}

/// The fields of `NAMES` in a row.
type Raw<'a> = [Field<'a>; NAMES.len()];

fn row<'a>(rows: &mut Rows<'a>, columns: &Columns) -> Result<Texts<'a>, Bad> {
    let mut raw = Raw::default();
    let mut count = 0_usize;
    while let Some(field) = rows.field() {
        let field = field?;
        let place = columns.get(count).copied().flatten().and_then(|column| raw.get_mut(column));
        if let Some(place) = place {
            *place = field;
        }
        count += 1;
    }
    if count != columns.len() {
        let (has, wanted) = (fields(count), columns.len());
        return Err(Bad::Row(format!("the row has {has}, the header has {wanted}")));
    }
    let [device_id, region, temperature_c, timestamp] = raw.map(Field::text);
    match (device_id, region, temperature_c, timestamp) {
        (Some(device_id), Some(region), Some(temperature_c), Some(timestamp)) => {
            Ok(Texts { device_id, region, temperature_c, timestamp })
        }
        _ => Err(Bad::Row("the row is not UTF-8".to_owned())),
    }
}

fn fields(count: usize) -> String {
    if count == 1 { "1 field".to_owned() } else { format!("{count} fields") }
}

/// What a row says of its reading. Empty is missing.
struct Texts<'a> {
    device_id: Cow<'a, str>,
    region: Cow<'a, str>,
    temperature_c: Cow<'a, str>,
    timestamp: Cow<'a, str>,
}

impl<'a> Texts<'a> {
    fn into_reading(self) -> Item<'a> {
        // Borrowed unless a field has doubled quotes, which no valid name has.
        let (device_id, region) = (self.device_id.clone(), self.region.clone());
        self.judged().map_err(|rejection| {
            let [device_id, region] = [&device_id, &region].map(|name| is_there(name));
            rejection.sent_as(device_id, region)
        })
    }

    fn judged(self) -> Item<'a> {
        let texts = [&self.device_id, &self.region, &self.temperature_c, &self.timestamp];
        if texts.iter().any(|text| text.is_empty()) {
            let pairs = NAMES.into_iter().zip(texts);
            let missing: Vec<&str> =
                pairs.filter(|(_, text)| text.is_empty()).map(|(name, _)| name).collect();
            return Err(item::missing_fields(&missing));
        }
        let (device_id, region) = (item::device_id(self.device_id), item::region(self.region));
        let (device_id, region) = item::both_names(device_id, region)?;
        let temperature = item::temperature(&self.temperature_c)?;
        Ok(Reading::new(device_id, region, temperature, timestamp(&self.timestamp)?))
    }
}

fn is_there(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// A number as in JSON, which no time in RFC 3339 is, or such a time.
fn timestamp(text: &str) -> Result<UnixMillis, Rejection> {
    match Decimal::parse(text) {
        Some(_) => item::timestamp_of_number(text),
        None => item::timestamp_of_text(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::json;
    use crate::wire::samples::{decimal, sample};

    const HEADER: &str = "device_id,region,temperature_c,timestamp\n";

    /// What becomes of each row: its reading, or the reason and detail.
    fn outcomes(body: &str) -> Vec<String> {
        parse(body.as_bytes()).unwrap().items.iter().map(outcome).collect()
    }

    fn outcome(item: &Item<'_>) -> String {
        match item {
            Ok(r) => {
                let (device, region) = (r.device_id.as_str(), r.region.as_str());
                format!("{device} {region} {} {}", r.temperature.get(), r.timestamp.get())
            }
            Err(rejection) => format!("{}: {}", rejection.reason.code(), rejection.detail),
        }
    }

    /// The outcome of one row below the usual header.
    fn of(row: &str) -> String {
        let mut found = outcomes(&format!("{HEADER}{row}"));
        assert_eq!(found.len(), 1, "{row}");
        found.remove(0)
    }

    #[test]
    fn columns_come_in_any_order_and_times_in_two_forms() {
        let body = "\u{feff}timestamp,\"region\",humidity,temperature_c,device_id\r\n\
                    1700000000000,hall,\"4,5\",21.5,d1\r\n\
                    2023-11-14T23:13:20+01:00,\"hall\",,-0.5e1,\"d2\"";
        let parsed = parse(body.as_bytes()).unwrap();
        assert_eq!(parsed.ignored, ["humidity"]);
        assert_eq!(outcomes(body), ["d1 hall 21500 1700000000000", "d2 hall -5000 1700000000000"]);
        assert_eq!(parse(HEADER.as_bytes()), Ok(Parsed::default()));
        for empty in ["", "\n\r\n", "\u{feff}"] {
            assert_eq!(parse(empty.as_bytes()), Err(Unreadable::Empty), "{empty:?}");
        }
    }

    #[test]
    fn a_field_is_judged_as_in_json() {
        for (row, expected) in [
            ("d1,hall,21.5,1700000000000", "d1 hall 21500 1700000000000"),
            ("\"d\"\"1\",hall,1,1700000000000", "invalid_device_id: "),
            ("d 1,h 1,1,1700000000000", "invalid_device_id: device_id and region: "),
            ("d1,züri,1,1700000000000", "invalid_region: "),
            ("d1,hall,+1,1700000000000", "wrong_type: "),
            (
                "d1,hall,\"4,5\",1700000000000",
                "wrong_type: temperature_c must be a number with a point",
            ),
            ("d1,hall,NaN,1700000000000", "wrong_type: "),
            ("d1,hall, 1,1700000000000", "wrong_type: "),
            ("d1,hall,-300,1700000000000", "temperature_out_of_range: "),
            ("d1,hall,1,1700000000", "timestamp_in_seconds: "),
            ("d1,hall,1,1700000000000000", "invalid_timestamp: timestamp looks like micro"),
            ("d1,hall,1,-5", "invalid_timestamp: timestamp must be Unix milliseconds"),
            ("d1,hall,1,2023-11-14 23:13", "invalid_timestamp: timestamp must be like"),
            (",hall,1,1700000000000", "missing_field: device_id is missing"),
            (",\"\",1,", "missing_field: device_id, region, timestamp are missing"),
        ] {
            let found = of(row);
            assert!(found.starts_with(expected), "{row}: {found}");
        }
        let body = format!("{HEADER}d7,,1,1");
        let sent = parse(body.as_bytes()).unwrap().items.remove(0).unwrap_err().sent.unwrap();
        assert_eq!((sent.device_id.as_deref(), sent.region), (Some("d7"), None));
    }

    #[test]
    fn a_bad_row_costs_only_itself_and_says_its_line() {
        let good = "d1,hall,1,1700000000000";
        for (bad, said) in [
            ("d1,hall,1", "the row has 3 fields, the header has 4"),
            ("d1,hall,1,1700000000000,", "the row has 5 fields, the header has 4"),
            (" ", "the row has 1 field, the header has 4"),
            ("d1,\"hall\"x,1,1700000000000", "something follows a closing quote"),
            ("d1,2\",1,1700000000000", "a quote stands within a field"),
        ] {
            let body = format!("{HEADER}\n\"d1\",hall,1,\"1700000000000\"\r\n{bad}\r\n{good}");
            let found = outcomes(&body);
            let [first, between, last] = &found[..] else { panic!("{found:?}") };
            assert_eq!([first, last], ["d1 hall 1000 1700000000000"; 2]);
            assert!(between.starts_with(&format!("malformed: line 4: {said}")), "{between}");
        }
        let body = [HEADER.as_bytes(), b"d\xff,h,1,1\n", good.as_bytes()].concat();
        let items = parse(&body).unwrap().items;
        assert_eq!(outcome(&items[0]), "malformed: line 2: the row is not UTF-8");
        assert!(items[1].is_ok());
        assert_eq!(
            outcomes(&format!("{HEADER}a,\"\nb\",1,1\nc"))[1],
            "malformed: line 4: the row has 1 field, the header has 4"
        );
    }

    #[test]
    fn a_header_that_is_none_says_why() {
        for (header, said) in [
            ("d1,hall,1,1700000000000", "the header has the unknown column \"d1\". The first line"),
            ("device_id,region,temperature_c", "the header has no column timestamp"),
            ("timestamp", "the header has no columns device_id, region, temperature_c"),
            ("device_id,region,region", "the header has the column region twice"),
            (
                "device_id,region,temperature_c,timestamp,unit",
                "the header has the unknown column \"unit\"",
            ),
            ("device_id, region", "the header has the unknown column \" region\""),
            ("device_id;region;temperature_c;timestamp", "the header is separated by semicolons"),
            ("device_id\tregion\ttemperature_c\ttimestamp", "the header is separated by tabs"),
            ("a;b", "the header has the unknown column \"a;b\""),
            ("\"rssi\"\"\"", "the header has the unknown column \"rssi\\\"\""),
            ("device_id,\"region\"x", "something follows a closing quote"),
        ] {
            let body = format!("{header}\nx,y,1,1");
            let found = parse(body.as_bytes());
            let Err(Unreadable::Refused(found)) = found else { panic!("{header}: {found:?}") };
            assert!(found.starts_with(said), "{header}: {found}");
        }
        let not_text = parse(b"device_id,\xff\n");
        assert_eq!(not_text, Err(Unreadable::Refused("the header is not UTF-8".to_owned())));
        let long = format!("{}\n", "ü".repeat(1_000));
        let Err(Unreadable::Refused(said)) = parse(long.as_bytes()) else { panic!() };
        assert!(said.len() < 300, "{said}");
    }

    #[test]
    fn a_quote_that_is_never_closed_is_a_body_cut_short() {
        for body in [format!("{HEADER}a,b,1,\"1"), "device_id,\"reg".to_owned()] {
            assert_eq!(parse(body.as_bytes()), Err(Unreadable::CutShort(body.len())));
        }
    }

    #[test]
    fn ten_thousand_rows_are_taken_and_one_more_is_too_many() {
        let body = |n: usize| format!("{HEADER}{}", "x\n".repeat(n));
        assert_eq!(parse(body(10_000).as_bytes()).unwrap().items.len(), 10_000);
        assert_eq!(parse(body(10_001).as_bytes()), Err(Unreadable::TooMany));
    }

    /// A field, in quotes if it has to be or may be.
    fn written(text: &str, is_quoted: bool) -> String {
        match is_quoted || text.contains(['"', ',', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        }
    }

    proptest! {
        #[test]
        fn a_table_is_what_json_of_the_same_is(
            samples in prop::collection::vec(sample(), 1..10),
            odd in "[ -~ü\n]{1,6}",
            at: prop::sample::Index,
            field in 0_usize..4,
            is_quoted: bool,
        ) {
            let mut table: Vec<[String; 4]> = samples
                .into_iter()
                .map(|(device, region, milli, time)| [device, region, decimal(milli), time.to_string()])
                .collect();
            let row = at.index(table.len());
            table[row][field] = odd;
            // In JSON a number is told from a text by its quotes.
            let value = |index: usize, text: &String| match index {
                2 | 3 if Decimal::parse(text).is_some() => text.clone(),
                _ => serde_json::to_string(text).unwrap(),
            };
            let pair = |(index, text): (usize, &String)| format!("\"{}\":{}", NAMES[index], value(index, text));
            let object = |row: &[String; 4]| {
                format!("{{{}}}", row.iter().enumerate().map(pair).collect::<Vec<_>>().join(","))
            };
            let array = format!("[{}]", table.iter().map(object).collect::<Vec<_>>().join(","));
            let line = |row: &[String; 4]| {
                row.iter().map(|text| written(text, is_quoted)).collect::<Vec<_>>().join(",")
            };
            let body = format!("{HEADER}{}", table.iter().map(line).collect::<Vec<_>>().join("\r\n"));
            let of_csv = parse(body.as_bytes()).unwrap().items;
            let of_json = json::parse(array.as_bytes()).unwrap().items;
            let code = |item: Item<'_>| item.map(|r| format!("{r:?}")).map_err(|r| r.reason);
            let of_csv: Vec<_> = of_csv.into_iter().map(code).collect();
            prop_assert_eq!(of_csv, of_json.into_iter().map(code).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_give_rows_or_an_error(
            has_header: bool, body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let header = if has_header { HEADER.as_bytes() } else { b"" };
            let body = [header, &body].concat();
            if let Ok(parsed) = parse(&body) {
                prop_assert!(parsed.items.len() < body.split(|byte| *byte == b'\n').count());
            }
        }

        #[test]
        fn signs_of_csv_in_any_order_give_rows_or_an_error(body in "[a1,\"\r\n]{0,60}") {
            let body = format!("{HEADER}{body}");
            let lines = body.matches('\n').count();
            if let Ok(parsed) = parse(body.as_bytes()) {
                prop_assert!(parsed.items.len() <= lines);
            }
        }
    }
}
