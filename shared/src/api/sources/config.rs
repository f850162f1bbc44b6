//! Which mapping a source has: that of the variable `sources`, or a stored one.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::domain::source::{DIGEST_BYTES, OfSource};
use crate::error::Error;
use crate::host::Host;
use crate::journal;
use crate::sources::fields::MappingError;
use crate::sources::mapping::Mapping;

const VARIABLE: &str = "sources";

/// Where a mapping is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeptIn {
    Variable,
    Store,
}

/// A source that there is.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) mapping: Mapping,
    /// As it was written.
    pub(super) text: String,
    pub(super) kept_in: KeptIn,
}

impl Source {
    fn new(name: &str, text: String, kept_in: KeptIn) -> Result<Self, Error> {
        let mapping = Mapping::parse(name, &text).map_err(|error| Error::Misconfigured {
            variable: VARIABLE,
            cause: format!("has no mapping of {name} that can be used: {error}"),
        })?;
        Ok(Self { name: name.to_owned(), mapping, text, kept_in })
    }

    /// One that a request brings with it, to be tried.
    pub(super) fn sent(name: &str, text: String) -> Result<Self, MappingError> {
        let mapping = Mapping::parse(name, &text)?;
        Ok(Self { name: name.to_owned(), mapping, text, kept_in: KeptIn::Store })
    }

    /// What its readings come by.
    pub(super) fn of(&self) -> OfSource<'_> {
        OfSource { name: &self.name, digest: short(&self.mapping.digest()) }
    }
}

/// The part of a digest that is kept.
pub(super) fn short(digest: &[u8; 32]) -> [u8; DIGEST_BYTES] {
    digest.first_chunk().copied().unwrap_or_default()
}

/// The source of this name, if there is one.
pub(super) fn find<H: Host>(host: &H, name: &str) -> Result<Option<Source>, Error> {
    if let Some(text) = of_variable(host)?.remove(name) {
        return Source::new(name, text, KeptIn::Variable).map(Some);
    }
    let store = host.key_value().map_err(Error::Journal)?;
    let text = journal::sources::mapping(host, &store, name).map_err(Error::Journal)?;
    text.map(|text| Source::new(name, text, KeptIn::Store)).transpose()
}

/// The mappings of the variable, as they are written, by the names of their sources.
pub(super) fn of_variable(host: &impl Host) -> Result<BTreeMap<String, String>, Error> {
    let misconfigured = |cause: String| Error::Misconfigured { variable: VARIABLE, cause };
    let text = host.variable(VARIABLE).map_err(Error::Variables)?.unwrap_or_default();
    if text.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    let all: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let rule = "must be a JSON object with a mapping for each source";
        misconfigured(format!("{rule}; it is none at line {line}, column {column}"))
    })?;
    if let Some(name) = all.keys().find(|name| !OfSource::is_name(name)) {
        return Err(misconfigured(format!("has a source {name:?}, which is no name of one")));
    }
    Ok(all.into_iter().map(|(name, raw)| (name, written(&raw))).collect())
}

/// A mapping as text: an object, or what a string says, like `preset:shelly-gen1`.
pub(super) fn written(raw: &RawValue) -> String {
    let text = serde_json::from_str::<String>(raw.get());
    text.unwrap_or_else(|_object| raw.get().to_owned())
}

/// Reads all mappings of the variable.
pub(crate) fn check(host: &impl Host) -> Result<(), Error> {
    for (name, text) in of_variable(host)? {
        Source::new(&name, text, KeptIn::Variable)?;
    }
    Ok(())
}
