//! The table of a source's devices in the key-value store.
//!
//! A small table is one value, its *head*, so a message costs one call more. The rows of a
//! large one are in parts by a hash of the id, which the head has the number of: two calls,
//! whatever the size is. The parts have the number of the table in their keys, so a new table
//! is written beside the old one, and the head changes over to it at once. A row that is added
//! to a large table goes to its head, where it wins over the parts: one value is written. When
//! the head has too many, the whole table is written anew.

use crate::base::sort::sort_by_key;
use crate::error::Error;
use crate::host::{Host, KeyValue, StoreError};
use crate::journal;
use crate::journal::sources::devices_key;
use crate::limits;
use crate::sources::devices::{DeviceTable, Row, TableError, bucket};

/// The most rows of a head: some 20 KB, which are parsed for each message.
const ROWS_IN_HEAD_MAX: usize = 256;

/// The first line of a head: a version, the number of the table, of its parts, and of its rows.
struct Head<'a> {
    table: u64,
    count: usize,
    /// 0 if all rows are in the head.
    parts: usize,
    /// All rows with globs.
    globs: &'a str,
    /// All others, or those that were added since the parts were written.
    rows: &'a str,
}

impl<'a> Head<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (first, rest) = text.split_once('\n')?;
        let mut words = first.split(' ').filter(|word| !word.is_empty());
        if words.next()? != "1" {
            return None;
        }
        let table = u64::from_str_radix(words.next()?, 16).ok()?;
        let parts = words.next()?.parse().ok()?;
        let count = words.next()?.parse().ok()?;
        // An empty line is between the rows with globs and the others.
        let (globs, rows) = match rest.strip_prefix('\n') {
            Some(rows) => ("", rows),
            None => rest.split_once("\n\n")?,
        };
        Some(Self { table, count, parts, globs, rows })
    }

    fn written(&self) -> String {
        let Self { table, count, parts, globs, rows } = self;
        format!("1 {table:016x} {parts} {count}\n{globs}\n{rows}")
    }
}

fn damaged() -> Error {
    Error::Journal(StoreError::from_message("a table of devices that can't be read"))
}

/// A table as it is stored, for some ids or for all.
pub(super) struct Stored {
    pub(super) table: DeviceTable,
    /// The head, to be compared when another table takes its place.
    head: Option<String>,
}

fn text(value: Option<Vec<u8>>) -> Result<Option<String>, Error> {
    let text = value.map(String::from_utf8).transpose();
    text.map_err(|_not_text| damaged())
}

fn head<H: Host>(host: &H, store: &H::KeyValue, source: &str) -> Result<Option<String>, Error> {
    let value = journal::retried(host, || store.get(&devices_key(source, None)));
    text(value.map_err(Error::Journal)?)
}

/// How often to read a table that another request replaces meanwhile.
const ATTEMPTS: usize = 8;

/// The head and the rows of a table, of the parts that `wanted` says; `None` if there is none.
///
/// A table that is replaced takes the parts of the one before with it. So where a part is
/// missing, the head is read again: its devices are known all the same.
fn read<H: Host>(
    host: &H,
    store: &H::KeyValue,
    source: &str,
    wanted: &dyn Fn(usize) -> Vec<usize>,
) -> Result<Option<(String, DeviceTable)>, Error> {
    for _ in 0..ATTEMPTS {
        let Some(text) = head(host, store, source)? else { return Ok(None) };
        let head = Head::parse(&text).ok_or_else(damaged)?;
        let rows = rows_of(host, store, source, &head, &wanted(head.parts))?;
        if let Some(rows) = rows {
            let table = DeviceTable::stored(&rows, head.globs).ok_or_else(damaged)?;
            return Ok(Some((text, table)));
        }
    }
    Err(damaged())
}

/// The rows in the head and in these parts; `None` if one of them is not there.
fn rows_of<H: Host>(
    host: &H,
    store: &H::KeyValue,
    source: &str,
    head: &Head<'_>,
    parts: &[usize],
) -> Result<Option<String>, Error> {
    if parts.is_empty() {
        return Ok(Some(head.rows.to_owned()));
    }
    let mut rows = String::new();
    let keys: Vec<String> =
        parts.iter().map(|part| devices_key(source, Some((head.table, *part)))).collect();
    let values = journal::retried(host, || store.get_many(&keys)).map_err(Error::Journal)?;
    // Absent ones may be missing in the answer.
    let mut found = 0;
    for (_, value) in values {
        if let Some(part) = text(value)? {
            rows.push_str(&part);
            found += 1;
        }
    }
    // Behind the parts, as of two rows the last one holds.
    rows.push_str(head.rows);
    Ok((found == keys.len()).then_some(rows))
}

/// The rows of a source's table that these ids need; `None` if it has no table.
pub(crate) fn for_ids<'i, H: Host>(
    host: &H,
    store: &H::KeyValue,
    source: &str,
    ids: impl Iterator<Item = &'i str>,
) -> Result<Option<DeviceTable>, Error> {
    let ids: Vec<&str> = ids.collect();
    Ok(read(host, store, source, &|parts| parts_of(&ids, parts))?.map(|(_, table)| table))
}

