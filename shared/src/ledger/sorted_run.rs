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
//! A run's bytes (all integers LEB128):
//!
//! ```text
//! version  one byte, 4
//! checksum four bytes, little endian: the lower half of the XXH64 of what follows,
//!          with the run's first key as the seed
//! then for each record:
//!   after  its key less the key before (of the first record: less the run's first key)
//!   …      the rest of the record (`RunRecord::put`)
//! ```
//!
//! Of older releases: version 3, whose records have less (`Layout::Old`); version 1,
//! which also has no checksum; and version 2, written by a migration, in SQL alone:
//! integers of eight bytes, big endian; for each record its key and
//! `RunRecord::NUMBERS` others.
//!
//! A run that can't be read is an error that names its row. Only its records are lost.

use crate::base::checksum::checksum;
use crate::base::varint;
use crate::error::{DamagedRow, Error};
use crate::host::{Sql, Value};
use crate::ledger::{placeholders, rows_per_statement};
use crate::limits;

const VERSION: u8 = 4;
/// Written by releases whose records had less.
const VERSION_OF_LESS: u8 = 3;
/// Written by releases without checksums.
const VERSION_UNCHECKED: u8 = 1;
const VERSION_OF_ROWS: u8 = 2;

/// Bytes before the records: version and checksum.
const HEAD_BYTES: usize = 5;

/// What the records of a run have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// What `RunRecord::put` writes.
    Current,
    /// What releases before schema version 6 wrote.
    Old,
}

/// A record of a group. The group's columns are `G` integers.
pub(crate) trait RunRecord<const G: usize>: Copy {
    /// How many numbers `from_row` takes.
    const NUMBERS: usize;

    /// The group that it belongs to.
    fn group(&self) -> [i64; G];

    /// Its key in the group.
    fn key(&self) -> u64;

    /// Writes what follows its key. `before` is the record before it.
    fn put(&self, before: Option<&Self>, out: &mut Vec<u8>);

    /// Reads what `put` of this or an older release wrote, from the front of `input`.
    fn take(
        layout: Layout,
        group: [i64; G],
        key: u64,
        before: Option<&Self>,
        input: &mut &[u8],
    ) -> Option<Self>;

    /// Reads a record that a migration wrote.
    fn from_row(group: [i64; G], key: u64, numbers: &[i64]) -> Option<Self>;
}

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

/// A stored run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run<const G: usize> {
    group: [i64; G],
    pub(super) first: u64,
    records: usize,
    bytes: Vec<u8>,
}

impl<const G: usize> Run<G> {
    /// Reads the columns of its group, `first` and `run`.
    pub(crate) fn from_columns(columns: &[Value]) -> Option<Self> {
        let (group, rest) = columns.split_first_chunk::<G>()?;
        let [Value::Integer(first), Value::Blob(bytes)] = rest else { return None };
        let group = crate::ledger::integers(group)?;
        let first = u64::try_from(*first).ok()?;
        Some(Self { group, first, records: 0, bytes: bytes.clone() })
    }

    /// The run with these records, encoded behind `HEAD_BYTES`.
    fn from_parts(group: [i64; G], first: u64, records: usize, mut bytes: Vec<u8>) -> Self {
        if let Some((head, records)) = bytes.split_first_chunk_mut::<HEAD_BYTES>() {
            let [a, b, c, d] = checksum(first, records);
            *head = [VERSION, a, b, c, d];
        }
        Self { group, first, records, bytes }
    }

