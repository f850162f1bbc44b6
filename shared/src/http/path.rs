//! What a request names in its path.

use std::borrow::Cow;

use crate::domain::reading::{DeviceId, Region};
use crate::http::{Kind, Problem};

/// The segment of `path` where `pattern` has braces; it must not be empty. If `pattern` ends
/// with two of them, these are both, with the slash between. Returns an empty argument if
/// `pattern` has no braces, and `None` if `path` does not match it.
pub(crate) fn argument<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let Some((before, rest)) = pattern.split_once('{') else {
        return (pattern == path).then_some("");
    };
    let (_, behind) = rest.split_once('}')?;
    let is_one = |name: &str| !name.is_empty() && !name.contains('/');
    if behind.starts_with("/{") && behind.ends_with('}') {
        let both = path.strip_prefix(before)?;
        let (first, second) = both.split_once('/')?;
        return (is_one(first) && is_one(second)).then_some(both);
    }
    let name = path.strip_prefix(before)?.strip_suffix(behind)?;
    is_one(name).then_some(name)
}

/// The region that a percent-encoded path segment names.
pub(crate) fn region_in_path(encoded: &str) -> Result<Region<'static>, Problem> {
    decoded(encoded).and_then(Region::new).ok_or_else(unknown_region)
}

/// The device that a percent-encoded path segment names.
pub(crate) fn device_in_path(encoded: &str) -> Result<DeviceId<'static>, Problem> {
    decoded(encoded).and_then(DeviceId::new).ok_or_else(unknown_device)
}

/// A path segment without its percent-encoding; `None` if it is not UTF-8.
pub(crate) fn decoded(encoded: &str) -> Option<String> {
    let text = percent_encoding::percent_decode_str(encoded).decode_utf8().ok();
    text.map(Cow::into_owned)
}

/// The answer about an unknown region.
pub(crate) fn unknown_region() -> Problem {
    Problem::new(Kind::NotFound, "unknown region: no reading of it has been counted")
}

/// The answer about an unknown device.
pub(crate) fn unknown_device() -> Problem {
    Problem::new(Kind::NotFound, "unknown device: no reading of it has been counted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_one_piece_of_a_path() {
        for (pattern, path, expected) in [
            ("/v1/regions", "/v1/regions", Some("")),
            ("/v1/regions", "/v1/regions/", None),
            ("/v1/regions/{region}", "/v1/regions/hall", Some("hall")),
            ("/v1/regions/{region}", "/v1/regions/", None),
            ("/v1/regions/{region}", "/v1/regions/a/b", None),
            ("/v1/regions/{region}/windows", "/v1/regions/a%2Fb/windows", Some("a%2Fb")),
            ("/v1/regions/{region}/windows", "/v1/regions/windows", None),
            ("/v1/quarantine/{name}/retry", "/v1/quarantine/retry", None),
            ("/v1/in/{source}/{key}", "/v1/in/a/b", Some("a/b")),
            ("/v1/in/{source}/{key}", "/v1/in/a", None),
            ("/v1/in/{source}/{key}", "/v1/in/a/", None),
            ("/v1/in/{source}/{key}", "/v1/in//b", None),
            ("/v1/in/{source}/{key}", "/v1/in/a/b/c", None),
        ] {
            assert_eq!(argument(pattern, path), expected, "{pattern} {path}");
        }
    }
}
