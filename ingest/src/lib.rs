//! The door of the `ingest` component: it reads a bounded body and the clock,
//! calls the application, answers, and folds when nobody waits any more.

#![cfg(target_family = "wasm")]

use isotherm::host::Host;
use isotherm::host::spin::{self, Spin};
use isotherm::http::{Problem, Request};
use isotherm::ingest::{self, FollowUp, Handled};
use isotherm::settings;
use spin_sdk::http::{IncomingRequest, ResponseOutparam};

#[spin_sdk::http_component]
fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let head = spin::head(&request);
    let read = read(&head, request);
    // After the body: it may have taken long to come.
    let now = spin::now();
    let Handled { response, follow_up } = match read {
        Ok(body) => ingest::post_readings(&Spin, &head, &body, now),
        Err(problem) => Handled { response: problem.into(), follow_up: FollowUp::default() },
    };
    spin::send(response, out);
    if let Err(error) = ingest::after_answer(&Spin, follow_up, now) {
        Spin.log(&format!("after the answer: {error}"));
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
