//! What a peer rejected, or would: it waits for the peer to change.

use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::outbox::{Left, Part, PeerNumber, UNITE, WAITING, run};
use crate::ledger::sql::{integers, placeholders, rows_per_statement};

/// The reason of what a peer would reject as too old.
pub(crate) const TOO_OLD: &str = "too_old";

/// Puts aside what rejected readings are in.
pub(crate) fn put(
    sql: &impl Sql,
    peer: PeerNumber,
    reason: &str,
    parts: &[Part],
    again: UnixMillis,
) -> Result<(), Error> {
    for chunk in parts.chunks(rows_per_statement(sql, 6)) {
        let statement = format!(
            "INSERT INTO aside (peer, reason, minute, begin, readings, again) VALUES {} \
             ON CONFLICT DO UPDATE SET begin = min(begin, excluded.begin), \
                 readings = max(readings, excluded.readings), again = excluded.again",
            placeholders(chunk.len(), 6)
        );
        let row = |part: &Part| {
            [
                Value::Integer(peer),
                Value::Text(reason.to_owned()),
                Value::Integer(part.minute),
                Value::Integer(part.begin),
                Value::Integer(part.readings),
                Value::Integer(again.get()),
            ]
        };
        let bindings: Vec<Value> = chunk.iter().flat_map(row).collect();
        sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    }
    Ok(())
}

/// What was aside and is to be tried again waits again; and what the peer takes only from
/// `takes_from` on is put aside if it is older, and taken from there if it is not.
pub(crate) fn sort_out(
    sql: &impl Sql,
    peer: PeerNumber,
    takes_from: UnixMillis,
    now: UnixMillis,
) -> Result<(), Error> {
    let first = takes_from.minute();
    // Of the minute that it lies in, it takes the later readings: they were sent.
    let whole = takes_from.saturating_add(UnixMillis::PER_MINUTE - 1).minute();
    for condition in [
        "reason = 'too_old' AND minute >= ?2 AND ?3 = ?3",
        "reason <> 'too_old' AND again <= ?3 AND ?2 = ?2",
    ] {
        let statement = format!(
            "INSERT INTO outbox (peer, batch, minute, begin, readings) \
             SELECT peer, {WAITING}, minute, begin, readings FROM aside \
             WHERE peer = ?1 AND {condition} {UNITE}"
        );
        run(sql, &statement, &[peer, whole, now.get()])?;
        let delete = format!("DELETE FROM aside WHERE peer = ?1 AND {condition}");
        run(sql, &delete, &[peer, whole, now.get()])?;
    }
    let too_old = format!(
        "INSERT INTO aside (peer, reason, minute, begin, readings, again) \
         SELECT peer, '{TOO_OLD}', minute, begin, readings, 0 FROM outbox \
         WHERE peer = ?1 AND batch = {WAITING} AND minute < ?2 \
         ON CONFLICT DO UPDATE SET begin = min(begin, excluded.begin), \
             readings = readings + excluded.readings"
    );
    run(sql, &too_old, &[peer, first])?;
    let gone = format!("DELETE FROM outbox WHERE peer = ?1 AND batch = {WAITING} AND minute < ?2");
    run(sql, &gone, &[peer, first])
}

/// What is aside for this peer: the reason, minutes, readings, and the oldest of the minutes.
pub(crate) fn of_peer(sql: &impl Sql, peer: PeerNumber) -> Result<Vec<(String, Left)>, Error> {
    let statement = "SELECT reason, count(*), sum(readings), min(minute) FROM aside \
                     WHERE peer = ?1 GROUP BY reason ORDER BY reason";
    let rows = sql.execute(statement, &[Value::Integer(peer)]).map_err(Error::Regions)?;
    let one = |row: &Vec<Value>| {
        let [Value::Text(reason), rest @ ..] = row.as_slice() else { return None };
        let [minutes, readings, oldest] = integers(rest)?;
        let (minutes, readings) = (u64::try_from(minutes).ok()?, u64::try_from(readings).ok()?);
        Some((reason.clone(), Left { minutes, readings, oldest: Some(oldest) }))
    };
    rows.iter().map(one).collect::<Option<_>>().ok_or(Error::Corrupt("aside"))
}
