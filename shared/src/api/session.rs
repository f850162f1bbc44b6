//! Sessions of the page: `/v1/session`.

use http::StatusCode;

use crate::access::From;
use crate::access::session::{self, Session, Subject};
use crate::api::access::session_key;
use crate::api::answer::HandlerResult;
use crate::api::call::Call;
use crate::error::Error;
use crate::host::Host;
use crate::http::document::Fields;
use crate::http::{Header, Kind, Problem, Request, Response};
use crate::limits;

/// `GET /v1/session`: whose credential it is, and what it allows.
pub(crate) fn read<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    Ok(Response::json(StatusCode::OK, &record(call)).into())
}

fn record<H: Host>(call: &Call<'_, H>) -> Fields {
    let until = match &call.grant.from {
        From::Jwt(_, until) | From::Session(_, until) => Some(*until),
        From::Anyone | From::Nobody | From::Token { .. } => None,
    };
    let auth = if call.grant.from == From::Anyone { "off" } else { "on" };
    Fields::of([
        ("auth", auth.into()),
        ("who", call.grant.who().into()),
        ("scopes", call.grant.scopes.texts().collect::<Vec<_>>().into()),
        ("until", until.into()),
    ])
}

/// `POST /v1/session`: begins a session for the credential in `authorization`.
pub(crate) fn begin<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let (subject, most) = match &call.grant.from {
        // There is nothing to log in to.
        From::Anyone | From::Nobody => return read(call),
        From::Token { id, mark, .. } => (Subject::Token(id.clone(), mark.clone()), None),
        From::Jwt(who, until) => {
            (Subject::Jwt(who.clone(), call.grant.scopes.reading()), Some(*until))
        }
        From::Session(..) => {
            let detail = "a session does not begin another one; send a token or a JWT";
            return Err(Problem::new(Kind::Forbidden, detail).into());
        }
    };
    if !call.grant.scopes.reading().reads_any() && !call.grant.scopes.has_metrics() {
        let detail = "a session only reads, and the token allows no reading";
        return Err(Problem::new(Kind::Forbidden, detail).into());
    }
    let key = session_key(call.host)?.ok_or_else(|| Error::Misconfigured {
        variable: "session_key",
        cause: "must be set for sessions of the page".to_owned(),
    })?;
    let ends = call.now.saturating_add(limits::SESSION_MS);
    let until = most.map_or(ends, |most| most.min(ends));
    let value = Session { subject, until }.seal(&key);
    let cookie = session::begin(&value, is_plain(call.request));
    let body = Fields::of([
        ("auth", "on".into()),
        ("who", call.grant.who().into()),
        ("scopes", call.grant.scopes.reading().texts().collect::<Vec<_>>().into()),
        ("until", until.into()),
    ]);
    Ok(Response::json(StatusCode::OK, &body).with_header("set-cookie", cookie).into())
}

/// `DELETE /v1/session`: ends it, in the browser that asks.
pub(crate) fn end<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let cookie = session::end(is_plain(call.request));
    Ok(Response::empty(StatusCode::NO_CONTENT).with_header("set-cookie", cookie).into())
}

/// Whether the page came over plain HTTP from a loopback address: browsers keep no cookie
/// that is `Secure` there. (The runtime does not tell over what a request came.)
fn is_plain(request: &Request) -> bool {
    let origin = request.headers.get(Header::Origin).and_then(|text| text.strip_prefix("http://"));
    origin.is_some_and(|host| {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        name == "localhost" || name == "[::1]" || name.starts_with("127.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_plain_on_loopback_alone() {
        for (origin, expected) in [
            ("http://127.0.0.1:3000", true),
            ("http://localhost", true),
            ("http://[::1]:3000", true),
            ("https://127.0.0.1:3000", false),
            ("http://gateway.example", false),
            ("http://localhost.example", false),
            ("null", false),
            ("", false),
        ] {
            let request = Request::get("/").with(Header::Origin, origin);
            assert_eq!(is_plain(&request), expected, "{origin}");
        }
        assert!(!is_plain(&Request::get("/")));
    }
}
