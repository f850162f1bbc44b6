//! What is sent again, and what contradicts: counted in the windows of the readings that stand.

use crate::base::sort;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::windows::{Key, SPANS, key};
use crate::ledger::{Row, placeholders, rows_per_statement};

/// Duplicates and conflicts: region and minute of the counted reading, and whether it
/// is a conflict.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Vec<(i64, i64, bool)>);

impl Repeats {
    /// Adds a duplicate of the reading that stands.
    pub(crate) fn duplicate(&mut self, standing: &Row) {
        self.0.push((i64::from(standing.region), i64::from(standing.minute), false));
    }

    /// Adds a conflict with the reading that stands.
    pub(crate) fn conflict(&mut self, standing: &Row) {
        self.0.push((i64::from(standing.region), i64::from(standing.minute), true));
    }

    /// Counts them in the windows of the readings that stand. The statistics don't
    /// change.
    pub(crate) fn count(&self, sql: &impl Sql) -> Result<(), Error> {
        let mut rows: Vec<[i64; 5]> = Vec::new();
        for span in SPANS {
            let place = |&(region, minute, is_conflict): &(i64, i64, bool)| {
                (key(span, region, minute), is_conflict)
            };
            let mut places: Vec<(Key, bool)> = self.0.iter().map(place).collect();
            sort::sort_by_key(&mut places, |&((_, region, start), is_conflict)| {
                let wide = |number: i64| u128::from(number.cast_unsigned());
                wide(region) << 64 | wide(start) << 1 | u128::from(is_conflict)
            });
            for repeats in places.chunk_by(|(a, _), (b, _)| a == b) {
                let Some(&((span, region, start), _)) = repeats.first() else { continue };
                let conflicts = repeats.iter().map(|(_, is_conflict)| i64::from(*is_conflict));
                let (all, conflicts) = (repeats.len(), conflicts.sum::<i64>());
                let duplicates = i64::try_from(all).unwrap_or(i64::MAX) - conflicts;
                rows.push([region, span, start, duplicates, conflicts]);
            }
        }
        for chunk in rows.chunks(rows_per_statement(sql, 5)) {
            let statement = format!(
                "UPDATE windows SET duplicates = duplicates + v.column4, \
                                    conflicts = conflicts + v.column5 \
                 FROM (VALUES {}) AS v \
                 WHERE region = v.column1 AND span = v.column2 AND start = v.column3",
                placeholders(chunk.len(), 5)
            );
            let bindings: Vec<Value> =
                chunk.iter().flatten().copied().map(Value::Integer).collect();
            sql.execute(&statement, &bindings).map_err(Error::Regions)?;
        }
        Ok(())
    }
}
