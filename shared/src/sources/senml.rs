//! The records of a SenML pack (RFC 8428), each with what it shares with those before it, as
//! messages that a mapping reads: `{"n":…,"t":…,"u":…,"v":…}`, and its other labels as they are.
//!
//! `POST /v1/readings` reads a pack by itself (`wire::senml`). This is for packs that need more:
//! other units, a void value, names put together otherwise.

use std::borrow::Cow;

use crate::domain::decimal::Decimal;
use crate::limits;
use crate::sources::scope::echo;
use crate::sources::scope::start;
use crate::sources::tree::Field;
use crate::sources::tree::Node;
use crate::sources::tree::Unread;

/// The digits behind the point that sums are exact to.
const PLACES: u32 = 24;

/// The version of SenML in RFC 8428.
const VERSION_MAX: i128 = 10;

/// The base fields that hold for a record.
#[derive(Default)]
pub(crate) struct Base<'a> {
    name: Cow<'a, str>,
    unit: Option<Node<'a>>,
    /// Scaled by `PLACES`; `None` before the first one.
    time: Option<i128>,
    /// The same.
    value: Option<i128>,
}

impl<'a> Base<'a> {
    /// The next record with its base fields; `None` if it has nothing but such. An error is of
    /// the whole pack: the records behind would mean something else.
    pub(crate) fn record(&mut self, record: Node<'a>) -> Result<Option<Node<'a>>, Unread> {
        let Node::Object(mut fields) = record else {
            return Err(wrong("a record of SenML must be an object"));
        };
        if let Some((label, _)) = fields.iter().find(|(label, _)| label.ends_with('_')) {
            return Err(Unread::Syntax(format!(
                "the label {} has to be understood, as it ends in _, and is not",
                echo(label)
            )));
        }
        self.take(&mut fields)?;
        if fields.is_empty() {
            return Ok(None);
        }
        let own_name = taken(&mut fields, "n");
        let own_name = match &own_name {
            None => "",
            Some(Node::Text(name)) => name,
            Some(_) => return Err(wrong("n must be a text")),
        };
        // Every record may have the base name: what is cut is too long for a device.
        let chars = limits::SOURCE_ID_CHARS_MAX + 1;
        let name = [start(&self.name, chars), start(own_name, chars)].concat();
        fields.push((Cow::Borrowed("n"), Node::Text(name.into())));
        if let Some(own) = taken(&mut fields, "v") {
            fields.push((Cow::Borrowed("v"), sum(self.value, own)));
        }
        let own = taken(&mut fields, "t").unwrap_or(Node::Number("0"));
        let is_relative = exact(&own)
            .is_some_and(|own| self.time.unwrap_or(0).saturating_add(own) < relative_below());
        if !is_relative {
            fields.push((Cow::Borrowed("t"), sum(self.time, own)));
        }
        if let Some(unit) = &self.unit
            && !fields.iter().any(|(label, _)| label == "u")
        {
            fields.push((Cow::Borrowed("u"), unit.clone()));
        }
        Ok(Some(Node::Object(fields)))
    }

    /// Takes the base fields out of those of a record.
    fn take(&mut self, fields: &mut Vec<Field<'a>>) -> Result<(), Unread> {
        if let Some(version) = taken(fields, "bver") {
            let is_known = exact(&version)
                .is_some_and(|version| (1..=VERSION_MAX).contains(&(version / unit_of_places())));
            if !is_known {
                return Err(wrong("bver must be at most 10, the version of RFC 8428"));
            }
        }
        if let Some(name) = taken(fields, "bn") {
            let Node::Text(name) = name else { return Err(wrong("bn must be a text")) };
            self.name = name;
        }
        if let Some(unit) = taken(fields, "bu") {
            self.unit = Some(unit);
        }
        for (label, base) in [("bt", &mut self.time), ("bv", &mut self.value)] {
            let Some(number) = taken(fields, label) else { continue };
            let number = exact(&number).ok_or_else(|| {
                Unread::Syntax(format!("{label} must be a number, of at most 24 decimals"))
            })?;
            *base = Some(number);
        }
        Ok(())
    }
}

fn wrong(detail: &str) -> Unread {
    Unread::Syntax(detail.to_owned())
}

/// Removes a field.
fn taken<'a>(fields: &mut Vec<Field<'a>>, label: &str) -> Option<Node<'a>> {
    let place = fields.iter().position(|(name, _)| name == label)?;
    Some(fields.remove(place).1)
}

/// A value and its base value. What is no number stays as it is: the mapping says so, with its
/// pointer.
fn sum<'a>(base: Option<i128>, own: Node<'a>) -> Node<'a> {
    let number = exact(&own);
    match base.zip(number).and_then(|(base, own)| base.checked_add(own)) {
        Some(sum) => Node::Text(written(sum).into()),
        None => own,
    }
}

