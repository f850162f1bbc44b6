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
    let (read, unread) = match router::begin(&routes, &host, &request, spin::now()) {
        Ok(admitted) => {
            let body = match admitted.body_limit {
                0 => Ok(Vec::new()),
                limit_bytes => spin::read_body(incoming, limit_bytes),
            };
            (Ok((admitted, body)), None)
        }
        Err(answered) => (Err(answered), Some(incoming)),
    };
    // Read after the body, which may have taken long to arrive.
    let now = spin::now();
    let answered = match read {
        Ok((admitted, Ok(body))) => {
            router::fold_corrections(&host, now);
            router::answer_by(&routes, &host, &request, &admitted, &body, now)
        }
        Ok((admitted, Err(problem))) => {
            router::refuse(&routes, &host, &request, &admitted, problem)
        }
        Err(answered) => *answered,
    };
    let Answered { response, after_answer, route, accessed } = answered;
    let status = response.status;
    spin::send(&host, &request, response, out);
    let duration_ms = host.monotonic_ms().saturating_sub(started);
    let (counts, who) = (None, accessed.who.as_deref());
    host.log_request(&request, AccessLine { at: now, route, who, status, counts, duration_ms });
    accessed.note(&host, now);
    if let Err(error) = after_answer.run(&host, now) {
        host.log(&format!("after the answer: {error}"));
    }
    // A client that waits for 100 (Continue) sends no body.
    if let Some(unread) = unread.filter(|_| request.headers.get(Header::Expect).is_none()) {
        spin::drop_body(unread);
    }
}
