//! Tokens of devices, gateways and services: `/v1/tokens`.

use http::StatusCode;
use serde_json::Value;

use crate::access::scope::Scopes;
use crate::access::token::{State, Token, TokenId};
use crate::api::access::tokens_of_variable;
use crate::api::answer::HandlerResult;
use crate::api::call::Call;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::Host;
use crate::http::document::Fields;
use crate::http::{Kind, Problem, Refusal, Response};
use crate::journal::tokens as kept;
use crate::limits;
use crate::settings;
use crate::wire::object::Object;

/// `GET /v1/tokens`: all tokens, without what is secret.
pub(crate) fn list<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let store = open(call)?;
    let all = kept::all(&store).map_err(Error::Journal)?;
    let of_variable = tokens_of_variable(call.host)?;
    let stored = all.lines.iter().filter_map(|line| Token::parse(line));
    let origins = of_variable.into_iter().map(|token| (token, "variable"));
    let rows = origins.chain(stored.map(|token| (token, "stored")));
    let rows: Vec<Value> = rows
        .map(|(token, origin)| {
            let last_used = all.last_use(token.id.as_str());
            let record = record(&token).with("last_used", last_used).with("origin", origin);
            serde_json::to_value(record).unwrap_or_default()
        })
        .collect();
    let body = Fields::of([("tokens", rows.into()), ("as_of", call.now.into())]);
    Ok(Response::json(StatusCode::OK, &body).into())
}

/// What is shown of a token.
fn record(token: &Token) -> Fields {
    Fields::of([
        ("id", token.id.as_str().into()),
        ("scopes", token.scopes.texts().collect::<Vec<_>>().into()),
        ("state", token.state.name().into()),
        ("expires", token.expires.into()),
        ("made", token.made.into()),
    ])
}

/// The fields of a new token.
const NEW: &[&str] = &["id", "scopes", "expires"];

/// `POST /v1/tokens`: makes a token, and shows it this once.
pub(crate) fn post<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let store = open(call)?;
    let body = call.object(NEW)?;
    let id = body.text("id").map_err(invalid)?.and_then(|id| TokenId::new(&id));
    let id = id.ok_or_else(|| {
        let most = limits::TOKEN_ID_BYTES_MAX;
        invalid(format!("id must be 1 to {most} of A-Z a-z 0-9 . : -, like gateway-7"))
    })?;
    let scopes = scopes(&body)?;
    let expires = expires(&body, call.now)?;
    let random = call.host.secret().map_err(Error::Random)?;
    let (secret, token) = Token::make(id, &random, scopes, expires, call.now);
    let line = token.to_string();
    for _ in 0..ATTEMPTS {
        let before = kept::last_made(&store).map_err(Error::Journal)?;
        let all = kept::all(&store).map_err(Error::Journal)?;
        let stored: Vec<Token> = all.lines.iter().filter_map(|line| Token::parse(line)).collect();
        check_free(call, &token, &stored, &before)?;
        if !kept::claim(&store, &before, &line).map_err(Error::Journal)? {
            continue;
        }
        // Revoked ones are kept for the list, as far as there is room.
        if stored.len() >= limits::TOKENS_MAX
            && let Some(oldest) =
                stored.iter().filter(|token| is_revoked(token)).min_by_key(|token| token.made)
        {
            kept::remove(&store, oldest.id.as_str()).map_err(Error::Journal)?;
        }
        kept::add(&store, token.id.as_str(), &line).map_err(Error::Journal)?;
        let body = record(&token).with("token", secret.expose());
        return Ok(Response::json(StatusCode::CREATED, &body).into());
    }
    Err(contradicting("other requests made tokens at the same time; none was made").into())
}

fn is_revoked(token: &Token) -> bool {
    token.state == State::Revoked
}

fn contradicting(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::Contradicting, detail.into())
}

/// Checks that a token can be made: no other one has its id, also none that another request
/// has claimed (`last_made`) and not stored yet, and there is room.
fn check_free<H: Host>(
    call: &Call<'_, H>,
    token: &Token,
    stored: &[Token],
    last_made: &str,
) -> Result<(), Refusal> {
    let of_variable = tokens_of_variable(call.host)?;
    let mut taken = of_variable.iter().chain(stored.iter().filter(|token| !is_revoked(token)));
    if taken.any(|taken| taken.id == token.id) {
        let detail = "there is a token with this id; revoke it first, or take another id";
        return Err(contradicting(detail).into());
    }
    let is_being_made = |other: &Token| {
        let age_ms = other.made.map_or(u64::MAX, |made| call.now.get().abs_diff(made.get()));
        other.id == token.id
            && age_ms <= limits::TOKEN_CLAIM_MS
            && stored.iter().all(|stored| stored.mark() != other.mark())
    };
    if Token::parse(last_made).as_ref().is_some_and(is_being_made) {
        return Err(contradicting("another request makes a token with this id").into());
    }
    if stored.iter().filter(|token| !is_revoked(token)).count() >= limits::TOKENS_MAX {
        let most = limits::TOKENS_MAX;
        let detail = format!("there are {most} tokens, the most there may be; revoke one first");
        return Err(contradicting(detail).into());
    }
    Ok(())
}

