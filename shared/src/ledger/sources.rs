//! By which sources, and by which mapping of each, readings were counted.

use crate::domain::reading::{Reading, UnixMillis};
use crate::domain::source::{DIGEST_BYTES, OfSource};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::count::Outcome;
use crate::ledger::sql::integers;

/// Counts the readings of an entry that were stored.
///
/// Must run in the transaction that counted them.
pub(crate) fn note(
    sql: &impl Sql,
    source: &OfSource<'_>,
    judged: &[(Reading<'_>, Outcome)],
) -> Result<(), Error> {
    let stored = judged.iter().filter(|(_, outcome)| *outcome == Outcome::Stored);
    let (mut readings, mut assumed) = (0, 0);
    let (mut oldest, mut newest) = (UnixMillis::MAX, UnixMillis::MIN);
    for (reading, _) in stored {
        readings += 1;
        assumed += i64::from(reading.is_time_assumed());
        oldest = oldest.min(reading.timestamp);
        newest = newest.max(reading.timestamp);
    }
    if readings == 0 {
        return Ok(());
    }
    let statement = "\
        INSERT INTO sources AS s (name, digest, readings, assumed, oldest, newest) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
        ON CONFLICT (name, digest) DO UPDATE SET \
            readings = s.readings + excluded.readings, assumed = s.assumed + excluded.assumed, \
            oldest = min(s.oldest, excluded.oldest), newest = max(s.newest, excluded.newest)";
    let mut bindings =
        vec![Value::Text(source.name.to_owned()), Value::Blob(source.digest.to_vec())];
    bindings.extend([readings, assumed, oldest.get(), newest.get()].map(Value::Integer));
    sql.execute(statement, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
}

/// What was counted by a mapping of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByMapping {
    pub(crate) name: String,
    pub(crate) digest: [u8; DIGEST_BYTES],
    pub(crate) readings: i64,
    pub(crate) assumed: i64,
    pub(crate) oldest: UnixMillis,
    pub(crate) newest: UnixMillis,
}

/// What was counted, by source, then by the time of the newest reading.
pub(crate) fn all(sql: &impl Sql) -> Result<Vec<ByMapping>, Error> {
    let statement = "SELECT name, digest, readings, assumed, oldest, newest FROM sources \
                     ORDER BY name, newest DESC, digest LIMIT 10000";
    let rows = sql.execute(statement, &[]).map_err(Error::Regions)?;
    let one = |row: &Vec<Value>| {
        let [Value::Text(name), Value::Blob(digest), rest @ ..] = row.as_slice() else {
            return None;
        };
        let [readings, assumed, oldest, newest] = integers(rest)?;
        Some(ByMapping {
            name: name.clone(),
            digest: digest.as_slice().try_into().ok()?,
            readings,
            assumed,
            oldest: UnixMillis::new(oldest)?,
            newest: UnixMillis::new(newest)?,
        })
    };
    rows.iter().map(one).collect::<Option<_>>().ok_or(Error::Corrupt("source"))
}
