//! What clients of InfluxDB ask before they write: `/ping`, `/health` and `/query`.

use http::StatusCode;
use serde_json::json;

use super::Answer;
use crate::api::answer::HandlerResult;
use crate::api::call::Call;
use crate::api::readings::AfterPost;
use crate::host::Host;
use crate::http::{Kind, Problem, Refusal, Request, Response};
use crate::limits;
use crate::log::Counts;

/// Which release this is, as clients of InfluxDB ask for it. It is no version of InfluxDB's:
/// some read features from that.
const VERSION: &str = concat!("isotherm-", env!("CARGO_PKG_VERSION"));

/// `GET /ping`: 204; with `verbose=true` 200 and a version, as InfluxDB 1 does.
pub(crate) fn ping<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let is_verbose = super::asked::parameter(call.request, "verbose");
    if is_verbose.is_some_and(|value| !matches!(&*value, "" | "0" | "false")) {
        let body = json!({"version": VERSION});
        return Ok(Response::json(StatusCode::OK, &body).into());
    }
    Ok(Response::empty(StatusCode::NO_CONTENT).into())
}

/// `GET /health`: 200, as InfluxDB 2 does. Whether the node is ready says `/readyz/ingest`.
pub(crate) fn health<H: Host>(_call: &Call<'_, H>) -> HandlerResult {
    let body = json!({
        "name": "isotherm", "message": "ready for writes", "status": "pass", "checks": [],
        "version": VERSION,
    });
    Ok(Response::json(StatusCode::OK, &body).into())
}

/// `POST /query`: `CREATE DATABASE` is answered as if it was done, as there is nothing to
/// create. Nothing else can be asked.
pub(super) fn query(request: &Request, body: &[u8]) -> Result<Answer, Refusal> {
    let in_query = super::asked::parameter(request, "q");
    let in_body = || form_urlencoded::parse(body).find(|(name, _)| name == "q");
    let asked = in_query.or_else(|| in_body().map(|(_, value)| value)).unwrap_or_default();
    let mut words = asked.split_ascii_whitespace();
    let is = |word: Option<&str>, expected: &str| {
        word.is_some_and(|word| word.eq_ignore_ascii_case(expected))
    };
    if asked.len() > limits::QUERY_BYTES_MAX
        || !is(words.next(), "create")
        || !is(words.next(), "database")
    {
        let detail = "only CREATE DATABASE is understood here; averages are at /v1/regions";
        return Err(Problem::new(Kind::BadParameter, detail).into());
    }
    let body = json!({"results": [{"statement_id": 0}]});
    let response = Response::json(StatusCode::OK, &body);
    let (after_answer, counts) = (AfterPost::default(), Counts::default());
    Ok(Answer { response, after_answer, counts })
}
