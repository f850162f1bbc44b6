//! A message as a tree of pieces that are borrowed from its body, whatever format it came in.

use std::borrow::Cow;

use crate::base::checksum;
use crate::base::sort;
use crate::domain::rejection::Reason;
use crate::limits;
use crate::sources::steps::Steps;
use crate::sources::steps::TooCostly;

/// A value of a message. Numbers stay text, so that they can be read exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node<'a> {
    /// JSON's `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it was written, by the grammar of `Decimal::parse_loose`.
    Number(&'a str),
    /// A text.
    Text(Cow<'a, str>),
    /// An array, in its order.
    Array(Vec<Node<'a>>),
    /// An object, in its order. No key is there twice.
    Object(Vec<Field<'a>>),
}

/// A key of an object, and its value.
pub(crate) type Field<'a> = (Cow<'a, str>, Node<'a>);

/// Why a body, or a message of it, could not be read. Nothing of it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is not in the format that the mapping says. The text says where and what is wrong,
    /// for the sender's owner.
    Syntax(String),
    /// This key is there twice: either could be meant.
    KeyTwice(String),
    /// A time of it can't be meant as it is written. The text says why.
    Time(Reason, String),
    /// It is nested deeper than `limits::SOURCE_DEPTH_MAX`.
    TooDeep,
    /// A message has more than `limits::SOURCE_NODES_MAX` values, or a row more than
    /// `limits::SOURCE_COLUMNS_MAX`.
    TooLarge,
    /// More values were taken than `limits::READINGS_PER_REQUEST_MAX`.
    TooMany,
    /// The mapping would take more steps than `limits::SOURCE_STEPS_PER_BYTE` allows.
    TooCostly,
}

impl From<TooCostly> for Unread {
    fn from(_: TooCostly) -> Self {
        Self::TooCostly
    }
}

impl Unread {
    /// What is wrong, in a sentence without its full stop.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Syntax(detail) | Self::Time(_, detail) => detail.clone(),
            Self::KeyTwice(key) => {
                let key: String = key.chars().take(limits::ECHO_CHARS_MAX).collect();
                format!("{key:?} is given twice")
            }
            Self::TooDeep => {
                format!("the message is nested deeper than {}", limits::SOURCE_DEPTH_MAX)
            }
            Self::TooLarge => "the message has too many values".to_owned(),
            Self::TooMany => {
                format!("more than {} temperatures", limits::READINGS_PER_REQUEST_MAX)
            }
            Self::TooCostly => "the mapping takes too many steps for this message".to_owned(),
        }
    }
}

/// Keys of an object, or columns, that are compared pair by pair. More are sorted.
const COMPARED_MAX: usize = 8;

impl<'a> Node<'a> {
    /// An object. Fails if a key is there twice.
    pub(crate) fn object(fields: Vec<Field<'a>>) -> Result<Self, Unread> {
        match twice(&fields) {
            Some(key) => Err(Unread::KeyTwice(key)),
            None => Ok(Self::Object(fields)),
        }
    }

    /// A text that is borrowed.
    pub(crate) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// What a number, a text, a boolean or `null` is as a text; `None` of arrays and objects.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match self {
            Self::Null => Some("null"),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Number(text) => Some(text),
            Self::Text(text) => Some(text),
            Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// The value of a key, or of an index of an array. A step for each key that is compared.
    pub(crate) fn child(
        &self,
        name: &str,
        steps: &mut Steps,
    ) -> Result<Option<&Node<'a>>, TooCostly> {
        match self {
            Self::Object(fields) => {
                let place = fields.iter().position(|(key, _)| key == name);
                steps.take(place.map_or(fields.len(), |place| place + name.len()))?;
                Ok(place.and_then(|place| fields.get(place)).map(|(_, value)| value))
            }
            Self::Array(items) => {
                steps.take(name.len())?;
                let is_index = name == "0" || !name.starts_with(['0', '+']);
                let index = name.parse::<usize>().ok().filter(|_| is_index);
                Ok(index.and_then(|index| items.get(index)))
            }
            _ => Ok(None),
        }
    }

    /// The field of an object, without a count of steps: for mappings, which are small.
    pub(crate) fn field(&self, name: &str) -> Option<&Node<'a>> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Writes it as JSON without space and with the keys in order: equal values are equal
    /// texts. For mappings, which are small.
    pub(crate) fn write_canonical(&self, out: &mut String) {
        match self {
            Self::Text(text) => quote(text, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    item.write_canonical(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                // One by one: a sort of the standard library would be eight kilobytes more.
                let mut ordered: Vec<&Field<'_>> = Vec::with_capacity(fields.len());
                for field in fields {
                    let place = ordered.partition_point(|(key, _)| *key < field.0);
                    ordered.insert(place, field);
                }
                out.push('{');
                for (index, (key, value)) in ordered.into_iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    quote(key, out);
                    out.push(':');
                    value.write_canonical(out);
                }
                out.push('}');
            }
            scalar => out.push_str(scalar.scalar().unwrap_or_default()),
        }
    }
}

/// A key that is there twice.
fn twice(fields: &[Field<'_>]) -> Option<String> {
    if fields.len() <= COMPARED_MAX {
        let mut all = fields.iter().enumerate();
        let again =
            all.find(|(index, (key, _))| fields.iter().take(*index).any(|(other, _)| other == key));
        return again.map(|(_, (key, _))| key.clone().into_owned());
    }
    let mut keys: Vec<(u128, &str)> =
        fields.iter().map(|(key, _)| (checksum::text_key(key), key.as_ref())).collect();
    sort::sort_by_key(&mut keys, |(key, _)| *key);
    let mut pairs = keys.windows(2);
    pairs.find_map(|pair| match pair {
        [(a, name), (b, _)] if a == b => Some((*name).to_owned()),
        _ => None,
    })
}

/// Writes a text as a string of JSON.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(keys: &[&'static str]) -> Result<Node<'static>, Unread> {
        Node::object(keys.iter().map(|key| (Cow::Borrowed(*key), Node::Null)).collect())
    }

    #[test]
    fn a_key_twice_is_found_among_few_and_among_many() {
        let many = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        assert!(object(&many).is_ok() && object(&many[..5]).is_ok() && object(&[]).is_ok());
        let key_twice = |key: &str| Err(Unread::KeyTwice(key.to_owned()));
        assert_eq!(object(&["a", "b", "a"]), key_twice("a"));
        let mut again = many.to_vec();
        again.push("c");
        assert_eq!(object(&again), key_twice("c"));
    }

    #[test]
    fn an_index_is_plain_and_a_key_is_whole() {
        let array = Node::Array(vec![Node::Number("1"), Node::Number("2")]);
        let mut steps = Steps::of(0);
        let mut at = |name| array.child(name, &mut steps).unwrap().and_then(Node::scalar);
        assert_eq!((at("0"), at("1"), at("2")), (Some("1"), Some("2"), None));
        assert_eq!((at("01"), at("+1"), at(""), at("-1")), (None, None, None, None));
    }
}
