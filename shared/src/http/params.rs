//! The parameters in a request's path and query: each must be known and given once, and
//! is parsed here.

use std::borrow::Cow;

use crate::domain::duration::{duration_text, parse_duration_ms};
use crate::domain::range::{Range, Span};
use crate::domain::reading::{DeviceId, Region, UnixMillis};
use crate::domain::step::Step;
use crate::domain::zone::Zone;
use crate::http::times::Clock;
use crate::http::{Kind, Problem, Refusal, Request};
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
    /// The time zone of local dates and steps.
    Tz,
    /// How long an excursion must last.
    For,
    /// Which pauses are gaps.
    Gap,
    /// The item that a page begins after.
    After,
    /// The most items on a page.
    Limit,
    /// The same of a page of readings, which may be larger.
    PageOfReadings,
    /// The region of the devices, or of the readings.
    Region,
    /// Whether the devices are silent.
    Silent,
    /// How old the newest readings of the devices are at least.
    SilentFor,
    /// How long a gap is at least.
    Longer,
    /// The device of the readings, or as it was sent.
    DeviceId,
    /// Why something was rejected.
    Reason,
}

impl Param {
    /// The name in a query.
    pub fn name(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
            Self::Step => "step",
            Self::Tz => "tz",
            Self::For => "for",
            Self::Gap => "gap",
            Self::After => "after",
            Self::Limit | Self::PageOfReadings => "limit",
            Self::Region => "region",
            Self::Silent => "silent",
            Self::SilentFor => "silent_for",
            Self::Longer => "longer",
            Self::DeviceId => "device_id",
            Self::Reason => "reason",
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
    pub(crate) step: Option<Step>,
    /// UTC, if the resource takes no `tz`.
    pub(crate) zone: Zone,
    /// From 1 to `limits::ITEMS_PER_PAGE_MAX`, which is the default; of a page of readings,
    /// to `limits::READINGS_PER_PAGE_MAX`.
    pub(crate) limit: usize,
}

impl<'a> QueryParams<'a> {
    /// Parses the query of `request`, which may have the `known` parameters and no
    /// others. `zone_of` finds the time zone for what `tz` says.
    pub(crate) fn parse(
        request: &'a Request,
        known: &[Param],
        now: UnixMillis,
        zone_of: &dyn Fn(Option<&str>) -> Result<Zone, Refusal>,
    ) -> Result<Self, Refusal> {
        let given = pairs(request, known)?;
        let value = |param| value_of(&given, param);
        let zone = match known.contains(&Param::Tz) {
            true => zone_of(value(Param::Tz))?,
            false => Zone::utc(),
        };
        let (default, most) = match known.contains(&Param::PageOfReadings) {
            true => (limits::READINGS_PER_PAGE_DEFAULT, limits::READINGS_PER_PAGE_MAX),
            false => (limits::ITEMS_PER_PAGE_MAX, limits::ITEMS_PER_PAGE_MAX),
        };
        let clock = Clock { now, zone: &zone };
        let instant =
            |param: Param| value(param).map(|text| clock.instant(param.name(), text)).transpose();
        Ok(Self {
            from: instant(Param::From)?,
            to: instant(Param::To)?,
            step: value(Param::Step).map(step).transpose()?,
            limit: value(Param::Limit).map_or(Ok(default), |text| limit(text, most))?,
            zone,
            given,
        })
    }

    /// The parameters of a request without a query.
    pub(crate) fn none() -> Self {
        let (limit, zone) = (limits::ITEMS_PER_PAGE_MAX, Zone::utc());
        Self { given: Vec::new(), from: None, to: None, step: None, limit, zone }
    }

    /// The parameter `after`, unparsed.
    pub(crate) fn after(&self) -> Option<&str> {
        self.text(Param::After)
    }

    /// A parameter, unparsed.
    pub(crate) fn text(&self, param: Param) -> Option<&str> {
        value_of(&self.given, param)
    }

    /// The parameter `region`.
    pub(crate) fn region(&self) -> Result<Option<Region<'_>>, Problem> {
        let Some(name) = value_of(&self.given, Param::Region) else { return Ok(None) };
        let no_name = || Problem::new(Kind::BadParameter, "region is not the name of a region");
        Region::new(name).map(Some).ok_or_else(no_name)
    }

    /// The parameter `device_id`.
    pub(crate) fn device(&self) -> Result<Option<DeviceId<'_>>, Problem> {
        let Some(name) = value_of(&self.given, Param::DeviceId) else { return Ok(None) };
        let no_name = || Problem::new(Kind::BadParameter, "device_id is not the name of a device");
        DeviceId::new(name).map(Some).ok_or_else(no_name)
    }

    /// The parameter `silent`.
    pub(crate) fn silent(&self) -> Result<Option<bool>, Problem> {
        match value_of(&self.given, Param::Silent) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Problem::new(Kind::BadParameter, "silent must be true or false")),
        }
    }

    /// A parameter that is a duration, in milliseconds, of at most `most_ms`.
    pub(crate) fn duration_ms(&self, param: Param, most_ms: i64) -> Result<Option<i64>, Problem> {
        let Some(text) = value_of(&self.given, param) else { return Ok(None) };
        match parse_duration_ms(text).filter(|ms| *ms <= most_ms) {
            Some(ms) => Ok(Some(ms)),
            None => {
                let (name, most) = (param.name(), duration_text(most_ms));
                let rule = "must be 0 or a number with ms, s, m, h or d behind it";
                let detail = format!("{name} {rule}, at most {most}, like 20m");
                Err(Problem::new(Kind::BadParameter, detail))
            }
        }
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

    /// The page of a series that begins at `from`. The defaults move with the clock, so it
    /// names them; as text, as a small number looks like seconds.
    pub(crate) fn next_range(&self, from: UnixMillis, to: UnixMillis, step: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("from", &from.to_string()).append_pair("to", &to.to_string());
        query.append_pair("step", step).append_pair("tz", self.zone.name());
        next_page(&query.finish())
    }

    /// The page after `value`: the same query with another `after`. Words like `today`
    /// are written out, as they mean another time by then.
    pub(crate) fn next_page(&self, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, given) in self.given.iter().filter(|(name, _)| name != Param::After.name()) {
            let at = match name.as_ref() {
                "from" => self.from,
                "to" => self.to,
                _ => None,
            };
            match at {
                Some(at) => query.append_pair(name, &at.to_string()),
                None => query.append_pair(name, given),
            };
        }
        query.append_pair(Param::After.name(), value);
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

fn step(text: &str) -> Result<Step, Problem> {
    Step::parse(text)
        .ok_or_else(|| Problem::new(Kind::BadParameter, format!("step must be {}", Step::FORMS)))
}

/// The answer to a `tz` that is no time zone.
pub(crate) fn no_such_zone(text: &str) -> Problem {
    // In a query, an unescaped plus sign is a space.
    let hint = if text.contains(' ') { "; write + as %2B" } else { "" };
    Problem::new(Kind::BadParameter, format!("tz must be {}{hint}", Zone::FORMS))
}
