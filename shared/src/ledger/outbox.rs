//! What peers may not have yet: a row for each peer and minute, however many sensors there
//! are. A fold adds what it counted in its own transaction; a batch takes rows, and they are
//! deleted when the peer's database has the batch.
//!
//! Architecture invariant: rows that a batch took are apart from those that wait (`batch`).
//! What is counted in such a minute later is in a row of its own, so that a batch that turns
//! out to be counted never strikes what was not in it.

use crate::base::sort;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::row::{DEVICE_BITS, Row, parts};
use crate::ledger::sql::{integers, placeholders, rows_per_statement};
use crate::ledger::totals::add_to_tallies;

/// The number of a peer: that of the variable that names it.
pub(crate) type PeerNumber = i64;

/// `batch` of rows that wait.
pub(crate) const WAITING: i64 = 0;

/// The tallies of readings that were deleted before a peer had them, and of the first and
/// the last of their minutes.
pub(crate) const DROPPED: &str = "outbox_dropped";
/// See `DROPPED`.
pub(crate) const DROPPED_FROM: &str = "outbox_dropped_from";
/// See `DROPPED`.
pub(crate) const DROPPED_TO: &str = "outbox_dropped_to";

/// Readings of a minute: from `begin` on, sorted by time and then by device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) minute: i64,
    pub(crate) begin: i64,
    /// How many of them were counted since.
    pub(crate) readings: i64,
}

/// The place of a reading in its minute: by time, and then by device.
pub(crate) fn place_in_minute(device: u64, ms: i64) -> i64 {
    ms << DEVICE_BITS | device.cast_signed()
}

pub(crate) fn place_of(row: &Row) -> i64 {
    place_in_minute(row.device(), row.ms())
}

/// Notes readings that were just counted, sorted by minute, for all peers.
///
/// Must run in the transaction that counted them.
pub(super) fn note_counted(sql: &impl Sql, counted: &[Row]) -> Result<(), Error> {
    if counted.is_empty() || !has_peers(sql)? {
        return Ok(());
    }
    let parts = counted.chunk_by(|a, b| a.minute == b.minute).filter_map(|rows| {
        Some(Part {
            minute: i64::from(rows.first()?.minute),
            begin: rows.iter().map(place_of).min()?,
            readings: i64::try_from(rows.len()).ok()?,
        })
    });
    note(sql, &parts.collect::<Vec<_>>())
}

/// Notes readings that were just corrected, or will be when they come: minute and key of
/// each, sorted.
///
/// Must run in the transaction that corrected them.
pub(super) fn note_corrected(
    sql: &impl Sql,
    readings: impl Iterator<Item = (i64, u64)>,
) -> Result<(), Error> {
    if !has_peers(sql)? {
        return Ok(());
    }
    let mut noted: Vec<Part> = readings
        .map(|(minute, key)| {
            let (device, ms) = parts(key);
            Part { minute, begin: place_in_minute(device, ms), readings: 0 }
        })
        .collect();
    // Of each minute the first one is kept.
    sort::sort_by_key(&mut noted, |part| {
        u128::from(part.minute.cast_unsigned()) << 64 | u128::from(part.begin.cast_unsigned())
    });
    noted.dedup_by_key(|part| part.minute);
    note(sql, &noted)
}

fn has_peers(sql: &impl Sql) -> Result<bool, Error> {
    let rows = sql.execute("SELECT 1 FROM peers LIMIT 1", &[]).map_err(Error::Regions)?;
    Ok(!rows.is_empty())
}

/// What happens where there is a row already: both are one.
pub(super) const UNITE: &str = "ON CONFLICT DO UPDATE SET \
    begin = min(begin, excluded.begin), readings = readings + excluded.readings";

fn note(sql: &impl Sql, parts: &[Part]) -> Result<(), Error> {
    for chunk in parts.chunks(rows_per_statement(sql, 3)) {
        let statement = format!(
            "INSERT INTO outbox (peer, batch, minute, begin, readings) \
             SELECT p.peer, {WAITING}, v.column1, v.column2, v.column3 \
             FROM (VALUES {}) AS v CROSS JOIN peers AS p WHERE true {UNITE}",
            placeholders(chunk.len(), 3)
        );
        let bindings = chunk.iter().flat_map(|part| [part.minute, part.begin, part.readings]);
        let bindings: Vec<Value> = bindings.map(Value::Integer).collect();
        sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    }
    Ok(())
}