/// In which of so many parts the rows of these ids are.
fn parts_of(ids: &[&str], parts: usize) -> Vec<usize> {
    if parts == 0 {
        return Vec::new();
    }
    let mut wanted: Vec<usize> = ids.iter().map(|id| bucket(id, parts)).collect();
    sort_by_key(&mut wanted, |bucket| *bucket as u128);
    wanted.dedup();
    wanted
}

/// The whole table of a source, empty if it has none.
pub(super) fn whole<H: Host>(host: &H, store: &H::KeyValue, source: &str) -> Result<Stored, Error> {
    Ok(match read(host, store, source, &|parts| (0..parts).collect())? {
        Some((head, table)) => Stored { table, head: Some(head) },
        None => Stored { table: DeviceTable::default(), head: None },
    })
}

/// How many rows the table of a source has.
pub(super) fn count<H: Host>(host: &H, store: &H::KeyValue, source: &str) -> Result<usize, Error> {
    let Some(text) = head(host, store, source)? else { return Ok(0) };
    Ok(Head::parse(&text).ok_or_else(damaged)?.count)
}

/// Makes an empty table where there is none: of a value that is there, a store tells whether
/// it is still the one before.
pub(super) fn make<H: Host>(host: &H, store: &H::KeyValue, source: &str) -> Result<(), Error> {
    if head(host, store, source)?.is_some() {
        return Ok(());
    }
    let empty = "1 0000000000000000 0 0\n\n";
    store.set(&devices_key(source, None), empty.as_bytes()).map_err(Error::Journal)
}

/// What came of a row that was to be added.
pub(super) enum Added {
    /// It is there, and so many are.
    Rows(usize),
    /// The head has no room for it: the whole table is to be written anew.
    HeadIsFull,
    /// Another request changed the table at the same time.
    Raced,
}

/// Adds a row, or puts it in the place of the one with its id and `since`. It reads what has
/// that id, and writes the head.
pub(super) fn add<H: Host>(
    host: &H,
    store: &H::KeyValue,
    source: &str,
    row: &Row,
) -> Result<Result<Added, TableError>, Error> {
    let found = read(host, store, source, &|parts| parts_of(&[&row.id], parts))?;
    let Some((text, table)) = found else { return Ok(Ok(Added::Raced)) };
    let head = Head::parse(&text).ok_or_else(damaged)?;
    let count = head.count + usize::from(!table.has(row));
    if count > limits::DEVICE_ROWS_MAX {
        let detail = format!("more than {} rows", limits::DEVICE_ROWS_MAX);
        return Ok(Err(TableError { line: 1, detail }));
    }
    let of_head = DeviceTable::stored(head.rows, head.globs).ok_or_else(damaged)?;
    let of_head = match of_head.with(row.clone()) {
        Ok(table) if table.exact_len() > ROWS_IN_HEAD_MAX => return Ok(Ok(Added::HeadIsFull)),
        Ok(table) => table,
        Err(error) => return Ok(Err(error)),
    };
    let (globs, rows) = (of_head.globs_text(), of_head.bucket_texts(1).concat());
    let new = Head { count, globs: &globs, rows: &rows, ..head }.written();
    let is_put = store.replace(&devices_key(source, None), Some(text.as_bytes()), new.as_bytes());
    match is_put.map_err(Error::Journal)? {
        true => Ok(Ok(Added::Rows(count))),
        false => Ok(Ok(Added::Raced)),
    }
}

/// Puts a table in the place of the one `before`. Returns whether it was still that one.
pub(super) fn put<H: Host>(
    host: &H,
    store: &H::KeyValue,
    source: &str,
    before: &Stored,
    table: &DeviceTable,
) -> Result<bool, Error> {
    let number = host.random();
    let parts = match table.len() {
        0..=ROWS_IN_HEAD_MAX => 0,
        rows => rows.div_ceil(ROWS_IN_HEAD_MAX),
    };
    let rows = if parts == 0 { table.bucket_texts(1).concat() } else { String::new() };
    let (count, globs) = (table.len(), table.globs_text());
    let head = Head { table: number, count, parts, globs: &globs, rows: &rows }.written();
    if parts > 0 {
        for (part, rows) in table.bucket_texts(parts).iter().enumerate() {
            let key = devices_key(source, Some((number, part)));
            store.set(&key, rows.as_bytes()).map_err(Error::Journal)?;
        }
    }
    let key = devices_key(source, None);
    let old = before.head.as_deref().map(str::as_bytes);
    let is_put = store.replace(&key, old, head.as_bytes()).map_err(Error::Journal)?;
    // The parts of the table that goes, and of no other: another request may be writing them.
    let gone = match is_put {
        true => before.head.as_deref().and_then(Head::parse).map(|head| (head.table, head.parts)),
        false => Some((number, parts)),
    };
    let (table, parts) = gone.unwrap_or_default();
    let gone: Vec<String> =
        (0..parts).map(|part| devices_key(source, Some((table, part)))).collect();
    journal::delete(host, store, &gone).map_err(Error::Journal)?;
    Ok(is_put)
}
