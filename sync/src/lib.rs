//! The entry point of the `sync` component: it answers, and then sends other nodes what they
//! may not have. It is the only component that calls out.

#![cfg(target_family = "wasm")]

use http::StatusCode;
use isotherm::api::answer::Answered;
use isotherm::api::routes::Route;
use isotherm::api::{router, sync};
use isotherm::host::Host;
use isotherm::http::Header;
use isotherm::log::AccessLine;
use isotherm_spin::{self as spin, Spin};
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
fn handle(incoming: IncomingRequest, out: ResponseOutparam) {
    let request = spin::head(&incoming);
    let host = Spin::new("sync", &request);
    let started = host.monotonic_ms();
    let now = spin::now();
    let routes = Route::<Spin>::SYNC;
    let answered = router::answer_at_once(&routes, &host, &request, &[], now);
    let Answered { response, after_answer: _, route, accessed } = answered;
    let status = response.status;
    spin::send(&host, &request, response, out);
    let duration_ms = host.monotonic_ms().saturating_sub(started);
    let (counts, who) = (None, accessed.who.as_deref());
    host.log_request(&request, AccessLine { at: now, route, who, status, counts, duration_ms });
    accessed.note(&host, now);
    // A client that waits for 100 (Continue) sends no body.
    if request.headers.get(Header::Expect).is_none() {
        spin::drop_body(incoming);
    }
    if status == StatusCode::ACCEPTED
        && let Err(error) = sync::run(&host, spin::now())
    {
        host.log(&format!("a beat: {error}"));
    }
}
