//! What devices send: line protocol, and messages that are read by the mapping of a source.

mod changes;
mod clients;
mod documents;
mod golden;
mod golden_files;
mod identity;
mod influx;
mod keys;
mod native;
mod seen;
pub(crate) mod socket;
mod table;
mod zones;

use http::Method;
use isotherm::api::readings;
use isotherm::http::{Request, Response};
use serde_json::Value;

use crate::support::node::Node;

impl Node {
    /// One request to `ingest` with this body, and what it does after its answer.
    pub(super) fn deliver(&mut self, request: &Request, body: &str) -> Response {
        self.deliver_bytes(request, body.as_bytes())
    }

    pub(crate) fn deliver_bytes(&mut self, request: &Request, body: &[u8]) -> Response {
        self.now = self.now.saturating_add(1);
        let (host, now) = (&self.host, self.now);
        let handled = readings::post(host, request, body, now);
        drop(handled.after_answer.run(host, now));
        handled.response
    }

    /// A message for a source; it is answered with a 2xx.
    #[track_caller]
    pub(super) fn message(&mut self, source: &str, body: &str) -> u16 {
        let response = self.deliver(&Request::post(&format!("/v1/in/{source}")), body);
        let text = String::from_utf8_lossy(&response.body);
        assert!(response.status.is_success(), "{}: {text}", response.status);
        response.status.as_u16()
    }

    /// Makes a source.
    #[track_caller]
    pub(super) fn source(&mut self, name: &str, mapping: &Value) {
        let path = format!("/v1/sources/{name}");
        let response = self.change(Method::PUT, &path, &mapping.to_string());
        let text = String::from_utf8_lossy(&response.body);
        assert_eq!(response.status, 200, "{text}");
    }

    /// What `GET /v1/sources` says of a source.
    #[track_caller]
    pub(super) fn seen(&mut self, name: &str) -> Value {
        let all = self.read("/v1/sources");
        let mut sources = all["sources"].as_array().unwrap().iter();
        sources.find(|source| source["source"] == name).unwrap_or(&Value::Null).clone()
    }
}
