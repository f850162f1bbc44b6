//! What this node has from other nodes: which of their batches are counted, and what each
//! said of itself last.

use crate::base::distinct::Distinct;
use crate::domain::exchange::{Anchor, BatchId, FromNode, Known, Mark, NodeId, Sender};
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::dictionary::{self, REGIONS_OF_NAMES};
use crate::ledger::sql::{integers, placeholders, rows_per_statement};
use crate::limits;

/// Notes that what these nodes sent is counted, given how many readings of each are. What a
/// sender said of itself is kept if it is newer than what is known. A batch that was counted
/// before keeps its place and its mark.
///
/// Must run in the transaction that counts the readings.
pub(crate) fn note(sql: &impl Sql, all: &[(&FromNode<'_>, usize)]) -> Result<(), Error> {
    for (from, readings) in all {
        let sender = note_sender(sql, from, *readings)?;
        if sender.is_new {
            bound_senders(sql, from.sender.name, sender.number)?;
        }
        let sender = sender.number;
        if from.has_content {
            let statement = "INSERT OR IGNORE INTO received (sender, batch, mark) \
                             VALUES (?1, ?2, randomblob(8))";
            let bindings = [Value::Integer(sender), Value::Blob(from.batch.0.to_vec())];
            sql.execute(statement, &bindings).map_err(Error::Regions)?;
            forget_old(sql, sender)?;
        }
    }
    Ok(())
}

/// Notes that a sender has sent readings of these regions, by the names that it gave them. A
/// region that is not known, as all of its readings were refused, is left out.
///
/// Must run in the transaction that counts the readings, after they were counted.
pub(crate) fn note_regions<'a>(
    sql: &impl Sql,
    sender: &Sender<'_>,
    regions: impl ExactSizeIterator<Item = &'a str>,
) -> Result<(), Error> {
    let statement = format!(
        "INSERT OR IGNORE INTO sender_regions (sender, region) \
         SELECT s.sender, r.id FROM senders AS s, {REGIONS_OF_NAMES} AS r \
         WHERE s.node = ?2 AND s.name = ?3"
    );
    let bindings = [
        Value::Text(dictionary::list_of(Distinct::of(regions).names.into_iter())),
        Value::Blob(sender.node.0.to_vec()),
        Value::Text(sender.name.to_owned()),
    ];
    sql.execute(&statement, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
}

/// A row of the senders.
struct Noted {
    number: i64,
    is_new: bool,
}

/// Whether what a sender says is newer than what is known of it. Entries are not folded in the
/// order of their arrival. One that was sent later, and came five minutes before what is known,
/// came after this node's clock was set back.
const IS_NEWER: &str = "(excluded.contact > s.contact \
    OR (excluded.contact = s.contact AND excluded.as_of >= s.as_of) \
    OR (excluded.sends > s.sends AND s.contact > excluded.contact + 300000))";

fn note_sender(sql: &impl Sql, from: &FromNode<'_>, readings: usize) -> Result<Noted, Error> {
    // A sender that goes on from an earlier state has sent less often than it had: its
    // database was restored, or two nodes have the same one.
    let statement = format!(
        "\
        INSERT INTO senders AS s (node, name, first, contact, as_of, minutes, waiting, hour, \
                                  sends, readings) \
        VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
        ON CONFLICT (node, name) DO UPDATE SET \
            readings = s.readings + excluded.readings, \
            first = min(s.first, excluded.contact), \
            forks = s.forks + (excluded.as_of > s.as_of AND excluded.sends <= s.sends), \
            forked = iif(excluded.as_of > s.as_of AND excluded.sends <= s.sends, \
                         excluded.contact, s.forked), \
            as_of = iif({IS_NEWER}, excluded.as_of, s.as_of), \
            minutes = iif({IS_NEWER}, excluded.minutes, s.minutes), \
            waiting = iif({IS_NEWER}, excluded.waiting, s.waiting), \
            hour = iif({IS_NEWER}, excluded.hour, s.hour), \
            sends = iif({IS_NEWER}, excluded.sends, s.sends), \
            contact = iif({IS_NEWER}, excluded.contact, s.contact) \
        RETURNING sender, sends = ?8 AND readings = ?9 AND first = ?3"
    );
    let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let said = &from.sender;
    let bindings = [
        Value::Blob(said.node.0.to_vec()),
        Value::Text(said.name.to_owned()),
        Value::Integer(from.at.get()),
        Value::Integer(said.as_of.get()),
        number(said.behind.minutes),
        number(said.behind.readings),
        number(said.last_hour),
        number(said.sends),
        Value::Integer(i64::try_from(readings).unwrap_or(i64::MAX)),
    ];
    let rows = sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    let sender = rows.first().and_then(|row| integers(row));
    let noted = sender.map(|[number, is_new]| Noted { number, is_new: is_new != 0 });
    noted.ok_or(Error::Corrupt("sender"))
}

/// The tables with what is known of a sender, itself last.
const OF_SENDERS: [&str; 3] = ["received", "sender_regions", "senders"];

/// Forgets those that were not heard of for longest, if there are too many, and never `noted`:
/// of one name, since a token is for a name and the id is what its holder says; and of all.
fn bound_senders(sql: &impl Sql, name: &str, noted: i64) -> Result<(), Error> {
    let statement = "\
        SELECT * FROM (SELECT sender FROM senders WHERE name = ?1 \
                       ORDER BY sender = ?4 DESC, contact DESC LIMIT -1 OFFSET ?2) \
        UNION \
        SELECT * FROM (SELECT sender FROM senders \
                       ORDER BY sender = ?4 DESC, contact DESC LIMIT -1 OFFSET ?3)";
    let most = [limits::SENDERS_PER_NAME_MAX, limits::SENDERS_MAX].map(Value::Integer);
    let [of_name, of_all] = most;
    let bindings = [Value::Text(name.to_owned()), of_name, of_all, Value::Integer(noted)];
    for row in sql.execute(statement, &bindings).map_err(Error::Regions)? {
        for table in OF_SENDERS {
            let statement = format!("DELETE FROM {table} WHERE sender = ?1");
            sql.execute(&statement, &row).map_err(Error::Regions)?;
        }
    }
    Ok(())
}

/// Forgets all but the last batches of a sender, every now and then.
fn forget_old(sql: &impl Sql, sender: i64) -> Result<(), Error> {
    const OFTEN: i64 = 64;
    let statement = "\
        DELETE FROM received WHERE sender = ?1 AND \
            (SELECT count(*) FROM received WHERE sender = ?1) >= ?2 + ?3 AND \
            id <= (SELECT id FROM received WHERE sender = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    let bindings = [sender, limits::RECEIVED_KEPT, OFTEN].map(Value::Integer);
    sql.execute(statement, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
}

/// The id of this node: of its database.
pub(crate) fn node_id(sql: &impl Sql) -> Result<NodeId, Error> {
    let rows = sql.execute("SELECT id FROM node", &[]).map_err(Error::Regions)?;
    let id = rows.first().and_then(|row| match row.as_slice() {
        [Value::Blob(id)] => id.as_slice().try_into().ok(),
        _ => None,
    });
    id.map(NodeId).ok_or(Error::Corrupt("node"))
}

/// What the database knows of these batches of a sender, and of its anchor. A sender is a node
/// and the name that it gives itself: tokens are for names, and so no node meets the batches of
/// another, whatever id it claims.
pub(crate) fn counted(
    sql: &impl Sql,
    (node, name): (NodeId, &str),
    asked: &[BatchId],
    anchor: Option<Anchor>,
) -> Result<Known, Error> {
    const OF_SENDER: &str = "FROM received WHERE sender = \
        (SELECT sender FROM senders WHERE node = ?1 AND name = ?2)";
    let sender = [Value::Blob(node.0.to_vec()), Value::Text(name.to_owned())];
    let mut counted = Vec::new();
    for chunk in asked.chunks(rows_per_statement(sql, 2)) {
        let statement = format!(
            "SELECT batch {OF_SENDER} AND batch IN (VALUES {})",
            placeholders(chunk.len(), 1)
        );
        let mut bindings = sender.to_vec();
        bindings.extend(chunk.iter().map(|batch| Value::Blob(batch.0.to_vec())));
        for row in sql.execute(&statement, &bindings).map_err(Error::Regions)? {
            counted.push(batch(row.first()).ok_or(Error::Corrupt("batch"))?);
        }
    }
    let latest = format!("SELECT batch, mark {OF_SENDER} ORDER BY id DESC LIMIT 1");
    let rows = sql.execute(&latest, &sender).map_err(Error::Regions)?;
    let latest = match rows.first() {
        None => None,
        Some(row) => Some(anchor_of(row).ok_or(Error::Corrupt("batch"))?),
    };
    let anchor_known = match anchor {
        None => true,
        Some(Anchor { batch, mark }) => {
            let known = format!("SELECT 1 {OF_SENDER} AND batch = ?3 AND mark = ?4");
            let [node, name] = sender;
            let mark = Value::Blob(mark.0.to_vec());
            let bindings = [node, name, Value::Blob(batch.0.to_vec()), mark];
            !sql.execute(&known, &bindings).map_err(Error::Regions)?.is_empty()
        }
    };
    Ok(Known { node: node_id(sql)?, counted, latest, anchor_known })
}

pub(crate) fn batch(value: Option<&Value>) -> Option<BatchId> {
    match value? {
        Value::Blob(bytes) => bytes.as_slice().try_into().ok().map(BatchId),
        _ => None,
    }
}

/// A batch and a mark; `None` if it is neither.
pub(crate) fn anchor_of(columns: &[Value]) -> Option<Anchor> {
    let [first, Value::Blob(mark)] = columns else { return None };
    Some(Anchor { batch: batch(Some(first))?, mark: Mark(mark.as_slice().try_into().ok()?) })
}

/// What is known of a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownSender {
    pub(crate) node: NodeId,
    pub(crate) name: String,
    /// By this node's clock.
    pub(crate) first: UnixMillis,
    /// By this node's clock.
    pub(crate) contact: UnixMillis,
    /// By the sender's clock.
    pub(crate) as_of: UnixMillis,
    pub(crate) minutes: i64,
    pub(crate) waiting: i64,
    pub(crate) last_hour: i64,
    pub(crate) readings: i64,
    pub(crate) forks: i64,
    pub(crate) forked: Option<UnixMillis>,
}

/// All senders, by name and id.
pub(crate) fn senders(sql: &impl Sql) -> Result<Vec<KnownSender>, Error> {
    let statement = "SELECT node, name, coalesce(forked, -1), first, contact, as_of, minutes, \
                            waiting, hour, readings, forks \
                     FROM senders ORDER BY name, node";
    let rows = sql.execute(statement, &[]).map_err(Error::Regions)?;
    let known = |row: &Vec<Value>| {
        let [Value::Blob(node), Value::Text(name), rest @ ..] = row.as_slice() else { return None };
        let [forked, first, contact, as_of, minutes, waiting, last_hour, readings, forks] =
            integers(rest)?;
        Some(KnownSender {
            node: NodeId(node.as_slice().try_into().ok()?),
            name: name.clone(),
            first: UnixMillis::new(first)?,
            contact: UnixMillis::new(contact)?,
            as_of: UnixMillis::new(as_of)?,
            minutes,
            waiting,
            last_hour,
            readings,
            forks,
            forked: UnixMillis::new(forked),
        })
    };
    rows.iter().map(known).collect::<Option<_>>().ok_or(Error::Corrupt("sender"))
}

/// Forgets a sender: all names of this node. If it sends again, it sends everything. Returns
/// whether it was known.
pub(crate) fn forget(sql: &impl Sql, node: NodeId) -> Result<bool, Error> {
    let node = [Value::Blob(node.0.to_vec())];
    let mut was_known = false;
    for table in OF_SENDERS {
        let statement = format!(
            "DELETE FROM {table} \
             WHERE sender IN (SELECT sender FROM senders WHERE node = ?1) RETURNING sender"
        );
        was_known = !sql.execute(&statement, &node).map_err(Error::Regions)?.is_empty();
    }
    Ok(was_known)
}
