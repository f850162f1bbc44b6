//! What is kept of tokens: a line for each (`access::token`), and when it was last used, to
//! the hour. Apart from each other, so that a use can't undo a revocation.

use crate::base::sort::sort_by_text;
use crate::domain::reading::UnixMillis;
use crate::host::{KeyValue, StoreError};
use crate::journal::door::Door;
use crate::journal::keys;

const HOUR_MS: i64 = 60 * UnixMillis::PER_MINUTE;

fn line_key(id: &str) -> String {
    format!("{}{id}", keys::TOKEN)
}

fn use_key(id: &str) -> String {
    format!("{}{id}", keys::TOKEN_USE)
}

fn text(value: Vec<u8>) -> String {
    // What is not UTF-8 is no line of a token.
    String::from_utf8(value).unwrap_or_default()
}

/// What is kept of a token.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// `None` if there is no such token here.
    pub(crate) line: Option<String>,
    /// The hour in which it was last used.
    pub(crate) used: Option<UnixMillis>,
    /// The door, if it was asked for.
    pub(crate) door: Option<Door>,
}

/// Loads what is kept of the token with this id; in one call, as each request with the token
/// makes it. With it comes the door for a request that is going to need it.
pub(crate) fn load(store: &impl KeyValue, id: &str, with_door: bool) -> Result<Kept, StoreError> {
    let mut names = vec![line_key(id), use_key(id)];
    names.extend(with_door.then(|| keys::DOOR.to_owned()));
    let door = with_door.then(Door::default);
    read(store, &names, Kept { door, ..Kept::default() })
}

/// The same of a token whose line is elsewhere, for a request that needs the door.
pub(crate) fn load_use_and_door(store: &impl KeyValue, id: &str) -> Result<Kept, StoreError> {
    let names = [use_key(id), keys::DOOR.to_owned()];
    read(store, &names, Kept { door: Some(Door::default()), ..Kept::default() })
}

fn read(store: &impl KeyValue, names: &[String], mut kept: Kept) -> Result<Kept, StoreError> {
    for (key, value) in store.get_many(names)? {
        let Some(value) = value else { continue };
        if key == keys::DOOR {
            kept.door = Some(Door::parse(&value));
        } else if key.starts_with(keys::TOKEN_USE) {
            kept.used = hour(&value);
        } else {
            kept.line = Some(text(value));
        }
    }
    Ok(kept)
}

/// The line of the token that was made last, or is being made. Empty if there is none; the
/// key is there afterwards, so that it can be compared and changed.
pub(crate) fn last_made(store: &impl KeyValue) -> Result<String, StoreError> {
    if let Some(value) = store.get(keys::HAS_TOKENS)? {
        return Ok(text(value));
    }
    store.set(keys::HAS_TOKENS, b"")?;
    Ok(String::new())
}

/// Claims to make a token with this line. Of requests that make tokens at the same time, one
/// finds what was `last_made` unchanged, and goes on.
pub(crate) fn claim(store: &impl KeyValue, before: &str, line: &str) -> Result<bool, StoreError> {
    store.replace(keys::HAS_TOKENS, Some(before.as_bytes()), line.as_bytes())
}

/// Stores the line of a token that was claimed: its id was never used, or revoked.
pub(crate) fn add(store: &impl KeyValue, id: &str, line: &str) -> Result<(), StoreError> {
    store.delete_many(&[use_key(id)])?;
    store.set(&line_key(id), line.as_bytes())
}

/// Stores the line of a token that was changed, if it is still the one before. Returns
/// whether it was: so no change undoes a revocation.
pub(crate) fn save(
    store: &impl KeyValue,
    id: &str,
    before: &str,
    line: &str,
) -> Result<bool, StoreError> {
    store.replace(&line_key(id), Some(before.as_bytes()), line.as_bytes())
}

/// Removes a token, and its last use.
pub(crate) fn remove(store: &impl KeyValue, id: &str) -> Result<(), StoreError> {
    store.delete_many(&[line_key(id), use_key(id)])
}

/// The lines of all tokens, and when tokens were last used, by their ids.
pub(crate) fn all(store: &impl KeyValue) -> Result<All, StoreError> {
    let is_ours = |key: &String| key.starts_with(keys::TOKEN) || key.starts_with(keys::TOKEN_USE);
    let keys: Vec<String> = store.keys()?.into_iter().filter(is_ours).collect();
    let mut all = All::default();
    if keys.is_empty() {
        return Ok(all);
    }
    for (key, value) in store.get_many(&keys)? {
        let Some(value) = value else { continue };
        match key.strip_prefix(keys::TOKEN_USE) {
            Some(id) => all.uses.extend(hour(&value).map(|at| (id.to_owned(), at))),
            None => all.lines.push(text(value)),
        }
    }
    sort_by_text(&mut all.lines, |line| line);
    Ok(all)
}

/// What is kept of all tokens.
#[derive(Debug, Default)]
pub(crate) struct All {
    pub(crate) lines: Vec<String>,
    uses: Vec<(String, UnixMillis)>,
}

impl All {
    /// The hour in which a token was last used.
    pub(crate) fn last_use(&self, id: &str) -> Option<UnixMillis> {
        self.uses.iter().find(|(known, _)| known == id).map(|(_, at)| *at)
    }
}

/// Whether any token was ever stored. Each refused request may ask, so it is one key, and no
/// listing.
pub(crate) fn has_any(store: &impl KeyValue) -> Result<bool, StoreError> {
    Ok(store.get(keys::HAS_TOKENS)?.is_some())
}

/// The hour of an instant.
pub(crate) fn hour_of(now: UnixMillis) -> Option<UnixMillis> {
    UnixMillis::new((now.get() / HOUR_MS).saturating_mul(HOUR_MS))
}

/// Notes that a token was used. Writes at most once an hour.
pub(crate) fn note_use(store: &impl KeyValue, id: &str, now: UnixMillis) -> Result<(), StoreError> {
    let (key, Some(this)) = (use_key(id), hour_of(now)) else { return Ok(()) };
    if store.get(&key)?.and_then(|value| hour(&value)) == Some(this) {
        return Ok(());
    }
    store.set(&key, this.get().to_string().as_bytes())
}

fn hour(value: &[u8]) -> Option<UnixMillis> {
    UnixMillis::new(std::str::from_utf8(value).ok()?.parse().ok()?)
}
