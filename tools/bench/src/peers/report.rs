//! The figures of all systems side by side, as a table and as JSON.

use serde::Serialize;

/// The unit of a row's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    /// Acknowledged and countable readings per second.
    ReadingsPerSecond,
    /// The median latency of a request, in milliseconds.
    MedianMs,
    /// CPU seconds for a million readings, until there is nothing left to do.
    CpuSecondsPerMillion,
    /// Bytes written to the disk per reading, until there is nothing left to do.
    WrittenPerReading,
    /// Bytes kept on disk per reading.
    BytesPerReading,
    /// Mebibytes.
    Mebibytes,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::ReadingsPerSecond => "readings/s",
            Self::MedianMs => "p50 ms",
            Self::CpuSecondsPerMillion => "CPU s/M",
            Self::WrittenPerReading => "written B",
            Self::BytesPerReading => "disk B",
            Self::Mebibytes => "MiB",
        }
    }

    /// Digits after the point.
    fn digits(self) -> usize {
        match self {
            Self::ReadingsPerSecond | Self::Mebibytes => 0,
            Self::WrittenPerReading | Self::BytesPerReading => 1,
            Self::MedianMs | Self::CpuSecondsPerMillion => 2,
        }
    }
}

/// A system, and what it does before it acknowledges, or why it was not measured.
#[derive(Debug, Serialize)]
struct Column {
    name: &'static str,
    /// What it does before it acknowledges; `None` if it was not measured.
    promise: Option<&'static str>,
    /// Why it was not measured.
    skipped: Option<String>,
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct Row {
    /// What was measured.
    what: &'static str,
    /// The number of connections.
    connections: Option<usize>,
    /// The unit of the numbers.
    unit: Unit,
    /// The numbers of each column: one per round, in order.
    found: Vec<Vec<f64>>,
}

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The runtime of Isotherm.
    runtime: String,
    /// How often each row was measured.
    rounds: u64,
    /// `fdatasync` of 4 KiB per second, beside the stores: one number per round.
    pub(crate) fdatasyncs_per_s: Vec<f64>,
    /// How many readings each system counted at the end.
    pub(crate) readings: u64,
    columns: Vec<Column>,
    rows: Vec<Row>,
}

impl Report {
    /// A report without columns.
    pub(crate) fn new(rounds: u64) -> Self {
        Self {
            runtime: std::env::var("ISOTHERM_RUNTIME").unwrap_or_else(|_| "embedded".to_owned()),
            rounds,
            fdatasyncs_per_s: Vec::new(),
            readings: 0,
            columns: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Adds a system that is measured, and what it does before it acknowledges.
    pub(crate) fn column(&mut self, name: &'static str, promise: &'static str) {
        self.columns.push(Column { name, promise: Some(promise), skipped: None });
    }

    /// Adds a system that is not measured, and why.
    pub(crate) fn skip(&mut self, name: &'static str, why: String) {
        self.columns.push(Column { name, promise: None, skipped: Some(why) });
    }

    /// Adds a number of one system, for the next round.
    pub(crate) fn add(
        &mut self,
        what: &'static str,
        connections: Option<usize>,
        unit: Unit,
        system: &str,
        value: f64,
    ) {
        let is_it = |row: &Row| (row.what, row.connections, row.unit) == (what, connections, unit);
        if !self.rows.iter().any(is_it) {
            let found = vec![Vec::new(); self.columns.len()];
            self.rows.push(Row { what, connections, unit, found });
        }
        let column = self.columns.iter().position(|column| column.name == system);
        let row = self.rows.iter_mut().find(|row| is_it(row));
        if let Some(values) = row.zip(column).and_then(|(row, column)| row.found.get_mut(column)) {
            values.push(value);
        }
    }

    /// The table as Markdown, one line per row: medians of the rounds, and medians of
    /// the rounds' ratios.
    pub(crate) fn table(&self) -> String {
        let mut text = self.head();
        let promises = self.columns.iter().map(|column| match (&column.skipped, column.promise) {
            (Some(why), _) => format!("skipped: {why}"),
            (None, promise) => promise.unwrap_or_default().to_owned(),
        });
        let ratios = self.columns.iter().skip(1).map(|_| String::new());
        text += &line("an acknowledged reading is", "", "", promises.chain(ratios));
        for row in &self.rows {
            let connections = row.connections.map_or(String::new(), |count| count.to_string());
            text += &line(row.what, &connections, row.unit.name(), row.cells());
        }
        text
    }

    fn head(&self) -> String {
        let names = self.columns.iter().map(|column| column.name.to_owned());
        let ratios = self.columns.iter().skip(1).map(|column| format!("of {}", column.name));
        let rule = " ---: |".repeat(2 * self.columns.len() - 1);
        line("what", "c", "unit", names.chain(ratios)) + &format!("| --- | ---: | --- |{rule}\n")
    }

    /// What is not in the table, one item per line.
    pub(crate) fn lines(&self) -> String {
        let fdatasync_per_s = median(&self.fdatasyncs_per_s).unwrap_or(f64::NAN);
        format!(
            "{} readings in each; rounds: {}; Isotherm's runtime: {}\n\
             each answered that it had counted all of them, and the same average\n\
             fdatasync of 4 KiB: {fdatasync_per_s:.0}/s (median)\n",
            self.readings, self.rounds, self.runtime
        )
    }
}

impl Row {
    /// The median of each column, then of the ratios of the first column to each other
    /// one.
    fn cells(&self) -> impl Iterator<Item = String> {
        let shown = |value: Option<f64>, digits: usize| {
            value.map_or(String::new(), |value| format!("{value:.digits$}"))
        };
        let digits = self.unit.digits();
        let values = self.found.iter().map(move |found| shown(median(found), digits));
        let own = self.found.first().map_or(&[][..], Vec::as_slice);
        let ratios = self.found.iter().skip(1).map(move |others| {
            let ratios: Vec<f64> = own.iter().zip(others).map(|(own, other)| own / other).collect();
            shown(median(&ratios), 2)
        });
        values.chain(ratios)
    }
}

fn line(what: &str, connections: &str, unit: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: String = cells.map(|cell| format!(" {cell} |")).collect();
    format!("| {what} | {connections} | {unit} |{cells}\n")
}

/// The median; of an even number, the lower one in the middle.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_by_name_and_the_others_have_their_figures() {
        let mut report = Report::new(3);
        report.column("Isotherm", "synced");
        report.skip("InfluxDB", "influxd is not installed (cargo xtask tools)".to_owned());
        report.column("VictoriaMetrics", "in memory");
        for (own, other) in [(30.0, 10.0), (10.0, 20.0), (20.0, 40.0)] {
            report.add("batches", Some(4), Unit::ReadingsPerSecond, "Isotherm", own);
            report.add("batches", Some(4), Unit::ReadingsPerSecond, "VictoriaMetrics", other);
        }
        let table = report.table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[2..],
            [
                "| an acknowledged reading is |  |  | synced | skipped: influxd is not installed \
                 (cargo xtask tools) | in memory |  |  |",
                "| batches | 4 | readings/s | 20 |  | 20 |  | 0.50 |",
            ]
        );
        let cells = |line: &str| line.matches('|').count();
        assert!(lines.iter().all(|line| cells(line) == cells(lines[0])), "{table}");
    }
}
