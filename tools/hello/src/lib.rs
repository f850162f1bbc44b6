//! A bare component of the SDK, as in its template.

#![cfg(target_family = "wasm")]

use spin_sdk::http::{IntoResponse, Request, Response};

#[spin_sdk::http_component]
fn handle(_request: Request) -> impl IntoResponse {
    Response::builder().status(200).header("content-type", "text/plain").body("hello").build()
}
