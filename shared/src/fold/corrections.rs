//! Folding corrections.
//!
//! The component that takes them folds them: before each of its answers, and after the
//! database was away. The others apply those that were folded to readings that come later
//! (`ledger::corrected`), and say of the rest that it waits.

use crate::error::Error;
use crate::host::Host;
use crate::journal::corrections;
use crate::ledger::corrections::{Said, add, with_ids};
use crate::ledger::database::Database;
use crate::limits;

/// Folds the corrections under these keys, as far as the budget allows.
pub(crate) fn run<H: Host>(
    database: &Database<'_, H>,
    journal: &H::KeyValue,
    keys: &[String],
) -> Result<(), Error> {
    let steps = keys.chunks(limits::CORRECTIONS_PER_FOLD_STEP);
    for (number, keys) in steps.take(database.budget().steps_max()).enumerate() {
        if number > 0 && database.left_ms() == 0 {
            break;
        }
        step(database, journal, keys)?;
    }
    Ok(())
}

fn step<H: Host>(
    database: &Database<'_, H>,
    journal: &H::KeyValue,
    keys: &[String],
) -> Result<(), Error> {
    let host = database.host();
    // Before the lock is taken: one that another fold adds meanwhile is added again, to no effect.
    let (noted, damaged) = corrections::load(host, journal, keys).map_err(Error::Journal)?;
    let mut said = Vec::with_capacity(noted.len());
    for one in &noted {
        let said_by = |correction| {
            let by = one.by.as_deref();
            Said { correction, hash: one.hash, made: one.made, by }
        };
        said.extend(one.correction().map(said_by));
    }
    database.transaction(|sql| add(sql, &with_ids(sql, &said)?))?;
    // After the commit, and before they are removed: a crash in between repeats this.
    for key in &damaged {
        corrections::set_aside(host, journal, key).map_err(Error::Journal)?;
    }
    corrections::remove(host, journal, keys).map_err(Error::Journal)
}
