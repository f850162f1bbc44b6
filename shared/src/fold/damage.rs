//! Rows of the database that can't be read: which readings belong to them, and how they
//! are reported.

use crate::domain::reading::Reading;
use crate::error::{DamagedRow, Error, best_effort};
use crate::host::{Host, KeyValue, Sql, Value};
use crate::journal::inventory::Inventory;
use crate::journal::keys;
use crate::ledger::windows;
use crate::limits;

/// The readings that belong to a row that can't be read.
pub(super) enum Damage {
    /// Those of a minute, for a row of the ledger.
    Minute(i64),
    /// Those of a region, for `span` minutes from `start` on (0 is all time).
    Window { region: String, span: i64, start: i64 },
}

impl Damage {
    pub(super) fn of(sql: &impl Sql, row: &DamagedRow) -> Result<Self, Error> {
        let value = |name| {
            let column = row.key.iter().find(|(column, _)| *column == name);
            column.map(|(_, value)| *value)
        };
        if let Some(minute) = value("minute") {
            return Ok(Self::Minute(minute));
        }
        let corrupt = Error::Corrupt(row.table);
        let (Some(region), Some(span), Some(start)) =
            (value("region"), value("span"), value("start"))
        else {
            return Err(corrupt);
        };
        let statement = "SELECT name FROM regions WHERE id = ?1";
        let rows = sql.execute(statement, &[Value::Integer(region)]).map_err(Error::Regions)?;
        match rows.into_iter().flatten().next() {
            Some(Value::Text(region)) => Ok(Self::Window { region, span, start }),
            _ => Err(corrupt),
        }
    }

    pub(super) fn meets(&self, reading: &Reading<'_>) -> bool {
        let at = reading.timestamp.minute();
        match self {
            Self::Minute(minute) => at == *minute,
            Self::Window { region, span, start } => {
                reading.region.as_str() == region && windows::is_in_window(at, *span, *start)
            }
        }
    }
}

/// Reports a row that can't be read: in the log, and by a key for `/metrics`.
pub(crate) fn note_damage<H: Host>(
    host: &H,
    store: &H::KeyValue,
    inventory: &Inventory,
    row: &DamagedRow,
) {
    let name = row.to_string();
    let known = inventory.damaged_rows();
    if known.contains(&name) || known.len() >= limits::DAMAGED_ROWS_NAMED_MAX {
        return;
    }
    let error = Error::DamagedRows(vec![row.clone()]);
    host.log(&format!("{error}; readings of it are set aside"));
    // Best effort: the log has it, and the next fold that finds the row tries again.
    best_effort(store.set(&format!("{}{name}", keys::DAMAGED_ROW), b""));
}
