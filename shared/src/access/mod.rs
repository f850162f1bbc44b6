//! Access: from the credential of a request to what it allows.
//!
//! All of it is pure: headers, keys, what is kept of tokens, and the time go in; a
//! [`Grant`] or a reason to refuse comes out. `api::access` reads the variables and the
//! key-value store around it.

pub(crate) mod credential;
pub(crate) mod jwk;
pub(crate) mod jwt;
pub(crate) mod scope;
pub(crate) mod secret;
pub(crate) mod session;
pub(crate) mod token;

use crate::access::scope::Scopes;
use crate::access::token::TokenId;
use crate::domain::reading::UnixMillis;

/// What a request may do, and whose it is.
#[derive(Clone, Debug)]
pub struct Grant {
    pub(crate) scopes: Scopes,
    pub(crate) from: From,
}

/// Where a grant comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// Access control is off: everybody may do everything.
    Anyone,
    /// No credential was asked for.
    Nobody,
    /// A token, with its mark (`Token::mark`), and the hour in which it was last used, as far
    /// as that is known.
    Token { id: TokenId, mark: String, used: Option<UnixMillis> },
    /// A JWT: its `who`, and when it expires.
    Jwt(String, UnixMillis),
    /// A session of the page: its `who`, and when it ends.
    Session(String, UnixMillis),
}

impl Grant {
    /// Everything, as access control is off.
    pub(crate) fn anyone() -> Self {
        Self { scopes: Scopes::all(), from: From::Anyone }
    }

    /// Nothing, of a request that was not asked for a credential.
    pub(crate) fn nobody() -> Self {
        Self { scopes: Scopes::none(), from: From::Nobody }
    }

    /// Whose it is, for the log: the id of a token, or a hash; `None` while access control
    /// is off.
    pub fn who(&self) -> Option<&str> {
        match &self.from {
            From::Anyone | From::Nobody => None,
            From::Token { id, .. } => Some(id.as_str()),
            From::Jwt(who, _) | From::Session(who, _) => Some(who),
        }
    }
}

/// What a client's credential must allow. The handlers look further: at the regions and
/// devices that it names (`scope`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// No credential is asked for: health, and the page.
    Open,
    /// Any valid credential.
    Any,
    /// To read some region.
    Read,
    /// To read every region: answers that don't say of which region a part is.
    ReadAll,
    /// To send readings of some device and region.
    Write,
    /// To send by some source, or readings of some device and region.
    Source,
    /// To exchange readings as some node.
    Sync,
    /// To read metrics.
    Metrics,
    /// Everything.
    Admin,
}

/// Why a request is not allowed. The codes are those of `isotherm_auth_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It has no credential.
    Missing,
    /// Its credential is none, or not of this node.
    Invalid,
    /// It has expired.
    Expired,
    /// It was revoked, or is inactive.
    Withdrawn,
    /// It allows something else.
    Forbidden,
}

impl Denied {
    pub(crate) const ALL: [Self; 5] =
        [Self::Missing, Self::Invalid, Self::Expired, Self::Withdrawn, Self::Forbidden];

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Forbidden => "forbidden",
        }
    }
}
