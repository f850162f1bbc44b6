//! Variables of the application: their values, templates with them, and whether the application
//! can use them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::manifest::Application;

/// Checks the variables of each component. Returns what there is to say about them.
///
/// # Errors
///
/// A value that the application can't use, with the variable's name.
pub fn check(application: &Application) -> Result<Option<String>> {
    let mut said = None;
    for component in &application.components {
        let value = |name: &str| component.variables.get(name).cloned();
        let asset = |name: &str| component.asset(name);
        let line = isotherm::check_at_start(&value, &asset).map_err(anyhow::Error::msg)?;
        if component.variables.contains_key("retention") {
            said = Some(line);
        }
    }
    Ok(said)
}

/// The values of the application's variables: the defaults, and `overrides` in their place.
pub(crate) fn values(
    defaults: BTreeMap<&String, Option<&String>>,
    overrides: &[(String, String)],
) -> Result<BTreeMap<String, String>> {
    let given = defaults.iter().filter_map(|(&name, &value)| Some((name.clone(), value?.clone())));
    let mut values: BTreeMap<String, String> = given.collect();
    for (name, value) in overrides {
        if !defaults.contains_key(name) {
            let known = defaults.keys().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
            bail!("unknown variable {name}; supported: {known}");
        }
        values.insert(name.clone(), value.clone());
    }
    Ok(values)
}

/// Whether Spin takes such a name, too: words of lower-case letters and digits, each with a
/// letter first, with `separator` between them.
pub(crate) fn check_words(name: &str, separator: char) -> Result<()> {
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word.chars().all(|other| other.is_ascii_lowercase() || other.is_ascii_digit())
    };
    if !name.split(separator).all(is_word) {
        bail!(
            "each word between {separator:?} must be lower-case letters and digits, a letter first"
        );
    }
    Ok(())
}

/// Replaces `{{ name }}` by values.
pub(crate) fn expand(template: &str, values: &BTreeMap<String, String>) -> Result<String> {
    let mut expanded = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").context("'{{' without '}}'")?;
        let value = values.get(name.trim()).with_context(|| format!("no value for {name}"))?;
        expanded.push_str(before);
        expanded.push_str(value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_spin_refuses_are_refused() {
        for name in ["retention", "peer1_token", "a_b2_c"] {
            assert!(check_words(name, '_').is_ok(), "{name}");
        }
        for name in ["peer_1", "_a", "a_", "a__b", "Retention", "a-b", "", "1a"] {
            assert!(check_words(name, '_').is_err(), "{name}");
        }
        assert!(check_words("isotherm-sync", '-').is_ok());
    }

    #[test]
    fn templates_are_filled_and_missing_values_named() {
        let values = BTreeMap::from([("retention".to_owned(), "7d".to_owned())]);
        assert_eq!(expand("{{ retention }}", &values).unwrap(), "7d");
        assert_eq!(expand("a{{retention}}b", &values).unwrap(), "a7db");
        assert!(expand("{{ other }}", &values).is_err());
        assert!(expand("{{ retention", &values).is_err());
    }
}
