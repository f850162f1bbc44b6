//! Checks on the head of a request that has a body: its length, and its type.

use http::Method;

use crate::http::{Header, Kind, Problem, Request};

/// The type of every body.
pub(crate) const JSON: &str = "application/json";

/// Checks the length of the body. A body that is too large is neither read nor asked
/// for by 100 (Continue).
pub(crate) fn check_length(request: &Request, limit_bytes: usize) -> Result<(), Problem> {
    let length = request.headers.get(Header::ContentLength);
    let is_within = |bytes: u64| usize::try_from(bytes).is_ok_and(|bytes| bytes <= limit_bytes);
    match length.and_then(|bytes| bytes.parse().ok()) {
        Some(bytes) if !is_within(bytes) => Err(Problem::body_too_large(limit_bytes)),
        _ => Ok(()),
    }
}

/// Checks the type of the body, of which `what` is sent. Every value of a repeated header
/// must be good; empty values are ignored.
pub(crate) fn check_type(request: &Request, what: &str) -> Result<(), Problem> {
    let all = |header: Header, is_good: fn(&str) -> bool| {
        members(request.headers.get(header).unwrap_or_default()).all(is_good)
    };
    if !all(Header::ContentEncoding, |encoding| encoding.eq_ignore_ascii_case("identity")) {
        let detail = "content-encoding is not supported; send the body uncompressed";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail)
            .with_header("accept-encoding", "identity"));
    }
    // A sender that names no type sends JSON: there is no other format yet.
    let is_json = |media_type: &str| {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case(JSON)
    };
    if !all(Header::ContentType, is_json) {
        let detail = format!("content-type is not supported; send {what} as application/json");
        let header = if request.method == Method::POST { "accept-post" } else { "accept" };
        return Err(Problem::new(Kind::UnsupportedMediaType, detail).with_header(header, JSON));
    }
    Ok(())
}

/// The values in a header's list that are not empty. A comma in quotes (RFC 9110,
/// 5.6.4) does not separate values.
pub(crate) fn members(values: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let parts = values.split(move |c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    parts.map(str::trim).filter(|value| !value.is_empty())
}
