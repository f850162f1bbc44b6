//! `/v1/sources`: which sources there are, their mappings, and what they sent that was not
//! counted. `manage_devices` has their tables of devices.

use http::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::config::{self, KeptIn, Source};
use super::{SENML, asked, hints, mapped, placed, seen, table};
use crate::api::answer::HandlerResult;
use crate::api::call::Call;
use crate::api::readings::formats;
use crate::base::digest::hex;
use crate::domain::source::OfSource;
use crate::error::Error;
use crate::host::Host;
use crate::http::document::Fields;
use crate::http::{Header, Kind, Problem, Refusal, Response};
use crate::journal;
use crate::limits;
use crate::sources::devices::DeviceTable;
use crate::sources::mapping::Mapping;
use crate::sources::read::Read;
use crate::sources::reply::Reply;
use crate::sources::taken::{Measured, Taken};
use crate::wire::line_time::Precision;

pub(crate) use super::manage_devices::{adopt, devices, put_devices, unknown};

/// `GET /v1/sources`: all sources, with what was counted of each and what was not.
pub(crate) fn list<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let store = call.host.key_value().map_err(Error::Journal)?;
    let body = Fields::of([
        ("sources", seen::all(call.host)?.into()),
        ("hints", hints::all(call.host, &store, call.now)?.into()),
        ("as_of", call.now.into()),
    ]);
    Ok(Response::json(StatusCode::OK, &body).into())
}

/// Checks that there is a source of this name, or something known of one.
pub(super) fn check_known<H: Host>(call: &Call<'_, H>, name: &str) -> Result<(), Refusal> {
    let is_default = matches!(name, asked::OF_LINES | SENML);
    if is_default || config::find(call.host, checked(name)?)?.is_some() {
        return Ok(());
    }
    let store = call.host.key_value().map_err(Error::Journal)?;
    let names = journal::sources::names(&store).map_err(Error::Journal)?;
    match names.iter().any(|known| known == name) {
        true => Ok(()),
        false => Err(no_such_source().into()),
    }
}

/// A valid name of a source; 404 if it is none.
pub(super) fn checked(name: &str) -> Result<&str, Problem> {
    match OfSource::is_name(name) {
        true => Ok(name),
        false => Err(no_such_source()),
    }
}

pub(super) fn no_such_source() -> Problem {
    Problem::new(Kind::NotFound, "no such source; make one by PUT /v1/sources/<source>")
}

fn find<H: Host>(call: &Call<'_, H>, name: &str) -> Result<Source, Refusal> {
    Ok(config::find(call.host, checked(name)?)?.ok_or_else(no_such_source)?)
}

fn record(source: &Source) -> Fields {
    Fields::of([
        ("source", source.name.as_str().into()),
        ("kept_in", kept_in(source.kept_in).into()),
        ("digest", hex(&source.of().digest).into()),
        ("mapping", as_json(&source.text)),
    ])
}

pub(super) fn kept_in(kept_in: KeptIn) -> &'static str {
    match kept_in {
        KeptIn::Variable => "variable",
        KeptIn::Store => "stored",
    }
}

/// A mapping as it was written: an object, or the name of a preset.
fn as_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_preset| text.into())
}

/// `GET /v1/sources/{source}`: its mapping.
pub(crate) fn one<H: Host>(call: &Call<'_, H>, name: &str) -> HandlerResult {
    Ok(Response::json(StatusCode::OK, &record(&find(call, name)?)).into())
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::InvalidBody, detail.into())
}

/// The mapping in a body: an object, or a string like `preset:shelly-gen1`.
fn mapping_in(body: &[u8]) -> Result<String, Problem> {
    let wrong =
        "the body must be a mapping: a JSON object, or a string like \"preset:shelly-gen1\"";
    let raw: Box<RawValue> = serde_json::from_slice(body).map_err(|_error| invalid(wrong))?;
    Ok(config::written(&raw))
}

/// `PUT /v1/sources/{source}`: makes a source, or gives it another mapping. What was read by
/// the one before stays as it is.
pub(crate) fn put<H: Host>(call: &Call<'_, H>, name: &str) -> HandlerResult {
    let detail = || {
        let most = limits::SOURCE_NAME_BYTES_MAX;
        invalid(format!("the name of a source is 1 to {most} of A-Z a-z 0-9 . _ -"))
    };
    let name = Some(name).filter(|name| OfSource::is_name(name)).ok_or_else(detail)?;
    check_changeable(call, name)?;
    let text = mapping_in(call.body)?;
    Mapping::parse(name, &text).map_err(|error| invalid(error.to_string()))?;
    let store = call.host.key_value().map_err(Error::Journal)?;
    let stored = journal::sources::names(&store).map_err(Error::Journal)?;
    if stored.len() >= limits::SOURCES_MAX && !stored.iter().any(|other| other == name) {
        let most = limits::SOURCES_MAX;
        let detail = format!("there are {most} sources, the most there may be; remove one first");
        return Err(Problem::new(Kind::Contradicting, detail).into());
    }
    table::make(call.host, &store, name)?;
    journal::sources::put_mapping(&store, name, &text).map_err(Error::Journal)?;
    Ok(Response::json(StatusCode::OK, &record(&find(call, name)?)).into())
}

/// What is in the variable is changed there.
pub(super) fn check_changeable<H: Host>(call: &Call<'_, H>, name: &str) -> Result<(), Refusal> {
    if !config::of_variable(call.host)?.contains_key(name) {
        return Ok(());
    }
    let detail = "the source is in the variable sources; change it there";
    Err(Problem::new(Kind::Contradicting, detail).into())
}

