//! Forgetting what has expired.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::PRUNED_BEFORE;

/// Removes at most `runs_max` of the ledger's runs from before `before`, which is
/// remembered first: what is older can't be told from a duplicate any more. Conflicts
/// of that time go, too: what stands beside them is gone.
///
/// Must run inside a transaction.
pub(crate) fn prune(sql: &impl Sql, before: UnixMillis, runs_max: i64) -> Result<(), Error> {
    let remember = "INSERT INTO tallies (name, value) VALUES (?1, ?2) \
                    ON CONFLICT DO UPDATE SET value = max(value, excluded.value)";
    // Whole minutes go, so that is how far was pruned.
    let minute = Value::Integer(before.minute());
    let pruned_before = before.minute().saturating_mul(UnixMillis::PER_MINUTE);
    let bindings = [Value::Text(PRUNED_BEFORE.to_owned()), Value::Integer(pruned_before)];
    sql.execute(remember, &bindings).map_err(Error::Regions)?;
    let remove = "DELETE FROM ledger WHERE id IN (\
                      SELECT id FROM ledger WHERE minute < ?1 ORDER BY minute LIMIT ?2)";
    let bindings = [minute.clone(), Value::Integer(runs_max)];
    sql.execute(remove, &bindings).map_err(Error::Regions)?;
    let conflicts = "DELETE FROM conflicts WHERE minute < ?1";
    sql.execute(conflicts, &[minute]).map(|_no_rows| ()).map_err(Error::Regions)
}
