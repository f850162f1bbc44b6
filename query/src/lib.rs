//! The door of the `query` component: it reads the clock, calls the
//! application, and answers.

#![cfg(target_family = "wasm")]

use isotherm::host::spin::{self, Spin};
use isotherm::query;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let response = query::answer(&Spin, &spin::head(&request), spin::now());
    spin::send(response, out);
}
