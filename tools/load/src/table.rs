//! Reads CSV files as readings.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use csv::{ByteRecord, ReaderBuilder, Trim};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::left_out::{Tally, Unusable, Why, echo};
use crate::number::{self, DecimalSign, Missing};
use crate::times::{TimeFormat, Zone};

/// A reading as it is sent, with the temperature as the file writes it.
#[derive(Clone, Debug, Serialize)]
pub struct WireReading {
    /// The device's name.
    pub device_id: String,
    /// The region's name.
    pub region: String,
    /// Degrees Celsius, digit by digit as in the file.
    pub temperature_c: Box<RawValue>,
    /// RFC 3339 in UTC, with milliseconds.
    pub timestamp: String,
}

/// A reading, and where it was found.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line of the file where its row begins, from 1.
    pub line: u64,
    /// What it says.
    pub reading: WireReading,
}

/// The columns of a file with the parts of a reading.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The device.
    pub device: Field,
    /// The region.
    pub region: Field,
    /// The temperature in degrees Celsius.
    pub temperature: String,
    /// The time.
    pub timestamp: String,
}

/// A part of a reading: the same for the whole file, or a column.
#[derive(Clone, Debug)]
pub enum Field {
    /// The value for all rows.
    Fixed(String),
    /// The name of a column.
    Column(String),
}

impl Default for Columns {
    /// The names of the fields of a JSON reading.
    fn default() -> Self {
        Self {
            device: Field::Column("device_id".to_owned()),
            region: Field::Column("region".to_owned()),
            temperature: "temperature_c".to_owned(),
            timestamp: "timestamp".to_owned(),
        }
    }
}

/// The notation of a file.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// What separates columns: an ASCII byte.
    pub delimiter: u8,
    /// The decimal sign of temperatures.
    pub decimal_sign: DecimalSign,
    /// The format of times.
    pub time_format: TimeFormat,
    /// The zone of times without one.
    pub zone: Zone,
    /// The texts for a missing value.
    pub missing: Missing,
}

impl Default for Dialect {
    /// Commas between columns, decimal points, times in UTC.
    fn default() -> Self {
        Self {
            delimiter: b',',
            decimal_sign: DecimalSign::default(),
            time_format: TimeFormat::default(),
            zone: Zone::default(),
            missing: Missing::default(),
        }
    }
}

