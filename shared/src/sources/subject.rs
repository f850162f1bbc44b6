//! What a mapping names beside constants: values of the message, keys on the way to an item,
//! headers and parameters of the request.

use std::borrow::Cow;

use crate::limits;
use crate::sources::glob::Globs;
use crate::sources::pointer::Pointer;
use crate::sources::scope::Scope;
use crate::sources::scope::start;
use crate::sources::steps::Steps;
use crate::sources::steps::TooCostly;
use crate::sources::tree::Node;

/// Something that has a text in each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A value.
    At(Pointer),
    /// `$0`: the key or index that the first `*` of `each` stood for.
    Star(usize),
    /// `#x-sensor`: a header, in lower case.
    Header(String),
    /// `?event`: a parameter of the query.
    Query(String),
}

/// What was found.
pub(crate) enum Found<'s> {
    /// Nothing.
    Absent,
    /// JSON's `null`.
    Null,
    /// A number, a text or a boolean.
    Text(Cow<'s, str>),
    /// An array or an object.
    Many,
}

/// The headers that a mapping may name: those that are read of a request, and `x-isotherm-key`,
/// which is the name of the ingest key that it came by.
const HEADERS: [&str; 3] = ["x-mqtt-topic", "x-sensor", "x-isotherm-key"];

impl Subject {
    /// Parses `$0`, `#header`, `?parameter`, or a pointer. `stars` is how many `*` there are.
    /// The error says what is wrong.
    pub(crate) fn parse(text: &str, stars: usize) -> Result<Self, &'static str> {
        let (Some(kind), rest) = (text.chars().next(), text.get(1..).unwrap_or_default()) else {
            return Ok(Self::At(Pointer::default()));
        };
        match kind {
            '$' => match rest.parse::<usize>().ok().filter(|number| *number < stars) {
                Some(number) => Ok(Self::Star(number)),
                None => Err("must be $0, $1 and so on, for a * that `each` has"),
            },
            '#' => match HEADERS.iter().any(|name| rest.eq_ignore_ascii_case(name)) {
                true => Ok(Self::Header(rest.to_ascii_lowercase())),
                false => Err("must be #x-mqtt-topic, #x-sensor or #x-isotherm-key"),
            },
            '?' if !rest.is_empty() => Ok(Self::Query(rest.to_owned())),
            _ => Pointer::parse(text).map(Self::At),
        }
    }

    /// What it is in this message.
    pub(crate) fn find<'s>(
        &'s self,
        scope: &Scope<'s, '_>,
        steps: &mut Steps,
    ) -> Result<Found<'s>, TooCostly> {
        let text = match self {
            Self::At(pointer) => {
                return Ok(match scope.find(pointer, steps)? {
                    None => Found::Absent,
                    Some(Node::Null) => Found::Null,
                    Some(node) => {
                        node.scalar().map_or(Found::Many, |text| Found::Text(Cow::Borrowed(text)))
                    }
                });
            }
            Self::Star(number) => scope.star(*number),
            Self::Header(name) => (scope.outside.header)(name).map(Cow::Owned),
            Self::Query(name) => {
                let mut query = scope.outside.query.iter();
                steps.take(scope.outside.query.len())?;
                query.find(|(key, _)| key == name).map(|(_, value)| Cow::Borrowed(value.as_ref()))
            }
        };
        steps.take(text.as_ref().map_or(0, |text| text.len()))?;
        Ok(text.map_or(Found::Absent, Found::Text))
    }
}

/// As in the mapping, for people.
impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(pointer) => pointer.fmt(f),
            Self::Star(number) => write!(f, "${number}"),
            Self::Header(name) => write!(f, "#{name}"),
            Self::Query(name) => write!(f, "?{name}"),
        }
    }
}

/// What something of a message must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) subject: Subject,
    pub(crate) globs: Globs,
}

impl Test {
    /// Whether it is met.
    pub(crate) fn is_met(
        &self,
        scope: &Scope<'_, '_>,
        steps: &mut Steps,
    ) -> Result<bool, TooCostly> {
        match self.subject.find(scope, steps)? {
            Found::Absent => self.globs.allow(None, steps),
            Found::Null => self.globs.allow(Some("null"), steps),
            Found::Text(text) => self.globs.allow(Some(&text), steps),
            Found::Many => self.globs.allow(Some(""), steps),
        }
    }
}

