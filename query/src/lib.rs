//! The door of the `query` component: it reads the clock, calls the
//! application, and answers.

#![cfg(target_family = "wasm")]

use isotherm::host::Host;
use isotherm::host::spin::{self, Spin};
use isotherm::query;
use isotherm::snapshot;
use isotherm::view::Answered;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let now = spin::now();
    let Answered { response, keeps_snapshot } = query::answer(&Spin, &spin::head(&request), now);
    spin::send(response, out);
    if keeps_snapshot && let Err(error) = snapshot::keep(&Spin, now) {
        Spin.log(&format!("the snapshot was not renewed: {error}"));
    }
}
