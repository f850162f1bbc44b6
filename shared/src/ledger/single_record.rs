//! Changing a single record of a table of runs.

use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::run::{Run, RunRecord, cut};
use crate::ledger::sorted_run::{Keys, RunTable};

impl<const G: usize> RunTable<G> {
    /// Puts `record` in the place of the one with this key; `None` removes that.
    ///
    /// Must run inside a transaction that holds the write lock.
    pub(crate) fn put<R: RunRecord<G>>(
        &self,
        sql: &impl Sql,
        group: [i64; G],
        key: u64,
        record: Option<&R>,
    ) -> Result<(), Error> {
        let runs = self.load(sql, &[Keys { group, from: key, to: key }])?;
        let mut first = 0;
        let mut records: Vec<R> = Vec::new();
        if let Some(run) = runs.first() {
            first = run.first;
            records = self.decode(run)?;
        }
        match (records.binary_search_by_key(&key, RunRecord::key), record) {
            (Ok(index), Some(record)) => {
                if let Some(place) = records.get_mut(index) {
                    *place = *record;
                }
            }
            (Ok(index), None) => {
                records.remove(index);
            }
            (Err(index), Some(record)) => records.insert(index, *record),
            (Err(_absent), None) => return Ok(()),
        }
        if records.is_empty() {
            // The run's keys would belong to no other.
            (first, records) = (0, self.clear_group(sql, group, key)?);
        }
        match records.is_empty() {
            true => Ok(()),
            false => self.store(sql, &mut cut(group, first, &records)),
        }
    }

    /// Deletes the runs of a group, and returns their records without the one of `key`.
    fn clear_group<R: RunRecord<G>>(
        &self,
        sql: &impl Sql,
        group: [i64; G],
        key: u64,
    ) -> Result<Vec<R>, Error> {
        let (name, columns) = (self.name, self.group.join(", "));
        let place = |(index, column)| format!("{column} = ?{}", index + 1);
        let same = self.group.iter().enumerate().map(place).collect::<Vec<_>>().join(" AND ");
        let bindings = group.map(Value::Integer);
        let all = format!("SELECT {columns}, first, run FROM {name} WHERE {same} ORDER BY first");
        let mut records = Vec::new();
        for row in sql.execute(&all, &bindings).map_err(Error::Regions)? {
            let run = Run::from_columns(&row).ok_or(Error::Corrupt(self.name))?;
            records.append(&mut self.decode(&run)?);
        }
        records.retain(|record: &R| record.key() != key);
        let delete = format!("DELETE FROM {name} WHERE {same}");
        sql.execute(&delete, &bindings).map_err(Error::Regions)?;
        Ok(records)
    }
}