/// Whether all tests are met.
pub(crate) fn are_met(
    tests: &[Test],
    scope: &Scope<'_, '_>,
    steps: &mut Steps,
) -> Result<bool, TooCostly> {
    for test in tests {
        if !test.is_met(scope, steps)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A part of the text of a device or a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// This text.
    Constant(String),
    /// What the message has.
    Of(Subject),
}

impl Part {
    /// Parses a part: `@pointer`, `$0`, `#header`, `?parameter`; all others are constants.
    pub(crate) fn parse(text: &str, stars: usize) -> Result<Self, &'static str> {
        match text.chars().next() {
            Some('@') => {
                let pointer = text.strip_prefix('@').unwrap_or_default();
                Pointer::parse(pointer).map(Subject::At).map(Self::Of)
            }
            Some('$' | '#' | '?') => Subject::parse(text, stars).map(Self::Of),
            _ => Ok(Self::Constant(text.to_owned())),
        }
    }
}

const CUT_AT: usize = limits::SOURCE_ID_CHARS_MAX + 1;

/// The parts in a row, cut at one character more than `limits::SOURCE_ID_CHARS_MAX`, so that
/// what was cut is seen to be too long. The error is the subject that is absent, empty, or no
/// single value.
pub(crate) fn joined<'m>(
    parts: &'m [Part],
    scope: &Scope<'_, '_>,
    steps: &mut Steps,
) -> Result<Result<String, &'m Subject>, TooCostly> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Constant(constant) => text.push_str(constant),
            Part::Of(subject) => match subject.find_of(scope, steps)? {
                Some(found) => text.push_str(&found),
                None => return Ok(Err(subject)),
            },
        }
    }
    steps.take(text.len())?;
    let end = start(&text, CUT_AT).len();
    text.truncate(end);
    Ok(Ok(text))
}

impl Subject {
    /// The text of it, if it has one that is not empty.
    fn find_of(
        &self,
        scope: &Scope<'_, '_>,
        steps: &mut Steps,
    ) -> Result<Option<String>, TooCostly> {
        Ok(match self.find(scope, steps)? {
            Found::Text(text) if !text.is_empty() => Some(start(&text, CUT_AT).to_owned()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::sources::tree::Unread;
    use crate::sources::tried::Sent;
    use crate::sources::tried::mapping;
    use crate::sources::tried::outcome;
    use crate::sources::tried::tried;

    fn named(device: &str, sent: Sent<'_>) -> Vec<String> {
        outcome(tried(
            &mapping(&format!(
                r#"{{"body":"json","each":"/*","take":[{{"value":"t"}}],"unit":"C",
                "device":{device},"time":{{"missing":"received"}}}}"#
            )),
            sent,
        ))
    }

    #[test]
    fn a_device_is_made_of_constants_and_of_what_the_message_has() {
        let sent = Sent {
            query: "key=k%201",
            body: r#"{"a/b":{"t":1,"n":7,"none":null,"empty":"","list":[]}}"#,
            headers: &[("x-sensor", "s1")],
        };
        for (device, expected) in [
            (r##"["x-","$0",".","@n",".","#X-Sensor",".","?key"]"##, "x-a/b.7.s1.k 1 1000 ~0"),
            (r#""constant""#, "constant 1000 ~0"),
            (r#"["@/a~1b/n"]"#, "7 1000 ~0"),
            (r#"["@none"]"#, "!missing_field"),
            (r#"["@empty"]"#, "!missing_field"),
            (r#"["@list"]"#, "!missing_field"),
            (r#"["@absent"]"#, "!missing_field"),
            (r##"["#x-mqtt-topic"]"##, "!missing_field"),
            (r#"["?other"]"#, "!missing_field"),
        ] {
            assert_eq!(named(device, sent), [format!("/a~1b/t {expected}")], "{device}");
        }
    }

    #[test]
    fn a_header_that_is_looked_at_for_each_item_is_counted() {
        let long = "x".repeat(100_000);
        let body = format!("[{}{{\"t\":1}}]", "{\"t\":1},".repeat(100));
        let sent = Sent { query: "", body: &body, headers: &[("x-sensor", &long)] };
        assert_eq!(named(r##"["#x-sensor","$0"]"##, sent), [format!("{:?}", Unread::TooCostly)]);
    }
}
