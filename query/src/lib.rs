//! The entry point of the `query` component: it reads the clock, calls the application,
//! and answers.

#![cfg(target_family = "wasm")]

use isotherm::api::accessed::Accessed;
use isotherm::api::answer::Answered;
use isotherm::api::events::Opened;
use isotherm::api::router;
use isotherm::api::routes::Route;
use isotherm::host::Host;
use isotherm::log::AccessLine;
use isotherm_spin::{self as spin, Spin};
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let now = spin::now();
    let request = spin::head(&request);
    let host = Spin::new("query", &request);
    let started = host.monotonic_ms();
    let done = |route, status, accessed: &Accessed| {
        let (counts, who) = (None, accessed.who.as_deref());
        let duration_ms = host.monotonic_ms().saturating_sub(started);
        let line = AccessLine { at: now, route, who, status, counts, duration_ms };
        host.log_request(&request, line);
        accessed.note(&host, now);
    };
    if let Some((opened, route, accessed)) = router::events(&host, &request, now) {
        let Opened { response, stream } = opened;
        let status = response.status;
        match stream {
            Some(events) => spin::stream(&host, response, out, events),
            None => spin::send(&host, &request, response, out),
        }
        return done(route, status, &accessed);
    }
    // None of its routes takes a body.
    let answered = router::answer_at_once(&Route::<Spin>::QUERY, &host, &request, &[], now);
    let Answered { response, after_answer, route, accessed } = answered;
    let status = response.status;
    spin::send(&host, &request, response, out);
    done(route, status, &accessed);
    if let Err(error) = after_answer.run(&host, now) {
        host.log(&format!("after the answer: {error}"));
    }
}
