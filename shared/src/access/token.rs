//! Tokens: `isotherm_<id>_<43 characters>`.
//!
//! A token that allows nothing but to send by one source is an *ingest key*:
//! `isokey_<id>_<43 characters>`. Devices that can be given nothing but a URL have it there, so
//! it stands in logs: with it readings of that source can be forged, and nothing be read.
//!
//! The characters are 256 random bits in base64url (RFC 4648, 5), so a fast hash is
//! enough: they can't be guessed. Kept is the SHA-256 of the whole token, never the token.
//! The prefix lets scanners find one that leaked.
//!
//! The variable `tokens` and the key-value store have a token as the same line:
//!
//! ```text
//! <id> <SHA-256 in hex> <scope> <scope> … [expires=<RFC 3339>] [made=<RFC 3339>] [inactive|revoked]
//! ```

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding as _};

use crate::access::scope::Scopes;
use crate::access::secret::{Secret, is_equal};
use crate::base::digest::{hex, sha256, unhex};
use crate::domain::reading::UnixMillis;
use crate::limits;

const PREFIX: &str = "isotherm_";

/// The same of an ingest key.
const KEY_PREFIX: &str = "isokey_";

/// 256 bits in base64url.
const SECRET_CHARS: usize = 43;

/// How much of a hash tells two tokens of an id from each other.
const MARK_BYTES: usize = 8;

/// The name of a token: 1 to 32 of `A-Z a-z 0-9 . : -`. It is no secret, and is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenId(String);

impl TokenId {
    /// The id, if it is valid: not what the log has for requests without a token.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-');
        let length = (1..=limits::TOKEN_ID_BYTES_MAX).contains(&text.len());
        // In the log these stand for others.
        let is_other = text == "anyone" || text.starts_with("jwt:");
        (length && text.bytes().all(allowed) && !is_other).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A token that was sent: its id, and what is to be compared.
pub(crate) struct Sent {
    pub(crate) id: TokenId,
    /// Whether it looks like an ingest key.
    pub(crate) is_key: bool,
    digest: [u8; 32],
}

impl Sent {
    /// Reads a token; `None` if it has another form.
    pub(crate) fn parse(token: &Secret) -> Option<Self> {
        let text = token.expose();
        let key = text.strip_prefix(KEY_PREFIX);
        let (id, random) = key.or_else(|| text.strip_prefix(PREFIX))?.split_once('_')?;
        let is_base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if random.len() != SECRET_CHARS || !random.bytes().all(is_base64url) {
            return None;
        }
        Some(Self { id: TokenId::new(id)?, is_key: key.is_some(), digest: sha256(text) })
    }
}

/// Whether a token works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Active,
    /// Not for now: it can be made active again.
    Inactive,
    /// Never again.
    Revoked,
}

impl State {
    const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::Revoked];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Revoked => "revoked",
        }
    }
}

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) id: TokenId,
    digest: [u8; 32],
    pub(crate) scopes: Scopes,
    pub(crate) state: State,
    pub(crate) expires: Option<UnixMillis>,
    pub(crate) made: Option<UnixMillis>,
}

/// What a token is that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Right, and it works.
    Valid,
    /// Right, and it has expired.
    Expired,
    /// Right, and it was revoked or is inactive.
    Withdrawn,
    /// Another token.
    Wrong,
}

impl Token {
    /// Makes a token of 256 random bits: the token, which is shown once, and what is kept.
    pub(crate) fn make(
        id: TokenId,
        random: &[u8; 32],
        scopes: Scopes,
        expires: Option<UnixMillis>,
        made: UnixMillis,
    ) -> (Secret, Self) {
        let prefix = if scopes.is_of_one_source() { KEY_PREFIX } else { PREFIX };
        let text = format!("{prefix}{}_{}", id.as_str(), Base64UrlUnpadded::encode_string(random));
        let digest = sha256(&text);
        let made = Some(made);
        (Secret::new(text), Self { id, digest, scopes, state: State::Active, expires, made })
    }

    /// The same in another state.
    pub(crate) fn in_state(self, state: State) -> Self {
        Self { state, ..self }
    }

    /// Tells it from another token of the same id: the beginning of its hash, in hex.
    pub(crate) fn mark(&self) -> String {
        hex(self.digest.get(..MARK_BYTES).unwrap_or_default())
    }

