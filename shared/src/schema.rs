//! The database's schema, applied on first use.

use crate::error::Error;
use crate::host::{Host, Sql, Value};
use crate::limits;
use crate::retry::{self, Policy};

/// The schema version that this release writes. An older database is brought
/// up to it, a newer one is refused.
pub const VERSION: i64 = 1;

const MIGRATIONS: [&str; 1] = [include_str!("../schema/0001_ledger_and_windows.sql")];
const _: () = assert!(MIGRATIONS.len() as i64 == VERSION);

/// Makes sure that the database has this release's schema.
///
/// Costs one statement when it has. Two components may start at once: the
/// second waits for the first one's transaction and then finds it done.
pub(crate) fn ensure(host: &impl Host, sql: &impl Sql) -> Result<(), Error> {
    match version(sql)? {
        VERSION => Ok(()),
        newer if newer > VERSION => Err(Error::SchemaTooNew { found: newer, known: VERSION }),
        // Two who switch the file to WAL mode at once both find it locked, and
        // SQLite does not wait in that case.
        _ => retry::run(host, MIGRATION, Error::is_busy, || migrate(sql)),
    }
}

const MIGRATION: Policy =
    Policy { base_ms: 2, cap_ms: 50, total_ms: limits::MIGRATION_MS_MAX, attempts: u32::MAX };

fn version(sql: &impl Sql) -> Result<i64, Error> {
    let rows = sql.execute("PRAGMA user_version", &[]).map_err(Error::Regions)?;
    match rows.first().map(Vec::as_slice) {
        Some([Value::Integer(version)]) => Ok(*version),
        _ => Err(Error::Corrupt("user_version")),
    }
}

fn migrate(sql: &impl Sql) -> Result<(), Error> {
    let run = |statement: &str| sql.execute(statement, &[]).map(drop).map_err(Error::Regions);
    // Readers then don't wait for the writer nor the writer for readers, and a
    // commit is one sync. It is a property of the file, and can't be set
    // inside a transaction.
    run("PRAGMA journal_mode = WAL")?;
    transaction(sql, || {
        let found = version(sql)?;
        let done = usize::try_from(found).map_err(|_negative| Error::Corrupt("user_version"))?;
        for migration in MIGRATIONS.iter().skip(done) {
            statements(migration).try_for_each(run)?;
        }
        run(&format!("PRAGMA user_version = {}", VERSION.max(found)))
    })
}

/// Runs `work` in one transaction that holds the database's write lock from
/// its first statement on. Rolled back if `work` fails.
pub(crate) fn transaction<T>(
    sql: &impl Sql,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    sql.execute("BEGIN IMMEDIATE", &[]).map_err(Error::Regions)?;
    let done = work().and_then(|value| {
        sql.execute("COMMIT", &[]).map_err(Error::Regions)?;
        Ok(value)
    });
    if done.is_err() {
        // If this fails too, the connection's end rolls back; the first error
        // is the one to report.
        drop(sql.execute("ROLLBACK", &[]));
    }
    done
}

/// The statements of a migration: each ends at a semicolon at a line's end.
fn statements(migration: &str) -> impl Iterator<Item = &str> {
    let is_code = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with("--");
    let parts = migration.split_inclusive(";\n");
    parts.filter(move |part| part.lines().any(is_code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_cut_into_single_statements() {
        let tables = ["devices", "regions", "ledger", "windows", "conflicts", "tallies"];
        let parts: Vec<&str> = statements(MIGRATIONS[0]).collect();
        assert_eq!(parts.len(), tables.len());
        for (part, table) in parts.iter().zip(tables) {
            assert_eq!(part.matches("CREATE TABLE").count(), 1);
            assert!(part.contains(&format!("CREATE TABLE {table} (")), "{part}");
        }
    }
}
