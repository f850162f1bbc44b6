//! What the database has, read from its tables, with names in place of ids.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use isotherm::host::{Host, Sql, Value};
use isotherm::internals::ledger::{self, Row};
use isotherm_stores::native::NativeHost;

use crate::support::node::Node;
use crate::support::readings::MINUTE;

/// How long a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    AllTime,
    Minute,
    Hour,
    Day,
}

impl Tier {
    pub(crate) const ALL: [Self; 4] = [Self::AllTime, Self::Minute, Self::Hour, Self::Day];
    /// Those of which devices and a histogram are kept.
    pub(crate) const WITH_DEVICES: [Self; 3] = [Self::AllTime, Self::Hour, Self::Day];

    /// As the tables have it.
    fn minutes(self) -> i64 {
        match self {
            Self::AllTime => 0,
            Self::Minute => 1,
            Self::Hour => 60,
            Self::Day => 1_440,
        }
    }
}

/// A window of a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Window {
    pub(crate) region: String,
    pub(crate) span: Tier,
    /// In Unix milliseconds; 0 for all time.
    pub(crate) start: i64,
    pub(crate) readings: i64,
    /// In thousandths of a degree, like all temperatures here.
    pub(crate) sum: i64,
    pub(crate) squares: i128,
    pub(crate) min: i64,
    pub(crate) max: i64,
    /// In Unix milliseconds.
    pub(crate) oldest: i64,
    pub(crate) newest: i64,
    pub(crate) revision: i64,
    pub(crate) late: i64,
    pub(crate) assumed: i64,
    pub(crate) duplicates: i64,
    pub(crate) conflicts: i64,
    pub(crate) devices: Option<i64>,
    /// The sum of the devices' averages, in millionths of a degree.
    pub(crate) averages: Option<i64>,
    pub(crate) histogram: Option<Vec<u8>>,
}

impl Window {
    /// From its first millisecond to that after its last.
    pub(crate) fn range(&self) -> Range<i64> {
        match self.span {
            Tier::AllTime => 0..i64::MAX,
            span => self.start..self.start + span.minutes() * MINUTE,
        }
    }
}

/// A reading in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stored {
    pub(crate) device: String,
    pub(crate) region: String,
    /// In Unix milliseconds.
    pub(crate) at: i64,
    pub(crate) millicelsius: i64,
}

/// A run of readings of one minute in the ledger.
pub(crate) struct Run {
    /// In Unix milliseconds.
    pub(crate) minute: i64,
    /// How many readings it says that it has.
    pub(crate) readings: i64,
    pub(crate) bytes: i64,
    /// The first byte: how it is written.
    pub(crate) version: String,
}

impl Node {
    pub(crate) fn execute(&self, statement: &str) -> Vec<Vec<Value>> {
        execute(&self.host.inner, statement)
    }

    /// The windows of every span, by region, span and start.
    pub(crate) fn windows(&self) -> Vec<Window> {
        let windows = "SELECT r.name, span, start, readings, sum, squares_high, squares_low, min, \
                              max, oldest, newest, revision, late, assumed, duplicates, \
                              conflicts, devices, averages, bins \
                       FROM windows JOIN regions r ON r.id = region \
                            LEFT JOIN histograms USING (region, span, start)";
        let mut windows: Vec<_> = self.execute(windows).into_iter().map(window).collect();
        windows.sort();
        windows
    }

    pub(crate) fn windows_of(&self, span: Tier) -> Vec<Window> {
        self.windows().into_iter().filter(|window| window.span == span).collect()
    }

    /// The window of this span and region that this time is in.
    #[track_caller]
    pub(crate) fn window(&self, region: &str, span: Tier, ms: i64) -> Window {
        let mut windows = self.windows_of(span).into_iter();
        let found = windows.find(|w| w.region == region && w.range().contains(&ms));
        found.unwrap_or_else(|| panic!("{region} has no window of {span:?} at {ms}"))
    }

    #[track_caller]
    pub(crate) fn all_time(&self, region: &str) -> Window {
        self.window(region, Tier::AllTime, 0)
    }

    /// How many readings the windows of this span count together.
    pub(crate) fn counted(&self, span: Tier) -> i64 {
        self.windows_of(span).iter().map(|window| window.readings).sum()
    }

    /// How many devices the runs of all windows of this span have.
    pub(crate) fn devices_kept(&self, span: Tier) -> i64 {
        let span = span.minutes();
        let kept = format!("SELECT sum(records) FROM device_windows WHERE span = {span}");
        integer(&self.execute(&kept)[0][0])
    }

