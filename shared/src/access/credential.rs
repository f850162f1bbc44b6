//! What a request sends to show who it is from: the header `authorization`, or the cookie
//! of a session.

use base64ct::{Base64, Encoding as _};

use crate::access::secret::Secret;
use crate::access::session;
use crate::http::{Header, Request};
use crate::limits;

/// A credential, as it was sent.
pub(crate) enum Credential {
    /// A token, or a JWT, which has two dots.
    Token(Secret),
    /// The value of the page's cookie.
    Session(Secret),
    /// Something that is none.
    Unreadable,
}

/// The credential of a request; `None` if it has none. A cookie counts only without the
/// header.
pub(crate) fn credential(request: &Request) -> Option<Credential> {
    if let Some(header) = request.headers.get(Header::Authorization) {
        return Some(of_header(header).map_or(Credential::Unreadable, Credential::Token));
    }
    let cookies = request.headers.get(Header::Cookie)?;
    if cookies.len() > limits::COOKIES_BYTES_MAX {
        return Some(Credential::Unreadable);
    }
    let named = |name: &'static str| {
        // Lines of a header that are joined have a comma between.
        let pairs = cookies.split([';', ',']).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(move |(other, _)| *other == name).map(|(_, value)| value)
    };
    let mut values = session::COOKIES.into_iter().flat_map(named);
    let value = values.next()?;
    // Of two, one may have been set by a neighbour of the host's name.
    let is_single = values.next().is_none();
    Some(match is_single {
        true => Credential::Session(Secret::new(value)),
        false => Credential::Unreadable,
    })
}

/// `Bearer <token>` (RFC 6750, 2.1), `Token <token>`, or `Basic`, whose password is the
/// token (RFC 7617).
fn of_header(header: &str) -> Option<Secret> {
    if header.len() > limits::AUTHORIZATION_BYTES_MAX {
        return None;
    }
    let (scheme, rest) = header.trim().split_once(' ')?;
    let rest = rest.trim();
    let is_token = |text: &str| {
        let allowed = |b: u8| b.is_ascii_graphic() && b != b',';
        !text.is_empty() && text.bytes().all(allowed)
    };
    let token = if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") {
        rest.to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(Base64::decode_vec(rest).ok()?).ok()?;
        pair.split_once(':')?.1.to_owned()
    } else {
        return None;
    };
    is_token(&token).then(|| Secret::new(token))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sent(header: Header, value: &str) -> Option<String> {
        match credential(&Request::get("/").with(header, value))? {
            Credential::Token(secret) => Some(format!("token {}", secret.expose())),
            Credential::Session(secret) => Some(format!("session {}", secret.expose())),
            Credential::Unreadable => Some("unreadable".to_owned()),
        }
    }

    #[test]
    fn a_token_comes_by_each_of_three_schemes() {
        for (value, expected) in [
            ("Bearer abc", "token abc"),
            ("bearer  abc ", "token abc"),
            ("Token abc", "token abc"),
            ("Basic dXNlcjphYmM=", "token abc"),
            ("Basic OmE6Yg==", "token a:b"),
            ("Bearer", "unreadable"),
            ("Bearer ", "unreadable"),
            ("Bearer a b", "unreadable"),
            ("Bearer a,Bearer b", "unreadable"),
            ("Basic dXNlcg==", "unreadable"),
            ("Basic dXNlcjphYmN=", "unreadable"),
            ("Basic \u{e4}", "unreadable"),
            ("Digest abc", "unreadable"),
            ("", "unreadable"),
        ] {
            assert_eq!(sent(Header::Authorization, value).as_deref(), Some(expected), "{value}");
        }
        let long = format!("Bearer {}", "x".repeat(limits::AUTHORIZATION_BYTES_MAX));
        assert_eq!(sent(Header::Authorization, &long).as_deref(), Some("unreadable"));
    }

    #[test]
    fn a_session_comes_by_one_cookie() {
        for (value, expected) in [
            ("a=1; __Host-isotherm=v; b=2", Some("session v")),
            ("isotherm=v", Some("session v")),
            ("isotherm=v,a=1", Some("session v")),
            ("isotherm=v; isotherm=w", Some("unreadable")),
            ("isotherm=v; __Host-isotherm=w", Some("unreadable")),
            ("isothermal=v", None),
            ("", None),
        ] {
            assert_eq!(sent(Header::Cookie, value).as_deref(), expected, "{value}");
        }
        let jar = format!("a={}; isotherm=v", "x".repeat(64 * 1024));
        assert_eq!(sent(Header::Cookie, &jar).as_deref(), Some("unreadable"));
        let both = Request::get("/").with(Header::Cookie, "isotherm=v");
        let both = both.with(Header::Authorization, "Bearer t");
        assert!(matches!(credential(&both), Some(Credential::Token(_))));
        assert!(credential(&Request::get("/")).is_none());
    }

    proptest! {
        #[test]
        fn any_header_is_a_credential_or_none(
            text in r"\PC{0,200}", near in "(bearer|token|basic|Basic) [ ,]?[,=:A-Za-z0-9+/._-]{0,100}",
            jar in "(isotherm|__Host-isotherm|a|;|,|=| |v){0,12}",
        ) {
            for value in [text, near, jar] {
                let by_header = sent(Header::Authorization, &value);
                let by_header = by_header.expect("a header is a credential, or unreadable");
                if let Some(token) = by_header.strip_prefix("token ") {
                    let is_one = token.bytes().all(|b| b.is_ascii_graphic() && b != b',');
                    prop_assert!(is_one && !token.is_empty(), "{token:?}");
                }
                let pairs = value.split([';', ',']).filter_map(|pair| pair.trim().split_once('='));
                let own = pairs.filter(|(name, _)| session::COOKIES.contains(name));
                let own: Vec<&str> = own.map(|(_, value)| value).collect();
                let expected = match own[..] {
                    [] => None,
                    [one] => Some(format!("session {one}")),
                    _ => Some("unreadable".to_owned()),
                };
                prop_assert_eq!(sent(Header::Cookie, &value), expected);
            }
        }
    }
}
