//! Checks of the key-value store.

use isotherm::host::{Host, KeyValue};

use crate::check::{Check, Outcome, done, equal, holds};

pub(crate) fn checks<H: Host>() -> Vec<Check<H>> {
    vec![
        Check { name: "a_value_comes_back_byte_by_byte", run: round_trip },
        Check { name: "a_key_that_is_not_there_is_no_error", run: absent },
        Check { name: "several_values_come_back_at_once", run: several },
        Check { name: "keys_are_listed_until_they_are_removed", run: listed },
        Check { name: "a_value_is_replaced_if_it_is_the_expected_one", run: replaced },
    ]
}

fn round_trip<H: Host>(host: &H) -> Outcome {
    let store = done("open", host.key_value())?;
    for value in [Vec::new(), (0..=255).collect(), vec![7; 1 << 20]] {
        done("set", store.set("conformance/a", &value))?;
        let found = done("get", store.get("conformance/a"))?;
        holds("other bytes came back", found == Some(value))?;
    }
    done("delete", store.delete_many(&["conformance/a".to_owned()]))
}

fn absent<H: Host>(host: &H) -> Outcome {
    let store = done("open", host.key_value())?;
    equal("value", done("get", store.get("conformance/none"))?, None)?;
    done("delete", store.delete_many(&["conformance/none".to_owned()]))?;
    let pairs = done("get many", store.get_many(&["conformance/none".to_owned()]))?;
    holds("there is a value", pairs.iter().all(|(_, value)| value.is_none()))
}

fn several<H: Host>(host: &H) -> Outcome {
    let store = done("open", host.key_value())?;
    let keys: Vec<String> = (0..300).map(|n| format!("conformance/{n}")).collect();
    for key in &keys {
        done("set", store.set(key, key.as_bytes()))?;
    }
    for count in [1, 2, keys.len()] {
        let asked = keys.get(..count).unwrap_or_default();
        let mut pairs = done("get many", store.get_many(asked))?;
        pairs.sort();
        let mut expected: Vec<_> =
            asked.iter().map(|key| (key.clone(), Some(key.clone().into_bytes()))).collect();
        expected.sort();
        equal("pairs", pairs, expected)?;
    }
    done("delete", store.delete_many(&keys))
}

fn listed<H: Host>(host: &H) -> Outcome {
    let store = done("open", host.key_value())?;
    let own = || {
        let mut keys = done("keys", store.keys())?;
        keys.retain(|key| key.starts_with("conformance/"));
        keys.sort();
        Ok::<_, String>(keys)
    };
    done("set", store.set("conformance/a b", b"1"))?;
    done("set", store.set("conformance/c", b""))?;
    equal("keys", own()?, vec!["conformance/a b".to_owned(), "conformance/c".to_owned()])?;
    done("delete", store.delete_many(&["conformance/c".to_owned()]))?;
    equal("keys", own()?, vec!["conformance/a b".to_owned()])?;
    done("delete", store.delete_many(&["conformance/a b".to_owned()]))?;
    equal("keys", own()?, Vec::new())
}

fn replaced<H: Host>(host: &H) -> Outcome {
    let store = done("open", host.key_value())?;
    let key = "conformance/swapped";
    let replace = |old: Option<&[u8]>, new: &[u8]| done("replace", store.replace(key, old, new));
    equal("where none is", replace(None, b"1")?, true)?;
    equal("of another", replace(Some(b"2"), b"3")?, false)?;
    equal("value", done("get", store.get(key))?, Some(b"1".to_vec()))?;
    equal("of this one", replace(Some(b"1"), b"2")?, true)?;
    equal("value", done("get", store.get(key))?, Some(b"2".to_vec()))?;
    done("delete", store.delete_many(&[key.to_owned()]))
}
