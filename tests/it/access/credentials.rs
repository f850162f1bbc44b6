//! Credentials of every kind, good and bad, for one service.

use isotherm_it::{Service, now_ms};
use serde_json::{Value, json};

use super::jwt::{self, by_hmac, claims, eddsa, hs256};
use super::{SESSION_KEY, bearer, token, tokens};
use crate::support::bare::ask;

/// What a credential is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    Missing,
    Invalid,
    Expired,
    /// These scopes, with spaces between.
    Token(&'static str),
    /// The same of a JWT.
    Jwt(&'static str),
    /// The same of a session, which only reads.
    Session(&'static str),
}

/// A credential, as the header that it is sent in.
pub(super) struct Credential {
    pub(super) name: &'static str,
    pub(super) header: Option<(&'static str, String)>,
    pub(super) worth: Worth,
}

impl Credential {
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        self.header.iter().cloned().collect()
    }
}

fn authorization(name: &'static str, value: String, worth: Worth) -> Credential {
    Credential { name, header: Some(("authorization", value)), worth }
}

/// The tokens of the variable: their ids, and their scopes.
const TOKENS: [(&str, &str); 8] = [
    ("hall", "read:hall"),
    ("all", "read:*"),
    ("d1", "write:d1@hall"),
    ("scraper", "metrics"),
    ("root", "admin"),
    ("peer", "sync:north@hall"),
    ("elsewhere", "read:attic write:d1@attic"),
    ("halls", "read:ha* metrics"),
];

/// The variables of a service with all of these credentials.
pub(super) fn variables(auth: &'static str) -> Vec<(&'static str, String)> {
    let (_, lines) = tokens(TOKENS);
    let withdrawn = ["expired", "revoked", "inactive"].map(|id| token(id, &["admin"]).1);
    let [expired, revoked, inactive] = withdrawn;
    let lines = format!(
        "{lines};{expired} expires=2020-01-01T00:00:00Z;{revoked} revoked;{inactive} inactive"
    );
    let own =
        [("auth", auth.to_owned()), ("tokens", lines), ("session_key", SESSION_KEY.to_owned())];
    own.into_iter().chain(jwt::variables()).collect()
}

/// A service with these variables.
pub(super) fn start(auth: &'static str) -> Service {
    let variables = variables(auth);
    let variables: Vec<_> = variables.iter().map(|(name, text)| (*name, text.as_str())).collect();
    Service::start(&variables).unwrap()
}

pub(super) fn of_id(id: &str) -> String {
    token(id, &["admin"]).0
}

/// All of them, but for sessions.
pub(super) fn sent() -> Vec<Credential> {
    let mut all = vec![Credential { name: "none", header: None, worth: Worth::Missing }];
    for (id, scopes) in TOKENS {
        all.push(authorization(id, bearer(&of_id(id)), Worth::Token(scopes)));
    }
    let user = |token: &str| format!("Basic {}", jwt::base64(format!("user:{token}").as_bytes()));
    let (hall, root) = (of_id("hall"), of_id("root"));
    let wrong = of_id("root").replace("isotherm_root_", "isotherm_hall_");
    for (name, value, worth) in [
        ("by Token", format!("Token {hall}"), Worth::Token("read:hall")),
        ("by Basic", user(&root), Worth::Token("admin")),
        ("by Basic, a wrong one", user(&wrong), Worth::Invalid),
        ("in no scheme", hall.clone(), Worth::Invalid),
        ("by Digest", format!("Digest {hall}"), Worth::Invalid),
        ("garbage", bearer("garbage"), Worth::Invalid),
        ("nothing", "Bearer".to_owned(), Worth::Invalid),
        ("wrong secret", bearer(&wrong), Worth::Invalid),
        ("one character off", bearer(&off_by_one(&root)), Worth::Invalid),
        ("unknown id", bearer(&of_id("nobody")), Worth::Invalid),
        (
            "its line",
            bearer(token("root", &["admin"]).1.split(' ').nth(1).unwrap()),
            Worth::Invalid,
        ),
        ("expired", bearer(&of_id("expired")), Worth::Expired),
        ("revoked", bearer(&of_id("revoked")), Worth::Invalid),
        ("inactive", bearer(&of_id("inactive")), Worth::Invalid),
    ] {
        all.push(authorization(name, value, worth));
    }
    all.extend(
        jwts().into_iter().map(|(name, jwt, worth)| authorization(name, bearer(&jwt), worth)),
    );
    all
}

fn off_by_one(token: &str) -> String {
    let last = if token.ends_with('A') { "B" } else { "A" };
    format!("{}{last}", &token[..token.len() - 1])
}

fn jwts() -> Vec<(&'static str, String, Worth)> {
    let with = |field: &str, value: Value| {
        let mut claims = claims("admin");
        claims[field] = value;
        claims
    };
    let admin = claims("admin");
    let none = hs256(&admin);
    let unsigned = |head: Value| {
        let signed = by_hmac(&head, &admin, jwt::SECRET);
        signed[..=signed.rfind('.').unwrap()].to_owned()
    };
    let public = jwt::from_base64url(jwt::PUBLIC);
    let of_public = json!({"alg": "HS256", "kid": "e"});
    let mut all = vec![
        ("a JWT to read", hs256(&claims("read:hall")), Worth::Jwt("read:hall")),
        ("a JWT for all", hs256(&admin), Worth::Jwt("admin")),
        ("a JWT, expired", hs256(&with("exp", json!(now_ms() / 1_000 - 61))), Worth::Expired),
        ("a JWT, alg none", unsigned(json!({"alg": "none", "kid": "h"})), Worth::Invalid),
        ("a JWT, no signature", none[..=none.rfind('.').unwrap()].to_owned(), Worth::Invalid),
        ("a JWT, public key", by_hmac(&of_public, &admin, &public), Worth::Invalid),
        (
            "a JWT, text of the public key",
            by_hmac(&of_public, &admin, jwt::PUBLIC.as_bytes()),
            Worth::Invalid,
        ),
        ("a JWT, other issuer", hs256(&with("iss", json!("https://x.example"))), Worth::Invalid),
        ("a JWT, other audience", hs256(&with("aud", json!("other"))), Worth::Invalid),
        ("a JWT, for ever", hs256(&with("exp", json!(now_ms() / 1_000 + 90_000))), Worth::Invalid),
        (
            "a JWT, other secret",
            by_hmac(&json!({"alg": "HS256", "kid": "h"}), &admin, b"other"),
            Worth::Invalid,
        ),
    ];
    match eddsa(&claims("read:hall")) {
        Some(jwt) => all.push(("a JWT of Ed25519", jwt, Worth::Jwt("read:hall"))),
        None => eprintln!("skipped: a JWT of Ed25519, as there is no openssl that makes one"),
    }
    all
}

/// The cookie of a session that this credential begins.
#[track_caller]
pub(super) fn session_of(service: &Service, credential: &str) -> String {
    let headers = [("authorization", bearer(credential))];
    let answer = ask(service, "POST", "/v1/session", &headers, "");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let cookie = answer.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// Sessions, of which some are none.
pub(super) fn sessions(service: &Service) -> Vec<Credential> {
    let of_hall = session_of(service, &of_id("hall"));
    let of_root = session_of(service, &of_id("root"));
    let of_jwt = session_of(service, &hs256(&claims("read:hall write:d1@hall")));
    let forged = format!("{}0", &of_root[..of_root.len() - 1]);
    let forged =
        if forged == of_root { format!("{}1", &of_root[..of_root.len() - 1]) } else { forged };
    let two = format!("{of_root}; {}", of_hall.replace("__Host-", ""));
    [
        ("a session to read", of_hall, Worth::Session("read:hall")),
        ("a session of an administrator", of_root, Worth::Session("read:* metrics")),
        ("a session by JWT", of_jwt, Worth::Session("read:hall")),
        ("a session, forged", forged, Worth::Invalid),
        ("two sessions", two, Worth::Invalid),
        ("another cookie", "theme=dark".to_owned(), Worth::Missing),
    ]
    .into_iter()
    .map(|(name, cookie, worth)| Credential { name, header: Some(("cookie", cookie)), worth })
    .collect()
}
