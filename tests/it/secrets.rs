//! What no service of any test may leave behind: a token, a JWT, a session's cookie, or the
//! value of a secret variable. Each service is searched when it is dropped: its log, and every
//! file of its stores.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// The variables that are secret.
const VARIABLES: [&str; 5] =
    ["session_key", "jwt_keys", "peer1_token", "peer2_token", "peer3_token"];

/// Shorter values would be found by accident.
const BYTES_MIN: usize = 20;

/// What must not be seen of a service with these arguments.
fn values(arguments: &[String]) -> Vec<&str> {
    let pairs = arguments.iter().filter_map(|argument| argument.split_once('='));
    let secret = pairs.filter(|(name, _)| VARIABLES.contains(name));
    secret.map(|(_, value)| value.trim()).filter(|value| value.len() >= BYTES_MIN).collect()
}

/// Fails if a secret is in the log, or in a file of the directory.
pub(crate) fn check(directory: &Path, log: &str, arguments: &[String]) -> Result<()> {
    let values = values(arguments);
    if let Some(what) = found_in(log.as_bytes(), &values) {
        bail!("the log has {what}");
    }
    check_files(directory, &values)
}

fn check_files(directory: &Path, values: &[&str]) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        // What the runtime makes beside it may be gone by now; a link leads elsewhere.
        let Ok(kind) = path.symlink_metadata() else { continue };
        if kind.is_dir() {
            check_files(&path, values)?;
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
            if let Some(what) = found_in(&bytes, values) {
                bail!("{} has {what}", path.display());
            }
        }
    }
    Ok(())
}

/// The first secret in these bytes, by what it is.
pub(crate) fn found_in(bytes: &[u8], values: &[&str]) -> Option<&'static str> {
    let has = |value: &&str| memchr::memmem::find(bytes, value.as_bytes()).is_some();
    if values.iter().any(has) {
        return Some("the value of a secret variable");
    }
    let begins = [
        (&b"isotherm_"[..], "a token", is_token as fn(&[u8]) -> bool),
        (b"isokey_", "an ingest key", is_token),
        (b"eyJ", "a JWT", is_jwt),
        (b"310a", "the cookie of a session", is_cookie),
    ];
    let is_at = |prefix: &[u8], is_one: fn(&[u8]) -> bool| {
        let mut places = memchr::memmem::find_iter(bytes, prefix);
        places.any(|at| bytes.get(at + prefix.len()..).is_some_and(is_one))
    };
    begins.into_iter().find_map(|(prefix, what, is_one)| is_at(prefix, is_one).then_some(what))
}

fn is_base64url(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// How many bytes from the first on are like this.
fn run_of(bytes: &[u8], is_one: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is_one(byte)).count()
}

/// What is behind `isotherm_` in a token: its id, and 256 bits in base64url. The name of a
/// metric has no capital letters.
fn is_token(rest: &[u8]) -> bool {
    let id = run_of(rest, |byte| *byte != b'_' && !byte.is_ascii_control() && *byte != b' ');
    let Some(random) = rest.get(id + 1..).and_then(|random| random.get(..43)) else { return false };
    (1..=32).contains(&id)
        && rest.get(id) == Some(&b'_')
        && random.iter().all(is_base64url)
        && random.iter().any(u8::is_ascii_uppercase)
}

/// What is behind `eyJ` in a JWT: the rest of its header, its claims, and a signature.
fn is_jwt(rest: &[u8]) -> bool {
    let mut parts = rest.splitn(3, |byte| *byte == b'.');
    let (Some(header), Some(claims), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    [header, claims].into_iter().all(|part| part.len() >= 10 && part.iter().all(is_base64url))
}

/// What is behind the version in a cookie: more of what is signed, and an HMAC, in hex.
fn is_cookie(rest: &[u8]) -> bool {
    let signed = run_of(rest, u8::is_ascii_hexdigit);
    let hmac = rest.get(signed + 1..).unwrap_or_default();
    signed >= BYTES_MIN
        && rest.get(signed) == Some(&b'.')
        && run_of(hmac, u8::is_ascii_hexdigit) >= 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_and_what_looks_like_one_is_not() {
        let token = format!("isotherm_gw-1_{}", "aB3-_".repeat(9).get(..43).unwrap());
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
        let cookie = format!("310a{}.{}", "3a".repeat(20), "0f".repeat(32));
        for (secret, what) in
            [(token.as_str(), "a token"), (jwt, "a JWT"), (&cookie, "the cookie of a session")]
        {
            let text = format!("\0before {secret}\"after\n");
            assert_eq!(found_in(text.as_bytes(), &[]), Some(what), "{secret}");
            assert_eq!(found_in(&text.as_bytes()[..30], &[]), None, "{secret}");
        }
        let harmless = "isotherm_outbox_dropped_readings_total_of_a_very_long_name_of_a_metric \
                        eyJ.x 310a.00 isotherm_gw-1_short";
        assert_eq!(found_in(harmless.as_bytes(), &[]), None);
        let arguments = ["--variable".to_owned(), "session_key=0123456789abcdef0123".to_owned()];
        let values = values(&arguments);
        assert_eq!(values, ["0123456789abcdef0123"]);
        assert!(found_in(b"x0123456789abcdef0123", &values).is_some());
    }
}
