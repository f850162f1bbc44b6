//! Summaries in words of what became of a file's rows.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::left_out::{Group, LINES_NAMED_MAX, Tally, echo, named};
use crate::replay::{Conflict, Sent};
use crate::table::{Row, Table};

/// How many examples a summary gives if it names the lines as well.
const EXAMPLES_MAX: usize = 5;

/// Before sending: how many rows there are, those left out by reason, and names that
/// change when they are sent.
pub fn of_file(table: &Table) -> String {
    let mut lines = vec![format!(
        "Read {} rows: {} to send, {} left out",
        table.rows,
        table.readings.len(),
        table.left_out.total()
    )];
    groups(&mut lines, &table.left_out);
    for (what, known) in [("device", &table.devices), ("region", &table.regions)] {
        names(&mut lines, what, known);
    }
    lines.join("\n")
}

/// After sending `rows`: acknowledged readings by what became of them, rejected ones by
/// reason, and those not sent.
pub fn of_sending(sent: &Sent, rows: &[Row]) -> String {
    let mut lines = vec![
        format!(
            "Acknowledged {} of {} readings, rejected {}, sent again {} of {} requests",
            sent.acknowledged(),
            rows.len(),
            sent.rejected(),
            sent.retries,
            sent.requests
        ),
        format!("  {} stored", sent.stored),
        format!(
            "  {} duplicates: counted before{}",
            sent.duplicate,
            match sent.retries {
                0 => "",
                _ => ", or by a request whose answer was lost and that was sent again",
            }
        ),
    ];
    conflicts(&mut lines, sent);
    if sent.unknown > 0 {
        lines.push(format!(
            "  {} not known: safe with the service, which had no time to count them; they may be \
             stored, duplicates or conflicts",
            sent.unknown
        ));
    }
    for (reason, group) in sent.rejected.iter() {
        of_reason(&mut lines, &format!("rejected as {reason}"), group);
        hint(&mut lines, reason, group, rows);
    }
    if sent.rejected_omitted > 0 {
        let omitted = sent.rejected_omitted;
        lines.push(format!("  {omitted} rejected that the service does not name"));
    }
    if !sent.not_sent.is_empty() {
        let lines_of = named(&sent.not_sent);
        lines.push(format!("Not acknowledged, as it ended: {}, {lines_of}", sent.not_sent.len()));
    }
    lines.join("\n")
}

fn conflicts(lines: &mut Vec<String>, sent: &Sent) {
    if sent.conflict == 0 {
        lines.push("  0 conflicts".to_owned());
        return;
    }
    let of: Vec<u64> = sent.conflicts.iter().map(|conflict| conflict.line).collect();
    let place = if of.is_empty() { String::new() } else { format!(": {}", named(&of)) };
    lines.push(format!("  {} conflicts: contradict a counted reading{place}", sent.conflict));
    let pair = |conflict: &Conflict| Some(format!("{} of {}", conflict.line, conflict.earlier?));
    let pairs: Vec<String> = sent.conflicts.iter().filter_map(pair).collect();
    if !pairs.is_empty() {
        let (shown, rest) = pairs.split_at(pairs.len().min(EXAMPLES_MAX));
        let more =
            if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        lines.push(format!(
            "    {} have the device and time of an earlier line: line {}{more}",
            pairs.len(),
            shown.join(", ")
        ));
    }
}

/// Adds the usual cause of a reason.
fn hint(lines: &mut Vec<String>, reason: &str, group: &Group, rows: &[Row]) {
    match reason {
        "too_old" => lines
            .push("    serve data older than `retention` with --variable retention=0".to_owned()),
        "temperature_out_of_range" => {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for row in rows.iter().filter(|row| group.lines().binary_search(&row.line).is_ok()) {
                *counts.entry(row.reading.temperature_c.get()).or_default() += 1;
            }
            let mut counts: Vec<_> = counts.into_iter().collect();
            counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
            let most = counts.iter().take(EXAMPLES_MAX);
            let most: Vec<_> = most.map(|(text, count)| format!("{text} ({count})")).collect();
            let most = most.join(", ");
            lines.push(format!("    most often {most}: what stands for nothing, --missing names"));
        }
        _ => {}
    }
}

fn groups<K: Display + Ord>(lines: &mut Vec<String>, tally: &Tally<K>) {
    for (reason, group) in tally.iter() {
        of_reason(lines, &reason.to_string(), group);
    }
}

