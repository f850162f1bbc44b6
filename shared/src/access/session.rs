//! Sessions of the page: a cookie that says who logged in, and until when, with an HMAC
//! (RFC 2104) by the variable `session_key`.
//!
//! A session only reads. So a request that another site makes a browser send changes
//! nothing, even where `SameSite` is not known.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::access::scope::Scopes;
use crate::access::secret::{Secret, is_equal};
use crate::access::token::TokenId;
use crate::base::digest::{hex, unhex};
use crate::domain::reading::UnixMillis;
use crate::limits;

/// The cookie where the page came over TLS: browsers keep it to this host, and send it
/// over TLS alone.
const SECURE: &str = "__Host-isotherm";

/// The cookie of a page from a loopback address.
const PLAIN: &str = "isotherm";

/// The names of the cookie.
pub(crate) const COOKIES: [&str; 2] = [SECURE, PLAIN];

/// Who logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// By a token, which is looked at again with every request, and its mark: another token
    /// of the same id is another one.
    Token(TokenId, String),
    /// By a JWT: its `who`, and the scopes that it had.
    Jwt(String, Scopes),
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) subject: Subject,
    pub(crate) until: UnixMillis,
}

/// Why a cookie is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Forged,
    Expired,
}

impl Session {
    /// The value of the cookie.
    pub(crate) fn seal(&self, key: &Secret) -> Secret {
        let (who, scopes) = match &self.subject {
            Subject::Token(id, mark) => (format!("token {} {mark}", id.as_str()), String::new()),
            Subject::Jwt(who, scopes) => (format!("jwt {who}"), scopes.to_string()),
        };
        let text = format!("1\n{}\n{who}\n{scopes}", self.until.get());
        let mac = mac(key, &text).finalize().into_bytes();
        Secret::new(format!("{}.{}", hex(text.as_bytes()), hex(&mac)))
    }

    /// Reads the value of a cookie.
    pub(crate) fn open(value: &Secret, key: &Secret, now: UnixMillis) -> Result<Self, Fault> {
        let parts = || {
            let (text, mac) = value.expose().split_once('.')?;
            Some((String::from_utf8(unhex(text)?).ok()?, unhex(mac)?))
        };
        let (text, sent) = parts().ok_or(Fault::Forged)?;
        if !is_equal(&mac(key, &text).finalize().into_bytes(), &sent) {
            return Err(Fault::Forged);
        }
        let session = Self::parse(&text).ok_or(Fault::Forged)?;
        // Longer than one lasts: the clock was set back.
        let latest = now.saturating_add(limits::SESSION_MS);
        match now < session.until && session.until <= latest {
            true => Ok(session),
            false => Err(Fault::Expired),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let ("1", until, who, scopes) =
            (lines.next()?, lines.next()?, lines.next()?, lines.next()?)
        else {
            return None;
        };
        let until = UnixMillis::new(until.parse().ok()?)?;
        let subject = match who.split_once(' ')? {
            ("token", rest) => {
                let (id, mark) = rest.split_once(' ')?;
                Subject::Token(TokenId::new(id)?, mark.to_owned())
            }
            ("jwt", who) => Subject::Jwt(who.to_owned(), Scopes::parse(scopes)?),
            _ => return None,
        };
        Some(Self { subject, until })
    }
}

fn mac(key: &Secret, text: &str) -> Hmac<Sha256> {
    // HMAC takes a key of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes())
        .unwrap_or_else(|_never| Hmac::new(&Default::default()));
    mac.update(text.as_bytes());
    mac
}

/// The header `set-cookie` that begins a session. `is_plain` is whether the page came over
/// plain HTTP from a loopback address.
pub(crate) fn begin(value: &Secret, is_plain: bool) -> String {
    cookie(value.expose(), limits::SESSION_MS / 1_000, is_plain)
}

/// The one that ends it.
pub(crate) fn end(is_plain: bool) -> String {
    cookie("", 0, is_plain)
}

fn cookie(value: &str, max_age_s: i64, is_plain: bool) -> String {
    let (name, secure) = if is_plain { (PLAIN, "") } else { (SECURE, "; Secure") };
    format!("{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> UnixMillis {
        UnixMillis::new(1_800_000_000_000 + ms).unwrap()
    }

    #[test]
    fn a_session_is_read_back_by_its_key_until_it_ends() {
        let scopes = Scopes::parse("read:hall.* metrics").unwrap();
        let key = Secret::new("k".repeat(32));
        for subject in [
            Subject::Token(TokenId::new("a").unwrap(), "0a".to_owned()),
            Subject::Jwt("jwt:0a".to_owned(), scopes),
        ] {
            let session = Session { subject, until: at(limits::SESSION_MS) };
            let value = session.seal(&key);
            assert!(
                value.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            );
            let open = |value: &Secret, key: &Secret, now| Session::open(value, key, now);
            assert_eq!(open(&value, &key, at(0)), Ok(session.clone()));
            assert_eq!(open(&value, &key, at(limits::SESSION_MS)), Err(Fault::Expired));
            assert_eq!(open(&value, &key, at(-1)), Err(Fault::Expired), "the clock was set back");
            assert_eq!(open(&value, &Secret::new("other"), at(0)), Err(Fault::Forged));
            let text = value.expose();
            for bad in ["", ".", &text[1..], &text[..text.len() - 2], &format!("{text}A"), "a.b"] {
                assert_eq!(open(&Secret::new(bad), &key, at(0)), Err(Fault::Forged), "{bad}");
            }
        }
    }

    #[test]
    fn a_cookie_is_for_this_host_and_no_script() {
        let secure = begin(&Secret::new("v"), false);
        assert_eq!(
            secure,
            "__Host-isotherm=v; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(end(true), "isotherm=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    }

    proptest! {
        #[test]
        fn any_cookie_is_judged(text in r"\PC{0,200}", near in "[0-9a-f]{0,80}[.][0-9a-f]{62,66}") {
            let key = Secret::new("k".repeat(32));
            for text in [text, near] {
                prop_assert_eq!(Session::open(&Secret::new(text), &key, at(0)), Err(Fault::Forged));
            }
        }

        /// By the right key, so that what is behind the HMAC is reached.
        #[test]
        fn any_sealed_text_is_judged(text in r"(1|2|\n|token a|jwt x|jwt|read:a|[0-9]{13}){0,8}") {
            let key = Secret::new("k".repeat(32));
            let sealed = format!(
                "{}.{}", hex(text.as_bytes()), hex(&mac(&key, &text).finalize().into_bytes()));
            if let Ok(session) = Session::open(&Secret::new(sealed), &key, at(0)) {
                prop_assert!(session.until <= at(limits::SESSION_MS));
            }
        }
    }
}
