//! The database's schema and its migrations, applied when a database is opened.

use crate::error::Error;
use crate::host::{Ending, Sql, TransactionKind};
use crate::ledger::plain::sql;
use crate::ledger::region_devices;

/// The schema version that this release writes. An older database is migrated to it, a
/// newer one is refused.
pub const VERSION: i64 = 9;

/// The schema of this release, for a database that has none.
const CURRENT: &str = sql!("current");

/// The n-th migrates a database from version n-1 to n.
const MIGRATIONS: [&str; 9] = [
    sql!("0001_ledger_and_windows"),
    sql!("0002_revisions"),
    sql!("0003_days_devices_histograms"),
    sql!("0004_runs"),
    sql!("0005_names_and_checks"),
    sql!("0006_answers"),
    sql!("0007_nodes"),
    sql!("0008_sources"),
    sql!("0009_regions_of_senders"),
];
const _: () = assert!(MIGRATIONS.len() as i64 == VERSION);

/// The first version with the table `region_devices`.
const VERSION_WITH_REGION_DEVICES: i64 = 5;

/// Whether the database has this release's schema; costs one statement.
pub(crate) fn is_current(sql: &impl Sql) -> Result<bool, Error> {
    Ok(version(sql)? == VERSION)
}

fn version(sql: &impl Sql) -> Result<i64, Error> {
    match sql.schema_version().map_err(Error::Regions)? {
        found if found > VERSION => Err(Error::SchemaTooNew { found, known: VERSION }),
        found => Ok(found),
    }
}

/// Brings the database to this release's schema.
///
/// Two components may start at once. The one that finds the other migrating fails with
/// `Busy` and may try again.
pub(crate) fn migrate(sql: &impl Sql) -> Result<(), Error> {
    // In WAL mode readers and the writer don't wait for each other, and a commit is one
    // sync. The mode is a property of the file, and can't be set inside a transaction.
    // A database server refuses it.
    match run(sql, "PRAGMA journal_mode = WAL") {
        Err(error) if error.is_busy() => return Err(error),
        _ => {}
    }
    let mut migrated = Ok(());
    let committed = sql.transaction(TransactionKind::Write, &mut || {
        migrated = migrate_from(sql);
        if migrated.is_ok() { Ending::Commit } else { Ending::RollBack }
    });
    committed.map_err(Error::Regions).and(migrated)
}

/// Runs inside a transaction, so it sees what another connection has migrated before.
fn migrate_from(sql: &impl Sql) -> Result<(), Error> {
    let found = version(sql)?;
    if found == 0 {
        statements(CURRENT).try_for_each(|statement| run(sql, statement))?;
        return sql.set_schema_version(VERSION).map_err(Error::Regions);
    }
    migrate_to_current(sql, found)
}

/// Migrates a database of this version, step by step.
fn migrate_to_current(sql: &impl Sql, found: i64) -> Result<(), Error> {
    let done = usize::try_from(found).map_err(|_negative| Error::Corrupt("schema version"))?;
    for migration in MIGRATIONS.iter().skip(done) {
        statements(migration).try_for_each(|statement| run(sql, statement))?;
    }
    if found < VERSION_WITH_REGION_DEVICES {
        // SQL can't decode runs.
        region_devices::fill(sql)?;
    }
    sql.set_schema_version(VERSION).map_err(Error::Regions)
}

fn run(sql: &impl Sql, statement: &str) -> Result<(), Error> {
    sql.execute(statement, &[]).map(|_no_rows| ()).map_err(Error::Regions)
}

/// The statements of a migration: each ends at a semicolon at a line's end.
fn statements(migration: &str) -> impl Iterator<Item = &str> {
    migration.split_inclusive(";\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_cut_into_single_statements() {
        let tables = ["devices", "regions", "ledger", "windows", "conflicts", "tallies"];
        let parts: Vec<&str> = statements(MIGRATIONS[0]).collect();
        assert_eq!(parts.len(), tables.len());
        assert_eq!(statements(MIGRATIONS[1]).count(), 1);
        assert_eq!(statements(MIGRATIONS[2]).count(), 7);
        assert_eq!(statements(MIGRATIONS[3]).count(), 16);
        assert_eq!(statements(MIGRATIONS[4]).count(), 1);
        assert_eq!(statements(MIGRATIONS[5]).count(), 18);
        assert_eq!(statements(MIGRATIONS[6]).count(), 11);
        assert_eq!(statements(MIGRATIONS[7]).count(), 4);
        assert_eq!(statements(MIGRATIONS[8]).count(), 2);
        for part in MIGRATIONS.iter().flat_map(|migration| statements(migration)) {
            assert!(part.trim_end().ends_with(';'), "a comment behind the end of {part}");
        }
        for (part, table) in parts.iter().zip(tables) {
            assert_eq!(part.matches("CREATE TABLE").count(), 1);
            assert!(part.contains(&format!("CREATE TABLE {table} (")), "{part}");
        }
    }
}
