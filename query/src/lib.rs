//! The entry point of the `query` component: it reads the clock, calls the application,
//! and answers.

#![cfg(target_family = "wasm")]

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
    let log = |route, status| {
        let duration_ms = host.monotonic_ms().saturating_sub(started);
        host.log_request(
            &request,
            AccessLine { at: now, route, status, counts: None, duration_ms },
        );
    };
    if let Some((Opened { response, stream }, route)) = router::events(&host, &request, now) {
        let status = response.status;
        match stream {
            Some(events) => spin::stream(&host, response, out, events),
            None => spin::send(&host, &request, response, out),
        }
        return log(route, status);
    }
    // None of its routes takes a body.
    let answered = router::answer_by(&Route::<Spin>::QUERY, &host, &request, &[], now);
    let Answered { response, after_answer, route } = answered;
    let status = response.status;
    spin::send(&host, &request, response, out);
    log(route, status);
    if let Err(error) = after_answer.run(&host, now) {
        host.log(&format!("after the answer: {error}"));
    }
}
