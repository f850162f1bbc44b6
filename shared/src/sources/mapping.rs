//! Mappings: which values of a message are temperatures, of which device and of when.
//!
//! A mapping is parsed whole, and refused if it has an unknown key, or could never give a
//! reading. What is valid can be applied to any message.

use std::borrow::Cow;

use crate::base::digest;
use crate::domain::decimal::Decimal;
use crate::domain::plausible::Plausible;
use crate::domain::reading::MilliCelsius;
use crate::domain::unit::Unit;
use crate::limits;
use crate::sources::fields::At;
use crate::sources::fields::MappingError;
use crate::sources::glob::Globs;
use crate::sources::json;
use crate::sources::number::UnitRule;
use crate::sources::pointer::Pointer;
use crate::sources::presets;
use crate::sources::reply::Replies;
use crate::sources::subject::Part;
use crate::sources::subject::Subject;
use crate::sources::subject::Test;
use crate::sources::time::TimeRule;
use crate::sources::tree::Node;

/// The format of a body, whatever its `content-type` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// One message in JSON.
    Json,
    /// A message a line, in JSON.
    Ndjson,
    /// One message: the pairs of query and body.
    Form,
    /// One message: the pairs of the query.
    Query,
    /// A message a line, in InfluxDB's line protocol.
    Line,
    /// A message a row, with a header line and this separator.
    Csv(char),
    /// A message a record of a SenML pack.
    Senml,
}

/// A value that is a temperature, if it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Take {
    pub(crate) value: Pointer,
    /// What the item must be.
    pub(crate) tests: Vec<Test>,
    pub(crate) unit: UnitRule,
    /// The power of ten that the number is multiplied with, before the unit.
    pub(crate) scale: i64,
    /// Texts of the value that are no temperature.
    pub(crate) void: Vec<String>,
    pub(crate) device: Vec<Part>,
    /// Empty if the mapping says nothing.
    pub(crate) region: Vec<Part>,
}

/// A mapping, valid by construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) body: Body,
    /// What a message must be; others are ignored.
    pub(crate) only: Vec<Test>,
    /// Where the items of a message are; without parts the message is the item.
    pub(crate) each: Pointer,
    /// At least one.
    pub(crate) take: Vec<Take>,
    pub(crate) time: TimeRule,
    /// Where the sender's own number of the message is.
    pub(crate) id: Option<Pointer>,
    /// What the temperatures of the source can be.
    pub(crate) plausible: Plausible,
    /// Whether a message with a rejected value is refused, as if it were not the source's.
    pub(crate) is_strict: bool,
    /// Whether numbers are written with a comma.
    pub(crate) has_comma: bool,
    pub(crate) replies: Replies,
    digest: [u8; 32],
}

/// The keys of a mapping.
const KEYS: [&str; 16] = [
    "body",
    "only",
    "each",
    "take",
    "unit",
    "scale",
    "void",
    "device",
    "region",
    "time",
    "id",
    "reply",
    "limits",
    "strict",
    "separator",
    "decimal",
];

/// The keys of a `take`.
const TAKE_KEYS: [&str; 7] = ["value", "where", "unit", "scale", "void", "device", "region"];