/// The byte that `--delimiter` names: itself, or `tab`, `comma`, `semicolon`.
pub fn delimiter(text: &str) -> Result<u8> {
    Ok(match (text, text.as_bytes()) {
        ("tab" | "\\t", _) => b'\t',
        ("comma", _) => b',',
        ("semicolon", _) => b';',
        (_, &[byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => byte,
        _ => bail!("{text:?} is no delimiter: ',', ';', '|' and tab are, and any one character"),
    })
}

/// A file's rows.
#[derive(Debug, Default)]
pub struct Table {
    /// How many rows are below the header.
    pub rows: usize,
    /// The readings, in the order of the file.
    pub readings: Vec<Row>,
    /// The rows that are not readings.
    pub left_out: Tally<Why>,
    /// The names of devices in the file, and as they are sent.
    pub devices: BTreeMap<String, String>,
    /// The same for regions.
    pub regions: BTreeMap<String, String>,
}

/// Reads all rows of the file at `path`. A row that can't be used is left out, with the
/// reason. A file that can't be read, or lacks a column, is an error.
pub fn read(path: &Path, columns: &Columns, dialect: &Dialect) -> Result<Table> {
    let file = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("{file} can't be read"))?;
    parse(&bytes, columns, dialect).with_context(|| format!("{file} can't be imported"))
}

/// The same for a file's bytes.
fn parse(bytes: &[u8], columns: &Columns, dialect: &Dialect) -> Result<Table> {
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    ensure!(!is_utf16, "it is UTF-16; convert it to UTF-8 first");
    let mut reader = ReaderBuilder::new()
        .delimiter(dialect.delimiter)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(bytes);
    let headers = reader.byte_headers()?.clone();
    let places = Places::find(&headers, columns, dialect.delimiter)?;
    let mut lines = Lines { bytes, at: 0, line: 1 };
    let (mut table, mut record) = (Table::default(), ByteRecord::new());
    while reader.read_byte_record(&mut record)? {
        let line = lines.of_record(record.position().map_or(0, csv::Position::byte));
        let last = lines.clone().of_end(reader.position().byte());
        table.rows += 1;
        let is_last = reader.position().byte() >= bytes.len() as u64;
        let reading = match is_last && last > line && lines.is_quote_open() {
            true => Err(Unusable::new(Why::OpenQuote, "")),
            false => table.reading(&record, &headers, &places, dialect),
        };
        match reading {
            Ok(reading) => table.readings.push(Row { line, reading }),
            Err(Unusable { why, detail }) if last > line => {
                let quoted = format!("a quote makes one row of it up to line {last}");
                let parts = [detail, quoted].into_iter().filter(|part| !part.is_empty());
                table.left_out.add(why, line, &parts.collect::<Vec<_>>().join("; "));
            }
            Err(Unusable { why, detail }) => table.left_out.add(why, line, &detail),
        }
    }
    Ok(table)
}

/// Where the parts of a reading are in a record.
struct Places {
    device: Place,
    region: Place,
    temperature: usize,
    timestamp: usize,
}

enum Place {
    Fixed(String),
    Column(usize),
}

impl Places {
    fn find(headers: &ByteRecord, columns: &Columns, delimiter: u8) -> Result<Self> {
        ensure!(!headers.is_empty(), "it is empty: the first line names the columns");
        let known: Vec<_> = headers.iter().map(String::from_utf8_lossy).collect();
        let position = |name: &str, option: &str| {
            let mut found = known.iter().enumerate().filter(|(_, header)| *header == name);
            match (found.next(), found.next()) {
                (Some((index, _)), None) => Ok(index),
                (Some(_), Some(_)) => bail!("it has two columns {name}: which one is meant?"),
                (None, _) => match other_delimiter(&known, delimiter) {
                    Some(other) => bail!(
                        "its header is {}: if the columns are separated otherwise, say \
                         --delimiter {other}",
                        echo(&known.join(&char::from(delimiter).to_string()))
                    ),
                    None => {
                        bail!("it has no column {name}, but {}: say {option}", known.join(", "))
                    }
                },
            }
        };
        let place = |field: &Field, option| match field {
            Field::Fixed(text) => Ok(Place::Fixed(text.clone())),
            Field::Column(name) => position(name, option).map(Place::Column),
        };
        Ok(Self {
            temperature: position(&columns.temperature, "--temperature COLUMN")?,
            timestamp: position(&columns.timestamp, "--timestamp COLUMN")?,
            device: place(&columns.device, "--device-column COLUMN, or --device NAME")?,
            region: place(&columns.region, "--region-column COLUMN, or --region NAME")?,
        })
    }
}

/// If the header lacks a column, the delimiter that it seems to have, in the form of
/// `--delimiter`.
fn other_delimiter(headers: &[impl AsRef<str>], delimiter: u8) -> Option<&'static str> {
    let candidates = [(b';', "';'"), (b'\t', "tab"), (b'|', "'|'"), (b',', "','")];
    let is_in = |byte: u8| headers.iter().any(|h| h.as_ref().as_bytes().contains(&byte));
    candidates.into_iter().find(|&(byte, _)| byte != delimiter && is_in(byte)).map(|(_, name)| name)
}

