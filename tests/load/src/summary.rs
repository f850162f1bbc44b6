//! What became of a file's rows, in words.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::left_out::{LINES_NAMED_MAX, Tally, echo, named};
use crate::table::Table;

/// Of a file, before anything is sent: how many rows, those left out by reason, and
/// names that are sent otherwise.
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

/// A line for each reason: how many, and where; another for what was said of the
/// first.
fn groups<K: Display + Ord>(lines: &mut Vec<String>, tally: &Tally<K>) {
    for (reason, group) in tally.iter() {
        lines.push(format!("  {} {reason}: {}", group.lines().len(), named(group.lines())));
        if let (Some(line), false) = (group.lines().first(), group.detail().is_empty()) {
            lines.push(format!("    line {line}: {}", group.detail()));
        }
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
    use super::*;
    use crate::left_out::Why;

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
}
