//! From items to readings that are durable: what all formats have in common.

use super::batch::Batch;
use super::keep::{self, Journaled};
use super::{AfterPost, checks, doubt};
use crate::access::Grant;
use crate::domain::reading::{Reading, UnixMillis};
use crate::error::Error;
use crate::fold;
use crate::host::Host;
use crate::http::Refusal;
use crate::journal::door::Door;
use crate::journal::lags;
use crate::journal::{Origin, RegionCount};
use crate::ledger::Outcome;
use crate::ledger::database::{Budget, Database};
use crate::limits;
use crate::settings::Horizon;
use crate::wire::item::Item;

/// A request whose items were read.
pub(crate) struct Sent<'a, 'r> {
    pub(crate) items: Vec<Item<'a>>,
    /// Fields that were ignored, each once.
    pub(crate) ignored: Vec<&'a str>,
    /// What the items came by.
    pub(crate) origin: Origin<'r>,
    /// Whether the credential allows every device and region of them.
    pub(crate) allows_all: bool,
    /// How long the sender wants to wait for the fold.
    pub(crate) wait_ms: Option<u64>,
}

/// What was made of a request's items.
pub(crate) struct Taken<'a> {
    pub(crate) batch: Batch<'a>,
    pub(crate) kept: Kept,
    pub(crate) after_answer: AfterPost,
}

/// What became of the readings that may be counted.
#[derive(Debug)]
pub(crate) enum Kept {
    /// There was none.
    Nothing,
    /// They are in the journal.
    Journaled,
    /// They are counted; with the outcome of each.
    Folded {
        outcomes: Vec<Outcome>,
        /// Whether the sender asked to wait for it.
        was_asked: bool,
    },
    /// The journal is full. They were not kept.
    JournalFull,
}

/// Judges the items of a request, and makes durable what may be counted.
pub(crate) fn take<'a, H: Host>(
    host: &H,
    sent: Sent<'a, '_>,
    grant: &Grant,
    door: Option<(Door, UnixMillis)>,
    now: UnixMillis,
) -> Result<Taken<'a>, Refusal> {
    let taken = kept(host, sent, grant, door, now)?;
    let lags = match taken.kept {
        Kept::Journaled | Kept::Folded { .. } => lags::of(&taken.batch.readings, now),
        Kept::Nothing | Kept::JournalFull => Vec::new(),
    };
    Ok(Taken { after_answer: taken.after_answer.with_lags(lags), ..taken })
}

fn kept<'a, H: Host>(
    host: &H,
    sent: Sent<'a, '_>,
    grant: &Grant,
    door: Option<(Door, UnixMillis)>,
    now: UnixMillis,
) -> Result<Taken<'a>, Refusal> {
    let Sent { items, ignored, origin, allows_all, wait_ms } = sent;
    let horizon = Horizon::from_variables(host)?;
    let items = if allows_all { items } else { checks::allowed(items, grant) };
    let journal = doubt::open(host, &items, door, horizon, now);
    let mut batch = judge(host, items, &journal, horizon, now)?;
    batch.ignored = ignored;
    if batch.readings.is_empty() {
        // There is no reading to fold.
        let mut after_answer = AfterPost::default();
        after_answer.note.get_or_insert_default().counted = batch.rejections();
        return Ok(Taken { batch, kept: Kept::Nothing, after_answer });
    }
    if let Some(wait_ms) = wait_ms.filter(|_| batch.ahead.is_empty()) {
        match keep::fold_now(host, &batch, wait_ms, now) {
            Ok(outcomes) => {
                let folds = should_fold(host, batch.readings.len(), RegionCount(1));
                let kept = Kept::Folded { outcomes, was_asked: true };
                return Ok(Taken { batch, kept, after_answer: AfterPost::folding(folds) });
            }
            // The journal takes the readings instead: durable now, counted later.
            Err(error) => host.log(&format!("Prefer: wait was not met: {error}")),
        }
    }
    match journal.and_then(|(store, door)| keep::journal(host, &store, &door, &batch, origin, now))
    {
        Err(Error::Journal(error)) if batch.ahead.is_empty() => {
            host.log(&format!("the journal failed, so the readings are folded at once: {error}"));
            let outcomes = fold_without_journal(host, &batch)?;
            let kept = Kept::Folded { outcomes, was_asked: false };
            Ok(Taken { batch, kept, after_answer: AfterPost::default() })
        }
        journaled => Ok(journaled_taken(host, batch, journaled?)),
    }
}

