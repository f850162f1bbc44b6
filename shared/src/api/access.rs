//! Who may do what: the variables and the key-value store around `access`.
//!
//! A request is judged by its head, before a body is read, for the scope of its route. A
//! store that fails never opens a door: what can't be looked up is 503, so that a device
//! keeps its readings, and tokens of the variable work on.

use crate::access::credential::{Credential, credential};
use crate::access::jwk::{self, Key};
use crate::access::jwt::{self, Expected};
use crate::access::secret::Secret;
use crate::access::session::{Fault, Session, Subject};
use crate::access::token::{self, Sent, Token, TokenId, Verdict};
use crate::access::{Denied, From, Grant, Scope};
use crate::api::denial::{Denial, denied, forbidden, no_jwt_here};
use crate::domain::reading::UnixMillis;
use crate::error::{Error, best_effort};
use crate::host::Host;
use crate::http::{Header, Request};
use crate::journal::door::Door;
use crate::journal::tokens::{self, Kept};
use crate::limits;
use crate::settings;

/// How JWTs are verified; `None` in a component that takes none.
pub(crate) type JwtVerifier<H> = fn(&H, &Secret, UnixMillis) -> Result<Grant, Denial>;

/// Judges a request for a route with this scope, by its head.
pub(crate) fn admit<H: Host>(
    host: &H,
    request: &Request,
    scope: Scope,
    jwt: JwtVerifier<H>,
    now: UnixMillis,
) -> Result<Grant, Denial> {
    judge(host, request, scope, Some(jwt), now).map(|admission| admission.grant)
}

/// The same for a sender's request: no JWT is taken, and the door may come with the grant.
pub(crate) fn admit_sender<H: Host>(
    host: &H,
    request: &Request,
    scope: Scope,
    now: UnixMillis,
) -> Result<Admission, Denial> {
    judge(host, request, scope, None, now)
}

/// The same for a request to a source, whose sender may have a key elsewhere than in a header:
/// `key` is that, where the request has one. Only an ingest key is taken from there.
pub(crate) fn admit_source<H: Host>(
    host: &H,
    request: &Request,
    key: Option<&Secret>,
    now: UnixMillis,
) -> Result<Admission, Denial> {
    let has_header = request.headers.get(Header::Authorization).is_some();
    let Some(key) = key.filter(|_| !has_header) else {
        return judge(host, request, Scope::Source, None, now);
    };
    if !settings::access_is_on(host)? {
        return Ok(Grant::anyone().into());
    }
    let admission = match Sent::parse(key) {
        Some(sent) if sent.is_key => by_token(host, key, true, now),
        _ => Err(denied(Denied::Invalid)),
    };
    let admission = admission.map_err(|denial| without_any_key(host, denial))?;
    // What a key allows was looked up: an id may have been made again with other scopes.
    match admission.grant.scopes.is_of_one_source() {
        true => Ok(admission),
        false => Err(forbidden("source:<source>", admission.grant.who())),
    }
}

/// A grant, and the door if it was read in the same call as what is kept of the token.
pub(crate) struct Admission {
    pub(crate) grant: Grant,
    pub(crate) door: Option<Door>,
}

impl core::convert::From<Grant> for Admission {
    fn from(grant: Grant) -> Self {
        Self { grant, door: None }
    }
}

fn judge<H: Host>(
    host: &H,
    request: &Request,
    scope: Scope,
    jwt: Option<JwtVerifier<H>>,
    now: UnixMillis,
) -> Result<Admission, Denial> {
    if scope == Scope::Open {
        return Ok(Grant::nobody().into());
    }
    if !settings::access_is_on(host)? {
        return Ok(Grant::anyone().into());
    }
    let admission = match credential(request) {
        None => Err(denied(Denied::Missing)),
        Some(Credential::Unreadable) => Err(denied(Denied::Invalid)),
        Some(Credential::Token(token)) if jwt::is_jwt(&token) => match jwt {
            Some(verify) => verify(host, &token, now).map(Admission::from),
            None => Err(no_jwt_here()),
        },
        Some(Credential::Token(token)) => by_token(host, &token, jwt.is_none(), now),
        Some(Credential::Session(cookie)) => by_session(host, &cookie, now).map(Admission::from),
    };
    let admission = admission.map_err(|denial| without_any_key(host, denial))?;
    let scopes = &admission.grant.scopes;
    let (allows, needed) = match scope {
        Scope::Open | Scope::Any => (true, ""),
        Scope::Read => (scopes.reads_any(), "read:<region>"),
        Scope::ReadAll => (scopes.reads_all(), "read:*"),
        Scope::Write => (scopes.writes_any() || scopes.syncs_any(), "write:<device>@<region>"),
        Scope::Source => (scopes.writes_any() || scopes.sends_by_any(), "source:<source>"),
        Scope::Sync => (scopes.syncs_any(), "sync:<node>@<region>"),
        Scope::Metrics => (scopes.has_metrics(), "metrics"),
        Scope::Admin => (scopes.is_admin(), "admin"),
    };
    match allows {
        true => Ok(admission),
        false => Err(forbidden(needed, admission.grant.who())),
    }
}

