//! What is kept of sources: their mappings, their tables of devices, and what they sent that
//! was not counted.
//!
//! A mapping and a small table are a value each, so a message costs a call or two. What was
//! not counted is noted after the answer, and rarely if there is much of it ([`noted`]).

use crate::base::input::{Input, put_length, put_text};
use crate::base::sort::sort_by_text;
use crate::domain::reading::UnixMillis;
use crate::host::{Host, KeyValue, StoreError};
use crate::journal::{keys, noted, retried};
use crate::limits;

fn mapping_key(name: &str) -> String {
    format!("{}{name}", keys::SOURCE)
}

/// The mapping of a source, as it was put; `None` if none is stored.
pub(crate) fn mapping<H: Host>(
    host: &H,
    store: &H::KeyValue,
    name: &str,
) -> Result<Option<String>, StoreError> {
    let value = retried(host, || store.get(&mapping_key(name)))?;
    // What is not UTF-8 was put by something else, and is no mapping.
    Ok(value.map(|value| String::from_utf8(value).unwrap_or_default()))
}

/// Stores the mapping of a source.
pub(crate) fn put_mapping(
    store: &impl KeyValue,
    name: &str,
    mapping: &str,
) -> Result<(), StoreError> {
    store.set(&mapping_key(name), mapping.as_bytes())
}

/// Removes all that is kept of a source. Its readings stay.
pub(crate) fn remove(store: &impl KeyValue, name: &str) -> Result<(), StoreError> {
    let prefixes = [keys::SOURCE_DEVICES, keys::SOURCE_COUNTS, keys::SOURCE_LEFT];
    let mut gone = vec![mapping_key(name)];
    gone.extend(store.keys()?.into_iter().filter(|key| {
        let rest = prefixes.iter().find_map(|prefix| key.strip_prefix(prefix));
        rest.is_some_and(|rest| rest.split('/').next() == Some(name))
    }));
    store.delete_many(&gone)
}

/// The names of the sources of which something is stored, in their order.
pub(crate) fn names(store: &impl KeyValue) -> Result<Vec<String>, StoreError> {
    let prefixes = [keys::SOURCE, keys::SOURCE_COUNTS];
    let name = |key: String| {
        let rest = prefixes.iter().find_map(|prefix| key.strip_prefix(prefix))?;
        Some(rest.to_owned())
    };
    let mut names: Vec<String> = store.keys()?.into_iter().filter_map(name).collect();
    sort_by_text(&mut names, |name| name);
    names.dedup();
    Ok(names)
}

/// A value of a table of devices: its head, or one of its parts.
pub(crate) fn devices_key(name: &str, part: Option<(u64, usize)>) -> String {
    match part {
        None => format!("{}{name}", keys::SOURCE_DEVICES),
        Some((table, part)) => format!("{}{name}/{table:016x}-{part}", keys::SOURCE_DEVICES),
    }
}

/// What a request of a source had that was not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceNote {
    /// The source.
    pub(crate) name: String,
    /// Counts by their names: `ignored`, `void`, and the codes of reasons.
    pub(crate) counts: Vec<(&'static str, u64)>,
    /// Devices that are not in the table.
    pub(crate) unknown: Vec<Unknown>,
    /// What could not be used, with the body that it was in.
    pub(crate) refused: Option<RefusedBody>,
}

/// A device that a source sent readings of and that is not in its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// As it was sent, without control characters.
    pub(crate) id: String,
    /// Thousandths of a degree Celsius.
    pub(crate) millicelsius: i64,
    /// When it was measured.
    pub(crate) at: UnixMillis,
    /// How many readings of it were refused.
    pub(crate) readings: u64,
}