/// `PUT /v1/tokens/{id}`: makes a token inactive, or active again.
pub(crate) fn put<H: Host>(call: &Call<'_, H>, id: &str) -> HandlerResult {
    open(call)?;
    let body = call.object(&["state"])?;
    let state = match body.text("state").map_err(invalid)?.as_deref() {
        Some("active") => State::Active,
        Some("inactive") => State::Inactive,
        _ => return Err(invalid("state must be active or inactive").into()),
    };
    let token = change(call, id, |token| match token.state {
        State::Revoked => {
            let detail = "the token was revoked, which can't be undone; make another one";
            Err(Problem::new(Kind::Contradicting, detail))
        }
        State::Active | State::Inactive => Ok(token.in_state(state)),
    })?;
    Ok(Response::json(StatusCode::OK, &record(&token)).into())
}

/// `DELETE /v1/tokens/{id}`: revokes a token, for the next request of whoever has it.
pub(crate) fn delete<H: Host>(call: &Call<'_, H>, id: &str) -> HandlerResult {
    let token = change(call, id, |token| Ok(token.in_state(State::Revoked)))?;
    Ok(Response::json(StatusCode::OK, &record(&token)).into())
}

fn change<H: Host>(
    call: &Call<'_, H>,
    id: &str,
    change: impl Fn(Token) -> Result<Token, Problem>,
) -> Result<Token, Refusal> {
    let store = open(call)?;
    if tokens_of_variable(call.host)?.iter().any(|token| token.id.as_str() == id) {
        let detail = "the token is in the variable tokens; change it there, and restart";
        return Err(Problem::new(Kind::Contradicting, detail).into());
    }
    let missing = || Problem::new(Kind::NotFound, "no token has this id");
    let id = TokenId::new(id).ok_or_else(missing)?;
    for _ in 0..ATTEMPTS {
        let found = kept::load(&store, id.as_str(), false).map_err(Error::Journal)?;
        let before = found.line.ok_or_else(missing)?;
        let token = change(Token::parse(&before).ok_or_else(missing)?)?;
        let line = token.to_string();
        if kept::save(&store, id.as_str(), &before, &line).map_err(Error::Journal)? {
            return Ok(token);
        }
    }
    let detail = "other requests changed the token at the same time; nothing was changed";
    Err(Problem::new(Kind::Contradicting, detail).into())
}

/// How often to try while other requests change the token, too.
const ATTEMPTS: usize = 8;

/// Tokens are made and shown only while they are asked for: one that was made before could
/// be anybody's.
fn open<H: Host>(call: &Call<'_, H>) -> Result<H::KeyValue, Refusal> {
    if !settings::access_is_on(call.host)? {
        let detail = "access control is off (variable auth): there are no tokens; the operator \
                      can turn it on";
        return Err(Problem::new(Kind::Contradicting, detail).into());
    }
    Ok(call.host.key_value().map_err(Error::Journal)?)
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::InvalidBody, detail.into())
}

fn scopes(body: &Object<'_>) -> Result<Scopes, Problem> {
    let texts = body.raw("scopes").and_then(|raw| serde_json::from_str::<Vec<String>>(raw).ok());
    let scopes = texts.and_then(|texts| Scopes::of(texts.iter().map(String::as_str)));
    scopes.ok_or_else(|| {
        let most = limits::SCOPES_MAX;
        invalid(format!(
            "scopes must be an array of 1 to {most} of write:<device>@<region>, read:<region>, \
             metrics and admin; a name may end with *"
        ))
    })
}

fn expires(body: &Object<'_>, now: UnixMillis) -> Result<Option<UnixMillis>, Problem> {
    let Some(text) = body.text("expires").map_err(invalid)? else { return Ok(None) };
    let at = UnixMillis::parse_rfc3339(&text).filter(|at| *at > now);
    let rule = || invalid("expires must be a time in RFC 3339 that is not past");
    at.map(Some).ok_or_else(rule)
}
