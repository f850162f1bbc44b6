//! What is known of each source: what was counted, and what was not.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::asked::OF_LINES;
use super::{config, manage, table};
use crate::base::digest::hex;
use crate::base::sort::sort_by_text;
use crate::domain::reading::UnixMillis;
use crate::error::{Error, best_effort};
use crate::host::Host;
use crate::journal;
use crate::ledger::database::{Budget, Database};
use crate::ledger::sources::{self, ByMapping};
use crate::limits;

/// A line of the list for each source that is configured, or of which something is known.
pub(super) fn all<H: Host>(host: &H) -> Result<Vec<Value>, Error> {
    let of_variable = config::of_variable(host)?;
    let store = host.key_value().map_err(Error::Journal)?;
    let counted = counted(host);
    let mut names = journal::sources::names(&store).map_err(Error::Journal)?;
    names.extend(of_variable.into_keys());
    names.push(OF_LINES.to_owned());
    names.extend(counted.iter().flatten().map(|counted| counted.name.clone()));
    sort_by_text(&mut names, |name| name);
    names.dedup();
    names.iter().map(|name| one(host, &store, name, counted.as_deref())).collect()
}

/// What was counted of all sources; `None` while the database is away.
fn counted(host: &impl Host) -> Option<Vec<ByMapping>> {
    let budget = Budget::waiting(limits::QUERY_FOLD_MS_MAX);
    let database = best_effort(Database::open(host, budget))?;
    best_effort(database.read_at_once(sources::all))
}

fn one<H: Host>(
    host: &H,
    store: &H::KeyValue,
    name: &str,
    counted: Option<&[ByMapping]>,
) -> Result<Value, Error> {
    // One that can't be used is told, and hides no other.
    let (source, error) = match config::find(host, name) {
        Ok(source) => (source, None),
        Err(Error::Misconfigured { cause, .. }) => (None, Some(cause)),
        Err(error) => return Err(error),
    };
    let counts = journal::sources::counts(store, name).map_err(Error::Journal)?;
    let count = |wanted: &str| {
        counts.iter().find(|(name, _)| name == wanted).map_or(0, |(_, count)| *count)
    };
    let others = ["ignored", "void"];
    let refused: BTreeMap<&str, u64> = counts
        .iter()
        .filter(|(name, _)| !others.contains(&name.as_str()))
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    let left = journal::sources::left(store, name).map_err(Error::Journal)?;
    let own = counted.map(|all| all.iter().filter(|one| one.name == name).collect::<Vec<_>>());
    let sum = |of: fn(&ByMapping) -> i64| {
        own.as_ref().map(|own| own.iter().map(|one| of(one)).sum::<i64>())
    };
    let newest = own.as_ref().and_then(|own| own.iter().map(|one| one.newest).max());
    let mappings = own.as_ref().map(|own| own.iter().map(|one| mapping(one)).collect::<Vec<_>>());
    let rows = table::count(host, store, name)?;
    let mut record = Map::new();
    record.insert("source".to_owned(), name.into());
    record.insert("error".to_owned(), error.into());
    record.insert(
        "kept_in".to_owned(),
        source.as_ref().map(|source| manage::kept_in(source.kept_in)).into(),
    );
    record
        .insert("digest".to_owned(), source.as_ref().map(|source| hex(&source.of().digest)).into());
    record.insert("kept".to_owned(), sum(|one| one.readings).into());
    record.insert("time_assumed".to_owned(), sum(|one| one.assumed).into());
    record.insert("newest".to_owned(), newest.map(|at: UnixMillis| at.to_string()).into());
    record.insert("ignored".to_owned(), count("ignored").into());
    record.insert("void".to_owned(), count("void").into());
    record.insert("refused".to_owned(), json!(refused));
    record.insert("devices".to_owned(), rows.into());
    record.insert("unknown_devices".to_owned(), left.unknown.len().into());
    record.insert("mappings".to_owned(), json!(mappings));
    Ok(Value::Object(record))
}

/// What was read by a mapping.
fn mapping(counted: &ByMapping) -> Value {
    json!({
        "digest": hex(&counted.digest), "kept": counted.readings,
        "time_assumed": counted.assumed, "oldest": counted.oldest.to_string(),
        "newest": counted.newest.to_string(),
    })
}