fn misconfigured(variable: &'static str, cause: impl Into<String>) -> Error {
    Error::Misconfigured { variable, cause: cause.into() }
}

/// A variable that is secret; `None` if it is empty.
fn secret(host: &impl Host, name: &str) -> Result<Option<Secret>, Error> {
    let text = host.variable(name).map_err(Error::Variables)?;
    Ok(text.filter(|text| !text.trim().is_empty()).map(Secret::new))
}

fn by_token<H: Host>(
    host: &H,
    token: &Secret,
    with_door: bool,
    now: UnixMillis,
) -> Result<Admission, Denial> {
    let sent = Sent::parse(token).ok_or_else(|| denied(Denied::Invalid))?;
    let (token, Kept { used, door, .. }) = find_token(host, &sent.id, with_door)?;
    let token = token.ok_or_else(|| denied(Denied::Invalid))?;
    match token.verify(&sent, now) {
        Verdict::Valid => {
            let from = From::Token { id: sent.id, mark: token.mark(), used };
            let grant = Grant { scopes: token.scopes, from };
            Ok(Admission { grant, door })
        }
        Verdict::Wrong => Err(denied(Denied::Invalid)),
        Verdict::Withdrawn => Err(denied(Denied::Withdrawn).of(&sent.id)),
        Verdict::Expired => Err(denied(Denied::Expired).of(&sent.id)),
    }
}

/// The token with this id: of the variable, or of key-value.
fn kept_token<H: Host>(host: &H, id: &TokenId) -> Result<Option<Token>, Error> {
    find_token(host, id, false).map(|(token, _)| token)
}

/// The same, and what was read with it of key-value. A token of the variable works without
/// that; for a request that needs the door it is read all the same, and with it when the
/// token was last used, so that this needs no call of its own after the answer.
fn find_token<H: Host>(
    host: &H,
    id: &TokenId,
    with_door: bool,
) -> Result<(Option<Token>, Kept), Error> {
    let variable = secret(host, TOKENS)?;
    if let Some(line) = variable.as_ref().and_then(|text| token::line_of(text.expose(), id)) {
        let token = Token::parse(line);
        let token = token.ok_or_else(|| misconfigured(TOKENS, "has a line that is none"))?;
        if !with_door {
            return Ok((Some(token), Kept::default()));
        }
        let store = host.key_value();
        let kept = store.and_then(|store| tokens::load_use_and_door(&store, id.as_str()));
        return Ok((Some(token), best_effort(kept).unwrap_or_default()));
    }
    let store = host.key_value().map_err(Error::Journal)?;
    let kept = tokens::load(&store, id.as_str(), with_door).map_err(Error::Journal)?;
    Ok((kept.line.as_deref().and_then(Token::parse), kept))
}

pub(crate) const TOKENS: &str = "tokens";

/// The tokens of the variable.
pub(crate) fn tokens_of_variable(host: &impl Host) -> Result<Vec<Token>, Error> {
    let variable = secret(host, TOKENS)?;
    let Some(text) = variable else { return Ok(Vec::new()) };
    Ok(token::lines(text.expose()).filter_map(Token::parse).collect())
}

fn by_session<H: Host>(host: &H, cookie: &Secret, now: UnixMillis) -> Result<Grant, Denial> {
    let key = session_key(host)?.ok_or_else(|| denied(Denied::Invalid))?;
    let session = Session::open(cookie, &key, now).map_err(|fault| match fault {
        Fault::Forged => denied(Denied::Invalid),
        Fault::Expired => denied(Denied::Expired),
    })?;
    let (who, scopes) = match session.subject {
        // Looked at again: it may have been revoked, or have other scopes.
        Subject::Token(id, mark) => {
            let is_it = |kept: &Token| kept.works(now) && kept.mark() == mark;
            let kept = kept_token(host, &id)?.filter(is_it);
            let kept = kept.ok_or_else(|| denied(Denied::Withdrawn))?;
            (id.as_str().to_owned(), kept.scopes)
        }
        Subject::Jwt(who, scopes) => (who, scopes),
    };
    let scopes = scopes.reading();
    Ok(Grant { scopes, from: From::Session(who, session.until) })
}

