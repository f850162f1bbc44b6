//! Medians and quartiles of the rounds, as a table and as JSON.

use serde::Serialize;

/// The quartiles of some numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Quartiles {
    lower: f64,
    pub(crate) median: f64,
    upper: f64,
}

impl Quartiles {
    /// By nearest rank: each is one of the numbers. `None` if there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |quarters: usize| {
            let rank = (sorted.len() * quarters).div_ceil(4);
            sorted.get(rank.checked_sub(1)?).copied()
        };
        Some(Self { lower: at(1)?, median: at(2)?, upper: at(3)? })
    }
}

/// A service, and what a request to it took.
#[derive(Debug, Serialize)]
struct Cell {
    service: &'static str,
    /// The most that the ratio may be.
    limit: Option<f64>,
    /// Microseconds for a request, by round: the median of the service's turn.
    micros: Vec<f64>,
}

/// One kind of request, to all services.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    what: &'static str,
    /// Requests to each service in a round.
    requests: u32,
    /// The others are compared with the first.
    cells: Vec<Cell>,
}

impl Row {
    /// A row without figures, for services and the limits of their ratios.
    pub(crate) fn new(
        what: &'static str,
        requests: u32,
        services: &[(&'static str, Option<f64>)],
    ) -> Self {
        let cell = |&(service, limit)| Cell { service, limit, micros: Vec::new() };
        Self { what, requests, cells: services.iter().map(cell).collect() }
    }

    /// Adds what a request to the service with this index took in the next round.
    pub(crate) fn add(&mut self, index: usize, micros: f64) {
        if let Some(cell) = self.cells.get_mut(index) {
            cell.micros.push(micros);
        }
    }

    /// The quartiles of a service's ratios to the first one, each within a round.
    fn ratios(&self, cell: &Cell) -> Option<Quartiles> {
        let first = self.cells.first()?;
        let pairs = cell.micros.iter().zip(&first.micros);
        Quartiles::of(pairs.map(|(own, first)| own / first))
    }
}

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    runtime: String,
    rounds: u64,
    /// `fdatasync` of 4 KiB per second, beside the stores.
    fdatasync_per_s: f64,
    rows: Vec<Row>,
}

impl Report {
    /// A report of a run in the runtime that is measured.
    pub(crate) fn new(rounds: u64, fdatasync_per_s: f64, rows: Vec<Row>) -> Self {
        let runtime = std::env::var("ISOTHERM_RUNTIME").unwrap_or_else(|_| "embedded".to_owned());
        Self { runtime, rounds, fdatasync_per_s, rows }
    }

    /// The table as Markdown, one line for each kind of request and each service.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "| what | access control | median µs | ratio to off | quartiles | limit |\n\
             | --- | --- | ---: | ---: | ---: | ---: |\n",
        );
        for row in &self.rows {
            for (index, cell) in row.cells.iter().enumerate() {
                let micros = Quartiles::of(cell.micros.iter().copied());
                let micros = micros.map_or(f64::NAN, |micros| micros.median);
                let ratios = row.ratios(cell).filter(|_| index > 0);
                let (ratio, quartiles) = ratios.map_or_else(Default::default, |ratios| {
                    let Quartiles { lower, median, upper } = ratios;
                    (format!("{median:.3}"), format!("{lower:.3} to {upper:.3}"))
                });
                let limit = cell.limit.map_or(String::new(), |limit| format!("{limit:.2}"));
                text += &format!(
                    "| {} | {} | {micros:.0} | {ratio} | {quartiles} | {limit} |\n",
                    row.what, cell.service
                );
            }
        }
        text
    }

    /// What is not in the table, one item per line.
    pub(crate) fn lines(&self) -> String {
        let requests = self.rows.iter().map(|row| format!("{} of {}", row.requests, row.what));
        let requests = requests.collect::<Vec<_>>().join(", ");
        format!(
            "rounds: {}; requests to each service in a round, on one connection: {requests}\n\
             a turn's figure is the median of its requests; ratios are within a round\n\
             runtime: {}; fdatasync of 4 KiB: {:.0}/s\n",
            self.rounds, self.runtime, self.fdatasync_per_s
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quartiles(values: &[f64]) -> Option<(f64, f64, f64)> {
        let found = Quartiles::of(values.iter().copied())?;
        Some((found.lower, found.median, found.upper))
    }

    #[test]
    fn quartiles_are_numbers_that_were_measured() {
        assert_eq!(quartiles(&[]), None);
        assert_eq!(quartiles(&[7.0]), Some((7.0, 7.0, 7.0)));
        assert_eq!(quartiles(&[3.0, 1.0, 2.0]), Some((1.0, 2.0, 3.0)));
        assert_eq!(quartiles(&[4.0, 3.0, 1.0, 2.0]), Some((1.0, 2.0, 3.0)));
        assert_eq!(quartiles(&[8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]), Some((2.0, 4.0, 6.0)));
    }

    #[test]
    fn ratios_are_formed_within_a_round() {
        let mut row = Row::new("GET", 30, &[("off", None), ("on", Some(1.5))]);
        // The machine becomes slower from round to round, and with it both services. The
        // ratio of the medians would be 2.
        for (off, on) in [(100.0, 200.0), (1_000.0, 2_000.0), (4_000.0, 4_400.0), (1.0, 1.1)] {
            row.add(1, on);
            row.add(0, off);
        }
        let report =
            Report { runtime: String::new(), rounds: 4, fdatasync_per_s: 0.0, rows: vec![row] };
        let table = report.table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[2..],
            ["| GET | off | 100 |  |  |  |", "| GET | on | 200 | 1.100 | 1.100 to 2.000 | 1.50 |",]
        );
        let cells = |line: &str| line.matches('|').count();
        assert!(lines.iter().all(|line| cells(line) == cells(lines[0])), "{table}");
    }
}
