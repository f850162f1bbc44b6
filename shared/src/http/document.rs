//! The content of an answer, as records, and how it is written: JSON, CSV (RFC 4180) or
//! NDJSON.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::domain::reading::UnixMillis;
use crate::http::accept::Format;
use crate::http::{Header, Request, Response};

impl From<UnixMillis> for Value {
    fn from(instant: UnixMillis) -> Self {
        Self::String(instant.to_string())
    }
}

/// Named values, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    pub(crate) fn of<const N: usize>(fields: [(&'static str, Value); N]) -> Self {
        Self(fields.into())
    }

    /// Adds a field.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }
}

/// Records with the same fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Value>>,
}

/// The content of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document {
    /// In JSON, the name of the array of records. Without a name, the table's only
    /// record is the document.
    pub(crate) list: Option<&'static str>,
    /// The records.
    pub(crate) table: Table,
    /// Fields that apply to all records.
    pub(crate) about: Fields,
    /// What the answer covers: in JSON as fields, otherwise in a header.
    pub(crate) coverage: Fields,
    /// The next page, if there is one, as a reference relative to the request.
    pub(crate) next: Option<String>,
}

/// Columns that change with the clock alone: the entity tag leaves them out.
const VOLATILE: [&str; 3] = ["newest_age_ms", "as_of", "now"];

/// What is said beside the records of how complete they are. In formats that have the records
/// alone, it is with what the answer covers.
const COMPLETENESS: [&str; 9] = [
    "kept_from",
    "count",
    "late",
    "time_assumed",
    "duplicates",
    "conflicts",
    "corrected",
    "devices",
    "revision",
];

impl Document {
    /// The answer to `request`: the document, or 304 if the client already has it.
    pub(crate) fn into_response(self, request: &Request, format: Format) -> Response {
        let tag = format!("W/\"{:016x}\"", self.digest(format));
        if let Some(known) = request.headers.get(Header::IfNoneMatch)
            && is_among(&tag, known)
        {
            return Response::not_modified(&tag).with_header("vary", "accept");
        }
        let body = match format {
            Format::Json => json_line(&self),
            Format::Csv => self.table.csv(),
            Format::Ndjson => self.table.ndjson(),
        };
        let mut response = Response::revalidated(format.media_type(), &tag, body);
        response = response.with_header("vary", "accept");
        if let Some(next) = &self.next {
            response = response.with_header("link", format!("<{next}>; rel=\"next\""));
        }
        if format != Format::Json {
            let about = self.about.0.into_iter().filter(|(name, _)| COMPLETENESS.contains(name));
            let covers = Fields(self.coverage.0.into_iter().chain(about).collect());
            response = response.with_header("isotherm-coverage", covers.dictionary());
        }
        response
    }

    /// A hash that is the same for the same answer at any time.
    fn digest(&self, format: Format) -> u64 {
        let is_steady = |name: &&str| !VOLATILE.contains(name);
        let mut hasher = DefaultHasher::new();
        (format, &self.next, &self.about.0).hash(&mut hasher);
        for (_, value) in self.coverage.0.iter().filter(|(name, _)| is_steady(name)) {
            value.hash(&mut hasher);
        }
        for row in &self.table.rows {
            let cells = self.table.columns.iter().zip(row);
            cells.filter(|(name, _)| is_steady(name)).for_each(|(_, v)| v.hash(&mut hasher));
        }
        hasher.finish()
    }
}

/// Whether one of the entity tags in `list` is `tag`, by the weak comparison
/// (RFC 9110, 8.8.3.2).
pub(crate) fn is_among(tag: &str, list: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    list.trim() == "*" || list.split(',').any(|known| opaque(known) == opaque(tag))
}

impl Table {
    /// RFC 4180, with a header line. Names in a list are separated by spaces.
    fn csv(&self) -> Vec<u8> {
        let mut text = self.columns.join(",").into_bytes();
        text.extend(b"\r\n");
        for row in &self.rows {
            for (position, cell) in row.iter().enumerate() {
                if position > 0 {
                    text.push(b',');
                }
                match cell {
                    Value::Null => {}
                    Value::String(string) => put_csv(&mut text, string.as_bytes()),
                    Value::Array(names) => {
                        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                        text.extend(names.join(" ").as_bytes());
                    }
                    other => put_csv(&mut text, &json_line(other)),
                }
            }
            text.extend(b"\r\n");
        }
        text
    }

    fn ndjson(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for row in &self.rows {
            text.extend(json_line(&Line(&self.columns, row)));
            text.push(b'\n');
        }
        text
    }
}

impl Fields {
    /// A dictionary of structured fields (RFC 9651); null values and lists are left out.
    pub(crate) fn dictionary(&self) -> String {
        let member = |(name, value): &(&str, Value)| match value {
            Value::Null | Value::Array(_) => None,
            Value::Bool(is) => Some(format!("{name}=?{}", u8::from(*is))),
            // Written as in a body: `Display` would add another writer to the
            // component.
            other => Some(format!("{name}={}", String::from_utf8_lossy(&json_line(other)))),
        };
        self.0.iter().filter_map(member).collect::<Vec<_>>().join(", ")
    }
}

