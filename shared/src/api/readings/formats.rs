//! The formats that readings are sent in: which one a body has by its head, and its items.

use std::borrow::Cow;

use super::answers;
use crate::http::body::{self, JSON};
use crate::http::{Header, Kind, Problem, Request};
use crate::limits;
use crate::wire::gzip::{self, GzipError};
use crate::wire::item::Parsed;
use crate::wire::{batch, csv, json, ndjson};

/// How the readings of a body are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One object, or an array of them.
    Json,
    /// One object a line.
    Ndjson,
    /// A row each, below a line with the names of the columns.
    Csv,
    /// A pack of RFC 8428.
    Senml,
    /// A batch of another node.
    Batch,
}

/// The media types, as clients write them.
const TYPES: [(&str, Format); 7] = [
    (JSON, Format::Json),
    ("application/x-ndjson", Format::Ndjson),
    ("application/jsonl", Format::Ndjson),
    ("application/ndjson", Format::Ndjson),
    ("text/csv", Format::Csv),
    ("application/senml+json", Format::Senml),
    (batch::MEDIA_TYPE, Format::Batch),
];

/// The types that a body may have.
pub const MEDIA_TYPES: [&str; TYPES.len()] = {
    let mut types = [""; TYPES.len()];
    let mut index = 0;
    while index < TYPES.len() {
        #[expect(clippy::indexing_slicing, reason = "computed by the compiler")]
        (types[index] = TYPES[index].0);
        index += 1;
    }
    types
};

/// The format that the head of a request names. A sender that names no type sends JSON. Each
/// value of a repeated header must name the same; empty values are ignored.
pub(super) fn format(request: &Request) -> Result<Format, Problem> {
    let mut found = None;
    for media_type in body::members(request.headers.get(Header::ContentType).unwrap_or_default()) {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let named = TYPES.iter().find(|(name, _)| media_type.eq_ignore_ascii_case(name));
        match (named.map(|(_, format)| *format), found) {
            (Some(format), None) => found = Some(format),
            (Some(format), Some(before)) if format == before => {}
            _ => return Err(unsupported_type()),
        }
    }
    let format = found.unwrap_or(Format::Json);
    // A node never compresses: its batches are smaller than what gzip would make of them.
    if is_gzip(request)? && format == Format::Batch {
        return Err(unsupported_encoding("identity"));
    }
    Ok(format)
}

fn unsupported_type() -> Problem {
    let named = "application/json, application/x-ndjson, text/csv or application/senml+json";
    let detail = format!("content-type is not supported; send readings as {named}");
    Problem::new(Kind::UnsupportedMediaType, detail)
        .with_header("accept-post", MEDIA_TYPES.join(", "))
}

fn unsupported_encoding(supported: &str) -> Problem {
    let detail = "content-encoding is not supported; send the body as gzip, or uncompressed";
    Problem::new(Kind::UnsupportedMediaType, detail).with_header("accept-encoding", supported)
}

/// Whether the body is compressed by gzip, once.
pub(crate) fn is_gzip(request: &Request) -> Result<bool, Problem> {
    let encodings = request.headers.get(Header::ContentEncoding).unwrap_or_default();
    let mut is_gzip = false;
    for encoding in body::members(encodings) {
        if encoding.eq_ignore_ascii_case("identity") {
            continue;
        }
        let is_known =
            encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip");
        if !is_known || is_gzip {
            return Err(unsupported_encoding("gzip, identity"));
        }
        is_gzip = true;
    }
    Ok(is_gzip)
}

/// The body without its compression. The bound on a body holds for what it has then.
pub(crate) fn inflated<'b>(
    request: &Request,
    body: &'b [u8],
    limit_bytes: usize,
) -> Result<Cow<'b, [u8]>, Problem> {
    if !is_gzip(request)? {
        return Ok(Cow::Borrowed(body));
    }
    gzip::inflate(body, limit_bytes).map(Cow::Owned).map_err(|error| match error {
        GzipError::TooLarge => Problem::body_too_large(limit_bytes),
        GzipError::CutOff => {
            let detail = "the compressed body ends too early: it was cut off; nothing was stored";
            Problem::new(Kind::Unreadable, detail)
        }
        GzipError::Damaged => {
            let detail = "the body is not valid gzip (RFC 1952); nothing was stored";
            Problem::new(Kind::Unreadable, detail)
        }
    })
}

/// The items of a body in one of the formats that name everything.
pub(super) fn items(format: Format, body: &[u8]) -> Result<Parsed<'_>, Problem> {
    let parsed = match format {
        Format::Ndjson => ndjson::parse(body),
        Format::Csv => csv::parse(body),
        Format::Json | Format::Senml | Format::Batch => json::parse(body),
    };
    parsed.map_err(answers::unreadable)
}

/// Checks the query of a request with readings: a sender that puts a token there, say, should
/// know that it is not looked at.
pub(super) fn check_query(request: &Request, format: Format) -> Result<(), Problem> {
    let query = request.query.as_deref().unwrap_or_default();
    for (name, _) in form_urlencoded::parse(query.as_bytes()) {
        if format == Format::Senml && name == "region" {
            continue;
        }
        let name: String = name.chars().take(limits::ECHO_CHARS_MAX).collect();
        let known = match format {
            Format::Senml => "supported: region",
            _ => "readings are sent in the body, and a token in the header authorization",
        };
        let detail = format!("unknown query parameter {name:?}; {known}");
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    Ok(())
}
