//! Runs: sorted records, many to a row. The ledger and the windows of devices are
//! stored as runs.
//!
//! Records that are read and written together form a *group* (in the ledger: a minute).
//! A group's records are sorted by key and cut into *runs* of about two kilobytes. Each
//! run is a row: the group's columns, the first key that belongs to it, the number of
//! its records, and the records, each encoded by its difference from the one before. So
//! a record costs five to ten bytes, and one value of a statement moves a hundred of
//! them.
//!
//! The first run of a group begins at key 0, every other run at the first key that it
//! had when it was cut. So every possible key belongs to exactly one run, and the row
//! of a run keeps its key.
//!
//! A run is read and changed in one transaction, which holds the write lock, so that no
//! other request changes it in between.
//!
//! `run.rs` has the bytes of a run.
//!
//! A run that can't be read is an error that names its row. Only its records are lost.

use crate::error::{DamagedRow, Error};
use crate::host::{Sql, Value};
use crate::ledger::run::{Run, RunRecord, cut};
use crate::ledger::{placeholders, rows_per_statement};
use crate::limits;

/// A table of runs.
pub(crate) struct RunTable<const G: usize> {
    pub(crate) name: &'static str,
    /// The columns of the group; unique together with `first`.
    pub(crate) group: [&'static str; G],
}

/// A range of keys in a group, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keys<const G: usize> {
    pub(crate) group: [i64; G],
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl<const G: usize> RunTable<G> {
    /// The records of a run, sorted by key.
    pub(crate) fn decode<R: RunRecord<G>>(&self, run: &Run<G>) -> Result<Vec<R>, Error> {
        run.decode().ok_or_else(|| Error::DamagedRows(vec![self.damaged(run)]))
    }

    fn damaged(&self, run: &Run<G>) -> DamagedRow {
        let group = self.group.into_iter().zip(run.group);
        let key = group.chain([("first", run.first.cast_signed())]).collect();
        DamagedRow { table: self.name, key }
    }

    /// The runs that the keys belong to, sorted by group and key. `wanted` must be
    /// sorted the same way.
    pub(crate) fn load(&self, sql: &impl Sql, wanted: &[Keys<G>]) -> Result<Vec<Run<G>>, Error> {
        let (name, columns) = (self.name, self.group.join(", t."));
        let same = |other: &str| self.same_group(other);
        let mut runs = Vec::new();
        for chunk in wanted.chunks(rows_per_statement(sql, G + 2)) {
            let statement = format!(
                "SELECT t.{columns}, t.first, t.run FROM (VALUES {}) AS v CROSS JOIN {name} AS t \
                 ON {} AND t.first <= v.column{} AND t.first >= \
                    (SELECT s.first FROM {name} AS s WHERE {} AND s.first <= v.column{} \
                     ORDER BY s.first DESC LIMIT 1)",
                placeholders(chunk.len(), G + 2),
                same("t"),
                G + 2,
                same("s"),
                G + 1,
            );
            let rows = sql.execute(&statement, &bindings(chunk)).map_err(Error::Regions)?;
            for row in rows {
                runs.push(Run::from_columns(&row).ok_or(Error::Corrupt(self.name))?);
            }
        }
        // Neighbouring keys may belong to the same run.
        runs.dedup();
        // The database returns them in the order of `wanted`; another order is an
        // error.
        let place = |run: &Run<G>| (run.group, run.first);
        match runs.is_sorted_by_key(place) {
            true => Ok(runs),
            false => Err(Error::Corrupt(self.name)),
        }
    }

    /// `t.a = v.column1 AND t.b = v.column2`, for the columns of the group.
    fn same_group(&self, alias: &str) -> String {
        let pair = |(index, column)| format!("{alias}.{column} = v.column{}", index + 1);
        self.group.iter().enumerate().map(pair).collect::<Vec<_>>().join(" AND ")
    }

    /// For each range of keys, how many runs begin after its first key, up to its last.
    fn count(&self, sql: &impl Sql, wanted: &[Keys<G>]) -> Result<Vec<i64>, Error> {
        let mut counts = Vec::with_capacity(wanted.len());
        for chunk in wanted.chunks(rows_per_statement(sql, G + 2)) {
            let statement = format!(
                "SELECT (SELECT count(*) FROM {} AS t WHERE {} AND t.first > v.column{} \
                         AND t.first <= v.column{}) FROM (VALUES {}) AS v",
                self.name,
                self.same_group("t"),
                G + 1,
                G + 2,
                placeholders(chunk.len(), G + 2),
            );
            for row in sql.execute(&statement, &bindings(chunk)).map_err(Error::Regions)? {
                let count = crate::ledger::integers(&row);
                counts.push(count.map(|[count]| count).ok_or(Error::Corrupt(self.name))?);
            }
        }
        Ok(counts)
    }

    pub(super) fn store(&self, sql: &impl Sql, runs: &mut Vec<Run<G>>) -> Result<(), Error> {
        let columns = self.group.join(", ");
        for chunk in runs.chunks_mut(rows_per_statement(sql, G + 3)) {
            let statement = format!(
                "INSERT INTO {} ({columns}, first, records, run) VALUES {} \
                 ON CONFLICT ({columns}, first) DO UPDATE SET \
                     records = excluded.records, run = excluded.run",
                self.name,
                placeholders(chunk.len(), G + 3),
            );
            let mut bindings = Vec::with_capacity(chunk.len() * (G + 3));
            for run in chunk {
                bindings.extend(run.group.map(Value::Integer));
                bindings.push(integer(run.first));
                bindings.push(Value::Integer(i64::try_from(run.records).unwrap_or(i64::MAX)));
                bindings.push(Value::Blob(std::mem::take(&mut run.bytes)));
            }
            sql.execute(&statement, &bindings).map_err(Error::Regions)?;
        }
        runs.clear();
        Ok(())
    }

    /// The keys to load for merging `new`: in each group the range from its first to
    /// its last key. If most runs of that range would not be needed, each key by
    /// itself.
    fn wanted<R: RunRecord<G>>(&self, sql: &impl Sql, new: &[R]) -> Result<Vec<Keys<G>>, Error> {
        /// Up to this many records are looked up without counting runs first.
        const FEW: usize = 8;
        let group_of = |records: &[R]| {
            let (first, last) = (records.first()?, records.last()?);
            Some(Keys { group: first.group(), from: first.key(), to: last.key() })
        };
        let groups = || new.chunk_by(|a, b| a.group() == b.group());
        let many: Vec<Keys<G>> =
            groups().filter(|records| records.len() > FEW).filter_map(group_of).collect();
        let mut runs = self.count(sql, &many)?.into_iter();
        let mut wanted = Vec::with_capacity(many.len());
        for records in groups() {
            let is_dense = records.len() > FEW && {
                let runs = usize::try_from(runs.next().unwrap_or(0)).unwrap_or(usize::MAX);
                runs <= records.len().saturating_mul(2)
            };
            if is_dense {
                wanted.extend(group_of(records));
            } else {
                wanted.extend(records.iter().map(|record| {
                    let (group, key) = (record.group(), record.key());
                    Keys { group, from: key, to: key }
                }));
            }
        }
        Ok(wanted)
    }

    /// Merges `new`, sorted by group and key, into the table.
    ///
    /// Calls `combine` for each new record, in order. If a record with its key is there (in
    /// the table, or earlier in `new`), `combine` gets that record and returns whether it
    /// changed it. If not, `combine` gets `None` and the new record is added.
    ///
    /// If runs can't be read, finds all of them before it fails.
    ///
    /// Must run inside a transaction that holds the write lock.
    #[inline(never)] // It has a name in profiles: xtask/src/instructions.rs.
    pub(crate) fn merge<R: RunRecord<G>>(
        &self,
        sql: &impl Sql,
        new: &[R],
        mut combine: impl FnMut(Option<&mut R>, &R) -> bool,
    ) -> Result<(), Error> {
        let (mut changed, mut damaged) = (Vec::new(), Vec::new());
        let mut rest = new;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(groups_end(rest));
            rest = later;
            let runs = self.load(sql, &self.wanted(sql, now)?)?;
            let mut runs = runs.as_slice();
            for records in now.chunk_by(|a, b| a.group() == b.group()) {
                let Some(group) = records.first().map(RunRecord::group) else { continue };
                let (own, others) = runs.split_at(runs.partition_point(|run| run.group <= group));
                runs = others;
                self.merge_group(group, own, records, &mut combine, &mut changed, &mut damaged);
                if changed.len() >= limits::ROWS_PER_STATEMENT {
                    self.store(sql, &mut changed)?;
                }
            }
        }
        if !damaged.is_empty() {
            return Err(Error::DamagedRows(damaged));
        }
        self.store(sql, &mut changed)
    }

