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
        Begun::WantsBody(admitted) => {
            let body = spin::read_body(request, admitted.body_limit);
            (Ok((admitted, body)), None)
        }
        Begun::Done(handled) => (Err(handled), Some(request)),
    };
    // Read after the body, which may have taken long to arrive.
    let now = spin::now();
    let handled = match read {
        Ok((admitted, Ok(body))) => readings::answer(&host, &head, &admitted, &body, now),
        Ok((admitted, Err(problem))) => readings::refuse(&host, &head, &admitted, problem),
        Err(handled) => handled,
    };
    let Handled { response, after_answer, counts, route, accessed } = handled;
    let status = response.status;
    spin::send(&host, &head, response, out);
    let duration_ms = host.monotonic_ms().saturating_sub(started);
    let who = accessed.who.as_deref();
    host.log_request(&head, AccessLine { at: now, route, who, status, counts, duration_ms });
    accessed.note(&host, now);
    if let Err(error) = after_answer.run(&host, now) {
        host.log(&format!("after the answer: {error}"));
    }
    // A client that waits for 100 (Continue) sends no body.
    if let Some(unread) = unread.filter(|_| head.headers.get(Header::Expect).is_none()) {
        spin::drop_body(unread);
    }
}