impl Table {
    fn reading(
        &mut self,
        record: &ByteRecord,
        headers: &ByteRecord,
        places: &Places,
        dialect: &Dialect,
    ) -> Result<WireReading, Unusable> {
        let text = |index: usize| String::from_utf8_lossy(record.get(index).unwrap_or_default());
        let (temperature, timestamp) = (text(places.temperature), text(places.timestamp));
        let is_blank = record.iter().all(<[u8]>::is_empty);
        // Some programs end rows with a delimiter that the header lacks.
        let more = record.iter().skip(headers.len()).any(|field| !field.is_empty());
        if !is_blank && (record.len() < headers.len() || more) {
            let detail = format!("{} and not {}", record.len(), headers.len());
            return Err(Unusable::new(Why::Fields, detail));
        }
        if is_blank || dialect.missing.has(&temperature) {
            return Err(Unusable::new(Why::NoTemperature, ""));
        }
        if dialect.missing.has(&timestamp) {
            return Err(Unusable::new(Why::NoTime, ""));
        }
        let number = number::to_json(&temperature, dialect.decimal_sign)?;
        let instant = dialect.time_format.instant(&timestamp, dialect.zone)?;
        let name = |known: &mut BTreeMap<String, String>, place: &Place| match place {
            Place::Fixed(name) => sent_as(known, name),
            Place::Column(index) => sent_as(known, &text(*index)),
        };
        Ok(WireReading {
            device_id: name(&mut self.devices, &places.device)?,
            region: name(&mut self.regions, &places.region)?,
            temperature_c: RawValue::from_string(number)
                .map_err(|error| Unusable::new(Why::NoNumber, error.to_string()))?,
            timestamp: instant.to_string(),
        })
    }
}

/// The name that is sent for `text`. Remembers it.
fn sent_as(known: &mut BTreeMap<String, String>, text: &str) -> Result<String, Unusable> {
    if let Some(name) = known.get(text) {
        return Ok(name.clone());
    }
    if text.is_empty() {
        return Err(Unusable::new(Why::NoName, ""));
    }
    let name = to_name(text);
    known.insert(text.to_owned(), name.clone());
    Ok(name)
}

/// A name that Isotherm accepts: other characters become hyphens.
fn to_name(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    text.chars().map(|c| if safe(c) { c } else { '-' }).collect()
}