    fn merge_group<R: RunRecord<G>>(
        &self,
        group: [i64; G],
        runs: &[Run<G>],
        mut new: &[R],
        combine: &mut impl FnMut(Option<&mut R>, &R) -> bool,
        changed: &mut Vec<Run<G>>,
        damaged: &mut Vec<DamagedRow>,
    ) {
        let none = [Run::empty(group, 0)];
        let runs = if runs.is_empty() { &none } else { runs };
        let nexts = runs.iter().skip(1).map(|run| run.first).chain([u64::MAX]);
        for (run, next) in runs.iter().zip(nexts) {
            let (own, later) = new.split_at(new.partition_point(|record| record.key() < next));
            new = later;
            if own.is_empty() {
                continue;
            }
            match run.decode::<R>().map(|old| merge(&old, own, combine)) {
                Some(Some(merged)) => changed.append(&mut cut(group, run.first, &merged)),
                Some(None) => {}
                None => damaged.push(self.damaged(run)),
            }
        }
    }
}

/// How many records to merge at once: whole groups, at least one, as many as one
/// statement takes and as have runs that fit into memory.
fn groups_end<R: RunRecord<G>, const G: usize>(records: &[R]) -> usize {
    let mut end = 0;
    let groups = records.chunk_by(|a, b| a.group() == b.group()).enumerate();
    for (index, group) in groups {
        let with_it = end + group.len();
        if index == limits::ROWS_PER_STATEMENT
            || (index > 0 && with_it > limits::RECORDS_PER_MERGE_MAX)
        {
            break;
        }
        end = with_it;
    }
    end
}

