//! Access control: what each credential allows, and what it does not.
//!
//! - `credentials`: tokens, JWTs and sessions, good and bad, and what they are to get;
//! - `routes`: every route with every credential, over a socket;
//! - `filters`, `items`, `batches`: what a credential reads and sends of some regions, and what
//!   another node sends;
//! - `withdrawn`: revocation, rotation, last use;
//! - `sessions`, `cors`: browsers;
//! - `audit`: what is kept of who asked;
//! - `bad_input`, `faults`, `secrets`: what must not open a door, or be seen.
//!
//! What has no door is tested beside its code (`shared/src/access`).

mod audit;
mod bad_input;
mod batches;
mod cors;
mod credentials;
mod faults;
mod filters;
mod items;
mod jwt;
mod routes;
mod secrets;
mod sessions;
mod withdrawn;

pub(super) use self::jwt::base64;

use isotherm::http::{Header, Request, Response};
use isotherm_it::now_ms;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::assert::header;
use crate::support::node::Node;
use crate::support::readings::at;

/// A token, and its line for the variable `tokens`. The same id makes the same token.
pub(super) fn token(id: &str, scopes: &[&str]) -> (String, String) {
    let random: [u8; 32] = Sha256::digest(id.as_bytes()).into();
    isotherm::new_token(id, &random, scopes, None, at(now_ms())).unwrap()
}

/// Tokens by their ids and scopes with spaces between, and the variable with all of them.
pub(super) fn tokens<const N: usize>(tokens: [(&str, &str); N]) -> ([String; N], String) {
    let made = tokens.map(|(id, scopes)| token(id, &scopes.split(' ').collect::<Vec<_>>()));
    let lines: Vec<&str> = made.iter().map(|(_, line)| line.as_str()).collect();
    let variable = lines.join(";");
    (made.map(|(token, _)| token), variable)
}

/// What must be in `session_key`.
pub(super) const SESSION_KEY: &str = "session-key-0123456789-0123456789-xyz";

pub(super) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// A GET with a token.
pub(super) fn get(path: &str, token: &str) -> Request {
    Request::get(path).with(Header::Authorization, bearer(token))
}

/// What a response says, whatever its status.
#[track_caller]
pub(super) fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|_not_json| {
        panic!("{}: {}", response.status, String::from_utf8_lossy(&response.body))
    })
}

/// Asserts that a response is the problem of this status and kind.
#[track_caller]
pub(super) fn check_refused(response: &Response, status: u16, kind: &str) {
    let said = body(response);
    assert_eq!(response.status, status, "{said}");
    assert_eq!(said["type"], format!("urn:isotherm:problem:{kind}"));
    assert_eq!(header(response, "cache-control"), Some("no-store"));
}

impl Node {
    /// One request, and what it does after its answer, as an entry point does both.
    pub(super) fn asked(&mut self, request: &Request, sent: &str) -> Response {
        self.now = self.now.saturating_add(1_000);
        let (host, now) = (&self.host, self.now);
        if isotherm::api::routes::Route::<crate::support::faulty::FaultyHost>::INGEST
            .iter()
            .any(|route| route.pattern == request.path)
        {
            let handled = isotherm::api::readings::post(host, request, sent.as_bytes(), now);
            handled.accessed.note(host, now);
            drop(handled.after_answer.run(host, now));
            return handled.response;
        }
        let answered = isotherm::api::router::answer_with(host, request, sent.as_bytes(), now);
        answered.accessed.note(host, now);
        drop(answered.after_answer.run(host, now));
        answered.response
    }

    /// A GET with a token.
    pub(super) fn get_by(&mut self, token: &str, path: &str) -> Response {
        self.asked(&get(path, token), "")
    }

    /// The JSON of one, with 200.
    #[track_caller]
    pub(super) fn read_by(&mut self, token: &str, path: &str) -> Value {
        let response = self.get_by(token, path);
        assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
        body(&response)
    }

    /// A request with a token, a method and a JSON body.
    pub(super) fn change_by(
        &mut self,
        token: &str,
        method: http::Method,
        path: &str,
        sent: &Value,
    ) -> Response {
        let request = Request::with_method(method, path)
            .with(Header::Authorization, bearer(token))
            .with(Header::ContentType, "application/json");
        self.asked(&request, &sent.to_string())
    }
}