impl Mapping {
    /// Parses a mapping, of at most `limits::SOURCE_MAPPING_BYTES_MAX`: an object, the text
    /// `preset:<name>`, or an object whose key `preset` names a preset and whose other keys
    /// replace those of it (`null` removes one). `name` is that of the source. The error is a
    /// sentence for the person that wrote the mapping.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, MappingError> {
        let mapping = whole(text).and_then(|node| Self::of(&node));
        mapping.map_err(|MappingError(what)| MappingError(format!("source {name:?}: {what}")))
    }

    /// Whether it reads InfluxDB's line protocol.
    pub(crate) fn reads_lines(&self) -> bool {
        matches!(self.body, Body::Line)
    }

    /// The SHA-256 of the mapping that is in force, with a preset in place of its name, and
    /// without regard to space and the order of keys.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn of(node: &Node<'_>) -> Result<Self, MappingError> {
        let at = At::root(node);
        at.check_keys(&KEYS)?;
        let each = at.get("each").map_or(Ok(Pointer::default()), |at| each(&at))?;
        let stars = each.stars();
        let time = at.get("time").ok_or_else(|| at.error("must have `time`"))?;
        let mut canonical = String::new();
        node.write_canonical(&mut canonical);
        Ok(Self {
            body: body(&at)?,
            only: at.get("only").map_or(Ok(Vec::new()), |at| tests(&at, 0, true))?,
            take: takes(&at, stars)?,
            each,
            time: TimeRule::parse(&time)?,
            id: at.get("id").map(|at| pointer(&at)).transpose()?,
            plausible: at.get("limits").map_or(Ok(Plausible::default()), |at| plausible(&at))?,
            is_strict: at.get("strict").map_or(Ok(false), |at| at.flag())?,
            has_comma: at.get("decimal").map_or(Ok(false), |at| has_comma(&at))?,
            replies: at.get("reply").map_or(Ok(Replies::default()), |at| Replies::parse(&at))?,
            digest: digest::sha256(&canonical),
        })
    }
}

/// The mapping that is in force.
fn whole(text: &str) -> Result<Node<'_>, MappingError> {
    let text = text.trim();
    if text.len() > limits::SOURCE_MAPPING_BYTES_MAX {
        let most = limits::SOURCE_MAPPING_BYTES_MAX;
        return Err(MappingError(format!("the mapping has more than {most} bytes")));
    }
    if let Some(name) = text.strip_prefix("preset:") {
        return preset(name.trim());
    }
    let node = parsed(text)?;
    // A string of JSON, as the variable has it.
    if let Node::Text(Cow::Borrowed(text)) = node
        && let Some(name) = text.strip_prefix("preset:")
    {
        return preset(name.trim());
    }
    match At::root(&node).get("preset").map(|name| name.text().and_then(preset)) {
        Some(preset) => Ok(replaced(preset?, node)),
        None => Ok(node),
    }
}

fn parsed(text: &str) -> Result<Node<'_>, MappingError> {
    json::parse(text).map_err(|unread| MappingError(unread.detail()))
}

fn preset(name: &str) -> Result<Node<'static>, MappingError> {
    match presets::text(name) {
        Some(text) => parsed(text),
        None => {
            let names = presets::names();
            Err(MappingError(format!("there is no preset {name:?}; there are {names}")))
        }
    }
}

/// A preset, with other values for some of its keys.
fn replaced<'m>(preset: Node<'m>, by: Node<'m>) -> Node<'m> {
    let (Node::Object(mut fields), Node::Object(others)) = (preset, by) else {
        return Node::Null;
    };
    fields.retain(|(key, _)| !others.iter().any(|(other, _)| other == key));
    let is_set = |(key, value): &(Cow<'m, str>, Node<'m>)| key != "preset" && *value != Node::Null;
    fields.extend(others.into_iter().filter(is_set));
    Node::Object(fields)
}

fn body(at: &At<'_>) -> Result<Body, MappingError> {
    let body = at.get("body").ok_or_else(|| at.error("must have `body`"))?;
    let separator = at.get("separator");
    let parsed = match body.text()? {
        "json" => Body::Json,
        "ndjson" => Body::Ndjson,
        "form" => Body::Form,
        "query" => Body::Query,
        "line" => Body::Line,
        "csv" => Body::Csv(separator.as_ref().map_or(Ok(','), csv_separator)?),
        "senml" => Body::Senml,
        _ => return Err(body.error("must be json, ndjson, form, query, line, csv or senml")),
    };
    match (parsed, separator) {
        (Body::Csv(_), _) | (_, None) => Ok(parsed),
        (_, Some(separator)) => Err(separator.error("is for the body csv alone")),
    }
}

