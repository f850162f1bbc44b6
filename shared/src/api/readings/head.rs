//! The head of a request with readings: whether another node sent it, and how long its
//! sender waits.

use crate::http::{Header, Request};
use crate::limits;
use crate::wire::batch;

/// Whether the body is a batch of another node.
pub(super) fn is_from_node(request: &Request) -> bool {
    let media_type = request.headers.get(Header::ContentType).unwrap_or_default();
    media_type.eq_ignore_ascii_case(batch::MEDIA_TYPE)
        && request.headers.get(Header::ContentEncoding).is_none()
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
