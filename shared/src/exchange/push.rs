//! Making the next batch for a peer.

use std::collections::BTreeSet;

use crate::base::sort::{sort_by_key, sort_by_text};
use crate::domain::correction::Correction;
use crate::domain::exchange::{Anchor, BatchId, Behind, Sender, SentCorrection};
use crate::domain::reading::{DeviceId, MilliCelsius, Reading, Region, UnixMillis};
use crate::error::{DamagedRow, Error};
use crate::exchange::peers::{self, Peer};
use crate::exchange::selected::{Selected, StoredCorrection, corrections};
use crate::host::{Host, Sql, Value};
use crate::ledger::aside;
use crate::ledger::database::Database;
use crate::ledger::dictionary::{self, Names};
use crate::ledger::outbox::{self, Left, PeerNumber, place_of};
use crate::ledger::renaming::name_before_merge;
use crate::ledger::{Row, integers, received};
use crate::limits;
use crate::wire::batch::Batch;

/// A batch that is ready to be sent, and what its answer is compared with.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The body to send.
    pub body: Vec<u8>,
    /// What its answer is compared with.
    pub told: Told,
}

/// What the peer was told, and asked.
#[derive(Clone, Debug)]
pub struct Told {
    pub(crate) peer: PeerNumber,
    pub(crate) anchor: Option<Anchor>,
    /// The number and the id of the batch; `None` if it only asks.
    pub(crate) batch: Option<(i64, BatchId)>,
    pub(crate) asked: Vec<BatchId>,
    /// Minute and place of each reading (`outbox::place_in_minute`).
    pub(crate) readings: Vec<(i64, i64)>,
    /// The same of each correction.
    pub(crate) corrections: Vec<(i64, i64)>,
}

/// Makes the next batch for the peer of this number; `None` if the database does not know it.
/// It only asks if nothing waits, or if too much is under way. `name` is this node's.
pub fn prepare<H: Host>(
    database: &Database<'_, H>,
    peer: PeerNumber,
    name: &str,
    now: UnixMillis,
) -> Result<Option<Prepared>, Error> {
    let id = random_id(database.host())?;
    let mut damaged = Vec::new();
    let prepared = database.transaction(|sql| {
        damaged.clear();
        let Some(peer) = peers::one(sql, peer)? else { return Ok(None) };
        aside::sort_out(sql, peer.peer, peer.takes_from, now)?;
        let asked = under_way(sql, peer.peer)?;
        let has_room = asked.len() < limits::BATCHES_ASKED_MAX;
        let contents = match has_room {
            true => take(sql, &peer, id, now, &mut damaged)?,
            false => Contents::default(),
        };
        count_send(sql, peer.peer, now)?;
        let sender = Sender {
            node: received::node_id(sql)?,
            name,
            sends: peer.sends.cast_unsigned().saturating_add(1),
            as_of: now,
            behind: behind(outbox::unsent(sql, peer.peer, contents.batch.unwrap_or(-1))?),
            last_hour: last_hour(sql, now)?,
        };
        Ok(Some(contents.into_batch(sql, sender, id, asked, &peer)?))
    })?;
    if !damaged.is_empty() {
        let error = Error::DamagedRows(damaged);
        database.host().log(&format!("{error}; what is in them is not sent to peer {peer}"));
    }
    Ok(prepared)
}

fn behind(left: Left) -> Behind {
    Behind { minutes: left.minutes, readings: left.readings }
}

fn random_id(host: &impl Host) -> Result<BatchId, Error> {
    let secret = host.secret().map_err(Error::Variables)?;
    let (id, _) = secret.split_first_chunk::<16>().ok_or(Error::Corrupt("random"))?;
    Ok(BatchId(*id))
}