fn csv_separator(at: &At<'_>) -> Result<char, MappingError> {
    match at.text()? {
        "," => Ok(','),
        ";" => Ok(';'),
        "\t" => Ok('\t'),
        _ => Err(at.error("must be a comma, a semicolon or a tab (\"\\t\")")),
    }
}

fn has_comma(at: &At<'_>) -> Result<bool, MappingError> {
    match at.text()? {
        "," => Ok(true),
        "." => Ok(false),
        _ => Err(at.error("must be a point or a comma")),
    }
}

fn pointer(at: &At<'_>) -> Result<Pointer, MappingError> {
    Pointer::parse(at.text()?).map_err(|what| at.error(what))
}

fn each(at: &At<'_>) -> Result<Pointer, MappingError> {
    let pointer = pointer(at)?;
    match pointer.is_from_root {
        true => Ok(pointer),
        false => Err(at.error("must begin with /, at the message")),
    }
}

/// Tests: an object of subjects, each with a glob or a list of them.
fn tests(at: &At<'_>, stars: usize, is_of_message: bool) -> Result<Vec<Test>, MappingError> {
    let mut tests = Vec::new();
    for (key, value) in at.pairs(limits::SOURCE_LIST_MAX)? {
        let subject = Subject::parse(key, stars).map_err(|what| value.error(what))?;
        let is_of_item = matches!(&subject, Subject::At(pointer) if !pointer.is_from_root);
        if is_of_message && is_of_item {
            return Err(value.error("must be named from the message on, with a / before it"));
        }
        let mut globs = Globs::default();
        let list = value.list(limits::SOURCE_LIST_MAX)?;
        for glob in &list {
            let most = || glob.error("is one glob too many");
            globs.add(glob.text_or_number()?).ok_or_else(most)?;
        }
        if list.is_empty() {
            return Err(value.error("must have a glob"));
        }
        tests.push(Test { subject, globs });
    }
    Ok(tests)
}

fn takes(at: &At<'_>, stars: usize) -> Result<Vec<Take>, MappingError> {
    let take = at.get("take").ok_or_else(|| at.error("must have `take`"))?;
    let list = take.list(limits::SOURCE_TAKES_MAX)?;
    if list.is_empty() {
        return Err(take.error("must have an alternative: no reading would ever be taken"));
    }
    list.iter().map(|own| alternative(own, at, stars)).collect()
}

/// An alternative. What it does not say itself holds for all of the mapping.
fn alternative(own: &At<'_>, all: &At<'_>, stars: usize) -> Result<Take, MappingError> {
    own.check_keys(&TAKE_KEYS)?;
    let of = |key| own.get(key).or_else(|| all.get(key));
    let value = own.get("value").ok_or_else(|| own.error("must have `value`, a pointer"))?;
    let no_unit = || own.error("must have `unit`, here or in the mapping: there is no default");
    let no_device = || own.error("must have `device`, here or in the mapping");
    Ok(Take {
        value: pointer(&value)?,
        tests: own.get("where").map_or(Ok(Vec::new()), |at| tests(&at, stars, false))?,
        unit: UnitRule::parse(&of("unit").ok_or_else(no_unit)?)?,
        scale: of("scale").map_or(Ok(0), |at| scale(&at))?,
        void: of("void").map_or(Ok(Vec::new()), |at| texts(&at))?,
        device: parts(&of("device").ok_or_else(no_device)?, stars)?,
        region: of("region").map_or(Ok(Vec::new()), |at| parts(&at, stars))?,
    })
}

fn scale(at: &At<'_>) -> Result<i64, MappingError> {
    at.integer(-limits::SOURCE_SCALE_MAX, limits::SOURCE_SCALE_MAX)
}

fn texts(at: &At<'_>) -> Result<Vec<String>, MappingError> {
    let list = at.list(limits::SOURCE_LIST_MAX)?;
    list.iter().map(|text| text.text_or_number().map(ToOwned::to_owned)).collect()
}

