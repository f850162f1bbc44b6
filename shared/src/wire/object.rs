//! A small body: one JSON object of known fields.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits;
use crate::wire::json_fields::unquoted;
use crate::wire::json_place;

/// The fields of an object, as written: numbers stay text, so that they can be read exactly.
#[derive(Debug)]
pub(crate) struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Parses a body. Each field must be one of `known`, and be given once; if not, the
    /// error says what is wrong, and what is known.
    pub(crate) fn parse(body: &'a [u8], known: &[&str]) -> Result<Self, String> {
        let body = std::str::from_utf8(body)
            .map_err(|e| format!("the body is not valid UTF-8 at byte {}", e.valid_up_to()))?;
        let body = body.strip_prefix('\u{feff}').unwrap_or(body);
        let listed = || known.join(", ");
        if body.trim_ascii().is_empty() {
            let wanted = "it must be an object with the fields";
            return Err(format!("the body is empty; {wanted} {}", listed()));
        }
        if let Err(error) = serde_json::from_str::<&RawValue>(body) {
            return Err(format!("the body is not valid {}", json_place::not_json_at(body, &error)));
        }
        let Ok(object) = serde_json::from_str::<Self>(body) else {
            return Err(format!("the body must be an object with the fields {}", listed()));
        };
        for (index, (name, _)) in object.0.iter().enumerate() {
            let echo: String = name.chars().take(limits::ECHO_CHARS_MAX).collect();
            if !known.contains(&name.as_str()) {
                return Err(format!("unknown field {echo:?}; supported: {}", listed()));
            }
            if object.0.iter().take(index).any(|(other, _)| other == name) {
                return Err(format!("field {echo:?} is given twice"));
            }
        }
        Ok(object)
    }

    /// Reads an object with any fields; `None` if it is none, or has a field twice.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let object: Self = serde_json::from_str(text).ok()?;
        let is_again = |(index, (name, _)): (usize, &(String, _))| {
            object.0.iter().take(index).any(|(other, _)| other == name)
        };
        let has_twice = object.0.iter().enumerate().any(is_again);
        (!has_twice).then_some(object)
    }

    /// A field's value as JSON; `None` if it is absent.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }

    /// The same; `None` also if it is `null`.
    pub(crate) fn value(&self, name: &str) -> Option<&'a str> {
        self.raw(name).filter(|raw| *raw != "null")
    }

    /// A field that is a string; `None` if it is absent or `null`.
    pub(crate) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, String> {
        let Some(raw) = self.value(name) else { return Ok(None) };
        match unquoted(raw) {
            Some(text) => Ok(Some(text)),
            None => Err(format!("{name} must be a string")),
        }
    }
}

impl<'a> Deserialize<'a> for Object<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'a> Visitor<'a> for V {
            type Value = Object<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'a RawValue>()? {
                    fields.push((name, value));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(V)
    }
}

/// The items of a JSON array, as written; `None` if it is none.
pub(crate) fn items(raw: &str) -> Option<Vec<&str>> {
    let items: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    Some(items.into_iter().map(RawValue::get).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["low_c", "high_c", "for"];

    #[test]
    fn values_stay_as_they_were_written() {
        let body = " {\"low_c\":-25.0001,\"for\":\"20\\u006d\", \"high_c\":null}\n".as_bytes();
        let object = Object::parse(body, &KNOWN).unwrap();
        assert_eq!(object.value("low_c"), Some("-25.0001"));
        assert_eq!((object.raw("high_c"), object.value("high_c")), (Some("null"), None));
        assert_eq!(object.text("for").unwrap().as_deref(), Some("20m"));
        assert_eq!(object.text("low_c"), Err("low_c must be a string".to_owned()));
        assert_eq!(Object::parse("\u{feff}{}".as_bytes(), &KNOWN).unwrap().raw("for"), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, expected) in [
            ("", "the body is empty; it must be an object with the fields low_c, high_c, for"),
            (" \n", "the body is empty; it must be an object with the fields low_c, high_c, for"),
            (
                "{\"low_c\":4,5}",
                "the body is not valid JSON at character 12 (near `4,5`): write decimals with a \
                 point, not a comma",
            ),
            ("{\"low_c\":NaN}", "the body is not valid JSON at character 10 (near `NaN`)"),
            (
                "{} {}",
                "the body is not valid JSON at character 4: expected nothing more but found {",
            ),
            ("[]", "the body must be an object with the fields low_c, high_c, for"),
            ("null", "the body must be an object with the fields low_c, high_c, for"),
            ("{\"low\":1}", "unknown field \"low\"; supported: low_c, high_c, for"),
            ("{\"for\":1,\"for\":1}", "field \"for\" is given twice"),
        ] {
            assert_eq!(Object::parse(body.as_bytes(), &KNOWN).unwrap_err(), expected, "{body}");
        }
        let error = Object::parse(b"{\"\xff\":1}", &KNOWN).unwrap_err();
        assert_eq!(error, "the body is not valid UTF-8 at byte 2");
    }
}
