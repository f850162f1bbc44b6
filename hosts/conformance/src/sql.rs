//! Checks of the database.

use isotherm::host::{Ending, Host, Sql, StoreErrorKind, TransactionKind, Value};

use crate::check::{Check, Outcome, done, equal, holds, row, rows};

/// The first check needs a new database.
pub(crate) fn checks<H: Host>() -> Vec<Check<H>> {
    vec![
        Check { name: "the_version_of_the_schema_is_kept_with_its_transaction", run: version },
        Check { name: "an_integer_is_bound_as_an_integer", run: integers_bound },
        Check { name: "an_integer_comes_back_exactly", run: integers_exact },
        Check { name: "text_blobs_and_null_keep_their_types", run: types },
        Check { name: "a_real_is_an_error_and_no_integer", run: reals },
        Check { name: "what_is_committed_is_kept", run: commits },
        Check { name: "what_is_rolled_back_leaves_nothing", run: rolls_back },
        Check { name: "a_transaction_calls_its_work_once", run: calls_once },
        Check { name: "one_transaction_writes_and_another_is_busy", run: one_writes },
        Check { name: "a_reading_transaction_sees_one_state", run: one_state },
        Check { name: "a_statement_takes_as_many_bindings_as_it_says", run: bindings },
        Check { name: "a_wrong_statement_is_an_error", run: wrong },
        Check { name: "a_megabyte_in_a_row_comes_back", run: large },
    ]
}

fn version<H: Host>(host: &H) -> Outcome {
    let sql = done("open", host.sql())?;
    equal("of a new database", done("version", sql.schema_version())?, 0)?;
    for (version, ending, expected) in
        [(3, Ending::Commit, 3), (4, Ending::RollBack, 3), (0, Ending::Commit, 0)]
    {
        let mut set = Ok(());
        let ended = sql.transaction(TransactionKind::Write, &mut || {
            set = sql.set_schema_version(version);
            ending
        });
        done("transaction", ended)?;
        done("set", set)?;
        equal("after it", done("version", sql.schema_version())?, expected)?;
    }
    Ok(())
}

fn integers_bound<H: Host>(host: &H) -> Outcome {
    let sql = done("open", host.sql())?;
    let found = row(&sql, "SELECT typeof(?1), 7 / ?2", &[1, 2].map(Value::Integer))?;
    equal("row", found, vec![Value::Text("integer".to_owned()), Value::Integer(3)])
}

fn integers_exact<H: Host>(host: &H) -> Outcome {
    let sql = done("open", host.sql())?;
    for number in [0, -1, (1 << 53) + 1, -(1 << 53) - 1, i64::MAX, i64::MIN] {
        let number = Value::Integer(number);
        match sql.execute("SELECT ?1", std::slice::from_ref(&number)) {
            Ok(found) => equal("row", found, vec![vec![number]])?,
            // An error is allowed: it is never another number.
            Err(_refused) => {}
        }
    }
    let small = row(&sql, "SELECT ?1", &[Value::Integer(1 << 52)])?;
    equal("row", small, vec![Value::Integer(1 << 52)])
}

fn types<H: Host>(host: &H) -> Outcome {
    let sql = done("open", host.sql())?;
    let text = Value::Text("Gr\u{fc}\u{df}e \u{1f321}".to_owned());
    let values = [text, Value::Text(String::new()), Value::Blob((0..=255).collect()), Value::Null];
    let found = row(&sql, "SELECT ?1, ?2, ?3, ?4, typeof(?3)", &values)?;
    let blob = Value::Text("blob".to_owned());
    equal("row", found, values.into_iter().chain([blob]).collect())
}

fn reals<H: Host>(host: &H) -> Outcome {
    let sql = done("open", host.sql())?;
    holds("0.5 was answered", sql.execute("SELECT 0.5", &[]).is_err())
}

/// Creates the table `conformance`, empty.
fn table<H: Host>(host: &H) -> Result<H::Sql, String> {
    let sql = done("open", host.sql())?;
    rows(&sql, "DROP TABLE IF EXISTS conformance", &[])?;
    rows(&sql, "CREATE TABLE conformance (number INTEGER) STRICT", &[])?;
    Ok(sql)
}

fn insert(sql: &impl Sql, number: i64) -> Result<(), String> {
    let statement = "INSERT INTO conformance (number) VALUES (?1)";
    equal("rows", rows(sql, statement, &[Value::Integer(number)])?, Vec::new())
}

