//! The table `region_devices`: which devices have sent readings of a region, by their names.

use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::device_window::{DEVICE_WINDOWS, DeviceWindow};
use crate::ledger::dictionary::list_of_ids;
use crate::ledger::integers;
use crate::ledger::run::Run;
use crate::limits;

/// Adds devices that are new in their region to `region_devices`. Each already has a
/// name.
pub(super) fn add(sql: &impl Sql, new: &[(u32, u64)]) -> Result<(), Error> {
    for chunk in new.chunks(limits::DEVICE_IDS_PER_STATEMENT) {
        // The devices of a region are a list of their own: so SQLite parses numbers, not pairs.
        let of_region = |devices: &[(u32, u64)]| {
            let (region, _) = devices.first()?;
            let devices = list_of_ids(devices.iter().map(|(_, device)| *device));
            Some(format!("\"{region}\":{devices}"))
        };
        let regions: Vec<String> =
            chunk.chunk_by(|(a, _), (b, _)| a == b).filter_map(of_region).collect();
        let statement = "\
            INSERT OR IGNORE INTO region_devices (region, name, device) \
            SELECT CAST(r.key AS INTEGER), d.name, d.id \
            FROM json_each(?1) AS r CROSS JOIN json_each(r.value) AS j \
                 CROSS JOIN devices AS d ON d.id = j.value";
        let list = Value::Text(format!("{{{}}}", regions.join(",")));
        sql.execute(statement, &[list]).map_err(Error::Regions)?;
    }
    Ok(())
}

/// Fills `region_devices`, in a database of a release that did not have this table.
pub(super) fn fill(sql: &impl Sql) -> Result<(), Error> {
    /// Runs that one statement reads: a megabyte.
    const RUNS: i64 = 512;
    let statement = "\
        SELECT region, span, start, first, run FROM device_windows \
        WHERE span = 0 AND start = 0 AND (region, first) > (?1, ?2) \
        ORDER BY region, first LIMIT ?3";
    let (mut region, mut first) = (-1, -1);
    loop {
        let bindings = [region, first, RUNS].map(Value::Integer);
        let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
        let Some(last) = rows.last() else { return Ok(()) };
        [region, _, _, first] =
            last.get(..4).and_then(integers).ok_or(Error::Corrupt("device window"))?;
        let mut devices = Vec::new();
        for row in rows {
            let run = Run::from_columns(&row).ok_or(Error::Corrupt("device window"))?;
            // A run that can't be read lists no devices. Once it is repaired, either
            // the database is another one, or its devices count as new.
            let windows: Vec<DeviceWindow> = match DEVICE_WINDOWS.decode(&run) {
                Err(Error::DamagedRows(_)) => continue,
                other => other?,
            };
            devices.extend(windows.iter().map(|window| (window.region(), window.device())));
        }
        add(sql, &devices)?;
    }
}