    /// Compares it with a token that was sent, at `now`.
    pub(crate) fn verify(&self, sent: &Sent, now: UnixMillis) -> Verdict {
        let is_same = self.id == sent.id && is_equal(&self.digest, &sent.digest);
        match self.state {
            _ if !is_same => Verdict::Wrong,
            State::Inactive | State::Revoked => Verdict::Withdrawn,
            State::Active if self.has_expired(now) => Verdict::Expired,
            State::Active => Verdict::Valid,
        }
    }

    /// Whether it works at `now`.
    pub(crate) fn works(&self, now: UnixMillis) -> bool {
        self.state == State::Active && !self.has_expired(now)
    }

    fn has_expired(&self, now: UnixMillis) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Reads a line; `None` if a word of it is none.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let id = TokenId::new(words.next()?)?;
        let digest = unhex(words.next()?)?.try_into().ok()?;
        let (mut state, mut expires, mut made) = (State::Active, None, None);
        let mut scopes = Vec::new();
        for word in words {
            let time = |text: &str| UnixMillis::parse_rfc3339(text);
            if let Some(text) = word.strip_prefix("expires=") {
                expires = Some(time(text)?);
            } else if let Some(text) = word.strip_prefix("made=") {
                made = Some(time(text)?);
            } else if let Some(named) = State::ALL.into_iter().find(|state| state.name() == word) {
                state = named;
            } else {
                scopes.push(word);
            }
        }
        let scopes = Scopes::of(scopes.into_iter())?;
        Some(Self { id, digest, scopes, state, expires, made })
    }
}

/// The line of a token, as `Token::parse` reads it.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.id.as_str(), hex(&self.digest), self.scopes)?;
        if let Some(expires) = self.expires {
            write!(f, " expires={expires}")?;
        }
        if let Some(made) = self.made {
            write!(f, " made={made}")?;
        }
        match self.state {
            State::Active => Ok(()),
            state => write!(f, " {}", state.name()),
        }
    }
}

/// The lines of the variable `tokens`: one a line, or with `;` between. Empty lines and
/// those that begin with `#` are comments.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split(['\n', ';']).map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The line of a token with this id in the variable `tokens`.
pub(crate) fn line_of<'a>(text: &'a str, id: &TokenId) -> Option<&'a str> {
    lines(text).find(|line| line.split_ascii_whitespace().next() == Some(id.as_str()))
}

/// Whether there is a token in the variable: not only space and comments.
pub(crate) fn has_any(text: &str) -> bool {
    lines(text).next().is_some()
}

