//! Which source a request is for, and where its key is: by its path and its query.

use std::borrow::Cow;

use crate::access::secret::Secret;
use crate::domain::source::OfSource;
use crate::http::path::decoded;
use crate::http::{Kind, Problem, Request};
use crate::limits;

/// By which path a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `/write` and its likes: InfluxDB's line protocol. `db` or `bucket` names the source.
    Lines,
    /// `/query`, which clients of InfluxDB call before they write.
    Query,
    /// `/v1/in/{source}`, or `/v1/in/{source}/{key}`.
    Named,
    /// `/api/v1/{key}/telemetry`, as devices for ThingsBoard have it.
    Telemetry,
    /// A path that firmware has built in, for the source of this name; the parameter has the
    /// key.
    Fixed(&'static str, &'static str),
}

/// The source of lines whose request names none that there is.
pub(crate) const OF_LINES: &str = "influx";

/// The source of devices for ThingsBoard.
const OF_TELEMETRY: &str = "thingsboard";

/// What a request asks for, by its head.
pub(crate) struct Asked {
    pub(crate) way: Way,
    /// A valid name; that of a source that need not be there.
    pub(crate) source: String,
    /// The key outside of the headers, if there is one.
    pub(crate) key: Option<Secret>,
}

impl Asked {
    /// The key in the path of a device for ThingsBoard, while access control is off: then it is
    /// no secret, and all that tells devices apart.
    pub(super) fn open_key(&self) -> Option<&str> {
        self.key.as_ref().filter(|_| self.way == Way::Telemetry).map(Secret::expose)
    }
}

impl Asked {
    /// By the head of a request. `argument` is what the path has in place of the braces.
    pub(crate) fn of(way: Way, request: &Request, argument: &str) -> Result<Self, Problem> {
        let secret = |text: Cow<'_, str>| Secret::new(text.into_owned());
        let (source, key) = match way {
            Way::Lines | Way::Query => {
                let name = parameter(request, "bucket").or_else(|| parameter(request, "db"));
                // The name of a bucket is anything; of a source it has a rule.
                let name = name.filter(|name| OfSource::is_name(name));
                let source = name.map_or(OF_LINES.to_owned(), Cow::into_owned);
                (source, parameter(request, "p").map(secret))
            }
            Way::Named => {
                let (source, key) = match argument.split_once('/') {
                    Some((source, key)) => (source, decoded(key).map(Secret::new)),
                    None => (argument, None),
                };
                (decoded(source).unwrap_or_default(), key)
            }
            Way::Telemetry => (OF_TELEMETRY.to_owned(), decoded(argument).map(Secret::new)),
            Way::Fixed(source, key) => (source.to_owned(), parameter(request, key).map(secret)),
        };
        if !OfSource::is_name(&source) {
            let most = limits::SOURCE_NAME_BYTES_MAX;
            let detail =
                format!("no such source; the name of one is 1 to {most} of A-Z a-z 0-9 . _ -");
            return Err(Problem::new(Kind::NotFound, detail));
        }
        Ok(Self { way, source, key: key.filter(|key| !key.expose().is_empty()) })
    }
}

/// The value of a parameter in the query, the first if there are several.
pub(crate) fn parameter<'r>(request: &'r Request, name: &str) -> Option<Cow<'r, str>> {
    let query = request.query.as_deref().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
}
