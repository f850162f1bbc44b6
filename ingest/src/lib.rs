//! The door of the `ingest` component: it reads a bounded body and the clock,
//! calls the application, answers, and folds when nobody waits any more.

#![cfg(target_family = "wasm")]

use isotherm::host::Host;
use isotherm::host::spin::{self, Spin};
use isotherm::http::{Problem, Request};
use isotherm::ingest::{self, Handled};
use isotherm::{fold, settings};
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let now = spin::now();
    let head = spin::head(&request);
    let Handled { response, fold_after } = match read(&head, request) {
        Ok(body) => ingest::post_readings(&Spin, &head, &body, now),
        Err(problem) => Handled { response: problem.into(), fold_after: false },
    };
    spin::send(response, out);
    if fold_after && let Err(error) = fold::after_answer(&Spin, now) {
        Spin.log(&format!("fold after the answer: {error}"));
    }
}

fn read(head: &Request, request: IncomingRequest) -> Result<Vec<u8>, Problem> {
    ingest::check_head(head)?;
    let limit = settings::max_body_bytes(&Spin).map_err(|error| {
        Spin.log(&error.to_string());
        Problem::from(&error)
    })?;
    spin::read_body(request, limit)
}
