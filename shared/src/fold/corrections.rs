//! Folding corrections: after the entries of the journal, so that the readings that they
//! are about have been counted.

use crate::error::Error;
use crate::host::Host;
use crate::journal::corrections::{self, Noted};
use crate::ledger::corrections::{NewCorrection, add};
use crate::ledger::database::Database;
use crate::limits;

/// Folds corrections, as far as the budget allows. Returns how many were.
pub(super) fn run<H: Host>(
    database: &Database<'_, H>,
    journal: &H::KeyValue,
    keys: &[String],
) -> Result<usize, Error> {
    let mut done = 0;
    let steps = keys.chunks(limits::CORRECTIONS_PER_FOLD_STEP);
    for keys in steps.take(database.budget().steps_max()) {
        if done > 0 && database.left_ms() == 0 {
            break;
        }
        match step(database, journal, keys) {
            Ok(()) => done += keys.len(),
            Err(error) if error.is_busy() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn step<H: Host>(
    database: &Database<'_, H>,
    journal: &H::KeyValue,
    keys: &[String],
) -> Result<(), Error> {
    let host = database.host();
    let damaged = database.transaction(|sql| {
        let (noted, damaged) = corrections::load(host, journal, keys).map_err(Error::Journal)?;
        let said: Vec<_> = noted.iter().filter_map(Noted::correction).collect();
        let new: Vec<NewCorrection<'_>> = said
            .iter()
            .zip(&noted)
            .map(|(correction, noted)| NewCorrection {
                correction,
                hash: &noted.hash,
                made: noted.made,
            })
            .collect();
        add(sql, &new)?;
        Ok(damaged)
    })?;
    // After the commit, and before they are removed: a crash in between repeats this.
    for key in &damaged {
        corrections::set_aside(host, journal, key).map_err(Error::Journal)?;
    }
    corrections::remove(host, journal, keys).map_err(Error::Journal)
}
