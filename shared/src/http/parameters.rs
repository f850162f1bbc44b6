//! The parameters in a request's query: each known, given once, and parsed.

use std::borrow::Cow;

use crate::domain::range::{Range, Span};
use crate::domain::reading::{Region, Seems, UnixMillis};
use crate::http::{Kind, Problem, Request};
use crate::limits;

/// The query parameters of a request, each known and given once.
pub(crate) struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    #[cfg(test)]
    pub(crate) fn from_pairs(pairs: &[(&'a str, &'a str)]) -> Self {
        Self(pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect())
    }

    /// The value of a parameter, if it is given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref())
    }

    /// The next page: the same request, but for the parameter `name`.
    pub(crate) fn next_page(&self, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let others = self.0.iter().filter(|(known, _)| known != name);
        query.extend_pairs(others).append_pair(name, value);
        next_page(&query.finish())
    }

    /// How many items on a page, from `limit`.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        const MOST: usize = limits::ITEMS_PER_PAGE_MAX;
        let Some(text) = self.get("limit") else { return Ok(MOST) };
        let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        limit.ok_or_else(|| {
            Problem::new(Kind::BadParameter, format!("limit must be a number from 1 to {MOST}"))
        })
    }
}

/// Reads the query of `request`, which may have the `known` parameters and no
/// other.
pub(crate) fn parameters<'a>(
    request: &'a Request,
    known: &[&str],
) -> Result<Parameters<'a>, Problem> {
    let query = request.query.as_deref().unwrap_or_default();
    if query.len() > limits::QUERY_BYTES_MAX {
        let detail = format!("the query has more than {} bytes", limits::QUERY_BYTES_MAX);
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    let mut parameters = Parameters(Vec::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !known.contains(&name.as_ref()) {
            let name: String = name.chars().take(limits::ECHO_CHARS_MAX).collect();
            let detail = match known {
                [] => format!("{name:?} is no parameter here; there are none"),
                _ => format!("{name:?} is no parameter here; there are {}", known.join(", ")),
            };
            return Err(Problem::new(Kind::BadParameter, detail));
        }
        if parameters.get(&name).is_some() {
            return Err(Problem::new(Kind::BadParameter, format!("{name} is given twice")));
        }
        parameters.0.push((name, value));
    }
    Ok(parameters)
}

/// The same resource with another query, as a reference relative to the request
/// (RFC 3986, 5.2.2): a proxy may have put the service below a path of its own, which
/// nobody here knows.
pub(crate) fn next_page(query: &str) -> String {
    format!("?{query}")
}

/// The answer to an `after` that no `next` has.
pub(crate) fn no_such_page() -> Problem {
    Problem::new(Kind::BadParameter, "after must be what the path of a next page has there")
}

impl Span {
    /// From `from` (included) and `to` (excluded), widened to whole minutes.
    pub(crate) fn from_parameters(parameters: &Parameters<'_>) -> Result<Self, Problem> {
        let from = instant(parameters, "from")?;
        let to = instant(parameters, "to")?;
        if from.is_none() && to.is_none() {
            return Ok(Self { range: None, from, to });
        }
        let covering =
            Range::covering(from.unwrap_or(UnixMillis::MIN), to.unwrap_or(UnixMillis::MAX));
        let range =
            covering.ok_or_else(|| Problem::new(Kind::BadParameter, "from must be before to"))?;
        Ok(Self {
            range: Some(range),
            from: from.map(|_| range.from()),
            to: to.map(|_| range.to()),
        })
    }
}

/// The region that a piece of a path names, percent-encoded.
pub(crate) fn region_in_path(encoded: &str) -> Result<Region<'static>, Problem> {
    decoded(encoded).and_then(Region::new).ok_or_else(unknown_region)
}

/// A piece of a path without its percent-encoding, if it is text.
pub(crate) fn decoded(encoded: &str) -> Option<String> {
    let text = percent_encoding::percent_decode_str(encoded).decode_utf8().ok();
    text.map(Cow::into_owned)
}

/// The answer about a region that is not there.
pub(crate) fn unknown_region() -> Problem {
    Problem::new(Kind::NotFound, "no counted reading has named this region")
}

/// An instant, in Unix milliseconds or RFC 3339.
pub(crate) fn instant(
    parameters: &Parameters<'_>,
    name: &str,
) -> Result<Option<UnixMillis>, Problem> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    let millis: Option<UnixMillis> = text.parse().ok().and_then(UnixMillis::new);
    // The beginning of time is a good place to begin.
    if millis.is_some_and(|at| at != UnixMillis::MIN && at.seems() != Seems::Milliseconds) {
        let detail =
            format!("{name} looks like seconds; it must be Unix milliseconds, or RFC 3339");
        return Err(Problem::new(Kind::BadParameter, detail));
    }
    millis.or_else(|| UnixMillis::parse_rfc3339(text)).map(Some).ok_or_else(|| {
        // In a query, an unescaped plus sign is a space.
        let hint = if text.contains(' ') { "; write + as %2B" } else { "" };
        let detail = format!("{name} must be Unix milliseconds or like 2026-11-22T10:00:00Z{hint}");
        Problem::new(Kind::BadParameter, detail)
    })
}