fn count_send(sql: &impl Sql, peer: PeerNumber, now: UnixMillis) -> Result<(), Error> {
    let statement = "UPDATE peers SET sends = sends + 1, tried = ?2 WHERE peer = ?1";
    let bindings = [peer, now.get()].map(Value::Integer);
    sql.execute(statement, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
}

/// The batches that are under way to this peer, the oldest first.
pub(crate) fn under_way(sql: &impl Sql, peer: PeerNumber) -> Result<Vec<BatchId>, Error> {
    let statement = "SELECT batch FROM batches WHERE peer = ?1 ORDER BY id LIMIT ?2";
    let most = i64::try_from(limits::BATCHES_ASKED_MAX).unwrap_or(i64::MAX);
    let rows = sql.execute(statement, &[peer, most].map(Value::Integer)).map_err(Error::Regions)?;
    let ids = rows.iter().map(|row| received::batch(row.first()));
    ids.collect::<Option<_>>().ok_or(Error::Corrupt("batch"))
}

/// How many readings come in an hour: those of the last sixty minutes that are counted, or of
/// those minutes for which there have been any readings, in proportion.
fn last_hour(sql: &impl Sql, now: UnixMillis) -> Result<u64, Error> {
    const HOUR: i64 = 60;
    let minute = now.minute();
    let statement = "SELECT coalesce(sum(records), 0), coalesce((SELECT min(minute) FROM ledger), 0) \
                     FROM ledger WHERE minute > ?1 AND minute <= ?2";
    let bindings = [minute - HOUR, minute].map(Value::Integer);
    let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    let found = rows.first().and_then(|row| integers(row));
    let [sum, oldest] = found.ok_or(Error::Corrupt("ledger"))?;
    let minutes = (minute - oldest + 1).clamp(1, HOUR);
    Ok(sum.saturating_mul(HOUR).cast_unsigned() / minutes.cast_unsigned())
}

/// What is in a batch, with ids in place of names.
#[derive(Default)]
struct Contents {
    batch: Option<i64>,
    /// Sorted by device and time.
    rows: Vec<Row>,
    corrections: Vec<StoredCorrection>,
}

/// Takes what waits, the newest minutes first, and notes the batch. Rows that can't be read are
/// left out, and returned in `damaged`.
fn take(
    sql: &impl Sql,
    peer: &Peer,
    id: BatchId,
    now: UnixMillis,
    damaged: &mut Vec<DamagedRow>,
) -> Result<Contents, Error> {
    let most = usize::try_from(peer.readings_max).unwrap_or(1).max(1);
    let waiting = outbox::waiting(sql, peer.peer, limits::MINUTES_PER_BATCH_MAX)?;
    let mut selected = Selected::of(sql, &waiting, most)?;
    let mut corrections = corrections(sql, &selected.parts, selected.rest)?;
    selected.bound(&mut corrections);
    let Selected { mut rows, parts, rest, damaged: found } = selected;
    damaged.extend(found);
    if rows.is_empty() && corrections.is_empty() && rest.is_none() {
        // There is nothing of it in the ledger that can be read, and so nothing to send.
        outbox::forget(sql, peer.peer, &parts)?;
        return Ok(Contents::default());
    }
    let statement = "INSERT INTO batches (peer, batch, made, readings) VALUES (?1, ?2, ?3, ?4) \
                     RETURNING id";
    let bindings = [
        Value::Integer(peer.peer),
        Value::Blob(id.0.to_vec()),
        Value::Integer(now.get()),
        Value::Integer(i64::try_from(rows.len()).unwrap_or(i64::MAX)),
    ];
    let made = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    let made = made.first().and_then(|row| integers(row));
    let [batch] = made.ok_or(Error::Corrupt("batch"))?;
    outbox::take(sql, peer.peer, batch, &parts, rest)?;
    sort_by_key(&mut rows, |row| {
        let in_device = u64::from(row.minute) << 32 | row.ms().unsigned_abs();
        u128::from(row.device()) << 64 | u128::from(in_device)
    });
    Ok(Contents { batch: Some(batch), rows, corrections })
}

impl Contents {
    /// Encodes the batch, with names.
    fn into_batch(
        self,
        sql: &impl Sql,
        sender: Sender<'_>,
        id: BatchId,
        asked: Vec<BatchId>,
        peer: &Peer,
    ) -> Result<Prepared, Error> {
        let devices = self.rows.iter().map(Row::device);
        let devices = devices.chain(self.corrections.iter().map(|one| one.device));
        let devices: BTreeSet<u64> = devices.collect();
        let devices = dictionary::of(sql, "devices", devices.into_iter())?;
        let regions = self.rows.iter().map(|row| u64::from(row.region));
        let of_corrections = self.corrections.iter();
        let of_corrections =
            of_corrections.flat_map(|one| [one.expected_region, one.region]).flatten();
        let regions: BTreeSet<u64> = regions.chain(of_corrections).collect();
        let regions = dictionary::of(sql, "regions", regions.into_iter())?;
        let readings = self.rows.iter().map(|row| reading(row, &devices, &regions));
        let mut readings: Vec<(Reading<'_>, (i64, i64))> = readings
            .zip(self.rows.iter().map(|row| (i64::from(row.minute), place_of(row))))
            .map(|(reading, place)| Some((reading?, place)))
            .collect::<Option<_>>()
            .ok_or(Error::Corrupt("names"))?;
        // By name, so that names can be told by what they have in common. Those of a device are in
        // the order of their times already.
        sort_by_text(&mut readings, |(reading, _)| reading.device_id.as_str());
        let (readings, places) = readings.into_iter().unzip();
        let corrections = self.corrections.iter().map(|one| one.named(&devices, &regions));
        let corrections: Option<Vec<SentCorrection<'_>>> = corrections.collect();
        let told = Told {
            peer: peer.peer,
            anchor: peer.anchor,
            batch: self.batch.map(|batch| (batch, id)),
            asked: asked.clone(),
            readings: places,
            corrections: self.corrections.iter().map(|one| (one.minute, one.place())).collect(),
        };
        let corrections = corrections.ok_or(Error::Corrupt("names"))?;
        let batch = Batch { sender, id, asked, anchor: peer.anchor, readings, corrections };
        Ok(Prepared { body: batch.encode(), told })
    }
}

fn reading<'a>(row: &Row, devices: &'a Names, regions: &'a Names) -> Option<Reading<'a>> {
    let device = DeviceId::stored(name_before_merge(devices.get(row.device())?))?;
    let region = Region::stored(name_before_merge(regions.get(u64::from(row.region))?))?;
    let reading = Reading::new(device, region, row.temperature()?, row.timestamp()?);
    Some(reading.arrived(row.is_late).assumed(row.is_time_assumed))
}

impl StoredCorrection {
    fn named<'a>(&'a self, devices: &'a Names, regions: &'a Names) -> Option<SentCorrection<'a>> {
        let celsius = |number: Option<i64>| match number {
            None => Some(None),
            Some(number) => MilliCelsius::new(number).map(Some),
        };
        let region = |id: Option<u64>| match id {
            None => Some(None),
            Some(id) => Region::stored(name_before_merge(regions.get(id)?)).map(Some),
        };
        let correction = Correction {
            device_id: DeviceId::stored(name_before_merge(devices.get(self.device)?))?,
            timestamp: UnixMillis::from_minute(self.minute, self.ms)?,
            expected: celsius(self.expected)?,
            expected_region: region(self.expected_region)?,
            temperature: celsius(self.millicelsius)?,
            region: region(self.region)?,
            reason: self.reason.as_str().into(),
        };
        let by = self.by.as_deref().map(Into::into);
        Some(SentCorrection { correction, hash: self.hash, made: self.made, by })
    }
}
