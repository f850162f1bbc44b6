//! The entry point of the `query` component: it reads the clock and a small body, calls
//! the application, and answers.

#![cfg(target_family = "wasm")]

use isotherm::api::answer::Answered;
use isotherm::api::events::Opened;
use isotherm::api::routes;
use isotherm::host::Host;
use isotherm::http::Header;
use isotherm::log::AccessLine;
use isotherm_spin::{self as spin, Spin};
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
fn handle(incoming: IncomingRequest, out: ResponseOutparam) {
    let now = spin::now();
    let request = spin::head(&incoming);
    let host = Spin::new("query", &request);
    let started = host.monotonic_ms();
    let log = |route, status| {
        let duration_ms = host.monotonic_ms().saturating_sub(started);
        host.log_request(
            &request,
            AccessLine { at: now, route, status, counts: None, duration_ms },
        );
    };
    if let Some((Opened { response, stream }, route)) = routes::events(&host, &request, now) {
        let status = response.status;
        match stream {
            Some(events) => spin::stream(&host, response, out, events),
            None => spin::send(&host, response, out),
        }
        return log(route, status);
    }
    let (read, unread) = match routes::begin::<Spin>(&request) {
        Ok(0) => (Ok(Ok(Vec::new())), None),
        Ok(limit_bytes) => (Ok(spin::read_body(incoming, limit_bytes)), None),
        Err(answered) => (Err(answered), Some(incoming)),
    };
    // Read after the body, which may have taken long to arrive.
    let now = spin::now();
    let answered = match read {
        Ok(Ok(body)) => routes::answer_with(&host, &request, &body, now),
        Ok(Err(problem)) => routes::refuse::<Spin>(&request, problem),
        Err(answered) => answered,
    };
    let Answered { response, after_answer, route } = answered;
    let status = response.status;
    spin::send(&host, response, out);
    log(route, status);
    if let Err(error) = after_answer.run(&host, now) {
        host.log(&format!("after the answer: {error}"));
    }
    // A client that waits for 100 (Continue) sends no body.
    if let Some(unread) = unread.filter(|_| request.headers.get(Header::Expect).is_none()) {
        spin::drop_body(unread);
    }
}