pub(super) fn run(sql: &impl Sql, statement: &str, numbers: &[i64]) -> Result<(), Error> {
    let bindings: Vec<Value> = numbers.iter().copied().map(Value::Integer).collect();
    sql.execute(statement, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
}

/// All that the ledger has waits for this peer: it is a new one, or another one than before.
/// What it was sent is forgotten.
pub(crate) fn refill(sql: &impl Sql, peer: PeerNumber) -> Result<(), Error> {
    empty(sql, peer)?;
    let all = format!(
        "INSERT INTO outbox (peer, batch, minute, begin, readings) \
         SELECT ?1, {WAITING}, minute, 0, sum(records) FROM ledger GROUP BY minute"
    );
    run(sql, &all, &[peer])?;
    let corrected = format!(
        "INSERT OR IGNORE INTO outbox (peer, batch, minute, begin, readings) \
         SELECT DISTINCT ?1, {WAITING}, minute, 0, 0 FROM corrections"
    );
    run(sql, &corrected, &[peer])
}

/// Nothing waits for this peer any more, and nothing is under way.
pub(crate) fn empty(sql: &impl Sql, peer: PeerNumber) -> Result<(), Error> {
    for table in ["batches", "outbox", "aside"] {
        run(sql, &format!("DELETE FROM {table} WHERE peer = ?1"), &[peer])?;
    }
    Ok(())
}

/// The newest of what waits for this peer, at most `minutes_max` minutes.
pub(crate) fn waiting(
    sql: &impl Sql,
    peer: PeerNumber,
    minutes_max: i64,
) -> Result<Vec<Part>, Error> {
    let statement = format!(
        "SELECT minute, begin, readings FROM outbox WHERE peer = ?1 AND batch = {WAITING} \
         ORDER BY minute DESC LIMIT ?2"
    );
    let bindings = [peer, minutes_max].map(Value::Integer);
    let rows = sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    let part = |row: &Vec<Value>| {
        integers(row).map(|[minute, begin, readings]| Part { minute, begin, readings })
    };
    rows.iter().map(part).collect::<Option<_>>().ok_or(Error::Corrupt("outbox"))
}

/// Puts all that waits for the peer and is in `minutes` into the batch `batch`. Of the last
/// part only what is before `end` is in it, if that is given: the rest waits on.
pub(crate) fn take(
    sql: &impl Sql,
    peer: PeerNumber,
    batch: i64,
    parts: &[Part],
    rest: Option<Part>,
) -> Result<(), Error> {
    let minutes = crate::ledger::dictionary::list_of_ids(
        parts.iter().map(|part| part.minute.cast_unsigned()),
    );
    let statement = format!(
        "UPDATE outbox SET batch = ?1 WHERE peer = ?2 AND batch = {WAITING} \
         AND minute IN (SELECT value FROM json_each(?3))"
    );
    let bindings = [Value::Integer(batch), Value::Integer(peer), Value::Text(minutes)];
    sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    let Some(Part { minute, begin, readings }) = rest else { return Ok(()) };
    let statement = format!(
        "INSERT INTO outbox (peer, batch, minute, begin, readings) \
         VALUES (?1, {WAITING}, ?2, ?3, ?4) {UNITE}"
    );
    run(sql, &statement, &[peer, minute, begin, readings])?;
    let taken = "UPDATE outbox SET readings = max(readings - ?4, 0) \
                 WHERE peer = ?1 AND batch = ?2 AND minute = ?3";
    run(sql, taken, &[peer, batch, minute, readings])
}

/// Forgets what waits in these minutes.
pub(crate) fn forget(sql: &impl Sql, peer: PeerNumber, parts: &[Part]) -> Result<(), Error> {
    if parts.is_empty() {
        return Ok(());
    }
    let minutes = crate::ledger::dictionary::list_of_ids(
        parts.iter().map(|part| part.minute.cast_unsigned()),
    );
    let statement = format!(
        "DELETE FROM outbox WHERE peer = ?1 AND batch = {WAITING} \
         AND minute IN (SELECT value FROM json_each(?2))"
    );
    let bindings = [Value::Integer(peer), Value::Text(minutes)];
    sql.execute(&statement, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
}

/// Strikes what was in a batch: the peer's database has it.
pub(crate) fn strike(sql: &impl Sql, peer: PeerNumber, batch: i64) -> Result<(), Error> {
    run(sql, "DELETE FROM outbox WHERE peer = ?1 AND batch = ?2", &[peer, batch])?;
    run(sql, "DELETE FROM batches WHERE peer = ?1 AND id = ?2", &[peer, batch])
}

/// What was in a batch waits again: the peer's journal was lost, or its answer.
pub(crate) fn take_back(sql: &impl Sql, peer: PeerNumber, batch: i64) -> Result<(), Error> {
    let statement = format!(
        "INSERT INTO outbox (peer, batch, minute, begin, readings) \
         SELECT peer, {WAITING}, minute, begin, readings FROM outbox \
         WHERE peer = ?1 AND batch = ?2 {UNITE}"
    );
    run(sql, &statement, &[peer, batch])?;
    strike(sql, peer, batch)
}

/// What was in a batch that could not be sent waits again, if it is still under way. A lease that
/// ran out lets another beat begin, which takes it back; its number may be that of another batch
/// then.
pub(crate) fn take_back_failed(
    sql: &impl Sql,
    peer: PeerNumber,
    batch: i64,
    id: &[u8],
) -> Result<(), Error> {
    let statement = "SELECT 1 FROM batches WHERE id = ?1 AND peer = ?2 AND batch = ?3";
    let bindings = [Value::Integer(batch), Value::Integer(peer), Value::Blob(id.to_vec())];
    let found = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    if found.is_empty() { Ok(()) } else { take_back(sql, peer, batch) }
}

/// What was in batches whose answer never came waits again. No beat may be running.
pub(crate) fn take_back_unanswered(sql: &impl Sql) -> Result<(), Error> {
    let statement = "SELECT peer, id FROM batches WHERE answered = 0";
    for row in sql.execute(statement, &[]).map_err(Error::Regions)? {
        let [peer, batch] = integers(&row).ok_or(Error::Corrupt("batch"))?;
        take_back(sql, peer, batch)?;
    }
    Ok(())
}

/// What a peer is not known to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) minutes: u64,
    pub(crate) readings: u64,
    /// The oldest of the minutes.
    pub(crate) oldest: Option<i64>,
}

/// What this peer is not known to have counted.
pub(crate) fn left(sql: &impl Sql, peer: PeerNumber) -> Result<Left, Error> {
    select_left(sql, peer, "true")
}

/// What this peer has not acknowledged, beside this batch. What it has acknowledged is on its
/// disk, and it counts it before its next answer. What it was asked for in vain twice is not
/// taken for sent any more: a peer that was restored has lost it.
pub(crate) fn unsent(sql: &impl Sql, peer: PeerNumber, batch: i64) -> Result<Left, Error> {
    let taken = format!(
        "batch <> {batch} AND batch NOT IN \
         (SELECT id FROM batches WHERE answered = 1 AND asked < 2)"
    );
    select_left(sql, peer, &taken)
}

fn select_left(sql: &impl Sql, peer: PeerNumber, condition: &str) -> Result<Left, Error> {
    let statement = format!(
        "SELECT count(DISTINCT minute), coalesce(sum(readings), 0), coalesce(min(minute), -1) \
         FROM outbox WHERE peer = ?1 AND {condition}"
    );
    let rows = sql.execute(&statement, &[Value::Integer(peer)]).map_err(Error::Regions)?;
    let left = |row: &Vec<Value>| {
        let [minutes, readings, oldest] = integers(row)?;
        Some(Left {
            minutes: u64::try_from(minutes).ok()?,
            readings: u64::try_from(readings).ok()?,
            oldest: (oldest >= 0).then_some(oldest),
        })
    };
    rows.first().and_then(left).ok_or(Error::Corrupt("outbox"))
}

/// The minute before which readings may be deleted: `before`, or the oldest that a peer may
/// not have, as long as what is kept for that has at most `bytes_max` bytes in the ledger.
pub(crate) fn deletable_before(sql: &impl Sql, before: i64, bytes_max: i64) -> Result<i64, Error> {
    let oldest = "SELECT coalesce(min(minute), ?1) FROM outbox WHERE minute < ?1";
    let oldest = one_integer(sql, oldest, &[before])?;
    if oldest >= before {
        return Ok(before);
    }
    // From the newest on, as many minutes as there is room for.
    let first = "\
        SELECT coalesce(max(minute) + 1, ?1) FROM ( \
            SELECT minute, sum(sum(length(run))) OVER (ORDER BY minute DESC) AS bytes \
            FROM ledger WHERE minute >= ?1 AND minute < ?2 GROUP BY minute) \
        WHERE bytes > ?3";
    one_integer(sql, first, &[oldest, before, bytes_max])
}

fn one_integer(sql: &impl Sql, statement: &str, numbers: &[i64]) -> Result<i64, Error> {
    let bindings: Vec<Value> = numbers.iter().copied().map(Value::Integer).collect();
    let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    let found = rows.first().and_then(|row| integers(row));
    found.map(|[number]| number).ok_or(Error::Corrupt("outbox"))
}

/// Lets go what is in minutes before this one, as the ledger does not have them any more.
/// Returns how many readings a peer may never get. What a peer rejected as too old is not among
/// them: that peer keeps readings for a shorter time.
pub(super) fn let_go(sql: &impl Sql, before: i64) -> Result<u64, Error> {
    let lost = "\
        SELECT coalesce(sum(readings), 0), coalesce(min(minute), -1), coalesce(max(minute), -1) \
        FROM (SELECT minute, readings FROM outbox WHERE minute < ?1 \
              UNION ALL SELECT minute, readings FROM aside \
                        WHERE minute < ?1 AND reason <> 'too_old')";
    let rows = sql.execute(lost, &[Value::Integer(before)]).map_err(Error::Regions)?;
    let found = rows.first().and_then(|row| integers(row));
    let [readings, first, last] = found.ok_or(Error::Corrupt("outbox"))?;
    for table in ["outbox", "aside"] {
        run(sql, &format!("DELETE FROM {table} WHERE minute < ?1"), &[before])?;
    }
    if first < 0 {
        return Ok(0);
    }
    add_to_tallies(sql, &[(DROPPED, usize::try_from(readings).unwrap_or(0))])?;
    for (name, best, minute) in [(DROPPED_FROM, "min", first), (DROPPED_TO, "max", last)] {
        let statement = format!(
            "INSERT INTO tallies (name, value) VALUES (?1, ?2) \
             ON CONFLICT DO UPDATE SET value = {best}(value, excluded.value)"
        );
        let bindings = [Value::Text(name.to_owned()), Value::Integer(minute)];
        sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    }
    Ok(u64::try_from(readings).unwrap_or(0))
}
