//! Requests that are not let in, and what is answered to them (RFC 6750, 3).

use crate::access::token::TokenId;
use crate::access::{Denied, Grant};
use crate::api::accessed::Accessed;
use crate::error::Error;
use crate::http::{Kind, Problem, Refusal};
use crate::limits;

/// Why a request was not let in.
pub(crate) enum Denial {
    /// The last is whose request it was, if that is known.
    Request(Denied, Box<Problem>, Option<String>),
    /// It was let in, and its head says something that can't be answered.
    Unfit(Box<Problem>, Accessed),
    Node(Error),
}

impl core::convert::From<Error> for Denial {
    fn from(error: Error) -> Self {
        Self::Node(error)
    }
}

impl Denial {
    /// The same of the token with this id, whose secret was right: the log may name it.
    pub(crate) fn of(self, id: &TokenId) -> Self {
        match self {
            Self::Request(why, problem, _) => {
                Self::Request(why, problem, Some(id.as_str().to_owned()))
            }
            other @ (Self::Unfit(..) | Self::Node(_)) => other,
        }
    }

    /// A request that was let in, and is not fit for its resource.
    pub(crate) fn unfit(problem: Box<Problem>, grant: &Grant) -> Self {
        Self::Unfit(problem, Accessed::by(grant))
    }

    /// A request by an ingest key that is used too often.
    pub(crate) fn too_often(grant: &Grant) -> Self {
        let most = limits::KEY_USES_PER_MINUTE_MAX;
        let detail = format!(
            "more than {most} requests a minute came by this key; send several readings in one \
             request, or give each sender a key of its own"
        );
        let problem = Problem::new(Kind::TooOften, detail).with_header("retry-after", "60");
        Self::unfit(Box::new(problem), grant)
    }

    /// What to answer, and what to note of it.
    pub(crate) fn into_parts(self) -> (Refusal, Accessed) {
        match self {
            Self::Request(why, problem, who) => {
                (Refusal::Request(problem), Accessed::denied(why, who))
            }
            Self::Unfit(problem, accessed) => (Refusal::Request(problem), accessed),
            Self::Node(error) => (error.into(), Accessed::default()),
        }
    }
}

/// What `www-authenticate` begins with (RFC 6750, 3).
const CHALLENGE: &str = "Bearer realm=\"isotherm\"";

/// The refusal of a credential.
pub(crate) fn denied(why: Denied) -> Denial {
    let (detail, challenge) = match why {
        Denied::Missing => (
            "this needs a token; send it in a header: authorization: Bearer <token>",
            CHALLENGE.to_owned(),
        ),
        Denied::Expired => (
            "the token has expired; get another one",
            format!(
                "{CHALLENGE}, error=\"invalid_token\", error_description=\"the token has expired\""
            ),
        ),
        // Which of these it is would help to guess.
        Denied::Invalid | Denied::Withdrawn | Denied::Forbidden => (
            "the token is not valid here; the operator can make another one",
            format!("{CHALLENGE}, error=\"invalid_token\""),
        ),
    };
    let problem = Problem::new(Kind::Unauthenticated, detail);
    Denial::Request(why, Box::new(problem.with_header("www-authenticate", challenge)), None)
}

/// The refusal of a JWT where none is taken.
pub(crate) fn no_jwt_here() -> Denial {
    let detail = "this resource takes no JWT; POST it to /v1/session, and send the cookie";
    let challenge = format!("{CHALLENGE}, error=\"invalid_token\"");
    let problem = Problem::new(Kind::Unauthenticated, detail);
    let problem = problem.with_header("www-authenticate", challenge);
    Denial::Request(Denied::Invalid, Box::new(problem), None)
}

/// The refusal of a request whose credential lacks this scope.
pub(crate) fn forbidden(needed: &str, who: Option<&str>) -> Denial {
    let who = who.map(ToOwned::to_owned);
    Denial::Request(Denied::Forbidden, Box::new(lacks(needed)), who)
}

/// The same as a problem.
pub(crate) fn lacks(needed: &str) -> Problem {
    let detail = format!("the token does not allow this; it needs the scope {needed}");
    let challenge = format!("{CHALLENGE}, error=\"insufficient_scope\", scope=\"{needed}\"");
    Problem::new(Kind::Forbidden, detail).with_header("www-authenticate", challenge)
}
