//! A run: one row with many records, sorted by key and encoded by their differences
//! (`sorted_run.rs` says what runs are for).
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

use crate::base::checksum::checksum;
use crate::base::varint;
use crate::host::Value;
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

/// A stored run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run<const G: usize> {
    pub(super) group: [i64; G],
    pub(super) first: u64,
    pub(super) records: usize,
    pub(super) bytes: Vec<u8>,
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

    /// A run without records.
    pub(super) fn empty(group: [i64; G], first: u64) -> Self {
        Self::from_parts(group, first, 0, room_for(0))
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
    pub(super) fn decode<R: RunRecord<G>>(&self) -> Option<Vec<R>> {
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A number with a value, in a group.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct One {
        pub(crate) group: i64,
        pub(crate) key: u64,
        pub(crate) value: i64,
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

    /// Ones of a group, with these keys.
    pub(crate) fn ones(keys: impl IntoIterator<Item = u64>) -> Vec<One> {
        let one =
            |key: u64| One { group: 7, key, value: i64::try_from(key % 1_000).unwrap() - 500 };
        keys.into_iter().map(one).collect()
    }

    fn run_of(first: u64, records: &[One]) -> Run<1> {
        let [run] = cut([7], first, records).try_into().unwrap();
        run
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
}
