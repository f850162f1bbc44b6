//! Making readings durable: in the journal, or by posting them at once.

use super::batch::Batch;
use crate::domain::reading::{Reading, UnixMillis};
use crate::error::Error;
use crate::fold::{self, Folded};
use crate::host::Host;
use crate::journal::backpressure::{self, Admission};
use crate::journal::door::Door;
use crate::journal::inventory::Inventory;
use crate::journal::{self, Aside, Entry, Origin, QuarantineReason, RegionCount};
use crate::ledger::Outcome;
use crate::ledger::database::{Budget, Database};
use crate::resilience::circuit::CircuitBreaker;

/// The result of writing readings to the journal.
pub(super) enum Journaled {
    /// They are durable.
    Kept {
        /// How many regions they belong to.
        regions: RegionCount,
        /// Whether the door knows what is in the database.
        is_told: bool,
        /// Whether more is waiting than should be.
        is_under_pressure: bool,
    },
    /// The journal is full.
    Refused {
        /// Whether it is this request's turn to fold.
        should_fold: bool,
    },
}

/// Writes the readings to the journal, if there is room.
pub(super) fn journal<H: Host>(
    host: &H,
    journal: &H::KeyValue,
    door: &Door,
    batch: &Batch<'_>,
    origin: Origin<'_>,
    now: UnixMillis,
) -> Result<Journaled, Error> {
    if let Admission::Closed { should_fold } = backpressure::check(host, journal, door, now)? {
        return Ok(Journaled::Refused { should_fold });
    }
    let (entry, regions) = Entry::encode_and_count(&batch.readings, &batch.rejections(), origin);
    journal::append(host, journal, &entry).map_err(Error::Journal)?;
    // They wait in quarantine for the clock to be set (`upkeep`).
    let ahead: Vec<Reading<'_>> = batch.ahead.iter().map(|(_, reading)| reading.clone()).collect();
    if let Some(aside) = Aside::of(&ahead, QuarantineReason::AheadOfClock) {
        journal::set_aside(host, journal, &aside).map_err(Error::Journal)?;
    }
    // It is durable by now, and only its sender waits: what it sends next comes later.
    let pause_ms = backpressure::pause_ms(door.pressure);
    if pause_ms > 0 {
        host.sleep_ms(pause_ms);
    }
    Ok(Journaled::Kept { regions, is_told: door.is_told, is_under_pressure: pause_ms > 0 })
}

/// Posts the batch at once, after what is already in the journal, so that in a conflict
/// the reading stands that was acknowledged first.
pub(super) fn fold_now<H: Host>(
    host: &H,
    batch: &Batch<'_>,
    wait_ms: u64,
    now: UnixMillis,
) -> Result<Vec<Outcome>, Error> {
    let journal = host.key_value().map_err(Error::Journal)?;
    let inventory = Inventory::list(host, &journal)?;
    CircuitBreaker::new(host, &journal, inventory.has_breaker()).call(now, || {
        let database = Database::open(host, Budget::waiting(wait_ms))?;
        match fold::run(&database, &journal, &inventory)? {
            Folded { left_entries: 0, .. } => {
                fold::post_now(&database, &batch.readings, &batch.rejections())
            }
            _ => Err(Error::TooSlow),
        }
    })
}
