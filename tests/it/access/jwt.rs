//! JWTs, made by hand: with an HMAC of this file, and by `openssl` for Ed25519.

use std::io::Write as _;
use std::process::Command;

use isotherm_it::now_ms;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

pub(super) const ISSUER: &str = "https://id.example";
pub(super) const AUDIENCE: &str = "isotherm";

/// The secret of HS256, whose key has the id `h`.
pub(super) const SECRET: &[u8] = b"hs256-secret-of-a-test-with-more-than-32-bytes";

/// The key pair of RFC 8037, A.1 and A.2, whose key has the id `e`.
const PRIVATE: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
pub(super) const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// The variables for JWTs of both keys.
pub(super) fn variables() -> [(&'static str, String); 3] {
    let keys = json!({"keys": [
        {"kty": "oct", "kid": "h", "alg": "HS256", "k": base64url(SECRET)},
        {"kty": "OKP", "kid": "e", "alg": "EdDSA", "crv": "Ed25519", "x": PUBLIC},
    ]});
    [
        ("jwt_keys", keys.to_string()),
        ("jwt_issuer", ISSUER.to_owned()),
        ("jwt_audience", AUDIENCE.to_owned()),
    ]
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(super) fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let characters = (0..=chunk.len()).map(|n| ALPHABET[(bits >> (18 - 6 * n) & 63) as usize]);
        text.extend(characters.map(char::from));
    }
    text
}

pub(super) fn from_base64url(text: &str) -> Vec<u8> {
    let digit = |b: u8| (0..).zip(ALPHABET).find(|(_, known)| **known == b).unwrap().0;
    let mut bytes = Vec::new();
    for chunk in text.as_bytes().chunks(4) {
        let bits =
            chunk.iter().fold(0_u32, |bits, b| bits << 6 | digit(*b)) << (6 * (4 - chunk.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..chunk.len()]);
    }
    bytes
}

/// As `Basic` and the like have it (RFC 4648, 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    let text = base64url(bytes).replace('-', "+").replace('_', "/");
    let padding = "=".repeat((4 - text.len() % 4) % 4);
    text + &padding
}

/// HMAC-SHA256 (RFC 2104).
pub(super) fn hmac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut key = match secret.len() {
        0..=64 => secret.to_vec(),
        _ => Sha256::digest(secret).to_vec(),
    };
    key.resize(64, 0);
    let pad = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = Sha256::digest([&pad(0x36), message].concat());
    Sha256::digest([&pad(0x5c), &inner[..]].concat()).to_vec()
}

/// Claims that are valid for ten minutes.
pub(super) fn claims(scope: &str) -> Value {
    json!({
        "iss": ISSUER, "sub": "ada@example.org", "aud": AUDIENCE, "scope": scope,
        "exp": now_ms() / 1_000 + 600,
    })
}

fn message(head: &Value, claims: &Value) -> String {
    let [head, claims] = [head, claims].map(|part| base64url(part.to_string().as_bytes()));
    format!("{head}.{claims}")
}

/// Signed with an HMAC by this secret.
pub(super) fn by_hmac(head: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = message(head, claims);
    let signature = base64url(&hmac(secret, message.as_bytes()));
    format!("{message}.{signature}")
}

/// Signed by the key `h`.
pub(super) fn hs256(claims: &Value) -> String {
    by_hmac(&json!({"alg": "HS256", "kid": "h"}), claims, SECRET)
}

/// Signed by the key `e`; `None` where `openssl` is missing, or can't.
pub(super) fn eddsa(claims: &Value) -> Option<String> {
    // RFC 8410, 7: a version, the algorithm, and the key.
    let der = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..]];
    let der = [der.concat(), from_base64url(PRIVATE)].concat();
    let message = message(&json!({"alg": "EdDSA", "kid": "e"}), claims);
    let (mut key, mut text) = (NamedTempFile::new().unwrap(), NamedTempFile::new().unwrap());
    key.write_all(&der).unwrap();
    text.write_all(message.as_bytes()).unwrap();
    let signed = Command::new("openssl")
        .args(["pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey"])
        .arg(key.path())
        .arg("-in")
        .arg(text.path())
        .output();
    let signed = signed.ok().filter(|done| done.status.success() && done.stdout.len() == 64);
    Some(format!("{message}.{}", base64url(&signed?.stdout)))
}

#[test]
fn the_tests_own_base64_and_hmac_are_those_of_the_rfcs() {
    for text in ["", "f", "fo", "foo", "foob", "\u{ff}\u{fe}"] {
        assert_eq!(from_base64url(&base64url(text.as_bytes())), text.as_bytes());
    }
    assert_eq!(base64(b"foob"), "Zm9vYg==");
    let mac = hmac(b"Jefe", b"what do ya want for nothing?");
    assert_eq!(mac[..4], [0x5b, 0xdc, 0xc1, 0x46], "RFC 4231, 4.3");
}
