//! What an answer may lack, as a node that sends to this one is behind or silent.

use crate::base::sort::sort_by_key;
use crate::domain::exchange::NodeId;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Host, Sql, Value};
use crate::ledger::database::Database;
use crate::ledger::dictionary;
use crate::ledger::received::{self, KnownSender};
use crate::limits;
use crate::settings;

/// The steps in which an estimate grows.
const STEP_MS: i64 = 10_000;

const HOUR_MS: i64 = 60 * UnixMillis::PER_MINUTE;

/// Whether the sender has not been heard of for so long. A contact far ahead is one from before
/// this node's clock was set back.
pub(crate) fn is_silent(sender: &KnownSender, silent_ms: i64, now: UnixMillis) -> bool {
    now.get().abs_diff(sender.contact.get()) > silent_ms.unsigned_abs()
}

impl KnownSender {
    /// How many readings of it are missing: those that it said it had to send; and, while it
    /// is silent, as many as it had in the hour before, for each hour since. An estimate.
    pub(crate) fn missing(&self, silent_ms: i64, now: UnixMillis) -> i64 {
        if !is_silent(self, silent_ms, now) {
            return self.waiting;
        }
        // In steps, so that the same answer is the same for a while.
        let since_ms = now.get().saturating_sub(self.contact.get()).max(0);
        let since_ms = since_ms - since_ms % STEP_MS;
        let expected = i128::from(since_ms) * i128::from(self.last_hour) / i128::from(HOUR_MS);
        self.waiting.saturating_add(i64::try_from(expected).unwrap_or(i64::MAX))
    }
}

/// The senders as an answer's coverage has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Senders {
    pub(crate) count: usize,
    /// Those not heard of for longer than `sender_silent_after`.
    pub(crate) silent: usize,
    /// Their names, those that were heard of longest ago first; at most `NAMED_MAX`, and `+7`
    /// for seven others. One without a name is named by its id.
    pub(crate) silent_names: String,
    /// The oldest time of which one of them has said what it has.
    pub(crate) as_of: Option<UnixMillis>,
    /// Readings that are missing: see `KnownSender::missing`.
    pub(crate) missing: i64,
}

/// How many silent nodes an answer's coverage names: it is in a header, too.
const NAMED_MAX: usize = 5;

fn called(name: &str, node: NodeId) -> String {
    if name.is_empty() { node.to_string() } else { name.to_owned() }
}

fn names_of(mut silent: Vec<&KnownSender>) -> String {
    sort_by_key(&mut silent, |one| one.contact.get().unsigned_abs().into());
    let named = silent.iter().take(NAMED_MAX);
    let mut names: Vec<String> = named.map(|one| called(&one.name, one.node)).collect();
    let others = silent.len().saturating_sub(NAMED_MAX);
    names.extend((others > 0).then(|| format!("+{others}")));
    names.join(" ")
}

/// The senders as an answer's coverage has them.
pub(crate) fn senders<H: Host>(
    database: &Database<'_, H>,
    now: UnixMillis,
) -> Result<Senders, Error> {
    let all = database.read(received::senders)?;
    if all.is_empty() {
        return Ok(Senders::default());
    }
    let silent_ms = settings::sender_silent_ms(database.host())?;
    let silent: Vec<&KnownSender> =
        all.iter().filter(|one| is_silent(one, silent_ms, now)).collect();
    Ok(Senders {
        count: all.len(),
        silent: silent.len(),
        silent_names: names_of(silent),
        as_of: all.iter().map(|one| one.as_of).min(),
        missing: all.iter().map(|one| one.missing(silent_ms, now)).fold(0, i64::saturating_add),
    })
}

/// The senders of a region that it lacks something of: those that are silent, or behind by more
/// than is usual (`limits::BEHIND_MINUTES_USUAL`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) count: i64,
    /// Their names, those that were heard of longest ago first; at most `NAMED_MAX`.
    pub(crate) names: Vec<String>,
}

/// What regions lack, by their names, which are sorted. Regions that lack nothing are not in it.
pub(crate) fn behind_of_regions<'a>(
    sql: &impl Sql,
    regions: impl Iterator<Item = &'a str>,
    silent_ms: i64,
    now: UnixMillis,
) -> Result<Vec<(String, Behind)>, Error> {
    // As `is_silent`. There may be ten thousand senders of each region: they stay in the store.
    let statement = "\
        SELECT region, count, name, node FROM ( \
            SELECT r.name AS region, s.name, s.node, \
                   count(*) OVER (PARTITION BY r.id) AS count, \
                   row_number() OVER (PARTITION BY r.id ORDER BY s.contact, s.sender) AS place \
            FROM regions AS r JOIN sender_regions AS o ON o.region = r.id \
                 JOIN senders AS s ON s.sender = o.sender \
            WHERE r.name IN (SELECT value FROM json_each(?1)) \
                  AND (abs(s.contact - ?2) > ?3 OR s.minutes > ?4)) \
        WHERE place <= ?5 ORDER BY region, place";
    let bindings = [
        Value::Text(dictionary::list_of(regions)),
        Value::Integer(now.get()),
        Value::Integer(silent_ms),
        Value::Integer(limits::BEHIND_MINUTES_USUAL),
        Value::Integer(i64::try_from(NAMED_MAX).unwrap_or(i64::MAX)),
    ];
    let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    let mut all: Vec<(String, Behind)> = Vec::new();
    for row in rows {
        let [Value::Text(region), Value::Integer(count), Value::Text(name), Value::Blob(node)] =
            row.as_slice()
        else {
            return Err(Error::Corrupt("sender"));
        };
        let node = NodeId(node.as_slice().try_into().map_err(|_length| Error::Corrupt("sender"))?);
        if all.last().is_none_or(|(last, _)| last != region) {
            all.push((region.clone(), Behind { count: *count, names: Vec::new() }));
        }
        if let Some((_, behind)) = all.last_mut() {
            behind.names.push(called(name, node));
        }
    }
    Ok(all)
}
