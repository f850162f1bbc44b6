//! The parameters in a request's path and query: each must be known and given once, and
//! is parsed here.

use std::borrow::Cow;

use crate::domain::duration::parse_duration_ms;
use crate::domain::range::{Range, Span};
use crate::domain::reading::{DeviceId, Region, Seems, UnixMillis};
use crate::http::path::{unknown_device, unknown_region};
use crate::http::{Kind, Problem, Request};
use crate::limits;

/// The query parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// The start, included.
    From,
    /// The end, excluded.
    To,
    /// The length of each window.
    Step,
    /// The item that a page begins after.
    After,
    /// The most items on a page.
    Limit,
    /// The same of a page of readings, which may be larger.
    PageOfReadings,
    /// The name of a region.
    Region,
    /// The name of a device.
    DeviceId,
}

impl Param {
    /// The name in a query.
    pub fn name(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
            Self::Step => "step",
            Self::After => "after",
            Self::Limit | Self::PageOfReadings => "limit",
            Self::Region => "region",
            Self::DeviceId => "device_id",
        }
    }
}

/// Names and values.
type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The parsed query of a request. A parameter that is not given is `None`, or its
/// default.
pub(crate) struct QueryParams<'a> {
    given: Pairs<'a>,
    pub(crate) from: Option<UnixMillis>,
    pub(crate) to: Option<UnixMillis>,
    /// In minutes, from 1 to `limits::WINDOW_MINUTES_MAX`.
    pub(crate) step_minutes: Option<i64>,
    /// From 1 to `limits::ITEMS_PER_PAGE_MAX`, which is the default; of a page of readings,
    /// to `limits::READINGS_PER_PAGE_MAX`.
    pub(crate) limit: usize,
}

impl<'a> QueryParams<'a> {
    /// Parses the query of `request`, which may have the `known` parameters and no
    /// others.
    pub(crate) fn parse(request: &'a Request, known: &[Param]) -> Result<Self, Problem> {
        let given = pairs(request, known)?;
        let value = |param| value_of(&given, param);
        let (default, most) = match known.contains(&Param::PageOfReadings) {
            true => (limits::READINGS_PER_PAGE_DEFAULT, limits::READINGS_PER_PAGE_MAX),
            false => (limits::ITEMS_PER_PAGE_MAX, limits::ITEMS_PER_PAGE_MAX),
        };
        Ok(Self {
            from: value(Param::From).map(|text| instant("from", text)).transpose()?,
            to: value(Param::To).map(|text| instant("to", text)).transpose()?,
            step_minutes: value(Param::Step).map(step_minutes).transpose()?,
            limit: value(Param::Limit).map_or(Ok(default), |text| limit(text, most))?,
            given,
        })
    }

    /// The parameters of a request without a query.
    pub(crate) fn none() -> Self {
        let limit = limits::ITEMS_PER_PAGE_MAX;
        Self { given: Vec::new(), from: None, to: None, step_minutes: None, limit }
    }

    /// The parameter `after`, unparsed.
    pub(crate) fn after(&self) -> Option<&str> {
        value_of(&self.given, Param::After)
    }

    /// The region that is asked for, by a name that there can be.
    pub(crate) fn region(&self) -> Result<Option<Region<'_>>, Problem> {
        let name = value_of(&self.given, Param::Region);
        name.map(|name| Region::new(name).ok_or_else(unknown_region)).transpose()
    }

    /// The device that is asked for, by a name that there can be.
    pub(crate) fn device(&self) -> Result<Option<DeviceId<'_>>, Problem> {
        let name = value_of(&self.given, Param::DeviceId);
        name.map(|name| DeviceId::new(name).ok_or_else(unknown_device)).transpose()
    }

    /// From `from` (included) to `to` (excluded), widened to whole minutes.
    pub(crate) fn span(&self) -> Result<Span, Problem> {
        if self.from.is_none() && self.to.is_none() {
            return Ok(Span::ALL_TIME);
        }
        let range = self.range(UnixMillis::MIN, UnixMillis::MAX)?;
        Ok(Span {
            range: Some(range),
            from: self.from.map(|_| range.from()),
            to: self.to.map(|_| range.to()),
        })
    }

    /// The range from `from` to `to`, with these defaults, widened to whole minutes.
    pub(crate) fn range(&self, from: UnixMillis, to: UnixMillis) -> Result<Range, Problem> {
        let range = Range::covering(self.from.unwrap_or(from), self.to.unwrap_or(to));
        range.ok_or_else(|| Problem::new(Kind::BadParameter, "from must be before to"))
    }

    /// The page after `value`: the same query with another `after`.
    pub(crate) fn next_page(&self, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let others = self.given.iter().filter(|(name, _)| name != Param::After.name());
        query.extend_pairs(others).append_pair(Param::After.name(), value);
        next_page(&query.finish())
    }
}