/// Checks the variable `tokens`. An error says which line is wrong, and nothing of it.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let mut ids: Vec<TokenId> = Vec::new();
    for (index, line) in lines(text).enumerate() {
        let number = index + 1;
        let Some(token) = Token::parse(line) else {
            return Err(format!("line {number} must be an id, a SHA-256 in hex, and scopes"));
        };
        if ids.contains(&token.id) {
            return Err(format!("line {number} has an id that an earlier line has"));
        }
        if ids.len() == limits::TOKENS_MAX {
            return Err(format!("there must be at most {} tokens", limits::TOKENS_MAX));
        }
        ids.push(token.id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> UnixMillis {
        UnixMillis::new(1_800_000_000_000 + ms).unwrap()
    }

    fn made(expires: Option<UnixMillis>) -> (Secret, Token) {
        let (id, scopes) = (TokenId::new("gw-1").unwrap(), Scopes::parse("read:*").unwrap());
        Token::make(id, &[7; 32], scopes, expires, at(0))
    }

    #[test]
    fn a_token_is_recognized_and_no_other() {
        let (token, kept) = made(Some(at(10)));
        assert_eq!(token.expose(), "isotherm_gw-1_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc");
        let sent = Sent::parse(&token).unwrap();
        assert_eq!(kept.verify(&sent, at(9)), Verdict::Valid);
        assert_eq!(kept.verify(&sent, at(10)), Verdict::Expired);
        for state in [State::Inactive, State::Revoked] {
            let kept = Token { state, ..kept.clone() };
            assert_eq!(kept.verify(&sent, at(9)), Verdict::Withdrawn);
        }
        let text = token.expose();
        for other in [text.replace("Bwc", "Bwd"), text.replace("gw-1", "gw-2")] {
            let sent = Sent::parse(&Secret::new(other)).unwrap();
            assert_eq!(kept.verify(&sent, at(9)), Verdict::Wrong);
        }
    }

    #[test]
    fn a_token_of_one_source_is_a_key_and_no_other_is() {
        for (scopes, is_key) in [
            ("source:cellar", true),
            ("source:*", false),
            ("source:a source:b", false),
            ("source:cellar read:*", false),
            ("write:*@*", false),
        ] {
            let scopes = Scopes::parse(scopes).unwrap();
            let (text, kept) =
                Token::make(TokenId::new("k").unwrap(), &[7; 32], scopes, None, at(0));
            assert_eq!(text.expose().starts_with("isokey_k_"), is_key, "{}", kept.scopes);
            let sent = Sent::parse(&text).unwrap();
            assert_eq!(sent.is_key, is_key);
            assert_eq!(kept.verify(&sent, at(9)), Verdict::Valid);
        }
    }

    #[test]
    fn what_has_another_form_is_no_token() {
        let (token, _) = made(None);
        let text = token.expose();
        let long = format!("isotherm_{}_{}", "x".repeat(33), "a".repeat(43));
        for bad in [
            "",
            "isotherm_",
            "isotherm_gw-1",
            "isotherm_gw-1_",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}a"),
            &text.replace("Bwc", "B=c"),
            &text.replace("gw-1", ""),
            &text.replace("gw-1", "gw 1"),
            &text.replace("isotherm", "Isotherm"),
            &long,
            &format!("{text},{text}"),
            &"x".repeat(10_000),
        ] {
            assert!(Sent::parse(&Secret::new(bad)).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_line_is_read_back_as_it_was_written() {
        let (_, kept) = made(Some(at(10)));
        let inactive = Token { state: State::Inactive, expires: None, ..kept.clone() };
        for token in [kept, inactive] {
            assert_eq!(Token::parse(&token.to_string()), Some(token));
        }
        let digest = "0".repeat(64);
        for bad in [
            "",
            "gw-1",
            &format!("gw-1 {digest}"),
            &format!("gw_1 {digest} read:*"),
            &format!("gw-1 {digest} read"),
            &format!("gw-1 {digest}0 read:*"),
            &format!("gw-1 {} read:*", "A".repeat(64)),
            &format!("gw-1 {digest} read:* expires=soon"),
        ] {
            assert_eq!(Token::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_variable_has_lines_and_says_which_is_wrong() {
        let line = |id: &str| format!("{id} {} read:*", "0".repeat(64));
        let text = format!("# gateways\n{}\n\n {} ;{}", line("a"), line("ab"), line("b"));
        assert_eq!(check(&text), Ok(()));
        let id = |id: &str| TokenId::new(id).unwrap();
        assert_eq!(line_of(&text, &id("ab")), Some(line("ab").as_str()));
        assert_eq!(line_of(&text, &id("c")), None);
        let said = check(&format!("{};secret-token x", line("a"))).unwrap_err();
        assert!(said.starts_with("line 2 ") && !said.contains("secret"), "{said}");
        assert!(check(&format!("{};{}", line("a"), line("a"))).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_token_or_none(
            text in r"\PC{0,120}", near in "isotherm_[a-z0-9._:-]{0,34}_[A-Za-z0-9_=-]{41,45}",
        ) {
            for text in [text, near] {
                let Some(found) = Sent::parse(&Secret::new(&text)) else { continue };
                prop_assert_eq!(text.len(), PREFIX.len() + found.id.as_str().len() + 44);
            }
        }

        #[test]
        fn any_line_is_read_or_refused(
            text in r"\PC{0,120}",
            near in "[a-z_-]{0,3} [0-9a-f]{62,65}( (read:a|metrics|x|expires=2030|made=|revoked|made=2026-01-01T00:00:00Z)){0,4}",
        ) {
            for text in [text, near] {
                if let Some(token) = Token::parse(&text) {
                    prop_assert_eq!(Token::parse(&token.to_string()), Some(token));
                }
                check(&text).ok();
            }
        }
    }
}
