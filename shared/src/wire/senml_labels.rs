//! The labels of a SenML record, as they are written (RFC 8428, section 4).

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits;

/// The labels that are read. The first five are base fields: they hold for the records behind
/// theirs, too.
const READ: [&str; 9] = ["bn", "bt", "bu", "bv", "bver", "n", "t", "u", "v"];
const BASE_FIELDS: usize = 5;

/// The labels of other values: a string, a boolean, data, and a sum.
const OTHER_VALUES: [&str; 4] = ["vs", "vb", "vd", "s"];

/// The labels of a record. Those that are not known are left out (section 4.4).
#[derive(Default)]
pub(super) struct Labels<'a> {
    read: [Option<&'a RawValue>; READ.len()],
    /// A label that was given twice.
    pub(super) twice: Option<&'static str>,
    /// A label that has to be understood, and is not: it ends in `_`. Cut to
    /// `limits::ECHO_CHARS_MAX`.
    pub(super) mandatory: Option<String>,
    /// How many of `OTHER_VALUES` it has.
    pub(super) other_values: usize,
}

impl<'a> Labels<'a> {
    /// What stands behind one of `READ`.
    pub(super) fn get(&self, label: &str) -> Option<&'a str> {
        let index = READ.iter().position(|read| *read == label)?;
        self.read.get(index).copied().flatten().map(RawValue::get)
    }

    /// Whether a base field was given twice.
    pub(super) fn has_base_twice(&self) -> bool {
        self.twice.is_some_and(|twice| READ.iter().take(BASE_FIELDS).any(|base| *base == twice))
    }

    /// Whether it is there for the sake of its base fields alone.
    pub(super) fn is_base_alone(&self) -> bool {
        self.other_values == 0 && self.read.iter().skip(BASE_FIELDS).all(Option::is_none)
    }
}

impl<'a> Deserialize<'a> for Labels<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'a> Visitor<'a> for V {
            type Value = Labels<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a SenML record")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut labels = Labels::default();
                while let Some(label) = map.next_key::<Label>()? {
                    let index = match label {
                        Label::Read(index) => index,
                        other => {
                            labels.note(other);
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    let value = map.next_value::<&'a RawValue>()?;
                    if let Some(place) = labels.read.get_mut(index)
                        && place.replace(value).is_some()
                    {
                        labels.twice = READ.get(index).copied();
                    }
                }
                Ok(labels)
            }
        }
        deserializer.deserialize_map(V)
    }
}

impl Labels<'_> {
    fn note(&mut self, label: Label) {
        match label {
            Label::OtherValue => self.other_values += 1,
            Label::Mandatory(name) => self.mandatory = Some(name),
            Label::Read(_) | Label::Unknown => {}
        }
    }
}

enum Label {
    /// The one with this index in `READ`.
    Read(usize),
    OtherValue,
    Mandatory(String),
    Unknown,
}

impl<'a> Deserialize<'a> for Label {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Label;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a label")
            }

            fn visit_str<E>(self, name: &str) -> Result<Label, E> {
                Ok(match READ.iter().position(|read| *read == name) {
                    Some(index) => Label::Read(index),
                    None if OTHER_VALUES.contains(&name) => Label::OtherValue,
                    None if name.ends_with('_') => {
                        Label::Mandatory(name.chars().take(limits::ECHO_CHARS_MAX).collect())
                    }
                    None => Label::Unknown,
                })
            }
        }
        deserializer.deserialize_identifier(V)
    }
}
