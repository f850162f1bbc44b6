//! The entry point of the `inspect` component: it reads the clock and a small body, calls
//! the application, and answers.

#![cfg(target_family = "wasm")]

use isotherm::api::answer::Answered;
use isotherm::api::router;
use isotherm::api::routes::Route;
use isotherm::host::Host;
use isotherm::http::Header;
use isotherm::log::AccessLine;
use isotherm_spin::{self as spin, Spin};
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
fn handle(incoming: IncomingRequest, out: ResponseOutparam) {
    let request = spin::head(&incoming);
    let host = Spin::new("inspect", &request);
    let started = host.monotonic_ms();
    let routes = Route::<Spin>::INSPECT;
    let (read, unread) = match router::begin(&routes, &request) {
        Ok(0) => (Ok(Ok(Vec::new())), None),
        Ok(limit_bytes) => (Ok(spin::read_body(incoming, limit_bytes)), None),
        Err(answered) => (Err(answered), Some(incoming)),
    };
    // Read after the body, which may have taken long to arrive.
    let now = spin::now();
    router::fold_corrections(&host, now);
    let answered = match read {
        Ok(Ok(body)) => router::answer_by(&routes, &host, &request, &body, now),
        Ok(Err(problem)) => router::refuse(&routes, &request, problem),
        Err(answered) => answered,
    };
    let Answered { response, after_answer, route } = answered;
    let status = response.status;
    spin::send(&host, &request, response, out);
    let duration_ms = host.monotonic_ms().saturating_sub(started);
    host.log_request(&request, AccessLine { at: now, route, status, counts: None, duration_ms });
    if let Err(error) = after_answer.run(&host, now) {
        host.log(&format!("after the answer: {error}"));
    }
    // A client that waits for 100 (Continue) sends no body.
    if let Some(unread) = unread.filter(|_| request.headers.get(Header::Expect).is_none()) {
        spin::drop_body(unread);
    }
}