/// Counts lines up to a byte. The CSV reader's own count is one behind if lines end in
/// CR LF or are empty.
#[derive(Clone)]
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of a record that begins at `byte` or after empty lines there.
    fn of_record(&mut self, byte: u64) -> u64 {
        self.count_to(byte, |_| false);
        self.count_to(u64::MAX, |byte| byte != b'\n' && byte != b'\r');
        self.line
    }

    /// Whether the last record, which begins here, is cut off by the end of the file,
    /// within a quoted field.
    fn is_quote_open(&self) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        rest.iter().filter(|&&byte| byte == b'"').count() % 2 == 1
    }

    /// The line of a record that ends before `byte`.
    fn of_end(mut self, byte: u64) -> u64 {
        self.count_to(byte, |_| false);
        let read = self.bytes.get(..self.at).unwrap_or_default();
        self.line - u64::from(matches!(read.last(), Some(b'\n' | b'\r')))
    }

    fn count_to(&mut self, end: u64, stops: impl Fn(u8) -> bool) {
        while let Some(&byte) = self.bytes.get(self.at) {
            if self.at as u64 >= end || stops(byte) {
                break;
            }
            self.at += 1;
            let next = self.bytes.get(self.at);
            if byte == b'\n' || (byte == b'\r' && next != Some(&b'\n')) {
                self.line += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Columns {
        Columns {
            device: Field::Fixed("d".to_owned()),
            region: Field::Fixed("r".to_owned()),
            temperature: "t".to_owned(),
            timestamp: "at".to_owned(),
        }
    }

    /// What is sent, then what is left out, one `line: …` each.
    fn lines(csv: &str, dialect: &Dialect) -> String {
        let table = match parse(csv.as_bytes(), &columns(), dialect) {
            Ok(table) => table,
            Err(error) => return format!("{error:#}"),
        };
        assert_eq!(table.rows, table.readings.len() + table.left_out.total());
        let sent = table.readings.iter().map(|Row { line, reading }| {
            format!("{line}: {} {}", reading.timestamp, reading.temperature_c)
        });
        let left_out = table.left_out.iter().map(|(why, group)| {
            format!("{:?}: {why:?} {}", group.lines(), group.detail()).trim_end().to_owned()
        });
        sent.chain(left_out).collect::<Vec<_>>().join("\n")
    }

    fn check(cases: &[(&str, &str)], dialect: &Dialect) {
        for (csv, expected) in cases {
            assert_eq!(lines(csv, dialect), *expected, "{csv}");
        }
    }

    #[test]
    fn rows_that_cannot_be_used_are_left_out_and_named() {
        let cases = [
            ("at,t\n2010-01-01,4.0\n", "2: 2010-01-01T00:00:00.000Z 4.0"),
            (
                "at,t\n2010-01-01,x\n2010-01-02,1.5\nnever,1\n2010-01-04,true\n",
                "3: 2010-01-02T00:00:00.000Z 1.5\n\
                 [2, 5]: NoNumber \"x\": if it stands for nothing, say --missing\n\
                 [4]: UnknownTime \"never\" is not like 2026-11-22 10:00 or \
                 2026-11-22T10:00:00+01:00: if it is a time, say --time-format",
            ),
            (
                "at,t\n2010-01-01,\n2010-01-01,NA\n,\n2010-01-01,null\n2010-01-01,-\n",
                "[2, 3, 4, 5, 6]: NoTemperature",
            ),
            ("at,t\n,1\nNA,1\n", "[2, 3]: NoTime"),
            (
                "at,t\n2010-01-01,\"21,5\"\n2010-01-01,\"2,5\"\n",
                "[2, 3]: DecimalComma \"21,5\": if it is the decimal sign, say --decimal-comma",
            ),
            (
                "at,t\n1262304000,1\n",
                "[2]: UnixSeconds \"1262304000\": say --time-format unix-seconds or unix-millis",
            ),
            ("at,t\n2010-01-01,-999\n", "2: 2010-01-01T00:00:00.000Z -999"),
            // Commas that separate nothing, or too much.
            (
                "at,t\n2010-01-01,21,5\n2010-01-01\n2010-01-01,4,,\n",
                "4: 2010-01-01T00:00:00.000Z 4\n[2, 3]: Fields 3 and not 2",
            ),
            (
                "at,t,note\n2010-01-01,4,\"never closed\n2010-01-02,4,x\n",
                "[2]: OpenQuote a quote makes one row of it up to line 3",
            ),
            (
                "at,t\n2010-01-01,\"4\n2010-01-02,\"4\n2010-01-03,4\n",
                "4: 2010-01-03T00:00:00.000Z 4\n[2]: NoNumber \"4\\n2010-01-02,4\": if it stands \
                 for nothing, say --missing; a quote makes one row of it up to line 3",
            ),
        ];
        check(&cases, &Dialect::default());
    }

    #[test]
    fn lines_are_those_of_an_editor() {
        let cases = [
            (
                "at,t\r\n2010-01-01,1\r\n\r\n2010-01-02,2\r\n",
                "2: 2010-01-01T00:00:00.000Z 1\n4: 2010-01-02T00:00:00.000Z 2",
            ),
            (
                "\n\nat,t\n\n2010-01-01,1\n\n\n2010-01-02,2",
                "5: 2010-01-01T00:00:00.000Z 1\n8: 2010-01-02T00:00:00.000Z 2",
            ),
            (
                "\u{feff}at , t\n \n 2010-01-01, 1\n",
                "3: 2010-01-01T00:00:00.000Z 1\n[2]: NoTemperature",
            ),
            (
                "at,t,note\n2010-01-01,1,\"two\nlines\"\n2010-01-02,2,\n",
                "2: 2010-01-01T00:00:00.000Z 1\n4: 2010-01-02T00:00:00.000Z 2",
            ),
            ("at,t\r2010-01-01,1\r", "2: 2010-01-01T00:00:00.000Z 1"),
        ];
        check(&cases, &Dialect::default());
    }

    #[test]
    fn a_file_of_another_kind_is_told_with_the_option_that_reads_it() {
        let cases = [
            (
                "at;t\n2010-01-01;4\n",
                "its header is \"at;t\": if the columns are separated otherwise, say --delimiter ';'",
            ),
            (
                "at\tt\n2010-01-01\t4\n",
                "its header is \"at\\tt\": if the columns are separated otherwise, say --delimiter tab",
            ),
            (
                "at;t;\"a,b\";x,y\n",
                "its header is \"at;t;\\\"a,b\\\";x,y\": if the columns are separated otherwise, \
                 say --delimiter ';'",
            ),
            ("date,t\n", "it has no column at, but date, t: say --timestamp COLUMN"),
            ("at,t,t\n", "it has two columns t: which one is meant?"),
            ("", "it is empty: the first line names the columns"),
            ("at,t\n", ""),
        ];
        check(&cases, &Dialect::default());
        let comma = Dialect { delimiter: b';', ..Dialect::default() };
        let said =
            "its header is \"at,t\": if the columns are separated otherwise, say --delimiter ','";
        check(&[("at,t\n", said)], &comma);
        let error = parse(b"\xff\xfea\0t\0", &columns(), &comma).unwrap_err().to_string();
        assert_eq!(error, "it is UTF-16; convert it to UTF-8 first");
    }

    #[test]
    fn options_read_what_other_programs_write() {
        let mut dialect = Dialect {
            delimiter: delimiter(";").unwrap(),
            decimal_sign: DecimalSign::Comma,
            time_format: "%d.%m.%Y %H:%M".parse().unwrap(),
            zone: "+0100".parse().unwrap(),
            missing: Missing::default(),
        };
        dialect.missing.add("-999");
        let cases = [
            (
                "at;t\n01.02.2010 05:30;21,5\n1.2.2010 6:00;-999,0\n01.02.2010 06:30;4\n",
                "2: 2010-02-01T04:30:00.000Z 21.5\n4: 2010-02-01T05:30:00.000Z 4\n\
                 [3]: NoTemperature",
            ),
            ("at;t\n01.02.2010 05:30;21.5\n", "[2]: DecimalPoint \"21.5\""),
            (
                "at;t\n2010-02-01 05:30;21,5\n",
                "[2]: UnknownTime \"2010-02-01 05:30\" is not like %d.%m.%Y %H:%M",
            ),
        ];
        check(&cases, &dialect);
        let tab = Dialect { delimiter: delimiter("tab").unwrap(), ..Dialect::default() };
        check(&[("at\tt\n2010-01-01\t4\n", "2: 2010-01-01T00:00:00.000Z 4")], &tab);
        for (text, byte) in [("\t", b'\t'), ("\\t", b'\t'), ("semicolon", b';'), ("|", b'|')] {
            assert_eq!(delimiter(text).unwrap(), byte);
        }
        for text in ["", ";;", "ä", "\"", "\n"] {
            assert!(delimiter(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_are_made_safe_and_remembered() {
        let columns = Columns {
            device: Field::Column("who".to_owned()),
            region: Field::Fixed("Seattle WA".to_owned()),
            ..columns()
        };
        let csv = "at,t,who\n2010-01-01,1,a\n2010-01-01,1,b/c\n2010-01-01,1,\n2010-01-01,1,a\n";
        // Latin-1, as old programs write it.
        let bytes = [csv.as_bytes(), b"2010-01-01,1,Z\xfcrich\n"].concat();
        let table = parse(&bytes, &columns, &Dialect::default()).unwrap();
        let known = |known: &BTreeMap<String, String>| {
            known.iter().map(|(from, to)| format!("{from} {to}")).collect::<Vec<_>>()
        };
        assert_eq!(known(&table.devices), ["Z\u{fffd}rich Z-rich", "a a", "b/c b-c"]);
        assert_eq!(known(&table.regions), ["Seattle WA Seattle-WA"]);
        assert_eq!(table.left_out.iter().map(|(why, _)| *why).collect::<Vec<_>>(), [Why::NoName]);
    }
}
