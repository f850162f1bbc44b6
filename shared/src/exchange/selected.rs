//! What goes into the next batch: readings that wait, the newest minutes first, and the
//! corrections of their minutes.

use crate::base::sort::sort_by_key;
use crate::domain::reading::UnixMillis;
use crate::error::{DamagedRow, Error};
use crate::host::{Sql, Value};
use crate::ledger::dictionary::list_of_ids;
use crate::ledger::outbox::{Part, place_in_minute, place_of};
use crate::ledger::run::Run;
use crate::ledger::{LEDGER, Row, integers};
use crate::limits;

/// What of that which waits is in a batch: parts, the newest first, and of the last one what
/// comes before `rest`.
#[derive(Default)]
pub(super) struct Selected {
    pub(super) rows: Vec<Row>,
    pub(super) parts: Vec<Part>,
    pub(super) rest: Option<Part>,
    /// Rows of the ledger in these parts that can't be read: what they have is not sent.
    pub(super) damaged: Vec<DamagedRow>,
}

impl Selected {
    /// As many readings as a batch may have. No more are in memory at once, unless one minute
    /// has more.
    pub(super) fn of(sql: &impl Sql, mut waiting: &[Part], most: usize) -> Result<Self, Error> {
        let stored = stored(sql, waiting)?;
        let mut selected = Self::default();
        while !waiting.is_empty() && selected.rows.len() < most && selected.rest.is_none() {
            // A minute of which few readings wait may have many.
            let mut loaded = 0_usize;
            let fits = |part: &&Part| {
                let known = stored.binary_search_by_key(&part.minute, |(minute, _)| *minute);
                let readings =
                    known.ok().and_then(|place| stored.get(place)).map_or(0, |one| one.1);
                loaded = loaded.saturating_add(readings.max(1));
                loaded <= most
            };
            let (now, later) = waiting.split_at(waiting.iter().take_while(fits).count().max(1));
            waiting = later;
            let mut found = load(sql, now, &mut selected.damaged)?;
            for part in now {
                if selected.rest.is_some() {
                    break;
                }
                let begin = found.partition_point(|row: &Row| i64::from(row.minute) > part.minute);
                let end = found.partition_point(|row| i64::from(row.minute) >= part.minute);
                selected.add(*part, found.get_mut(begin..end).unwrap_or_default(), most);
            }
        }
        Ok(selected)
    }

    /// Adds a part, as far as there is room, given the rows of its minute.
    fn add(&mut self, part: Part, of_minute: &mut [Row], most: usize) {
        sort_by_key(of_minute, |row| place_of(row).unsigned_abs().into());
        let first = of_minute.partition_point(|row| place_of(row) < part.begin);
        let own = of_minute.get(first..).unwrap_or_default();
        let room = most.saturating_sub(self.rows.len());
        if room == 0 {
            return;
        }
        self.parts.push(part);
        self.rows.extend(own.iter().take(room));
        self.rest = own.get(room).map(|next| {
            let readings = i64::try_from(own.len() - room).unwrap_or(i64::MAX);
            Part { begin: place_of(next), readings, ..part }
        });
    }

    /// Leaves out what comes with more corrections than a batch may have. Those of one reading
    /// stay together; of one that has more by itself, the first go. `corrections` has the order
    /// of the parts.
    pub(super) fn bound(&mut self, corrections: &mut Vec<StoredCorrection>) {
        const MOST: usize = limits::CORRECTIONS_PER_BATCH_MAX;
        let of = |one: &StoredCorrection| (one.minute, one.place());
        let Some(mut next) = corrections.get(MOST).map(of) else { return };
        if corrections.first().map(of) == Some(next) {
            let rest = corrections.iter().position(|one| of(one) != next);
            let other = rest.and_then(|place| corrections.get(place)).map(of);
            corrections.drain(MOST..rest.unwrap_or(corrections.len()));
            let Some(other) = other else { return };
            next = other;
        }
        let (minute, begin) = next;
        let is_before = |of: i64, place: i64| of > minute || (of == minute && place < begin);
        corrections.retain(|one| is_before(one.minute, one.place()));
        let in_minute = |row: &&Row| i64::from(row.minute) == minute;
        let later = self.rows.iter().filter(in_minute).filter(|row| place_of(row) >= begin);
        let later = i64::try_from(later.count()).unwrap_or(i64::MAX);
        self.rows.retain(|row| is_before(i64::from(row.minute), place_of(row)));
        let known = self.rest.filter(|rest| rest.minute == minute).map_or(0, |rest| rest.readings);
        self.parts.retain(|part| part.minute >= minute);
        self.rest = Some(Part { minute, begin, readings: known.saturating_add(later) });
    }
}

