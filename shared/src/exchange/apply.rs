//! Acting on the answer of a peer.

use crate::base::sort::sort_by_key;
use crate::domain::exchange::{Anchor, Known, NodeId};
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::exchange::peers;
use crate::exchange::push::Told;
use crate::host::{Host, Sql, Value};
use crate::ledger::aside;
use crate::ledger::database::Database;
use crate::ledger::integers;
use crate::ledger::outbox::{self, Part};
use crate::limits;
use crate::wire::answer::Answer;

/// What came of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was to a question that is not the present one.
    Ignored,
    /// As it should be.
    Heard,
    /// The peer's database was restored or is another one: everything waits again.
    Again,
}

/// Acts on the answer to what the peer was told.
pub fn apply<H: Host>(
    database: &Database<'_, H>,
    told: &Told,
    answer: &Answer,
    now: UnixMillis,
) -> Result<Applied, Error> {
    database.transaction(|sql| {
        let Some(peer) = peers::one(sql, told.peer)? else { return Ok(Applied::Ignored) };
        if peer.anchor != told.anchor {
            return Ok(Applied::Ignored);
        }
        note_rejected(sql, told, answer, now)?;
        let Some(known) = &answer.known else { return Ok(Applied::Heard) };
        let is_another = peer.node.is_some_and(|node| node != known.node);
        if is_another || !known.anchor_known {
            outbox::refill(sql, told.peer)?;
            set_anchor(sql, told, answer.takes_from, known.node, None)?;
            let statement = "UPDATE peers SET again = again + 1 WHERE peer = ?1";
            sql.execute(statement, &[Value::Integer(told.peer)]).map_err(Error::Regions)?;
            return Ok(Applied::Again);
        }
        strike_counted(sql, told, known, now)?;
        set_anchor(sql, told, answer.takes_from, known.node, known.latest.or(peer.anchor))?;
        Ok(Applied::Heard)
    })
}

fn set_anchor(
    sql: &impl Sql,
    told: &Told,
    takes_from: UnixMillis,
    node: NodeId,
    anchor: Option<Anchor>,
) -> Result<(), Error> {
    let statement = "UPDATE peers SET takes_from = ?2, node = ?3, anchor_batch = ?4, \
                     anchor_mark = ?5 WHERE peer = ?1";
    let blob = |bytes: Option<&[u8]>| bytes.map_or(Value::Null, |bytes| Value::Blob(bytes.into()));
    let bindings = [
        Value::Integer(told.peer),
        Value::Integer(takes_from.get()),
        Value::Blob(node.0.to_vec()),
        blob(anchor.as_ref().map(|anchor| anchor.batch.0.as_slice())),
        blob(anchor.as_ref().map(|anchor| anchor.mark.0.as_slice())),
    ];
    sql.execute(statement, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
}

/// Notes that the batch's own answer came, and puts aside what it rejected.
fn note_rejected(
    sql: &impl Sql,
    told: &Told,
    answer: &Answer,
    now: UnixMillis,
) -> Result<(), Error> {
    let Some((batch, id)) = told.batch else { return Ok(()) };
    // In a database that was restored the number may be that of another batch.
    let statement = "UPDATE batches SET answered = 1 WHERE id = ?1 AND batch = ?2";
    let bindings = [Value::Integer(batch), Value::Blob(id.0.to_vec())];
    sql.execute(statement, &bindings).map_err(Error::Regions)?;
    for (reason, indexes) in &answer.rejected {
        let places = indexes.iter().filter_map(|index| told.readings.get(*index));
        put_aside(sql, told, reason, places.copied(), now)?;
    }
    let corrections = answer.rejected_corrections.iter();
    let places = corrections.filter_map(|index| told.corrections.get(*index));
    put_aside(sql, told, "forbidden", places.copied(), now)
}

fn put_aside(
    sql: &impl Sql,
    told: &Told,
    reason: &str,
    places: impl Iterator<Item = (i64, i64)>,
    now: UnixMillis,
) -> Result<(), Error> {
    let mut parts: Vec<Part> =
        places.map(|(minute, begin)| Part { minute, begin, readings: 1 }).collect();
    sort_by_key(&mut parts, |part| {
        u128::from(part.minute.unsigned_abs()) << 64 | u128::from(part.begin.unsigned_abs())
    });
    parts.dedup_by(|later, first| {
        let is_same = later.minute == first.minute;
        first.readings += if is_same { later.readings } else { 0 };
        is_same
    });
    let known = limits::REASONS_PUT_ASIDE.contains(&reason);
    let reason = if known { reason } else { "other" };
    let wait_ms = match reason {
        "in_future" => limits::ASIDE_AHEAD_MS,
        _ => limits::ASIDE_MS,
    };
    aside::put(sql, told.peer, reason, &parts, now.saturating_add(wait_ms))
}

/// Strikes what is counted, and sends again what was asked for long and is not.
fn strike_counted(
    sql: &impl Sql,
    told: &Told,
    known: &Known,
    now: UnixMillis,
) -> Result<(), Error> {
    for id in &told.asked {
        let statement =
            "SELECT id, answered, asked, made FROM batches WHERE peer = ?1 AND batch = ?2";
        let bindings = [Value::Integer(told.peer), Value::Blob(id.0.to_vec())];
        let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
        let Some(row) = rows.first() else { continue };
        let [batch, answered, asked, made] = integers(row).ok_or(Error::Corrupt("batch"))?;
        if known.counted.contains(id) {
            // Without its answer it is not known what was rejected.
            match answered {
                1 => outbox::strike(sql, told.peer, batch)?,
                _ => outbox::take_back(sql, told.peer, batch)?,
            }
            continue;
        }
        let age_ms = now.get().abs_diff(made);
        if asked + 1 >= limits::ANSWERS_PER_BATCH_MAX && age_ms >= limits::BATCH_LOST_MS {
            outbox::take_back(sql, told.peer, batch)?;
            continue;
        }
        let statement = "UPDATE batches SET asked = asked + 1 WHERE id = ?1";
        sql.execute(statement, &[Value::Integer(batch)]).map_err(Error::Regions)?;
    }
    Ok(())
}
