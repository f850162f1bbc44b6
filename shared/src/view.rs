//! What a client sees of the database: what is in the journal is folded first,
//! and with what was read comes what it covers.
//!
//! The promise: an answer counts every reading that was acknowledged before it
//! was asked for, or says how many entries it does not count. A stale answer says
//! of when it is.

use crate::error::Error;
use crate::fold;
use crate::guard::Guard;
use crate::host::Host;
use crate::http::{Refusal, Request, Response};
use crate::inventory::Inventory;
use crate::limits;
use crate::parameters::Span;
use crate::reading::UnixMillis;
use crate::regions::{Budget, Regions};
use crate::representation::{Document, Format, Record, Table};
use crate::settings::Horizon;
use crate::snapshot::{self, Snapshot};

/// A response, and whether to call `snapshot::keep` after it is sent.
#[derive(Debug)]
pub struct Answered {
    /// What to answer.
    pub response: Response,
    /// Whether the last good snapshot is due to be renewed.
    pub keeps_snapshot: bool,
}

impl From<Response> for Answered {
    fn from(response: Response) -> Self {
        Self { response, keeps_snapshot: false }
    }
}

/// What an answer covers: which time, as of when, and what is still missing.
#[derive(Clone)]
pub(crate) struct Coverage {
    /// `null` is the beginning of time.
    from: Option<UnixMillis>,
    /// `null` is the end of time.
    to: Option<UnixMillis>,
    as_of: UnixMillis,
    /// Whether the answer is the last good one, as the database is away.
    stale: bool,
    /// Acknowledged journal entries that the answer does not count yet; `null`
    /// where the journal can't be read.
    unfolded_entries: Option<usize>,
    /// Acknowledged readings in quarantine, which the answer will not count;
    /// `null` where the journal can't be read.
    quarantined_readings: Option<usize>,
}

impl Coverage {
    fn record(&self) -> Record {
        Record::of([
            ("from", self.from.into()),
            ("to", self.to.into()),
            ("as_of", self.as_of.into()),
            ("stale", self.stale.into()),
            ("unfolded_entries", self.unfolded_entries.into()),
            ("quarantined_readings", self.quarantined_readings.into()),
        ])
    }
}

/// What was read, and what it covers.
pub(crate) struct Read<T> {
    pub(crate) value: T,
    pub(crate) shown: Shown,
}

/// What an answer says beside what was read, and what is to do after it.
pub(crate) struct Shown {
    coverage: Coverage,
    keeps_snapshot: bool,
}

/// An answer in the making: how the records are listed, and what is beside them.
#[derive(Default)]
pub(crate) struct Listing {
    /// In JSON, the name of the list; without one, the only record is the answer.
    pub(crate) list: Option<&'static str>,
    /// What belongs to all records.
    pub(crate) about: Record,
    /// The path of the next page, if there is one.
    pub(crate) next: Option<String>,
}

impl Shown {
    /// The answer to `request`. That it is stale is told in a header, too.
    pub(crate) fn answer(
        &self,
        request: &Request,
        format: Format,
        table: Table,
        listing: Listing,
        now: UnixMillis,
    ) -> Answered {
        let Listing { list, about, next } = listing;
        let coverage = self.coverage.record();
        let document = Document { list, table, about, coverage, next };
        let mut response = document.into_response(request, format);
        if self.coverage.stale {
            let age_ms = (now.get() - self.coverage.as_of.get()).max(0);
            response = response.with_header("age", (age_ms / 1_000).to_string());
        }
        Answered { response, keeps_snapshot: self.keeps_snapshot }
    }
}

/// How long to fold before an answer.
pub(crate) const BEFORE_READING: Budget = Budget::waiting(limits::QUERY_FOLD_MS_MAX);

/// Folds what is in the journal, then reads, on one connection.
///
/// While the database is away, what was asked for all time comes from the last
/// good snapshot; while the journal can't be read, it is left unfolded.
pub(crate) fn fold_and_read<H: Host, T>(
    host: &H,
    span: Span,
    now: UnixMillis,
    read: impl Fn(&Regions<'_, H>) -> Result<T, Error>,
    recall: impl FnOnce(Snapshot) -> T,
) -> Result<Read<T>, Refusal> {
    let mut value = None;
    let mut read_into_value = |regions: &Regions<'_, H>| {
        value = Some(read(regions)?);
        Ok(())
    };
    let folded = fold_then(host, span, now, &mut read_into_value)?;
    let value = match folded.last_good {
        Some(snapshot) => recall(snapshot),
        None => value.ok_or(Error::TooSlow)?,
    };
    let shown = Shown { coverage: folded.coverage, keeps_snapshot: folded.keeps_snapshot };
    Ok(Read { value, shown })
}

/// What became of a fold, and of what was to be read after it.
struct Folded {
    coverage: Coverage,
    keeps_snapshot: bool,
    /// What to answer from, where nothing could be read.
    last_good: Option<Snapshot>,
}

/// `fold_and_read` without its types: a component is fetched over bad networks,
/// and this part would be in it once for every kind of answer.
fn fold_then<H: Host>(
    host: &H,
    span: Span,
    now: UnixMillis,
    read: &mut dyn FnMut(&Regions<'_, H>) -> Result<(), Error>,
) -> Result<Folded, Refusal> {
    Horizon::from_variables(host)?;
    let coverage = |as_of, stale, inventory: Option<&Inventory>, left| Coverage {
        from: span.from,
        to: span.to,
        as_of,
        stale,
        unfolded_entries: left,
        quarantined_readings: inventory.map(Inventory::quarantined_readings),
    };
    let journal = match host.key_value().map_err(Error::Journal) {
        Ok(store) => Inventory::list(host, &store).map(|inventory| (store, inventory)),
        Err(error) => Err(error),
    };
    let (store, inventory) = match journal {
        Ok(found) => found,
        Err(error) => {
            host.log(&format!("answering without what is in the journal: {error}"));
            read(&Regions::open(host, BEFORE_READING)?)?;
            let coverage = coverage(now, false, None, None);
            return Ok(Folded { coverage, keeps_snapshot: false, last_good: None });
        }
    };
    let done = Guard::new(host, &store, inventory.has_breaker).call(now, || {
        let regions = Regions::open(host, BEFORE_READING)?;
        let left = fold::run(&regions, &store, &inventory)?;
        read(&regions)?;
        Ok(left)
    });
    match done {
        Ok(left) => Ok(Folded {
            coverage: coverage(now, false, Some(&inventory), Some(left)),
            keeps_snapshot: snapshot::is_due(&inventory, now),
            last_good: None,
        }),
        Err(error) => {
            let is_all_time = span.range.is_none();
            let last = snapshot::load(&store, &inventory).filter(|_| is_all_time);
            let Some(last) = last else { return Err(error.into()) };
            if !matches!(error, Error::Spared { .. }) {
                host.log(&format!("answering from the last good snapshot: {error}"));
            }
            let left = inventory.unfolded();
            let coverage = coverage(last.as_of, true, Some(&inventory), Some(left));
            Ok(Folded { coverage, keeps_snapshot: false, last_good: Some(last) })
        }
    }
}