/// How many lines share a reason, which ones, and the detail of the first.
fn of_reason(lines: &mut Vec<String>, reason: &str, group: &Group) {
    lines.push(format!("  {} {reason}: {}", group.lines().len(), named(group.lines())));
    if let (Some(line), false) = (group.lines().first(), group.detail().is_empty()) {
        lines.push(format!("    line {line}: {}", group.detail()));
    }
}

fn names(lines: &mut Vec<String>, what: &str, known: &BTreeMap<String, String>) {
    let mut origins: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in known {
        origins.entry(to).or_default().push(from);
    }
    let changed: Vec<_> = known.iter().filter(|(from, to)| from != to).collect();
    if let Some((from, to)) = changed.first() {
        let more = match changed.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more likewise"),
        };
        lines.push(format!("The {what} {} is sent as {to}{more}", echo(from)));
    }
    let merged = origins.iter().filter(|(_, from)| from.len() > 1);
    for (to, from) in merged.take(LINES_NAMED_MAX) {
        let from: Vec<String> = from.iter().map(|name| echo(name)).collect();
        lines.push(format!("Beware: the {what}s {} are all sent as {to}", from.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::value::RawValue;

    use super::*;
    use crate::left_out::Why;
    use crate::number::DecimalSign;
    use crate::table::{self, Columns, Dialect, Field, WireReading};

    #[test]
    fn a_file_is_told_by_reason_with_its_lines() {
        let mut table = Table { rows: 26, ..Table::default() };
        assert_eq!(of_file(&table), "Read 26 rows: 0 to send, 0 left out");
        for line in 5..=28 {
            table.left_out.add(Why::DecimalComma, line, "\"21,5\": say --decimal-comma");
        }
        table.left_out.add(Why::NoTemperature, 3, "");
        table.left_out.add(Why::NoTemperature, 2, "");
        assert_eq!(
            of_file(&table),
            "Read 26 rows: 0 to send, 26 left out\n\
             \x20 2 without a temperature (no error): lines 2, 3\n\
             \x20 24 with a comma in the temperature: lines 5-24 and 4 more\n\
             \x20   line 5: \"21,5\": say --decimal-comma"
        );
    }

    #[test]
    fn names_that_change_are_told_and_those_that_become_one() {
        let mut table = Table::default();
        for (from, to) in [("a b", "a-b"), ("a-b", "a-b"), ("c/d", "c-d"), ("e", "e")] {
            table.devices.insert(from.to_owned(), to.to_owned());
        }
        table.regions.insert("Seattle WA".to_owned(), "Seattle-WA".to_owned());
        assert_eq!(
            of_file(&table),
            "Read 0 rows: 0 to send, 0 left out\n\
             The device \"a b\" is sent as a-b, and 1 more likewise\n\
             Beware: the devices \"a b\", \"a-b\" are all sent as a-b\n\
             The region \"Seattle WA\" is sent as Seattle-WA"
        );
    }

    /// Rows on line 2 and the next ones.
    fn rows(temperatures: &[&str]) -> Vec<Row> {
        let reading = |temperature: &str| WireReading {
            device_id: "d".to_owned(),
            region: "r".to_owned(),
            temperature_c: RawValue::from_string(temperature.to_owned()).unwrap(),
            timestamp: "2010-01-01T00:00:00.000Z".to_owned(),
        };
        (2..).zip(temperatures).map(|(line, t)| Row { line, reading: reading(t) }).collect()
    }

    #[test]
    fn contradictions_are_told_with_their_lines() {
        let mut sent = Sent { requests: 23, stored: 22_683, conflict: 12, ..Sent::default() };
        let earlier = |line| (line % 2 == 0).then_some(line - 7);
        sent.conflicts = (9..21).map(|line| Conflict { line, earlier: earlier(line) }).collect();
        assert_eq!(
            of_sending(&sent, &rows(&vec!["1"; 22_695])),
            "Acknowledged 22695 of 22695 readings, rejected 0, sent again 0 of 23 requests\n\
             \x20 22683 stored\n\
             \x20 0 duplicates: counted before\n\
             \x20 12 conflicts: contradict a counted reading: lines 9-20\n\
             \x20   6 have the device and time of an earlier line: line 10 of 3, 12 of 5, 14 of 7, \
             16 of 9, 18 of 11 and 1 more"
        );
    }

    #[test]
    fn rejections_are_told_by_reason_with_what_the_service_says() {
        let mut sent = Sent { requests: 1, duplicate: 1, ..Sent::default() };
        for line in [2, 4, 5] {
            sent.rejected.add("temperature_out_of_range".to_owned(), line, "from -273.15 to 1000");
        }
        sent.rejected.add("too_old".to_owned(), 3, "older than 7 days");
        sent.rejected_omitted = 3;
        assert_eq!(
            of_sending(&sent, &rows(&["-999", "1", "-999", "5000", "-999", "1", "1", "1"])),
            "Acknowledged 1 of 8 readings, rejected 7, sent again 0 of 1 requests\n\
             \x20 0 stored\n\
             \x20 1 duplicates: counted before\n\
             \x20 0 conflicts\n\
             \x20 3 rejected as temperature_out_of_range: lines 2, 4, 5\n\
             \x20   line 2: from -273.15 to 1000\n\
             \x20   most often -999 (2), 5000 (1): what stands for nothing, --missing names\n\
             \x20 1 rejected as too_old: line 3\n\
             \x20   line 3: older than 7 days\n\
             \x20   serve data older than `retention` with --variable retention=0\n\
             \x20 3 rejected that the service does not name"
        );
    }

    #[test]
    fn what_is_not_known_is_said_to_be() {
        let sent = Sent {
            requests: 3,
            retries: 2,
            stored: 5,
            unknown: 7,
            not_sent: vec![14, 15],
            ..Sent::default()
        };
        assert_eq!(
            of_sending(&sent, &rows(&["1"; 14])),
            "Acknowledged 12 of 14 readings, rejected 0, sent again 2 of 3 requests\n\
             \x20 5 stored\n\
             \x20 0 duplicates: counted before, or by a request whose answer was lost and that was \
             sent again\n\
             \x20 0 conflicts\n\
             \x20 7 not known: safe with the service, which had no time to count them; they may be \
             stored, duplicates or conflicts\n\
             Not acknowledged, as it ended: 2, lines 14, 15"
        );
    }

    #[test]
    fn a_loggers_file_is_read_with_the_options_that_its_summary_names() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/logger.csv");
        let columns = Columns {
            device: Field::Column("Messstelle".to_owned()),
            region: Field::Fixed("hof".to_owned()),
            temperature: "Temperatur °C".to_owned(),
            timestamp: "Zeit".to_owned(),
        };
        let mut dialect = Dialect::default();
        let error = format!("{:#}", table::read(&path, &columns, &dialect).unwrap_err());
        assert!(error.contains("--delimiter ';'"), "{error}");
        dialect.delimiter = b';';
        let text = of_file(&table::read(&path, &columns, &dialect).unwrap());
        assert!(text.starts_with("Read 17 rows: 0 to send, 17 left out"), "{text}");
        assert!(text.contains("--decimal-comma"), "{text}");
        assert!(text.contains("--time-format '%d.%m.%Y %H:%M'"), "{text}");
        assert!(text.contains("--missing"), "{text}");
        dialect.decimal_sign = DecimalSign::Comma;
        dialect.time_format = "%d.%m.%Y %H:%M".parse().unwrap();
        dialect.zone = "+01:00".parse().unwrap();
        dialect.missing.add("-999");
        dialect.missing.add("--");
        let table = table::read(&path, &columns, &dialect).unwrap();
        assert_eq!(
            of_file(&table),
            "Read 17 rows: 11 to send, 6 left out\n\
             \x20 3 without a temperature (no error): lines 4, 5, 8\n\
             \x20 1 with more or fewer fields than the header: line 18\n\
             \x20   line 18: 2 and not 3\n\
             \x20 1 with a point in the temperature, despite --decimal-comma: line 13\n\
             \x20   line 13: \"20.9\"\n\
             \x20 1 with a time that can't be read: line 12\n\
             \x20   line 12: \"2026-02-01 01:20\" is not like %d.%m.%Y %H:%M\n\
             The device \"Halle 1\" is sent as Halle-1"
        );
        let first = &table.readings[0].reading;
        assert_eq!(first.timestamp, "2026-01-31T23:00:00.000Z");
        assert_eq!(first.temperature_c.get(), "21.5");
    }
}
