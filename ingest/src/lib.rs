//! The door of the `ingest` component: it reads a bounded body and the clock,
//! calls the application, answers, and folds when nobody waits any more.

#![cfg(target_family = "wasm")]

use isotherm::api::ingest::{self, Handled};
use isotherm::api::readiness;
use isotherm::host::Host;
use isotherm::http::{Header, Problem, Purpose, Request, Response};
use isotherm::log::Answered;
use isotherm::settings;
use isotherm_spin::{self as spin, Spin};
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let head = spin::head(&request);
    let host = Spin::new("ingest", &head);
    let started = host.monotonic_ms();
    if head.path == readiness::PATH {
        let response = readiness::answer(&host, &head);
        let (route, status) = (readiness::PATH, response.status);
        spin::send(&host, response, out);
        let duration_ms = host.monotonic_ms().saturating_sub(started);
        let answered = Answered { at: spin::now(), route, status, counts: None, duration_ms };
        return host.log_request(&head, answered);
    }
    // What is wrong with the head is said before any body is read, or asked for.
    let (read, unread) = match limit_of(&host, &head) {
        Ok(limit) => (spin::read_body(request, limit), None),
        Err(problem) => (Err(problem), Some(request)),
    };
    // After the body: it may have taken long to come.
    let now = spin::now();
    let Handled { response, follow_up, counts } = match read {
        Ok(body) => ingest::post_readings(&host, &head, &body, now),
        Err(problem) => Response::from(problem).into(),
    };
    let status = response.status;
    spin::send(&host, response, out);
    let duration_ms = host.monotonic_ms().saturating_sub(started);
    let (route, counts) = (ingest::READINGS_PATH, Some(counts));
    host.log_request(&head, Answered { at: now, route, status, counts, duration_ms });
    if let Err(error) = ingest::after_answer(&host, follow_up, now) {
        host.log(&format!("after the answer: {error}"));
    }
    if let Some(unread) = unread.filter(|_| head.headers.get(Header::Expect).is_none()) {
        spin::drop_body(unread);
    }
}

/// How many bytes the body may have, if the head is good.
fn limit_of(host: &Spin, head: &Request) -> Result<usize, Problem> {
    ingest::check_head(head)?;
    let limit = settings::max_body_bytes(host).map_err(|error| {
        host.log(&error.to_string());
        Problem::of(&error, Purpose::Writing)
    })?;
    ingest::check_length(head, limit)?;
    Ok(limit)
}
