//! What is kept of whose request it was: for the log, the last use of a token, and the counts of
//! what was not allowed.

use http::StatusCode;

use crate::access::token::TokenId;
use crate::access::{Denied, From, Grant};
use crate::domain::reading::UnixMillis;
use crate::error::best_effort;
use crate::host::Host;
use crate::journal::{keys, noted, tokens};

/// What the log and the books have of a request's credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accessed {
    /// Whose request it was; `None` if it was not asked.
    pub who: Option<String>,
    noted: Option<Use>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Use {
    /// Of a token, and the hour in which it was last used, as far as that is known.
    Of(TokenId, Option<UnixMillis>),
    Denied(Denied),
}

impl Accessed {
    /// A request that was let in.
    pub(crate) fn by(grant: &Grant) -> Self {
        let noted = match &grant.from {
            From::Token { id, used, .. } => Some(Use::Of(id.clone(), *used)),
            From::Anyone | From::Nobody | From::Jwt(..) | From::Session(..) => None,
        };
        let who = match &grant.from {
            From::Anyone => Some("anyone"),
            _ => grant.who(),
        };
        Self { who: who.map(ToOwned::to_owned), noted }
    }

    /// A request that was not.
    pub(crate) fn denied(why: Denied, who: Option<String>) -> Self {
        Self { who, noted: Some(Use::Denied(why)) }
    }

    /// The same after an answer with this status: that something was not allowed is noted in
    /// place of the use.
    pub(crate) fn answered(self, status: StatusCode) -> Self {
        match status {
            StatusCode::FORBIDDEN => Self { noted: Some(Use::Denied(Denied::Forbidden)), ..self },
            _ => self,
        }
    }

    /// After the answer: notes that a token was used, or why a request was not allowed.
    /// Neither is worth a failure.
    pub fn note(&self, host: &impl Host, now: UnixMillis) {
        let Some(noted) = &self.noted else { return };
        if matches!(noted, Use::Of(_, known) if known.is_some() && *known == tokens::hour_of(now)) {
            return;
        }
        let Some(store) = best_effort(host.key_value()) else { return };
        match noted {
            Use::Of(id, _) => {
                best_effort(tokens::note_use(&store, id.as_str(), now));
            }
            Use::Denied(why) => {
                let one = std::iter::once((why.code(), 1));
                best_effort(noted::note(host, &store, keys::AUTH, one, now));
            }
        }
    }
}
