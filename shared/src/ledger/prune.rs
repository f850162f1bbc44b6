//! Deleting expired rows of the ledger, and keeping what quarter hours need of them.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::run::Run;
use crate::ledger::{LEDGER, PRUNED_BEFORE, Row, outbox, quarters, standing};

/// Deletes at most `runs_max` of the ledger's runs from before `before`. `before` is
/// stored first: an older reading can't be told from a duplicate any more. Conflicts of
/// that time are deleted with the readings that they contradict. What is deleted is added
/// to its quarter hours, if it `is_kept`; a run that can't be read adds nothing. Returns how
/// many readings of that time a peer may never get.
///
/// Must run inside a transaction.
pub(crate) fn prune(
    sql: &impl Sql,
    before: UnixMillis,
    runs_max: i64,
    is_kept: bool,
) -> Result<u64, Error> {
    let remember = "INSERT INTO tallies (name, value) VALUES (?1, ?2) \
                    ON CONFLICT DO UPDATE SET value = max(value, excluded.value)";
    // Whole minutes are deleted, so the stored time is the start of a minute.
    let minute = Value::Integer(before.minute());
    let pruned_before = before.minute().saturating_mul(UnixMillis::PER_MINUTE);
    let bindings = [Value::Text(PRUNED_BEFORE.to_owned()), Value::Integer(pruned_before)];
    sql.execute(remember, &bindings).map_err(Error::Regions)?;
    let expired = "FROM ledger WHERE minute < ?1 ORDER BY minute, first LIMIT ?2";
    let bindings = [minute.clone(), Value::Integer(runs_max)];
    if is_kept {
        let select = format!("SELECT minute, first, run {expired}");
        let mut readings = Vec::new();
        for row in sql.execute(&select, &bindings).map_err(Error::Regions)? {
            let run = Run::from_columns(&row).ok_or(Error::Corrupt("ledger"))?;
            match LEDGER.decode::<Row>(&run) {
                Err(Error::DamagedRows(_)) => {}
                decoded => readings.append(&mut decoded?),
            }
        }
        let minutes = || readings.iter().map(|row| i64::from(row.minute));
        let ends = minutes().min().zip(minutes().max());
        let (first, last) = ends.unwrap_or((0, -1));
        let corrections = standing::between(sql, first, last + 1)?;
        quarters::add(sql, standing::standing(readings, &corrections))?;
    }
    let remove = format!("DELETE FROM ledger WHERE id IN (SELECT id {expired})");
    sql.execute(&remove, &bindings).map_err(Error::Regions)?;
    let conflicts = "DELETE FROM conflicts WHERE minute < ?1";
    sql.execute(conflicts, &[minute]).map_err(Error::Regions)?;
    outbox::let_go(sql, before.minute())
}