    /// The runs of the ledger, by their minutes.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let runs = "SELECT minute, records, length(run), hex(substr(run, 1, 1)) \
                    FROM ledger ORDER BY minute, first";
        let run = |row: Vec<Value>| Run {
            minute: integer(&row[0]) * MINUTE,
            readings: integer(&row[1]),
            bytes: integer(&row[2]),
            version: text(&row[3]),
        };
        self.execute(runs).into_iter().map(run).collect()
    }

    /// How many readings the runs of the ledger say that they have.
    pub(crate) fn stored(&self) -> i64 {
        self.runs().iter().map(|run| run.readings).sum()
    }

    /// The readings of the ledger, in the order of the table.
    pub(crate) fn rows(&self) -> Vec<Row> {
        ledger::rows_between(&self.host.inner.sql().unwrap(), 0, i64::MAX).unwrap()
    }

    pub(crate) fn ledger(&self) -> BTreeSet<Stored> {
        ledger_of(&self.host.inner)
    }

    /// Each reading as it was counted, and whether it came late.
    pub(crate) fn counted_as(&self) -> BTreeMap<Stored, bool> {
        let (sql, names) = (self.host.inner.sql().unwrap(), names_of(&self.host.inner));
        let rows = ledger::counted_between(&sql, 0, i64::MAX).unwrap().into_iter();
        rows.map(|row| (names.stored(&row), row.is_late)).collect()
    }

    /// Device and time of each correction.
    pub(crate) fn corrections(&self) -> BTreeSet<(String, i64)> {
        let all = self.execute(
            "SELECT d.name, c.minute * 60000 + c.ms FROM corrections c JOIN devices d ON d.id = c.device",
        );
        all.iter().map(|row| (text(&row[0]), integer(&row[1]))).collect()
    }

    /// How many conflicts are kept, by their minutes in Unix milliseconds.
    pub(crate) fn conflicts_by_minute(&self) -> BTreeMap<i64, i64> {
        let kept = self.execute("SELECT minute, count(*) FROM conflicts GROUP BY minute");
        kept.iter().map(|row| (integer(&row[0]) * MINUTE, integer(&row[1]))).collect()
    }

    pub(crate) fn conflicts_kept(&self) -> i64 {
        self.conflicts_by_minute().values().sum()
    }

    pub(crate) fn tallies(&self) -> BTreeMap<String, i64> {
        let tallies = self.execute("SELECT name, value FROM tallies");
        tallies.iter().map(|row| (text(&row[0]), integer(&row[1]))).collect()
    }

    /// As if the database had been pruned up to there.
    pub(crate) fn set_pruned_before(&self, ms: i64) {
        self.execute(&format!(
            "INSERT INTO tallies (name, value) VALUES ('pruned_before', {ms}) \
             ON CONFLICT DO UPDATE SET value = excluded.value"
        ));
    }
}

/// The readings of a database; none if it has no schema yet.
pub(crate) fn ledger_of(host: &NativeHost) -> BTreeSet<Stored> {
    let sql = host.sql().unwrap();
    if sql.schema_version().unwrap() == 0 {
        return BTreeSet::new();
    }
    let names = names_of(host);
    let rows = ledger::rows_between(&sql, 0, i64::MAX).unwrap();
    rows.iter().map(|row| names.stored(row)).collect()
}

/// The names of devices and regions.
struct Names {
    devices: BTreeMap<i64, String>,
    regions: BTreeMap<i64, String>,
}

fn names_of(host: &NativeHost) -> Names {
    let names = |table: &str| -> BTreeMap<i64, String> {
        let rows = execute(host, &format!("SELECT id, name FROM {table}"));
        rows.iter().map(|row| (integer(&row[0]), text(&row[1]))).collect()
    };
    Names { devices: names("devices"), regions: names("regions") }
}

impl Names {
    fn stored(&self, row: &Row) -> Stored {
        Stored {
            device: self.devices[&i64::try_from(row.device()).unwrap()].clone(),
            region: self.regions[&i64::from(row.region)].clone(),
            at: row.timestamp().unwrap().get(),
            millicelsius: i64::from(row.millicelsius),
        }
    }
}

fn execute(host: &NativeHost, statement: &str) -> Vec<Vec<Value>> {
    Sql::execute(&host.sql().unwrap(), statement, &[]).unwrap()
}

fn window(row: Vec<Value>) -> Window {
    let number = |column: usize| integer(&row[column]);
    let may_be = |column: usize| (row[column] != Value::Null).then(|| number(column));
    let span = Tier::ALL.into_iter().find(|span| span.minutes() == number(1));
    Window {
        region: text(&row[0]),
        span: span.unwrap(),
        start: number(2) * MINUTE,
        readings: number(3),
        sum: number(4),
        squares: i128::from(number(5)) * 1_048_576 + i128::from(number(6)),
        min: number(7),
        max: number(8),
        oldest: number(9),
        newest: number(10),
        revision: number(11),
        late: number(12),
        assumed: number(13),
        duplicates: number(14),
        conflicts: number(15),
        devices: may_be(16),
        averages: may_be(17),
        histogram: match &row[18] {
            Value::Blob(bytes) => Some(bytes.clone()),
            _ => None,
        },
    }
}

fn integer(value: &Value) -> i64 {
    match value {
        Value::Integer(number) => *number,
        other => panic!("{other:?} is no integer"),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => panic!("{other:?} is no text"),
    }
}
