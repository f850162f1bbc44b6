//! New names of devices and regions are refused once there are as many as the variables
//! allow.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::Host;
use crate::journal::door::Door;
use crate::ledger::database::Database;
use crate::ledger::dictionary;
use crate::resilience::circuit::CircuitBreaker;
use crate::settings::NamesBound;
use crate::upkeep::AFTER_ANSWER;

/// The tables that take no new name.
pub(crate) fn full_tables<H: Host>(
    host: &H,
    door: &Door,
) -> Result<impl Iterator<Item = &'static str> + use<H>, Error> {
    let bound = NamesBound::from_variables(host)?;
    let tables =
        [(door.regions >= bound.regions, "regions"), (door.devices >= bound.devices, "devices")];
    Ok(tables.into_iter().filter_map(|(is_full, table)| is_full.then_some(table)))
}

/// Which of the names `table` has, in their order. `None` while the database can't say.
pub(crate) fn known<H: Host>(
    host: &H,
    journal: &H::KeyValue,
    table: &str,
    names: &[&str],
    now: UnixMillis,
) -> Option<Vec<bool>> {
    let asked = CircuitBreaker::new(host, journal, true).call(now, || {
        let database = Database::open(host, AFTER_ANSWER)?;
        database.read(|sql| dictionary::are_known(sql, table, names))
    });
    match asked {
        Ok(known) => Some(known),
        Err(Error::CircuitOpen { .. }) => None,
        Err(error) => {
            host.log(&format!("names are accepted unseen: {error}"));
            None
        }
    }
}

/// Why a new name is refused.
pub(crate) fn refusal(table: &str) -> String {
    format!("new {table} are not accepted: this node has as many as {table}_max allows")
}