    /// Its records, sorted by key; `None` if the bytes are not a valid run.
    fn decode<R: RunRecord<G>>(&self) -> Option<Vec<R>> {
        let (version, mut input) = self.bytes.split_first()?;
        // A record takes three bytes at least: its key, and two more.
        let mut records: Vec<R> = Vec::with_capacity(input.len().min(limits::RUN_BYTES_MAX) / 3);
        if matches!(*version, VERSION | VERSION_OF_LESS) {
            let (sum, rest) = input.split_first_chunk::<4>()?;
            if checksum(self.first, rest) != *sum {
                return None;
            }
            input = rest;
        }
        match *version {
            VERSION | VERSION_OF_LESS | VERSION_UNCHECKED => {
                let layout = if *version == VERSION { Layout::Current } else { Layout::Old };
                let mut key = self.first;
                while !input.is_empty() {
                    let after = varint::take(&mut input).ok()?;
                    // Only the first record may have a difference of 0.
                    if after == 0 && !records.is_empty() {
                        return None;
                    }
                    key = key.checked_add(after)?;
                    records.push(R::take(layout, self.group, key, records.last(), &mut input)?);
                }
            }
            VERSION_OF_ROWS => {
                let (numbers, []) = input.as_chunks::<8>() else { return None };
                let numbers: Vec<i64> =
                    numbers.iter().map(|bytes| i64::from_be_bytes(*bytes)).collect();
                for row in numbers.chunks(1 + R::NUMBERS) {
                    let (key, numbers) = row.split_first()?;
                    records.push(R::from_row(self.group, u64::try_from(*key).ok()?, numbers)?);
                }
                if !records.is_sorted_by(|a, b| a.key() < b.key()) {
                    return None;
                }
            }
            _ => return None,
        }
        Some(records)
    }
}

/// An empty head, and room for so many records as they mostly are.
fn room_for(records: usize) -> Vec<u8> {
    const RECORD_BYTES: usize = 16;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + records * RECORD_BYTES);
    bytes.extend([0; HEAD_BYTES]);
    bytes
}

/// Encodes the records of a run, and notes where each one ends.
#[inline(never)]
fn put_all<R: RunRecord<G>, const G: usize>(
    first: u64,
    records: &[R],
    bytes: &mut Vec<u8>,
    ends: &mut Vec<usize>,
) {
    let (mut key, mut before) = (first, None);
    for record in records {
        varint::put(bytes, record.key() - key);
        record.put(before, bytes);
        ends.push(bytes.len());
        (key, before) = (record.key(), Some(record));
    }
}

