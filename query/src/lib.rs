//! The door of the `query` component: it reads the clock, calls the
//! application, and answers.

#![cfg(target_family = "wasm")]

use isotherm::api::answer::Answered;
use isotherm::api::events::{self, Opened};
use isotherm::api::query;
use isotherm::host::Host;
use isotherm::log;
use isotherm_spin::{self as spin, Spin};
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let now = spin::now();
    let request = spin::head(&request);
    let host = Spin::new("query", &request);
    let started = host.monotonic_ms();
    let log = |status| {
        let duration_ms = host.monotonic_ms().saturating_sub(started);
        let route = query::route_of(&request.path);
        host.log_request(
            &request,
            log::Answered { at: now, route, status, counts: None, duration_ms },
        );
    };
    if events::are_asked_for(&request) {
        let Opened { response, stream } = events::open(&host, &request, now);
        let status = response.status;
        match stream {
            Some(events) => spin::stream(&host, response, out, events),
            None => spin::send(&host, response, out),
        }
        return log(status);
    }
    let Answered { response, follow_up } = query::answer(&host, &request, now);
    let status = response.status;
    spin::send(&host, response, out);
    log(status);
    if let Err(error) = query::after_answer(&host, follow_up, now) {
        host.log(&format!("after the answer: {error}"));
    }
}