/// Sorts the items into readings that may be counted and rejections.
fn judge<'a, H: Host>(
    host: &H,
    items: Vec<Item<'a>>,
    journal: &Result<(H::KeyValue, Door), Error>,
    horizon: Horizon,
    now: UnixMillis,
) -> Result<Batch<'a>, Error> {
    let journal = journal.as_ref().ok();
    let items = checks::reject(host, items, journal)?;
    // Without the journal, the ledger finds what is too old.
    let door = journal.map_or_else(Door::default, |(_, door)| *door);
    let mut batch = Batch::new(items, horizon, &door, now);
    let known = journal.map(|(_, door)| door);
    // A time that is assumed is no better than the node's clock.
    let has_assumed = batch.readings.iter().any(Reading::is_time_assumed);
    let is_behind =
        (has_assumed || !batch.ahead.is_empty()) && doubt::is_behind(host, known, horizon, now)?;
    if has_assumed && is_behind {
        return Err(Error::ClockNotSet);
    }
    if !is_behind {
        batch.ahead.clear();
    }
    if let Some((store, _)) = journal {
        doubt::reject_new_names(host, store, &door, &mut batch, now)?;
    }
    if !batch.ahead.is_empty() {
        // A sender keeps a request that is refused. Readings that come with countable
        // ones are kept for it here, as it may not be able to tell them apart.
        if batch.readings.is_empty() || journal.is_none() {
            return Err(Error::ClockNotSet);
        }
        batch.keep_those_ahead();
    }
    Ok(batch)
}

fn journaled_taken<'a>(host: &impl Host, batch: Batch<'a>, journaled: Journaled) -> Taken<'a> {
    match journaled {
        Journaled::Kept { regions, is_told, is_under_pressure } => {
            let folds = !is_told
                || should_fold(host, batch.readings.len(), regions)
                || (is_under_pressure && has_turn_under_pressure(host));
            Taken { batch, kept: Kept::Journaled, after_answer: AfterPost::folding(folds) }
        }
        // Logged once, when the journal was marked as full.
        Journaled::Refused { should_fold } => {
            Taken { batch, kept: Kept::JournalFull, after_answer: AfterPost::folding(should_fold) }
        }
    }
}

fn fold_without_journal(host: &impl Host, batch: &Batch<'_>) -> Result<Vec<Outcome>, Error> {
    let database = Database::open(host, Budget::waiting(limits::WAIT_MS_DEFAULT))?;
    fold::post_now(&database, &batch.readings, &batch.rejections())
}

/// Whether a request with this many readings, of this many regions, folds the journal.
///
/// That costs a listing of the store and a fold, so on average one single-reading
/// request in 1,024 does it. Larger batches do it more often, and so do batches of more
/// regions, as some may be new. It is decided by chance, which needs no count that
/// requests share.
pub(super) fn should_fold(
    host: &impl Host,
    readings: usize,
    RegionCount(regions): RegionCount,
) -> bool {
    const CERTAIN: usize = limits::FOLD_CERTAIN_AT_READINGS;
    let regions = regions.saturating_sub(1).saturating_mul(limits::READINGS_PER_REGION_TO_FOLD);
    let weight = (CERTAIN / limits::SINGLES_PER_FOLD).saturating_add(readings);
    let dice = usize::try_from(host.random() % CERTAIN as u64).unwrap_or(0);
    dice < weight.saturating_add(regions)
}

/// Whether this request is one of those that fold while too much is waiting: it is then what
/// ends the waiting of all.
fn has_turn_under_pressure(host: &impl Host) -> bool {
    host.random().is_multiple_of(limits::REQUESTS_PER_FOLD_UNDER_PRESSURE)
}