/// Cuts the records into runs of the same number of records, as far as it goes; the first run begins
/// at `first`.
pub(super) fn cut<R: RunRecord<G>, const G: usize>(
    group: [i64; G],
    first: u64,
    records: &[R],
) -> Vec<Run<G>> {
    let mut whole = room_for(records.len());
    let mut ends = Vec::with_capacity(records.len());
    put_all(first, records, &mut whole, &mut ends);
    if whole.len() <= limits::RUN_BYTES_MAX {
        return vec![Run::from_parts(group, first, records.len(), whole)];
    }
    let parts = whole.len().div_ceil(limits::RUN_BYTES_CUT);
    let size = records.len().div_ceil(parts);
    let run = |((index, part), ends): ((usize, &[R]), &[usize])| {
        let first = if index == 0 { first } else { part.first().map_or(first, RunRecord::key) };
        // Only the first record is written by what was before it.
        let mut bytes = room_for(part.len());
        put_all(first, part.get(..1).unwrap_or_default(), &mut bytes, &mut Vec::new());
        let rest = ends.first().zip(ends.last()).and_then(|(from, to)| whole.get(*from..*to));
        bytes.extend_from_slice(rest.unwrap_or_default());
        Run::from_parts(group, first, part.len(), bytes)
    };
    records.chunks(size).enumerate().zip(ends.chunks(size)).map(run).collect()
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
        let none = [Run::from_parts(group, 0, 0, room_for(0))];
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

    /// A number with a value, in a group.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct One {
        group: i64,
        key: u64,
        value: i64,
    }

    impl RunRecord<1> for One {
        const NUMBERS: usize = 1;

        fn group(&self) -> [i64; 1] {
            [self.group]
        }

        fn key(&self) -> u64 {
            self.key
        }

        fn put(&self, before: Option<&Self>, out: &mut Vec<u8>) {
            let before = before.map_or(0, |one| one.value);
            varint::put(out, varint::zigzag(self.value - before));
        }

        fn take(
            _layout: Layout,
            [group]: [i64; 1],
            key: u64,
            before: Option<&Self>,
            input: &mut &[u8],
        ) -> Option<Self> {
            let before = before.map_or(0, |one| one.value);
            let value = before + varint::unzigzag(varint::take(input).ok()?);
            Some(Self { group, key, value })
        }

        fn from_row([group]: [i64; 1], key: u64, numbers: &[i64]) -> Option<Self> {
            Some(Self { group, key, value: *numbers.first()? })
        }
    }

    fn run_of(first: u64, records: &[One]) -> Run<1> {
        let [run] = cut([7], first, records).try_into().unwrap();
        run
    }

    fn ones(keys: impl IntoIterator<Item = u64>) -> Vec<One> {
        let one =
            |key: u64| One { group: 7, key, value: i64::try_from(key % 1_000).unwrap() - 500 };
        keys.into_iter().map(one).collect()
    }

    #[test]
    fn a_run_gives_back_its_records() {
        for keys in [vec![], vec![0], vec![5], vec![0, 1, 2, u64::MAX >> 1]] {
            let records = ones(keys);
            let run = run_of(0, &records);
            assert_eq!(run.decode::<One>(), Some(records));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let run = run_of(3, &ones([3, 9, 400, 70_000]));
        let decoded = |bytes: Vec<u8>| Run { bytes, ..run.clone() }.decode::<One>();
        for index in 0..run.bytes.len() {
            for bit in 0..8 {
                let mut bytes = run.bytes.clone();
                bytes[index] ^= 1 << bit;
                assert_eq!(decoded(bytes), None, "bit {bit} of byte {index}");
            }
            assert_eq!(decoded(run.bytes[..index].to_vec()), None, "cut at {index}");
        }
        // Nor can it be read as the run of another row.
        assert_eq!(Run { first: 2, ..run }.decode::<One>(), None);
    }

    #[test]
    fn a_run_that_can_not_be_read_is_named() {
        const TABLE: RunTable<1> = RunTable { name: "ledger", group: ["minute"] };
        let run = Run { group: [7], first: 5, records: 1, bytes: vec![9] };
        let error = TABLE.decode::<One>(&run).unwrap_err();
        assert!(error.to_string().contains("ledger minute=7 first=5"), "{error}");
        assert!(!error.is_outage() && !error.is_damage(), "the database goes on");
    }

    #[test]
    fn many_records_are_cut_into_runs_that_leave_no_key_out() {
        let records = ones((0..2_000).map(|i| i * 300 + 17));
        let runs = cut([7], 3, &records);
        assert!(runs.len() > 2);
        assert_eq!(runs[0].first, 3);
        let mut all = Vec::new();
        for (run, next) in runs.iter().zip(runs.iter().skip(1).map(Some).chain([None])) {
            assert!(run.bytes.len() <= limits::RUN_BYTES_MAX);
            let own = run.decode::<One>().unwrap();
            assert_eq!(own.len(), run.records);
            let end = next.map_or(u64::MAX, |next| next.first);
            assert!(own.iter().all(|one| (run.first..end).contains(&one.key)));
            all.extend(own);
        }
        assert_eq!(all, records);
    }

    #[test]
    fn what_nobody_wrote_is_no_run() {
        let run = |bytes: &[u8]| Run { group: [7], first: 1, records: 0, bytes: bytes.to_vec() };
        for bytes in [
            &[][..],
            &[0],
            &[5, 1, 1],
            &[4, 1, 1, 1],
            &[3, 1, 1, 1],
            &[1, 1],
            &[1, 0x80],
            &[1, 1, 2, 0, 2],
            &[2, 0],
        ] {
            assert_eq!(run(bytes).decode::<One>(), None, "{bytes:?}");
        }
        assert!(run(&[1, 0, 2, 1, 2]).decode::<One>().is_some());
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
