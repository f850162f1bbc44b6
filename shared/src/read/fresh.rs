//! Reading after a fold: the journal is folded first, and a result comes with what it
//! covers.
//!
//! The promise: an answer counts every reading that was acknowledged before the request
//! came, or says how many entries it does not count. A stale answer gives the time that
//! it is from.

use crate::domain::range::Span;
use crate::domain::reading::UnixMillis;
use crate::error::{Error, best_effort};
use crate::fold::{self, Folded};
use crate::host::Host;
use crate::journal::backpressure;
use crate::journal::inventory::Inventory;
use crate::ledger;
use crate::ledger::database::{Budget, Database};
use crate::limits;
use crate::read::last_good::{self, Snapshot};
use crate::read::senders::{Senders, senders};
use crate::resilience::circuit::CircuitBreaker;
use crate::settings::{Horizon, NamesBound};
use crate::upkeep;

/// Work that no client waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AfterAnswer {
    /// Whether the last good snapshot is to be renewed.
    pub(crate) keeps_snapshot: bool,
    /// Whether entries are left that there was no time to fold.
    pub(crate) should_fold: bool,
}

impl AfterAnswer {
    /// Folds what there was no time for, and stores the last good averages.
    pub fn run(self, host: &impl Host, now: UnixMillis) -> Result<(), Error> {
        if self.should_fold {
            upkeep::run(host, now)?;
        }
        if self.keeps_snapshot {
            last_good::keep(host, now)?;
        }
        Ok(())
    }
}

/// What an answer covers: which time, as of when, and what is still missing.
#[derive(Clone, Debug)]
pub(crate) struct Coverage {
    /// `null` is the beginning of time.
    pub(crate) from: Option<UnixMillis>,
    /// `null` is the end of time.
    pub(crate) to: Option<UnixMillis>,
    pub(crate) as_of: UnixMillis,
    /// Whether this is the last good answer, because the database is away.
    pub(crate) stale: bool,
    /// Acknowledged journal entries that the answer does not count yet; `null` if the
    /// journal can't be read.
    pub(crate) unfolded_entries: Option<usize>,
    /// The readings in them.
    pub(crate) unfolded_readings: Option<usize>,
    /// Acknowledged readings in quarantine, which the answer does not count; `null` if
    /// the journal can't be read.
    pub(crate) quarantined_readings: Option<usize>,
    /// The nodes that send to this one; `None` in a stale answer.
    pub(crate) senders: Option<Senders>,
}

impl Coverage {
    /// Whether every acknowledged entry has been folded.
    pub(crate) fn is_complete(&self) -> bool {
        !self.stale && self.unfolded_entries == Some(0)
    }
}

/// What was read, and what it covers.
#[derive(Debug)]
pub(crate) struct Fresh<T> {
    pub(crate) value: T,
    pub(crate) covered: Covered,
}

/// What an answer covers, and the work to do after it.
#[derive(Debug)]
pub(crate) struct Covered {
    pub(crate) coverage: Coverage,
    pub(crate) after_answer: AfterAnswer,
    /// Why the journal or the database could not be read.
    pub(crate) trouble: Option<Error>,
}

/// How long to fold before an answer.
pub(crate) const BEFORE_READING: Budget = Budget::waiting(limits::QUERY_FOLD_MS_MAX);