fn value_of<'v>(given: &'v Pairs<'_>, param: Param) -> Option<&'v str> {
    given.iter().find(|(name, _)| name == param.name()).map(|(_, value)| value.as_ref())
}

/// The pairs of a query, each known and given once.
fn pairs<'a>(request: &'a Request, known: &[Param]) -> Result<Pairs<'a>, Problem> {
    let query = request.query.as_deref().unwrap_or_default();
    if query.len() > limits::QUERY_BYTES_MAX {
        let detail = format!("the query string has more than {} bytes", limits::QUERY_BYTES_MAX);
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    let mut given: Pairs<'a> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !known.iter().any(|param| param.name() == name) {
            return Err(unknown(&name, known));
        }
        if given.iter().any(|(other, _)| *other == name) {
            return Err(Problem::new(
                Kind::BadParameter,
                format!("query parameter \"{name}\" is given twice"),
            ));
        }
        given.push((name, value));
    }
    Ok(given)
}

fn unknown(name: &str, known: &[Param]) -> Problem {
    let name: String = name.chars().take(limits::ECHO_CHARS_MAX).collect();
    let names = known.iter().map(|param| param.name()).collect::<Vec<_>>().join(", ");
    let detail = match known {
        [] => format!("unknown query parameter {name:?}; this resource takes none"),
        _ => format!("unknown query parameter {name:?}; supported: {names}"),
    };
    Problem::new(Kind::BadParameter, detail)
}

/// The same resource with another query, as a reference relative to the request (RFC
/// 3986, 5.2.2). A proxy may have put the service below a path that is unknown here.
pub(crate) fn next_page(query: &str) -> String {
    format!("?{query}")
}

/// The answer to an `after` that does not come from a `next`.
pub(crate) fn no_such_page() -> Problem {
    Problem::new(Kind::BadParameter, "after must be taken from the link to the next page")
}

fn limit(text: &str, most: usize) -> Result<usize, Problem> {
    text.parse().ok().filter(|limit| (1..=most).contains(limit)).ok_or_else(|| {
        Problem::new(Kind::BadParameter, format!("limit must be a number from 1 to {most}"))
    })
}

fn step_minutes(text: &str) -> Result<i64, Problem> {
    let ms = parse_duration_ms(text).filter(|ms| ms % UnixMillis::PER_MINUTE == 0);
    let minutes = ms.map(|ms| ms / UnixMillis::PER_MINUTE);
    let in_range = minutes.filter(|minutes| (1..=limits::WINDOW_MINUTES_MAX).contains(minutes));
    in_range.ok_or_else(|| {
        let rule = "step must be a whole number of minutes from 1m to 366d, like 15m, 6h or 1d";
        Problem::new(Kind::BadParameter, rule)
    })
}

/// Parses an instant, in Unix milliseconds or RFC 3339.
fn instant(name: &str, text: &str) -> Result<UnixMillis, Problem> {
    let millis: Option<UnixMillis> = text.parse().ok().and_then(UnixMillis::new);
    // 0 is allowed although it looks like seconds: it is the beginning of time.
    if millis.is_some_and(|at| at != UnixMillis::MIN && at.seems() != Seems::Milliseconds) {
        let detail =
            format!("{name} looks like seconds; it must be Unix milliseconds, or RFC 3339");
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    millis.or_else(|| UnixMillis::parse_rfc3339(text)).ok_or_else(|| {
        // In a query, an unescaped plus sign is a space.
        let hint = if text.contains(' ') { "; write + as %2B" } else { "" };
        let detail = format!(
            "{name} must be Unix milliseconds or RFC 3339, like 2026-11-22T10:00:00Z{hint}"
        );
        Problem::new(Kind::BadParameter, detail)
    })
}
