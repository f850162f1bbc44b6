//! `GET /v1/status`: how much the node holds, what that takes, and what it will take.

use serde_json::Value;

use crate::api::answer::{HandlerResult, Listing};
use crate::api::call::Call;
use crate::api::health::listed;
use crate::domain::range::Span;
use crate::domain::reading::{MilliCelsius, UnixMillis};
use crate::host::Host;
use crate::http::document::Table;
use crate::read::fresh::fold_and_read;
use crate::read::status::{Contents, contents};
use crate::settings::{self, Horizon};

const COLUMNS: [&str; 19] = [
    "version",
    "now",
    "retention_ms",
    "void_values",
    "time_zone",
    "readings",
    "regions",
    "devices",
    "oldest_reading",
    "newest",
    "database_bytes",
    "database_free_bytes",
    "ledger_bytes",
    "journal_entries",
    "journal_bytes",
    "readings_per_day",
    "growth_bytes_per_day",
    "forecast_bytes_in_a_year",
    "written_bytes_per_day",
];

/// Answers with one record.
pub(crate) fn of_node<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let (host, now) = (call.host, call.now);
    let retention_ms = Horizon::from_variables(host)?.retention_ms;
    let void_values: Vec<f64> =
        settings::void_values(host)?.into_iter().map(MilliCelsius::to_celsius).collect();
    let settings =
        [retention_ms.into(), void_values.into(), settings::time_zone(host)?.name().into()];
    let read = fold_and_read(
        host,
        Span::ALL_TIME,
        now,
        |database| contents(database, now),
        |_snapshot| None,
    )?;
    // After the fold: what is left. A journal that can't be read is in the log already.
    let journal = listed(host).ok().map(|(left, _)| [left.unfolded(), left.journal_bytes()]);
    let row = figures(&read.value, journal, (retention_ms, settings), now);
    let table = Table { columns: COLUMNS.into(), rows: vec![row] };
    Ok(read.covered.answer(call, table, Listing::default()))
}

/// The columns. `journal` is how many entries are in it, and their bytes.
fn figures(
    contents: &Contents,
    journal: Option<[usize; 2]>,
    (retention_ms, [retention, void_values, time_zone]): (Option<i64>, [Value; 3]),
    now: UnixMillis,
) -> Vec<Value> {
    let instant = |ms: i64| UnixMillis::new(ms).filter(|_| contents.readings > 0);
    let [bytes, free] = match contents.file {
        Some(file) => file.map(Some),
        None => [None, None],
    };
    vec![
        env!("CARGO_PKG_VERSION").into(),
        now.into(),
        retention,
        void_values,
        time_zone,
        contents.readings.into(),
        contents.regions.into(),
        contents.devices.into(),
        instant(contents.oldest_single_ms).into(),
        instant(contents.newest_ms).into(),
        bytes.into(),
        free.into(),
        contents.ledger_bytes().into(),
        journal.map(|[entries, _]| entries).into(),
        journal.map(|[_, bytes]| bytes).into(),
        contents.readings_per_day(now).into(),
        contents.growth_per_day(retention_ms, now).into(),
        contents.in_a_year(retention_ms, now).into(),
        contents.written_per_day(now).into(),
    ]
}