/// Minutes, and how many readings each of them has.
fn stored(sql: &impl Sql, parts: &[Part]) -> Result<Vec<(i64, usize)>, Error> {
    let minutes = list_of_ids(parts.iter().map(|part| part.minute.cast_unsigned()));
    let statement = "SELECT minute, sum(records) FROM ledger \
                     WHERE minute IN (SELECT value FROM json_each(?1)) \
                     GROUP BY minute ORDER BY minute";
    let rows = sql.execute(statement, &[Value::Text(minutes)]).map_err(Error::Regions)?;
    let count = |row: &Vec<Value>| {
        let [minute, readings] = integers(row)?;
        Some((minute, usize::try_from(readings).ok()?))
    };
    rows.iter().map(count).collect::<Option<_>>().ok_or(Error::Corrupt("ledger"))
}

/// The rows of the ledger of these minutes, the newest minute first. A run that can't be read is
/// left out, and noted.
fn load(sql: &impl Sql, parts: &[Part], damaged: &mut Vec<DamagedRow>) -> Result<Vec<Row>, Error> {
    let minutes = list_of_ids(parts.iter().map(|part| part.minute.cast_unsigned()));
    let statement = "SELECT minute, first, run FROM ledger \
                     WHERE minute IN (SELECT value FROM json_each(?1)) ORDER BY minute DESC, first";
    let mut all = Vec::new();
    for row in sql.execute(statement, &[Value::Text(minutes)]).map_err(Error::Regions)? {
        let run = Run::<1>::from_columns(&row).ok_or(Error::Corrupt("ledger"))?;
        match LEDGER.decode::<Row>(&run) {
            Ok(mut rows) => all.append(&mut rows),
            Err(Error::DamagedRows(mut rows)) => damaged.append(&mut rows),
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// A correction with ids in place of names.
pub(super) struct StoredCorrection {
    pub(super) minute: i64,
    pub(super) device: u64,
    pub(super) ms: i64,
    pub(super) expected: Option<i64>,
    pub(super) expected_region: Option<u64>,
    pub(super) millicelsius: Option<i64>,
    pub(super) region: Option<u64>,
    pub(super) hash: [u8; 32],
    pub(super) reason: String,
    pub(super) made: UnixMillis,
    pub(super) by: Option<String>,
}

/// All corrections of these parts, also those whose reading is not there; of the last part
/// without those of the rest.
pub(super) fn corrections(
    sql: &impl Sql,
    parts: &[Part],
    rest: Option<Part>,
) -> Result<Vec<StoredCorrection>, Error> {
    let minutes = list_of_ids(parts.iter().map(|part| part.minute.cast_unsigned()));
    let statement = "\
        SELECT reason, by, hash, minute, device, ms, made, coalesce(expected, ?2), \
               coalesce(expected_region, ?2), coalesce(milli, ?2), coalesce(region, ?2) \
        FROM corrections WHERE minute IN (SELECT value FROM json_each(?1)) \
        ORDER BY minute DESC, ms, device, hash";
    let bindings = [Value::Text(minutes), Value::Integer(i64::MIN)];
    let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    let all = rows.iter().map(|row| correction(row)).collect::<Option<Vec<_>>>();
    let mut all = all.ok_or(Error::Corrupt("correction"))?;
    all.retain(|one| {
        let place = one.place();
        let is_later = rest.is_some_and(|rest| rest.minute == one.minute && rest.begin <= place);
        // The newest part is the first.
        let part = parts.binary_search_by(|part| one.minute.cmp(&part.minute));
        let part = part.ok().and_then(|index| parts.get(index));
        part.is_some_and(|part| part.begin <= place) && !is_later
    });
    Ok(all)
}

fn correction(row: &[Value]) -> Option<StoredCorrection> {
    let [Value::Text(reason), by, Value::Blob(hash), rest @ ..] = row else { return None };
    let [minute, device, ms, made, expected, expected_region, millicelsius, region] =
        integers(rest)?;
    let some = |number: i64| (number != i64::MIN).then_some(number);
    let by = match by {
        Value::Text(by) => Some(by.clone()),
        _ => None,
    };
    Some(StoredCorrection {
        minute,
        device: u64::try_from(device).ok()?,
        ms,
        expected: some(expected),
        expected_region: some(expected_region).map(i64::cast_unsigned),
        millicelsius: some(millicelsius),
        region: some(region).map(i64::cast_unsigned),
        hash: hash.as_slice().try_into().ok()?,
        reason: reason.clone(),
        made: UnixMillis::new(made)?,
        by,
    })
}

impl StoredCorrection {
    /// The place of its reading.
    pub(super) fn place(&self) -> i64 {
        place_in_minute(self.device, self.ms)
    }
}