/// Merges both, sorted by key; `None` if `old` is unchanged.
fn merge<R: RunRecord<G>, const G: usize>(
    old: &[R],
    new: &[R],
    combine: &mut impl FnMut(Option<&mut R>, &R) -> bool,
) -> Option<Vec<R>> {
    let mut merged: Vec<R> = Vec::with_capacity(old.len() + new.len());
    let mut has_changed = false;
    let mut old = old.iter().peekable();
    for record in new {
        while let Some(before) = old.next_if(|before| before.key() <= record.key()) {
            merged.push(*before);
        }
        match merged.last_mut().filter(|standing| standing.key() == record.key()) {
            Some(standing) => has_changed |= combine(Some(standing), record),
            None => {
                combine(None, record);
                merged.push(*record);
                has_changed = true;
            }
        }
    }
    merged.extend(old);
    has_changed.then_some(merged)
}

fn bindings<const G: usize>(wanted: &[Keys<G>]) -> Vec<Value> {
    let mut bindings = Vec::with_capacity(wanted.len() * (G + 2));
    for Keys { group, from, to } in wanted {
        bindings.extend(group.map(Value::Integer));
        bindings.extend([integer(*from), integer(*to)]);
    }
    bindings
}

/// Keys have at most 63 bits.
fn integer(key: u64) -> Value {
    Value::Integer(i64::try_from(key).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::run::tests::{One, ones};

    #[test]
    fn a_run_that_can_not_be_read_is_named() {
        const TABLE: RunTable<1> = RunTable { name: "ledger", group: ["minute"] };
        let run = Run { group: [7], first: 5, records: 1, bytes: vec![9] };
        let error = TABLE.decode::<One>(&run).unwrap_err();
        assert!(error.to_string().contains("ledger minute=7 first=5"), "{error}");
        assert!(!error.is_outage() && !error.is_damage(), "the database goes on");
    }

    #[test]
    fn whole_groups_are_merged_as_many_as_fit() {
        let group =
            |group: i64, count: u64| (0..count).map(move |key| One { group, key, value: 0 });
        let end = |groups: &[(i64, u64)]| {
            let records: Vec<One> =
                groups.iter().flat_map(|(g, count)| group(*g, *count)).collect();
            groups_end(&records)
        };
        let many = u64::try_from(limits::RECORDS_PER_MERGE_MAX).unwrap();
        assert_eq!(end(&[]), 0);
        assert_eq!(end(&[(1, 3), (2, 4)]), 7);
        assert_eq!(end(&[(1, many * 2), (2, 1)]), limits::RECORDS_PER_MERGE_MAX * 2);
        assert_eq!(end(&[(1, many - 1), (2, 1), (3, 1)]), limits::RECORDS_PER_MERGE_MAX);
        let small: Vec<(i64, u64)> = (0..600).map(|group| (group, 1)).collect();
        assert_eq!(end(&small), limits::ROWS_PER_STATEMENT);
    }

    #[test]
    fn merging_adds_what_is_new_and_shows_what_stands() {
        let old = ones([1, 5, 9]);
        let mut met = Vec::new();
        let merged = merge(&old, &ones([0, 5, 5, 7, 7, 10]), &mut |standing, new: &One| {
            met.push((standing.is_some(), new.key));
            false
        });
        assert_eq!(merged, Some(ones([0, 1, 5, 7, 9, 10])));
        assert_eq!(met, [(false, 0), (true, 5), (true, 5), (false, 7), (true, 7), (false, 10)]);
        assert_eq!(merge(&old, &ones([5, 9]), &mut |_, _| false), None);
    }
}
