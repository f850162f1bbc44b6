//! `GET /readyz/ingest`: whether `ingest` alone can make a reading durable.

use http::{Method, StatusCode};
use serde::Serialize;

use crate::error::Error;
use crate::host::{Host, KeyValue};
use crate::http::{Purpose, Refusal, Request, Response};
use crate::journal::keys;
use crate::ledger::regions::Regions;
use crate::settings;
use crate::upkeep::AFTER_ANSWER;

/// Where `ingest` says whether it is ready: it may be served without `query`.
pub const PATH: &str = "/readyz/ingest";

/// `GET /readyz/ingest`: ready is a node that can make a reading durable, in the journal
/// or, if that fails, in the regions database. One that can't read its variables can't.
/// A full journal is ready: it says by itself when to come again.
pub fn answer(host: &impl Host, request: &Request) -> Response {
    match ready(host, request) {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(host, Purpose::Reading),
    }
}

fn ready(host: &impl Host, request: &Request) -> Result<Response, Refusal> {
    // A probe may put anything into its query.
    request.allow(&[Method::GET, Method::HEAD])?;
    settings::check(host)?;
    let journal = host.key_value().and_then(|journal| journal.get(keys::DOOR));
    let (code, status) = match journal {
        Ok(_) => (StatusCode::OK, "ready"),
        Err(error) => {
            host.log(&Error::Journal(error).to_string());
            // It is opened for writing only when there is something to write.
            match Regions::open(host, AFTER_ANSWER) {
                Ok(_) => (StatusCode::OK, "degraded"),
                Err(error) => {
                    host.log(&error.to_string());
                    (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
                }
            }
        }
    };
    Ok(Response::json(code, &Readiness { status }))
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
}
