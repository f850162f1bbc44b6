//! Corrections that are durable but not yet folded: one key each,
//! `correction/1/<SHA-256 of what it says, in hex>`. So a correction that is sent again
//! overwrites itself, and damage in storage is detected.
//!
//! The value is a line with the time when it was accepted, in Unix milliseconds, and, after a
//! space, the name of the credential that asked for it, if it is known. Then comes what it
//! says (`Correction::to_text`).

use crate::base::digest::{hex, sha256};
use crate::domain::correction::{Cause, Correction};
use crate::domain::reading::UnixMillis;
use crate::host::{Host, KeyValue, StoreError};
use crate::journal::keys;
use crate::journal::store::{delete, retried};

/// A correction in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) key: String,
    pub(crate) hash: [u8; 32],
    /// When it was accepted.
    pub(crate) made: UnixMillis,
    /// The name of the credential, if it is known.
    pub(crate) by: Option<String>,
    text: String,
}

impl Noted {
    pub(crate) fn of(correction: &Correction<'_>, cause: &Cause<'_>) -> Self {
        let text = correction.to_text();
        let hash = sha256(&text);
        let key = format!("{}{}", keys::CORRECTION, hex(&hash));
        Self { key, hash, made: cause.made, by: cause.by.map(str::to_owned), text }
    }

    fn parse(key: String, value: Vec<u8>) -> Option<Self> {
        let value = String::from_utf8(value).ok()?;
        let (first, text) = value.split_once('\n')?;
        let (made, by) = match first.split_once(' ') {
            Some((made, by)) => (made, Some(by.to_owned())),
            None => (first, None),
        };
        let made = UnixMillis::new(made.parse().ok()?)?;
        Correction::parse(text)?;
        let hash = sha256(text);
        let is_whole = key == format!("{}{}", keys::CORRECTION, hex(&hash));
        is_whole.then(|| Self { key, hash, made, by, text: text.to_owned() })
    }

    /// What it says.
    pub(crate) fn correction(&self) -> Option<Correction<'_>> {
        Correction::parse(&self.text)
    }
}

/// Makes a correction durable.
pub(crate) fn append<H: Host>(
    host: &H,
    store: &H::KeyValue,
    noted: &Noted,
) -> Result<(), StoreError> {
    let by = noted.by.as_ref().map_or(String::new(), |by| format!(" {by}"));
    let value = format!("{}{by}\n{}", noted.made.get(), noted.text);
    retried(host, || store.set(&noted.key, value.as_bytes()))
}

/// Loads the corrections under `keys` that are still there, and the keys of those that
/// can't be read.
pub(crate) fn load<H: Host>(
    host: &H,
    store: &H::KeyValue,
    keys: &[String],
) -> Result<(Vec<Noted>, Vec<String>), StoreError> {
    let (mut noted, mut damaged) = (Vec::new(), Vec::new());
    for (key, value) in retried(host, || store.get_many(keys))? {
        let Some(value) = value else { continue };
        match Noted::parse(key.clone(), value) {
            Some(one) => noted.push(one),
            None => damaged.push(key),
        }
    }
    Ok((noted, damaged))
}

/// Removes the corrections under `keys`; absent ones are no error.
pub(crate) fn remove<H: Host>(
    host: &H,
    store: &H::KeyValue,
    keys: &[String],
) -> Result<(), StoreError> {
    delete(host, store, keys)
}

/// Puts a correction that can't be read where no fold looks for it.
pub(crate) fn set_aside<H: Host>(
    host: &H,
    store: &H::KeyValue,
    key: &str,
) -> Result<(), StoreError> {
    if let Some(value) = retried(host, || store.get(key))? {
        let name = key.strip_prefix(keys::CORRECTION).unwrap_or(key);
        let aside = format!("{}{name}", keys::DAMAGED_CORRECTION);
        retried(host, || store.set(&aside, &value))?;
        host.log(&format!("a correction can't be read and was set aside: {aside}"));
    }
    Ok(())
}