fn parts(at: &At<'_>, stars: usize) -> Result<Vec<Part>, MappingError> {
    let list = at.list(limits::SOURCE_LIST_MAX)?;
    if list.is_empty() {
        return Err(at.error("must have a part"));
    }
    list.iter()
        .map(|part| Part::parse(part.text()?, stars).map_err(|what| part.error(what)))
        .collect()
}

fn plausible(at: &At<'_>) -> Result<Plausible, MappingError> {
    at.check_keys(&["low", "high"])?;
    let celsius = |at: At<'_>| {
        let number = Decimal::parse_loose(at.text_or_number()?);
        let milli: Option<MilliCelsius> = number.and_then(|n| Unit::Celsius.millicelsius(n, 0));
        milli.ok_or_else(|| at.error("must be a temperature in degrees Celsius"))
    };
    let low = at.get("low").map(celsius).transpose()?;
    let high = at.get("high").map(celsius).transpose()?;
    match low.zip(high).is_some_and(|(low, high)| low > high) {
        true => Err(at.error("must have a `low` that is not above `high`")),
        false => Ok(Plausible { low, high }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &str = r#"{"body":"json","take":[{"value":"t","unit":"C"}],"device":"@id",
        "time":{"at":"at","as":"unix"}}"#;

    fn error(text: &str) -> String {
        Mapping::parse("cellar", text).unwrap_err().to_string()
    }

    /// The plain mapping with some of its text replaced.
    fn with(from: &str, to: &str) -> String {
        assert!(PLAIN.contains(from), "{from}");
        PLAIN.replacen(from, to, 1)
    }

    #[test]
    fn every_error_says_where_and_what() {
        let root = "\"body\":\"json\"";
        for (text, expected) in [
            ("".to_owned(), "no valid JSON at character 1"),
            ("[]".to_owned(), "the mapping must be an object"),
            (with(root, r#""body":"json","bdy":1"#), "has the unknown key \"bdy\"; known: body,"),
            (with(root, r#""body":"json","body":"csv""#), "\"body\" is given twice"),
            (with("\"body\":\"json\",", ""), "the mapping must have `body`"),
            (
                with("\"json\"", "\"xml\""),
                "body must be json, ndjson, form, query, line, csv or senml",
            ),
            (with("\"json\"", "\"cbor\""), "body must be json"),
            (with(root, r#""body":"json","separator":";""#), "separator is for the body csv alone"),
            (with(root, r#""body":"csv","separator":"|""#), "separator must be a comma"),
            (with(root, r#""body":"json","decimal":";""#), "decimal must be a point or a comma"),
            (with(root, r#""body":"json","each":"a/*""#), "each must begin with /"),
            (with(root, r#""body":"json","each":"/a~2""#), "each must be a JSON pointer"),
            (
                with(root, r#""body":"json","only":{"a":"*"}"#),
                "only.a must be named from the message",
            ),
            (with(root, r#""body":"json","only":{"$0":"*"}"#), "only.$0 must be $0, $1"),
            (with(root, r#""body":"json","only":{"/a":[]}"#), "only./a must have a glob"),
            (with(root, r#""body":"json","only":{"/a":{}}"#), "only./a must be a list"),
            (with(root, r#""body":"json","strict":1"#), "strict must be true or false"),
            (with(root, r#""body":"json","id":1"#), "id must be a text"),
            (with("[{\"value\":\"t\",\"unit\":\"C\"}]", "[]"), "take must have an alternative"),
            (with("\"take\":[{\"value\":\"t\",\"unit\":\"C\"}],", ""), "must have `take`"),
            (with("\"value\":\"t\",", ""), "take[0] must have `value`"),
            (with(",\"unit\":\"C\"", ""), "take[0] must have `unit`, here or in the mapping"),
            (with("\"C\"", "\"c\""), "take[0].unit must be C, F or K"),
            (with("\"C\"", "{\"C\":\"C\"}"), "take[0].unit must have `at`"),
            (with("\"C\"", "{\"at\":\"u\"}"), "take[0].unit must say what each word"),
            (with("\"C\"", "{\"at\":\"u\",\"X\":\"X\"}"), "take[0].unit.X must be C, F or K"),
            (with("\"unit\"", "\"units\""), "take[0] has the unknown key \"units\""),
            (
                with("\"t\"", "\"t\",\"scale\":10"),
                "take[0].scale must be a whole number from -9 to 9",
            ),
            (with("\"t\"", "\"t\",\"scale\":0.5"), "take[0].scale must be a whole number"),
            (with("\"t\"", "\"t\",\"where\":\"x\""), "take[0].where must be an object"),
            (with("\"t\"", "\"t\",\"void\":[true]"), "take[0].void[0] must be a text"),
            (with("\"device\":\"@id\",", ""), "take[0] must have `device`"),
            (with("\"@id\"", "[]"), "device must have a part"),
            (with("\"@id\"", "[\"$0\"]"), "device[0] must be $0, $1"),
            (with("\"@id\"", "[\"@a~\"]"), "device[0] must be a JSON pointer"),
            (with("\"@id\"", "[\"#Authorization\"]"), "device[0] must be #x-mqtt-topic"),
            (with("\"@id\"", "true"), "device must be a list"),
            (with(",\n        \"time\":{\"at\":\"at\",\"as\":\"unix\"}", ""), "must have `time`"),
            (with("{\"at\":\"at\",\"as\":\"unix\"}", "{}"), "time must have `at`, or"),
            (with(",\"as\":\"unix\"", ""), "time must say with `as`"),
            (with("\"at\":\"at\",", ""), "time must have `at`, or"),
            (
                with("\"at\":\"at\",", "\"missing\":\"received\","),
                "time has `as` or `now`, and no `at`",
            ),
            (with("\"unix\"", "\"unix\",\"slot_ms\":1000"), "time has `slot_ms`"),
            (
                with("\"unix\"", "\"unix\",\"slot_ms\":0"),
                "time.slot_ms must be a whole number from 1",
            ),
            (
                with("\"unix\"", "\"unix\",\"missing\":\"now\""),
                "time.missing must be refuse or received",
            ),
            (with("\"unix\"", "\"unix\",\"zone\":\"UTC\""), "time has `zone` or `ambiguous`"),
            (with("\"unix\"", "\"unix\",\"offset\":\"2h\""), "time.offset must be an offset"),
            (with("\"unix\"", "\"rfc3339\",\"offset\":\"+02:00\""), "time has `offset`"),
            (
                with("\"unix\"", "\"unix\",\"not_before\":\"soon\""),
                "time.not_before must be a year",
            ),
            (with("\"unix\"", "\"unixtime\""), "time.as must be one of unix, unix-s"),
            (with("\"unix\"", "[\"unix\",\"%Y\"]"), "time.as[1] must have a day"),
            (with("\"unix\"", "\"%Y-%m-%d %H\""), "time must have `zone`"),
            (
                with("\"unix\"", "\"%Y-%m-%d %H\",\"zone\":\"Europe/Berlin\""),
                "time.zone must be UTC",
            ),
            (with("\"unix\"", "\"unix\",\"ambiguous\":\"last\""), "time.ambiguous must be refuse"),
            (
                with(root, r#""body":"json","limits":{"low":5,"high":-5}"#),
                "limits must have a `low`",
            ),
            (
                with(root, r#""body":"json","limits":{"low":-300}"#),
                "limits.low must be a temperature",
            ),
            (with(root, r#""body":"json","limits":{"min":5}"#), "limits has the unknown key"),
            (
                with(root, r#""body":"json","reply":[404,"text/plain",""]"#),
                "reply[0] must be a whole",
            ),
            (
                with(root, r#""body":"json","reply":[204,"text/plain","ok"]"#),
                "reply[2] must be empty",
            ),
            (with(root, r#""body":"json","reply":[200,"text/plain"]"#), "reply must be [status"),
            (with(root, r#""body":"json","reply":[200,"a\nb","ok"]"#), "reply[1] must be a media"),
            (
                with(root, r#""body":"json","reply":{"void":[200,"a","b"]}"#),
                "reply has the unknown",
            ),
            ("preset:tasmoto".to_owned(), "there is no preset \"tasmoto\"; there are airrohr,"),
            (r#"{"preset":"ruuvi","unit":"X"}"#.to_owned(), "unit must be C, F or K"),
            (r#"{"preset":"ruuvi","time":null}"#.to_owned(), "must have `time`"),
        ] {
            let error = error(&text);
            assert!(error.starts_with("source \"cellar\": "), "{error}");
            assert!(error.contains(expected), "{text}: {error}");
        }
        Mapping::parse("cellar", PLAIN).unwrap();
    }

    #[test]
    fn sizes_are_bounded() {
        let long = with("\"body\"", &format!("{}\"body\"", " ".repeat(16 * 1024)));
        assert!(error(&long).contains("more than 16384 bytes"));
        let take = r#"{"value":"t","unit":"C"}"#;
        let takes = |count: usize| with(take, &vec![take; count].join(","));
        assert!(Mapping::parse("cellar", &takes(32)).is_ok());
        assert!(error(&takes(33)).contains("take may have at most 32 entries"));
        let globs = |count: usize| {
            with(
                "\"t\"",
                &format!("\"t\",\"where\":{{\"x\":[{}]}}", vec!["\"a\""; count].join(",")),
            )
        };
        assert!(Mapping::parse("cellar", &globs(32)).is_ok());
        assert!(error(&globs(33)).contains("may have at most 32 entries"));
    }

    #[test]
    fn a_preset_is_a_mapping_whose_keys_can_be_replaced() {
        let parse = |text: &str| Mapping::parse("cellar", text).unwrap();
        let whole = parse("preset:tasmota-influx");
        assert_eq!(parse("\"preset:tasmota-influx\""), whole);
        assert_eq!(parse(r#"{"preset":"tasmota-influx"}"#), whole);
        assert_eq!(parse(presets::text("tasmota-influx").unwrap()), whole);
        let hall = parse(r#"{"preset":"tasmota-influx","region":"hall","void":null}"#);
        assert_eq!(hall.take[0].region, [Part::Constant("hall".to_owned())]);
        assert!(hall.take[0].void.is_empty() && !whole.take[0].void.is_empty());
        assert_ne!(hall.digest(), whole.digest());
        assert_eq!(hall.take[0].value, whole.take[0].value);
    }

    #[test]
    fn the_digest_is_that_of_what_it_says() {
        let digest = |text: &str| Mapping::parse("cellar", text).unwrap().digest();
        let moved = r#"{ "time" : {"as":"unix","at":"at"}, "device":"@id", "body":"json",
            "take":[{"unit":"C","value":"t"}] }"#;
        assert_eq!(digest(moved), digest(PLAIN));
        assert_eq!(Mapping::parse("hall", PLAIN).unwrap().digest(), digest(PLAIN));
        assert_ne!(digest(&with("\"C\"", "\"F\"")), digest(PLAIN));
        // Stored beside readings: it must stay.
        let hex = crate::base::digest::hex(&digest(PLAIN));
        assert_eq!(hex, "4eadf230b364ac6015259477e639d51db225b9b2a39c446a1cdc155ffdf8550c");
    }

    proptest! {
        #[test]
        fn a_damaged_mapping_is_one_or_an_error(
            which in 0..3_usize, at in 0..3_000_usize, by in "[\\[\\]{}\":,a*$@#0]{0,3}",
        ) {
            let names = ["ruuvi", "tasmota", "ecowitt"];
            let text = presets::text(names[which]).unwrap();
            let at = at % text.len();
            if text.is_char_boundary(at) {
                let (before, behind) = text.split_at(at);
                let behind = behind.get(1..).unwrap_or_default();
                if let Err(error) = Mapping::parse("x", &[before, &by, behind].concat()) {
                    prop_assert!(error.to_string().starts_with("source \"x\": "));
                }
            }
        }
    }
}