/// Folds what is in the journal, then reads, on one connection.
///
/// While the database is away, a query over all time is answered from the last good
/// snapshot, if `recall` finds the value there. If it does not, the result is an error,
/// as the value may be newer than the snapshot. A journal that can't be read is left
/// unfolded.
pub(crate) fn fold_and_read<H: Host, T>(
    host: &H,
    span: Span,
    now: UnixMillis,
    read: impl Fn(&Database<'_, H>) -> Result<T, Error>,
    recall: impl FnOnce(Snapshot) -> Option<T>,
) -> Result<Fresh<T>, Error> {
    let read = fold_and_read_quietly(host, span, now, read, recall)?;
    log_trouble(host, &read.covered);
    Ok(read)
}

/// `fold_and_read` of what no snapshot has: the result is an error while the database is
/// away. (Apart from it, so that `ingest` does not contain what reads a snapshot.)
pub(crate) fn fold_and_read_or_fail<H: Host, T>(
    host: &H,
    span: Span,
    now: UnixMillis,
    read: impl Fn(&Database<'_, H>) -> Result<T, Error>,
) -> Result<Fresh<T>, Error> {
    let mut value = None;
    let mut read_into_value = |database: &Database<'_, H>| {
        value = Some(read(database)?);
        Ok(())
    };
    let Looked { covered, .. } = fold_then(host, span, now, None, &mut read_into_value)?;
    log_trouble(host, &covered);
    Ok(Fresh { value: value.ok_or(Error::TooSlow)?, covered })
}

fn log_trouble(host: &impl Host, covered: &Covered) {
    match &covered.trouble {
        Some(Error::CircuitOpen { .. }) | None => {}
        Some(error) => host.log(&format!("answering with what can be had: {error}")),
    }
}

/// `fold_and_read` without a line in the log.
pub(crate) fn fold_and_read_quietly<H: Host, T>(
    host: &H,
    span: Span,
    now: UnixMillis,
    read: impl Fn(&Database<'_, H>) -> Result<T, Error>,
    recall: impl FnOnce(Snapshot) -> Option<T>,
) -> Result<Fresh<T>, Error> {
    let mut value = None;
    let mut read_into_value = |database: &Database<'_, H>| {
        value = Some(read(database)?);
        Ok(())
    };
    let load = Some(last_good::load as LoadSnapshot<H>);
    let Looked { last_good, covered } = fold_then(host, span, now, load, &mut read_into_value)?;
    let value = match last_good {
        Some(snapshot) => recall(snapshot).or(value),
        None => value,
    };
    match (value, covered.trouble) {
        (Some(value), trouble) => Ok(Fresh { value, covered: Covered { trouble, ..covered } }),
        (None, trouble) => Err(trouble.unwrap_or(Error::TooSlow)),
    }
}

/// `last_good::load`.
type LoadSnapshot<H> = fn(&H, &<H as Host>::KeyValue, &Inventory) -> Option<Snapshot>;

/// The result of a fold and of the read after it.
struct Looked {
    /// What to answer from if nothing could be read.
    last_good: Option<Snapshot>,
    covered: Covered,
}

/// `fold_and_read` without its type parameters: a component is fetched over bad
/// networks, and would contain a generic function once for every kind of answer.
fn fold_then<H: Host>(
    host: &H,
    span: Span,
    now: UnixMillis,
    load: Option<LoadSnapshot<H>>,
    read: &mut dyn FnMut(&Database<'_, H>) -> Result<(), Error>,
) -> Result<Looked, Error> {
    let settings = (Horizon::from_variables(host)?, NamesBound::from_variables(host)?);
    let journal = host.key_value().map_err(Error::Journal);
    let listed = journal.and_then(|store| Ok((Inventory::list(host, &store)?, store)));
    let (inventory, store) = match listed {
        Ok(found) => found,
        Err(error) => {
            let database = Database::open(host, BEFORE_READING)?;
            read(&database)?;
            let senders = Some(senders(&database, now)?);
            let coverage = Coverage { senders, ..Coverage::of(span, now, None, None) };
            return Ok(Looked::of(coverage, AfterAnswer::default(), Some(error)));
        }
    };
    let done = CircuitBreaker::new(host, &store, inventory.has_breaker())
        .call(now, || look(host, &store, &inventory, settings, now, read));
    match done {
        Ok(Found { folded, quarantined, keeps_snapshot, senders }) => {
            let coverage = Coverage::of(span, now, Some(folded), quarantined);
            let coverage = Coverage { senders: Some(senders), ..coverage };
            let after_answer = AfterAnswer { keeps_snapshot, should_fold: folded.left_entries > 0 };
            Ok(Looked::of(coverage, after_answer, None))
        }
        Err(error) => look_back(host, &store, &inventory, span, load, error),
    }
}

/// What `look` found beside what was read.
struct Found {
    folded: Folded,
    quarantined: Option<usize>,
    keeps_snapshot: bool,
    senders: Senders,
}

/// Folds, and reads.
fn look<H: Host>(
    host: &H,
    store: &H::KeyValue,
    inventory: &Inventory,
    (horizon, names): (Horizon, NamesBound),
    now: UnixMillis,
    read: &mut dyn FnMut(&Database<'_, H>) -> Result<(), Error>,
) -> Result<Found, Error> {
    let database = Database::open(host, BEFORE_READING)?;
    let folded = fold::run(&database, store, inventory)?;
    if folded.left_entries < inventory.unfolded() {
        // Best effort: the next fold updates the door.
        best_effort(upkeep::tell_door(&database, store, horizon, names, now));
        if folded.left_entries == 0 {
            best_effort(backpressure::relieve(host, store));
        }
    }
    // Counted before the read: readings that a retry counts in between are in both
    // numbers, but never in neither.
    let quarantined = quarantined_readings(host, store, inventory, &folded);
    read(&database)?;
    let senders = senders(&database, now)?;
    let keeps_snapshot = last_good::is_old(inventory, now)
        && !last_good::is_of(inventory, database.read(|sql| ledger::tally(sql, ledger::FOLDS))?);
    Ok(Found { folded, quarantined, keeps_snapshot, senders })
}

/// Answers from the last good averages, if all time was asked for and the database is
/// away.
fn look_back<H: Host>(
    host: &H,
    store: &H::KeyValue,
    inventory: &Inventory,
    span: Span,
    load: Option<LoadSnapshot<H>>,
    error: Error,
) -> Result<Looked, Error> {
    if let Error::DamagedRows(rows) = &error {
        rows.iter().for_each(|row| fold::note_damage(host, store, inventory, row));
    }
    let last = match span.range {
        None if error.is_away() => load.and_then(|load| load(host, store, inventory)),
        _ => None,
    };
    let Some(last) = last else { return Err(error) };
    let left = Folded {
        left_entries: inventory.unfolded(),
        left_readings: inventory.journal_readings(),
        quarantine_changed: false,
    };
    let quarantined = Some(inventory.quarantined_readings());
    let coverage = Coverage::of(span, last.as_of, Some(left), quarantined);
    let coverage = Coverage { stale: true, ..coverage };
    let looked = Looked::of(coverage, AfterAnswer::default(), Some(error));
    Ok(Looked { last_good: Some(last), ..looked })
}

impl Looked {
    fn of(coverage: Coverage, after_answer: AfterAnswer, trouble: Option<Error>) -> Self {
        Self { last_good: None, covered: Covered { coverage, after_answer, trouble } }
    }
}

/// The readings in quarantine after this fold; `None` if they can't be counted.
fn quarantined_readings<H: Host>(
    host: &H,
    store: &H::KeyValue,
    inventory: &Inventory,
    folded: &Folded,
) -> Option<usize> {
    if !folded.quarantine_changed {
        return Some(inventory.quarantined_readings());
    }
    // The inventory does not list what was set aside since.
    match Inventory::list(host, store) {
        Ok(inventory) => Some(inventory.quarantined_readings()),
        Err(error) => {
            host.log(&format!("the quarantine can't be counted: {error}"));
            None
        }
    }
}

impl Coverage {
    fn of(
        span: Span,
        as_of: UnixMillis,
        folded: Option<Folded>,
        quarantined_readings: Option<usize>,
    ) -> Self {
        Self {
            from: span.from,
            to: span.to,
            as_of,
            stale: false,
            unfolded_entries: folded.map(|folded| folded.left_entries),
            unfolded_readings: folded.map(|folded| folded.left_readings),
            quarantined_readings,
            senders: None,
        }
    }
}