/// Writes a cell, in quotes if it needs them (RFC 4180, 2.6 and 2.7).
fn put_csv(text: &mut Vec<u8>, cell: &[u8]) {
    let needs_quotes = |byte: &u8| matches!(byte, b',' | b'"' | b'\r' | b'\n');
    if !cell.iter().any(needs_quotes) {
        return text.extend(cell);
    }
    text.push(b'"');
    for byte in cell {
        if *byte == b'"' {
            text.push(b'"');
        }
        text.push(*byte);
    }
    text.push(b'"');
}

/// All maps that are built here have string keys, so writing can't fail.
fn json_line(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

struct Line<'a>(&'a [&'static str], &'a [Value]);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.iter().zip(self.1) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Table {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for row in &self.rows {
            list.serialize_element(&Line(&self.columns, row))?;
        }
        list.end()
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.about.0 {
            map.serialize_entry(name, value)?;
        }
        match (self.list, self.table.rows.first()) {
            (Some(name), _) => map.serialize_entry(name, &self.table)?,
            (None, Some(row)) => {
                for (name, value) in self.table.columns.iter().zip(row) {
                    map.serialize_entry(name, value)?;
                }
            }
            (None, None) => {}
        }
        if let Some(next) = &self.next {
            map.serialize_entry("next", next)?;
        }
        for (name, value) in &self.coverage.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Document {
        let row = |name: &str, average: Value| vec![json!(name), average, json!(7)];
        Document {
            list: Some("regions"),
            table: Table {
                columns: vec!["region", "average_c", "newest_age_ms"],
                rows: vec![row("hall", json!(20.5)), row("yard", Value::Null)],
            },
            about: Fields::default(),
            coverage: Fields::of([("as_of", json!("2026")), ("stale", json!(false))]),
            next: None,
        }
    }

    fn written(format: Format) -> String {
        let response = document().into_response(&Request::get("/"), format);
        String::from_utf8(response.body).unwrap()
    }

    #[test]
    fn a_document_in_each_format() {
        assert_eq!(
            written(Format::Json),
            r#"{"regions":[{"region":"hall","average_c":20.5,"newest_age_ms":7},"#.to_owned()
                + r#"{"region":"yard","average_c":null,"newest_age_ms":7}],"as_of":"2026","stale":false}"#
        );
        assert_eq!(
            written(Format::Csv),
            "region,average_c,newest_age_ms\r\nhall,20.5,7\r\nyard,,7\r\n"
        );
        assert_eq!(
            written(Format::Ndjson),
            "{\"region\":\"hall\",\"average_c\":20.5,\"newest_age_ms\":7}\n\
             {\"region\":\"yard\",\"average_c\":null,\"newest_age_ms\":7}\n"
        );
    }

    #[test]
    fn how_complete_records_are_is_in_a_header_where_they_stand_alone() {
        let mut document = document();
        let about = [("region", json!("hall")), ("kept_from", json!("2026")), ("count", json!(7))];
        document.about = Fields::of(about).with("devices", Value::Null).with("corrected", 1);
        let header = |format| {
            let response = document.clone().into_response(&Request::get("/"), format);
            let found = response.headers.iter().find(|(name, _)| *name == "isotherm-coverage");
            found.map(|(_, value)| value.to_string())
        };
        let expected = r#"as_of="2026", stale=?0, kept_from="2026", count=7, corrected=1"#;
        assert_eq!(header(Format::Csv).as_deref(), Some(expected));
        assert_eq!(header(Format::Ndjson).as_deref(), Some(expected));
        assert_eq!(header(Format::Json), None);
    }

    #[test]
    fn a_cell_of_csv_has_quotes_where_it_needs_them() {
        let cells = ["a b", "a,b", "\"", "a\r\nb", "'ü", ""].map(|text| json!(text));
        let row = [&cells[..], &[json!(["x", "y"]), json!(-1.5)]].concat();
        let columns = vec!["a", "b", "c", "d", "e", "f", "g", "h"];
        let csv = String::from_utf8(Table { columns, rows: vec![row] }.csv()).unwrap();
        let expected = "a b,\"a,b\",\"\"\"\",\"a\r\nb\",'ü,,x y,-1.5\r\n";
        assert_eq!(csv, format!("a,b,c,d,e,f,g,h\r\n{expected}"));
    }

    #[test]
    fn the_entity_tag_changes_with_the_figures_and_not_with_the_clock() {
        let digest = document().digest(Format::Json);
        let mut later = document();
        later.coverage = Fields::of([("as_of", json!("2027")), ("stale", json!(false))]);
        later.table.rows[0][2] = json!(8);
        assert_eq!(later.digest(Format::Json), digest);
        assert_ne!(later.digest(Format::Csv), digest);
        later.table.rows[0][1] = json!(20.25);
        assert_ne!(later.digest(Format::Json), digest);
        let mut stale = document();
        stale.coverage = Fields::of([("as_of", json!("2026")), ("stale", json!(true))]);
        assert_ne!(stale.digest(Format::Json), digest);
    }

    #[test]
    fn a_known_entity_tag_is_found_in_a_list() {
        let tag = "W/\"0a\"";
        for list in ["W/\"0a\"", "\"0a\"", "\"x\", W/\"0a\"", "*"] {
            assert!(is_among(tag, list), "{list}");
        }
        for list in ["", "\"0b\"", "W/\"0\""] {
            assert!(!is_among(tag, list), "{list}");
        }
    }
}