pub(crate) const SESSION_KEY: &str = "session_key";

/// The variable `session_key`.
pub(crate) fn session_key(host: &impl Host) -> Result<Option<Secret>, Error> {
    let key = secret(host, SESSION_KEY)?;
    let is_long = |key: &Secret| key.expose().trim().len() >= limits::SESSION_KEY_CHARS_MIN;
    if key.as_ref().is_some_and(|key| !is_long(key)) {
        let rule = format!("must have at least {} characters", limits::SESSION_KEY_CHARS_MIN);
        return Err(misconfigured(SESSION_KEY, rule));
    }
    Ok(key)
}

/// Verifies a JWT by the variables `jwt_keys`, `jwt_issuer` and `jwt_audience`.
pub(crate) fn by_jwt<H: Host>(host: &H, token: &Secret, now: UnixMillis) -> Result<Grant, Denial> {
    let Some(Issuer { keys, issuer, audience }) = issuer(host)? else {
        return Err(denied(Denied::Invalid));
    };
    let expected = Expected { issuer: &issuer, audience: &audience };
    let verified = jwt::verify(token, &keys, &expected, now).map_err(|fault| match fault {
        jwt::Fault::Invalid | jwt::Fault::NotYet => denied(Denied::Invalid),
        jwt::Fault::Expired => denied(Denied::Expired),
    })?;
    let from = From::Jwt(verified.who, verified.expires);
    Ok(Grant { scopes: verified.scopes, from })
}

/// Who makes JWTs for this node.
struct Issuer {
    keys: Vec<Key>,
    issuer: String,
    audience: String,
}

pub(crate) const JWT_KEYS: &str = "jwt_keys";

fn issuer(host: &impl Host) -> Result<Option<Issuer>, Error> {
    let Some(text) = secret(host, JWT_KEYS)? else { return Ok(None) };
    let keys = jwk::parse(text.expose()).map_err(|cause| misconfigured(JWT_KEYS, cause))?;
    let other = |name: &'static str| {
        let text = host.variable(name).map_err(Error::Variables)?.unwrap_or_default();
        let text = text.trim().to_owned();
        match text.is_empty() {
            true => Err(misconfigured(name, "must be set if jwt_keys is")),
            false => Ok(text),
        }
    };
    Ok(Some(Issuer { keys, issuer: other("jwt_issuer")?, audience: other("jwt_audience")? }))
}

/// Checks the variables of access, but for those of JWTs.
pub(crate) fn check(host: &impl Host) -> Result<(), Error> {
    settings::access_is_on(host)?;
    session_key(host)?;
    if let Some(text) = secret(host, TOKENS)? {
        token::check(text.expose()).map_err(|cause| misconfigured(TOKENS, cause))?;
    }
    Ok(())
}

/// Checks the variables of JWTs. (Apart, so that `ingest` does not contain what reads them.)
pub(crate) fn check_jwt(host: &impl Host) -> Result<(), Error> {
    issuer(host).map(|_issuer| ())
}

/// A denial where nobody could be let in: without any token and any key, it is the node
/// that is wrong.
fn without_any_key<H: Host>(host: &H, denial: Denial) -> Denial {
    match denial {
        Denial::Node(error) => Denial::Node(error),
        denial => check_keys(host).err().map_or(denial, Denial::Node),
    }
}

/// Fails if access control is on, and nobody could be let in.
pub(crate) fn check_keys<H: Host>(host: &H) -> Result<(), Error> {
    if !settings::access_is_on(host)?
        || secret(host, TOKENS)?.is_some_and(|text| token::has_any(text.expose()))
        || secret(host, JWT_KEYS)?.is_some()
    {
        return Ok(());
    }
    let store = host.key_value().map_err(Error::Journal)?;
    match tokens::has_any(&store).map_err(Error::Journal)? {
        true => Ok(()),
        false => {
            let cause = "is on, but there is no token and no key: set the variable tokens";
            Err(misconfigured("auth", cause))
        }
    }
}