/// A body of which something could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefusedBody {
    /// When it came.
    pub(crate) at: UnixMillis,
    /// The code of the reason.
    pub(crate) reason: String,
    /// The JSON pointer of what could not be used; empty if it is the whole.
    pub(crate) pointer: String,
    /// The reason in a sentence.
    pub(crate) detail: String,
    /// The beginning of the query, without credentials.
    pub(crate) query: String,
    /// The beginning of the body, without credentials.
    pub(crate) body: String,
}

/// What is kept of what was not counted: newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) unknown: Vec<Unknown>,
    pub(crate) refused: Vec<RefusedBody>,
}

const VERSION: u8 = 1;

impl Left {
    fn add(&mut self, note: &SourceNote, times: u64) {
        for new in &note.unknown {
            let known = self.unknown.iter().position(|known| known.id == new.id);
            let before = known.map(|index| self.unknown.remove(index));
            let counted = new.readings.saturating_mul(times);
            let readings = before.map_or(0, |before| before.readings).saturating_add(counted);
            self.unknown.insert(0, Unknown { readings, ..new.clone() });
        }
        self.unknown.truncate(limits::UNKNOWN_DEVICES_MAX);
        if let Some(refused) = &note.refused {
            self.refused.insert(0, refused.clone());
            self.refused.truncate(limits::REFUSED_BODIES_MAX);
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_length(&mut out, self.unknown.len());
        for Unknown { id, millicelsius, at, readings } in &self.unknown {
            put_text(&mut out, id);
            for number in [*millicelsius, at.get(), i64::try_from(*readings).unwrap_or(i64::MAX)] {
                out.extend(number.to_le_bytes());
            }
        }
        put_length(&mut out, self.refused.len());
        for RefusedBody { at, reason, pointer, detail, query, body } in &self.refused {
            out.extend(at.get().to_le_bytes());
            for text in [reason, pointer, detail, query, body] {
                put_text(&mut out, text);
            }
        }
        out
    }

    /// `None` if it is damaged.
    fn parse(value: &[u8]) -> Option<Self> {
        let (&VERSION, rest) = value.split_first()? else { return None };
        let mut input = Input(rest);
        let mut left = Self::default();
        for _ in 0..input.length(limits::UNKNOWN_DEVICES_MAX)? {
            let id = input.text(limits::SOURCE_ID_BYTES_MAX)?.to_owned();
            let millicelsius = i64::from_le_bytes(input.bytes()?);
            let at = UnixMillis::new(i64::from_le_bytes(input.bytes()?))?;
            let readings = i64::from_le_bytes(input.bytes()?).cast_unsigned();
            left.unknown.push(Unknown { id, millicelsius, at, readings });
        }
        for _ in 0..input.length(limits::REFUSED_BODIES_MAX)? {
            let at = UnixMillis::new(i64::from_le_bytes(input.bytes()?))?;
            let mut text = || input.text(limits::REFUSED_BODY_BYTES_MAX).map(str::to_owned);
            let (reason, pointer, detail) = (text()?, text()?, text()?);
            let (query, body) = (text()?, text()?);
            left.refused.push(RefusedBody { at, reason, pointer, detail, query, body });
        }
        input.0.is_empty().then_some(left)
    }
}

fn counts_key(name: &str) -> String {
    format!("{}{name}", keys::SOURCE_COUNTS)
}

fn left_key(name: &str) -> String {
    format!("{}{name}", keys::SOURCE_LEFT)
}

/// How often to try while other requests add to it, too.
const ATTEMPTS: usize = 12;

/// Writes the note, if it is this request's turn.
pub(crate) fn note<H: Host>(
    host: &H,
    store: &H::KeyValue,
    note: &SourceNote,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let key = counts_key(&note.name);
    let Some(times) = noted::note(host, store, &key, note.counts.iter().copied(), now)? else {
        return Ok(());
    };
    if note.unknown.is_empty() && note.refused.is_none() {
        return Ok(());
    }
    change_left(store, &note.name, |left| left.add(note, times))
}

/// The counts of a source by their names.
pub(crate) fn counts(store: &impl KeyValue, name: &str) -> Result<Vec<(String, u64)>, StoreError> {
    let noted = noted::load(store, &counts_key(name))?;
    Ok(noted.counts().map(|(name, count)| (name.to_owned(), count)).collect())
}

/// What is kept of what was not counted. What can't be read counts as nothing.
pub(crate) fn left(store: &impl KeyValue, name: &str) -> Result<Left, StoreError> {
    let value = store.get(&left_key(name))?;
    Ok(value.as_deref().and_then(Left::parse).unwrap_or_default())
}

/// Forgets devices that were adopted.
pub(crate) fn forget_unknown(
    store: &impl KeyValue,
    name: &str,
    is_known: impl Fn(&str) -> bool,
) -> Result<(), StoreError> {
    change_left(store, name, |left| left.unknown.retain(|unknown| !is_known(&unknown.id)))
}

fn change_left(
    store: &impl KeyValue,
    name: &str,
    change: impl Fn(&mut Left),
) -> Result<(), StoreError> {
    let key = left_key(name);
    for _ in 0..ATTEMPTS {
        let stored = store.get(&key)?;
        let mut left = stored.as_deref().and_then(Left::parse).unwrap_or_default();
        let before = left.clone();
        change(&mut left);
        if left == before || store.replace(&key, stored.as_deref(), &left.encode())? {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(id: &str, millicelsius: i64) -> Unknown {
        let at = UnixMillis::new(1_795_647_000_000).unwrap();
        Unknown { id: id.to_owned(), millicelsius, at, readings: 2 }
    }

    fn refused(body: &str) -> RefusedBody {
        let text = str::to_owned;
        let at = UnixMillis::new(7).unwrap();
        RefusedBody {
            at,
            reason: text("unknown_unit"),
            pointer: text("/temp"),
            detail: text("no unit"),
            query: text("id=7"),
            body: text(body),
        }
    }

    fn note(unknown: Vec<Unknown>, refused: Option<RefusedBody>) -> SourceNote {
        SourceNote { name: "cellar".to_owned(), unknown, refused, ..SourceNote::default() }
    }

    #[test]
    fn what_was_left_is_read_back_newest_first_and_bounded() {
        let mut left = Left::default();
        left.add(&note(vec![unknown("a", 1), unknown("b", -2)], None), 1);
        left.add(&note(vec![unknown("a", 3)], Some(refused("first"))), 4);
        left.add(&note(Vec::new(), Some(refused("second"))), 1);
        let ids: Vec<(&str, i64, u64)> =
            left.unknown.iter().map(|u| (u.id.as_str(), u.millicelsius, u.readings)).collect();
        assert_eq!(ids, [("a", 3, 10), ("b", -2, 2)]);
        assert_eq!(left.refused, [refused("second"), refused("first")]);
        assert_eq!(Left::parse(&left.encode()), Some(left.clone()));
        for number in 0..limits::UNKNOWN_DEVICES_MAX + 5 {
            let body = refused(&number.to_string());
            left.add(&note(vec![unknown(&format!("n{number}"), 0)], Some(body)), 1);
        }
        assert_eq!(left.unknown.len(), limits::UNKNOWN_DEVICES_MAX);
        assert_eq!(left.refused.len(), limits::REFUSED_BODIES_MAX);
        assert!(left.unknown.iter().all(|unknown| unknown.id != "a"));
        assert_eq!(Left::parse(&left.encode()), Some(left));
    }

    #[test]
    fn what_nobody_wrote_is_nothing() {
        let mut left = Left::default();
        left.add(&note(vec![unknown("a", 1)], Some(refused("x"))), 1);
        let value = left.encode();
        for end in 0..value.len() {
            assert_eq!(Left::parse(&value[..end]), None, "{end}");
        }
        assert_eq!(Left::parse(&[&value[..], &[0]].concat()), None);
        assert_eq!(Left::parse(&[2, 0, 0]), None);
    }
}