/// A time below this, in seconds, is relative to now (RFC 8428, 4.5.3).
fn relative_below() -> i128 {
    unit_of_places() << 28
}

fn unit_of_places() -> i128 {
    10_i128.pow(PLACES)
}

/// A number, scaled by `PLACES`.
fn exact(node: &Node<'_>) -> Option<i128> {
    let Node::Number(text) = node else { return None };
    Decimal::parse_loose(text)?.exact(PLACES.into())
}

/// The decimal of a number that is scaled by `PLACES`.
fn written(scaled: i128) -> String {
    let unit = unit_of_places().unsigned_abs();
    let sign = if scaled < 0 { "-" } else { "" };
    let (whole, part) = (scaled.unsigned_abs() / unit, scaled.unsigned_abs() % unit);
    let text = format!("{sign}{whole}.{part:024}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use crate::sources::tried::{Sent, mapping, outcome, tried};

    /// What becomes of each record by a mapping.
    fn check(keys: &str, body: &str, expected: &[&str]) {
        let mapping = mapping(&format!(
            "{{\"body\":\"senml\",\"take\":[{{\"value\":\"v\",\"where\":{{\"u\":[\"Cel\",\"K\",\
             \"degF\"]}}}}],\"unit\":{{\"at\":\"u\",\"Cel\":\"C\",\"K\":\"K\",\"degF\":\"F\"}},\
             \"device\":[\"@n\"],\"time\":{{\"at\":\"t\",\"as\":\"unix-s\"{keys}}}}}"
        ));
        assert_eq!(outcome(tried(&mapping, Sent { body, ..Sent::default() })), expected, "{body}");
    }

    #[test]
    fn a_record_has_what_those_before_it_say() {
        let body = r#"[{"bn":"urn:dev:mac:0024:","bt":1.795647e9,"bu":"Cel","bv":20,"v":1.3},
            {"t":60,"v":1.45},{"n":"b","t":-60.5,"v":-0.25},{"u":"K","v":273.15},
            {"u":"degF","v":30},{"u":"%RH","v":50},{"vs":"text","n":"x"},{"bu":"%RH"},{"v":1}]"#;
        check(
            "",
            body,
            &[
                "/0/v urn:dev:mac:0024: 21300 =-123456",
                "/1/v urn:dev:mac:0024: 21450 =-63456",
                "/2/v urn:dev:mac:0024:b 19750 =-183956",
                "/3/v urn:dev:mac:0024: 20000 =-123456",
                "/4/v urn:dev:mac:0024: 10000 =-123456",
                "ignored 3",
            ],
        );
    }

    #[test]
    fn a_time_that_is_relative_to_now_is_missing() {
        let body = r#"[{"n":"a","u":"Cel","v":1,"t":-60},{"n":"b","u":"Cel","v":2}]"#;
        check("", body, &["/0/v !missing_timestamp", "/1/v !missing_timestamp"]);
        let received = ",\"missing\":\"received\"";
        check(received, body, &["/0/v a 1000 ~0", "/1/v b 2000 ~0"]);
    }

    #[test]
    fn what_changes_the_meaning_of_others_refuses_the_pack() {
        for (body, expected) in [
            (r#"[{"bver":11,"n":"a","u":"Cel","v":1,"t":1795647000}]"#, "bver must be"),
            (r#"[{"bt":"x"},{"n":"a","u":"Cel","v":1}]"#, "bt must be"),
            (r#"[{"bn":1}]"#, "bn must be"),
            (r#"[{"n":2,"v":1}]"#, "n must be"),
            (r#"[{"foo_":2,"v":1}]"#, "has to be understood"),
            (r#"[1]"#, "must be an object"),
            (r#"{"n":"a"}"#, "must be an array"),
        ] {
            let mapping = mapping(
                r#"{"body":"senml","take":[{"value":"v"}],"unit":"C","device":["@n"],
                    "time":{"at":"t","as":"unix-s"}}"#,
            );
            let outcome = outcome(tried(&mapping, Sent { body, ..Sent::default() }));
            assert!(outcome[0].contains(expected), "{body}: {outcome:?}");
        }
        let odd = r#"[{"n":"a","u":"Cel","v":"1x","t":1795647000},{"n":"a","u":"Cel","bv":1,"v":"warm","t":1795647001}]"#;
        check("", odd, &["/0/v !not_a_number", "/1/v !not_a_number"]);
    }

    #[test]
    fn a_long_base_name_is_not_copied_for_each_record() {
        let records: String = (0..2_000).map(|_| ",{\"v\":1}").collect();
        let body = format!("[{{\"bn\":\"{}\"}}{records}]", "x".repeat(100_000));
        check("", &body, &["ignored 2000"]);
    }
}