/// `DELETE /v1/sources/{source}`: removes its mapping, its table of devices, and what is kept
/// of what was not counted. Its readings stay.
pub(crate) fn delete<H: Host>(call: &Call<'_, H>, name: &str) -> HandlerResult {
    check_changeable(call, checked(name)?)?;
    let store = call.host.key_value().map_err(Error::Journal)?;
    let names = journal::sources::names(&store).map_err(Error::Journal)?;
    if !names.iter().any(|stored| stored == name) {
        return Err(no_such_source().into());
    }
    journal::sources::remove(&store, name).map_err(Error::Journal)?;
    Ok(Response::empty(StatusCode::NO_CONTENT).into())
}

/// `GET /v1/sources/{source}/refused`: its last bodies of which something could not be used.
pub(crate) fn refused<H: Host>(call: &Call<'_, H>, name: &str) -> HandlerResult {
    check_known(call, name)?;
    let store = call.host.key_value().map_err(Error::Journal)?;
    let left = journal::sources::left(&store, checked(name)?).map_err(Error::Journal)?;
    let rows: Vec<Value> = left
        .refused
        .iter()
        .map(|refused| {
            json!({
                "at": refused.at.to_string(), "reason": refused.reason, "pointer": refused.pointer,
                "detail": refused.detail, "query": refused.query, "body": refused.body,
            })
        })
        .collect();
    let body = Fields::of([("refused", rows.into()), ("as_of", call.now.into())]);
    Ok(Response::json(StatusCode::OK, &body).into())
}

/// The type of a body that has a message and a mapping to try it with.
const ENVELOPE: &str = "application/vnd.isotherm.try+json";

/// `POST /v1/sources/{source}/try`: reads a message by the source's mapping, or by one that is
/// sent with it, and keeps nothing.
pub(crate) fn attempt<H: Host>(call: &Call<'_, H>, name: &str) -> HandlerResult {
    let media_type = call.request.headers.get(Header::ContentType).unwrap_or_default();
    let is_envelope = media_type.eq_ignore_ascii_case(ENVELOPE);
    let sent = formats::inflated(call.request, call.body, limits::SOURCE_BODY_BYTES_MAX)?;
    let tried = match is_envelope {
        true => Tried::parse(&sent)?,
        false => Tried {
            mapping: None,
            query: call.request.query.clone().unwrap_or_default(),
            body: sent.into_owned(),
        },
    };
    let source = match tried.mapping {
        None => find(call, name)?,
        Some(text) => {
            Source::sent(checked(name)?, text).map_err(|error| invalid(error.to_string()))?
        }
    };
    let message = (tried.query.as_str(), tried.body.as_slice());
    let request = (call.request, call.grant.who());
    let read = mapped::tried(&source, request, message, Precision::Auto, call.now);
    let read = read.map_err(|unread| Problem::new(Kind::Unreadable, unread.detail()))?;
    let table = placed::table_for(call.host, &source, &read.taken)?;
    Ok(Response::json(StatusCode::OK, &attempted(&source, &read, table.as_ref())).into())
}

struct Tried {
    mapping: Option<String>,
    query: String,
    body: Vec<u8>,
}

impl Tried {
    /// An object with `mapping`, `query` and `body`, all of them optional.
    fn parse(body: &[u8]) -> Result<Self, Problem> {
        use crate::wire::object::Object;
        let object = Object::parse(body, &["mapping", "query", "body"]).map_err(invalid)?;
        let text = |name| object.text(name).map_err(invalid);
        let mapping = match object.value("mapping") {
            None => None,
            Some(raw) => Some(mapping_in(raw.as_bytes())?),
        };
        let (query, body) = (text("query")?.unwrap_or_default(), text("body")?.unwrap_or_default());
        Ok(Self { mapping, query: query.into_owned(), body: body.into_owned().into_bytes() })
    }
}

fn attempted(source: &Source, read: &Read, table: Option<&DeviceTable>) -> Value {
    let row = |measured: &Measured| {
        let row = table.and_then(|table| table.row_of(&measured.id, measured.timestamp));
        match (row, &measured.region) {
            (Some(row), _) => {
                [Some(row.device.as_str()), Some(row.region.as_str())].map(Value::from)
            }
            (None, Some(region)) => {
                [Some(measured.name.as_str()), Some(region.as_str())].map(Value::from)
            }
            // Not known: a reading of it is refused.
            (None, None) => [Value::Null, Value::Null],
        }
    };
    let one = |taken: &Taken| match &taken.result {
        Ok(measured) => {
            let [device, region] = row(measured);
            json!({
                "pointer": taken.pointer, "id": measured.id, "sent": measured.as_sent,
                "device_id": device, "region": region,
                "temperature_c": measured.temperature.to_celsius(),
                "timestamp": measured.timestamp.to_string(), "time_assumed": measured.is_assumed,
                "number": measured.number,
            })
        }
        Err(rejection) => json!({
            "pointer": taken.pointer, "reason": rejection.reason.code(),
            "detail": rejection.detail,
        }),
    };
    let reply = |reply: Option<&Reply>| match reply {
        None => json!([204, "", ""]),
        Some(reply) => json!([reply.status, reply.content_type, reply.text]),
    };
    let replies = &source.mapping.replies;
    json!({
        "digest": hex(&source.of().digest),
        "readings": read.taken.iter().map(one).collect::<Vec<_>>(),
        "ignored": read.ignored, "void": read.void, "steps": read.steps,
        "reply": {"kept": reply(replies.kept.as_ref()), "ignored": reply(replies.ignored.as_ref())},
    })
}
