//! The entry point of the `ingest` component: it reads a bounded body and the clock,
//! calls the application, answers, and then folds.

#![cfg(target_family = "wasm")]

use isotherm::api::readings::{self, Begun, Handled};
use isotherm::host::Host;
use isotherm::http::Header;
use isotherm::log::AccessLine;
use isotherm_spin::{self as spin, Spin};
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let head = spin::head(&request);
    let host = Spin::new("ingest", &head);
    let started = host.monotonic_ms();
    let begun = readings::begin(&host, &head, spin::now());
    let (read, unread) = match begun {
        Begun::WantsBody(limit_bytes) => (Ok(spin::read_body(request, limit_bytes)), None),
        Begun::Done(handled) => (Err(handled), Some(request)),
    };
    // Read after the body, which may have taken long to arrive.
    let now = spin::now();
    let handled = match read {
        Ok(Ok(body)) => readings::post(&host, &head, &body, now),
        Ok(Err(problem)) => readings::refuse(&host, &head, problem),
        Err(handled) => handled,
    };
    let Handled { response, after_answer, counts, route } = handled;
    let status = response.status;
    spin::send(&host, &head, response, out);
    let duration_ms = host.monotonic_ms().saturating_sub(started);
    host.log_request(&head, AccessLine { at: now, route, status, counts, duration_ms });
    if let Err(error) = after_answer.run(&host, now) {
        host.log(&format!("after the answer: {error}"));
    }
    // A client that waits for 100 (Continue) sends no body.
    if let Some(unread) = unread.filter(|_| head.headers.get(Header::Expect).is_none()) {
        spin::drop_body(unread);
    }
}