fn count(sql: &impl Sql) -> Result<Vec<Value>, String> {
    row(sql, "SELECT count(*) FROM conformance", &[])
}

/// Inserts two rows in one transaction.
fn two_in_one(sql: &impl Sql, ending: Ending) -> Outcome {
    let mut inserted = Ok(());
    let ended = sql.transaction(TransactionKind::Write, &mut || {
        inserted = insert(sql, 1).and_then(|()| insert(sql, 2));
        ending
    });
    done("transaction", ended)?;
    inserted
}

fn commits<H: Host>(host: &H) -> Outcome {
    let sql = table(host)?;
    two_in_one(&sql, Ending::Commit)?;
    equal("rows", count(&sql)?, vec![Value::Integer(2)])?;
    let other = done("open", host.sql())?;
    equal("rows by another connection", count(&other)?, vec![Value::Integer(2)])
}

fn rolls_back<H: Host>(host: &H) -> Outcome {
    let sql = table(host)?;
    two_in_one(&sql, Ending::RollBack)?;
    equal("rows", count(&sql)?, vec![Value::Integer(0)])?;
    // The connection is still usable.
    two_in_one(&sql, Ending::Commit)?;
    equal("rows", count(&sql)?, vec![Value::Integer(2)])
}

fn calls_once<H: Host>(host: &H) -> Outcome {
    let sql = table(host)?;
    for kind in [TransactionKind::Write, TransactionKind::Read] {
        let mut calls = 0;
        let ended = sql.transaction(kind, &mut || {
            calls += 1;
            Ending::RollBack
        });
        done("transaction", ended)?;
        equal("calls", calls, 1)?;
    }
    Ok(())
}

/// A connection that does not wait for a lock itself, as the application's.
fn impatient<H: Host>(host: &H) -> Result<H::Sql, String> {
    let sql = done("open", host.sql())?;
    // A host that does not take the pragma has no file to wait for.
    match sql.execute("PRAGMA busy_timeout = 0", &[]) {
        Ok(_) | Err(_) => Ok(sql),
    }
}

fn one_writes<H: Host>(host: &H) -> Outcome {
    let (sql, other) = (table(host)?, impatient(host)?);
    let mut second = Ok(());
    let first = sql.transaction(TransactionKind::Write, &mut || {
        second = other.transaction(TransactionKind::Write, &mut || Ending::Commit);
        Ending::Commit
    });
    done("the first", first)?;
    let kind = second.err().map(|error| error.kind);
    equal("while another writes", kind, Some(StoreErrorKind::Busy))?;
    done("afterwards", other.transaction(TransactionKind::Write, &mut || Ending::Commit))
}

fn one_state<H: Host>(host: &H) -> Outcome {
    let (sql, other) = (table(host)?, impatient(host)?);
    // Where readers and writers exclude each other, the writer is refused instead.
    let mut counts = Vec::new();
    let mut inserted = Ok(());
    let read = sql.transaction(TransactionKind::Read, &mut || {
        counts.push(count(&sql));
        inserted = insert(&other, 1);
        counts.push(count(&sql));
        Ending::RollBack
    });
    done("read", read)?;
    let zero = Ok(vec![Value::Integer(0)]);
    equal("counts", counts, vec![zero.clone(), zero])?;
    let rows = if inserted.is_ok() { 1 } else { 0 };
    equal("rows afterwards", count(&sql)?, vec![Value::Integer(rows)])
}

fn bindings<H: Host>(host: &H) -> Outcome {
    let sql = done("open", host.sql())?;
    let most = sql.parameters_max();
    holds("fewer than 16 bindings", most >= 16)?;
    let marks = vec!["(?)"; most].join(",");
    let statement = format!("SELECT count(*), sum(column1) FROM (VALUES {marks})");
    let found = done("statement", sql.execute(&statement, &vec![Value::Integer(1); most]))?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    equal("row", found, vec![vec![Value::Integer(most); 2]])
}

fn wrong<H: Host>(host: &H) -> Outcome {
    let sql = done("open", host.sql())?;
    holds("it was answered", sql.execute("SELECT FROM WHERE", &[]).is_err())?;
    equal("row", row(&sql, "SELECT 1", &[])?, vec![Value::Integer(1)])
}

fn large<H: Host>(host: &H) -> Outcome {
    let sql = done("open", host.sql())?;
    let blob = Value::Blob(vec![7; 1 << 20]);
    let found = done("statement", sql.execute("SELECT ?1", std::slice::from_ref(&blob)))?;
    holds("other bytes came back", found == vec![vec![blob]])
}
