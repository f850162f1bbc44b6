//! Checks on the head of a request: the length and type of its body, and how long its
//! sender waits.

use crate::http::{Header, Kind, Problem, Request};
use crate::limits;

const JSON: &str = "application/json";

/// The types that a body may have.
pub const MEDIA_TYPES: [&str; 1] = [JSON];

/// Checks the length of the body. A body that is too large is neither read nor asked
/// for by 100 (Continue).
pub(super) fn check_length(request: &Request, limit_bytes: usize) -> Result<(), Problem> {
    let length = request.headers.get(Header::ContentLength);
    let is_within = |bytes: u64| usize::try_from(bytes).is_ok_and(|bytes| bytes <= limit_bytes);
    match length.and_then(|bytes| bytes.parse().ok()) {
        Some(bytes) if !is_within(bytes) => Err(Problem::body_too_large(limit_bytes)),
        _ => Ok(()),
    }
}

/// Checks the type of the body. Every value of a repeated header must be good; empty
/// values are ignored.
pub(super) fn check_type(request: &Request) -> Result<(), Problem> {
    let all = |header: Header, is_good: fn(&str) -> bool| {
        members(request.headers.get(header).unwrap_or_default()).all(is_good)
    };
    if !all(Header::ContentEncoding, |encoding| encoding.eq_ignore_ascii_case("identity")) {
        let detail = "content-encoding is not supported; send the body uncompressed";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail)
            .with_header("accept-encoding", "identity"));
    }
    // A sensor that names no type sends JSON: there is no other format yet.
    let is_json = |media_type: &str| {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case(JSON)
    };
    if !all(Header::ContentType, is_json) {
        let detail = "content-type is not supported; send readings as application/json";
        return Err(
            Problem::new(Kind::UnsupportedMediaType, detail).with_header("accept-post", JSON)
        );
    }
    Ok(())
}

/// The values in a header's list that are not empty. A comma in quotes (RFC 9110,
/// 5.6.4) does not separate values.
fn members(values: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let parts = values.split(move |c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    parts.map(str::trim).filter(|value| !value.is_empty())
}

/// How long the sender wants to wait for the fold, in milliseconds: from
/// `Prefer: wait` or `Prefer: wait=10` (seconds, RFC 7240, section 4.3).
pub(super) fn wait_ms(request: &Request) -> Option<u64> {
    request.headers.get(Header::Prefer)?.split(',').find_map(|preference| {
        let preference = preference.split(';').next().unwrap_or_default();
        let (name, value) = match preference.split_once('=') {
            Some((name, value)) => (name, Some(value.trim().trim_matches('"'))),
            None => (preference, None),
        };
        if !name.trim().eq_ignore_ascii_case("wait") {
            return None;
        }
        let asked_ms = value.and_then(|s| s.parse::<u64>().ok()).map(|s| s.saturating_mul(1_000));
        Some(asked_ms.unwrap_or(limits::WAIT_MS_DEFAULT).min(limits::WAIT_MS_MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preference_to_wait_is_found_among_others() {
        for (prefer, expected) in [
            (None, None),
            (Some(""), None),
            (Some("respond-async"), None),
            (Some("waiting"), None),
            (Some("wait"), Some(2_000)),
            (Some("Wait"), Some(2_000)),
            (Some("respond-async, wait=1"), Some(1_000)),
            (Some("wait=\"3\"; x=y"), Some(3_000)),
            (Some("wait=0"), Some(0)),
            (Some("wait=soon"), Some(2_000)),
            (Some("wait=99999999999999999"), Some(10_000)),
        ] {
            let mut request = Request::post("/v1/readings");
            if let Some(prefer) = prefer {
                request.headers.set(Header::Prefer, prefer);
            }
            assert_eq!(wait_ms(&request), expected, "{prefer:?}");
        }
    }
}
