//! What a request names in its path.

use std::borrow::Cow;

use crate::domain::reading::{DeviceId, Region};
use crate::http::{Kind, Problem};

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
