//! The component: answers every request with the failed checks.

use isotherm::http::{Request, Response};
use isotherm_spin::Spin;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
fn handle(_request: IncomingRequest, out: ResponseOutparam) {
    let request = Request::get("/");
    let host = Spin::new("conformance", &request);
    let found: serde_json::Map<String, serde_json::Value> = crate::run(&host)
        .into_iter()
        .map(|(name, outcome)| (name.to_owned(), outcome.err().into()))
        .collect();
    let body = serde_json::Value::Object(found).to_string().into_bytes();
    let response = Response { status: http::StatusCode::OK, headers: Vec::new(), body };
    isotherm_spin::send(&host, &request, response, out);
}
