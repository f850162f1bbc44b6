//! The door of the `query` component: it reads the clock, calls the
//! application, and answers.

#![cfg(target_family = "wasm")]

use isotherm::events;
use isotherm::host::Host;
use isotherm::host::spin::{self, Spin};
use isotherm::query;
use isotherm::snapshot;
use isotherm::view::Answered;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let now = spin::now();
    let request = spin::head(&request);
    if events::are_asked_for(&request) {
        let head = events::head(&Spin, &request);
        return match head.stream {
            true => spin::stream(head.response, out, |to| events::write(&Spin, spin::now, to)),
            false => spin::send(head.response, out),
        };
    }
    let Answered { response, keeps_snapshot } = query::answer(&Spin, &request, now);
    spin::send(response, out);
    if keeps_snapshot && let Err(error) = snapshot::keep(&Spin, now) {
        Spin.log(&format!("the snapshot was not renewed: {error}"));
    }
}
