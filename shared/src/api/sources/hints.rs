//! Hints on devices that seem to be set up wrong. A hint changes nothing.

use serde_json::{Value, json};

use crate::domain::reading::UnixMillis;
use crate::error::{Error, best_effort};
use crate::host::Host;
use crate::journal::lags::{self, Lag};
use crate::ledger::database::{Budget, Database};
use crate::limits;
use crate::read::hints::{self, InFahrenheit};

/// All hints. What is in the database is left out while that is away.
pub(super) fn all<H: Host>(
    host: &H,
    store: &H::KeyValue,
    now: UnixMillis,
) -> Result<Vec<Value>, Error> {
    let budget = Budget::waiting(limits::QUERY_FOLD_MS_MAX);
    let database = best_effort(Database::open(host, budget));
    let found =
        database.and_then(|database| best_effort(database.read_at_once(hints::in_fahrenheit)));
    let mut all: Vec<Value> = found.iter().flatten().map(fahrenheit).collect();
    let lags = lags::load(store).map_err(Error::Journal)?;
    all.extend(lags.iter().filter(|lag| is_steady(lag, now)).map(offset));
    Ok(all)
}

fn fahrenheit(found: &InFahrenheit) -> Value {
    let detail = format!(
        "its mean is {:.1}, that of the other devices of the region {:.1} degrees Celsius, which is \
         {:.1} degrees Fahrenheit: it may send Fahrenheit",
        found.mean_c,
        found.others_c,
        found.others_c * 1.8 + 32.0
    );
    json!({
        "kind": "fahrenheit", "device_id": found.device, "region": found.region,
        "detail": detail,
    })
}

/// Whether the readings of a device have come so late for days, and still do.
fn is_steady(lag: &Lag, now: UnixMillis) -> bool {
    lag.last.get() - lag.since.get() >= limits::LAG_STEADY_MS
        && now.get() - lag.last.get() <= limits::LAG_GAP_MS
}

fn offset(lag: &Lag) -> Value {
    let (hours, minutes) = (lag.quarters / 4, lag.quarters % 4 * 15);
    let detail = format!(
        "its readings have come {hours}:{minutes:02} hours late since {}: its clock may be set to \
         local time; set it to UTC, or set the offset in the mapping of its source",
        lag.since
    );
    json!({
        "kind": "offset", "device_id": lag.device, "region": null, "detail": detail,
        "late_ms": lag.quarters * 15 * UnixMillis::PER_MINUTE, "since": lag.since.to_string(),
    })
}
