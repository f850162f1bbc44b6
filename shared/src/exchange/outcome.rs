//! What a peer answers, and when it is tried again.

use crate::host::{HttpAnswer, SendError, SendErrorKind};
use crate::limits;
use crate::wire::answer::{Answer, detail_of_problem};

/// What came of sending a batch.
pub(super) enum Outcome {
    Taken(Answer),
    Failed(Failure),
}

/// Why a batch was not taken, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) error: String,
    /// It has to be smaller.
    pub(super) is_too_large: bool,
    /// It may be too large for the link.
    pub(super) is_slow: bool,
    /// How long to wait, in milliseconds; `None` is longer with each failure.
    pub(super) wait_ms: Option<i64>,
}

impl Outcome {
    pub(super) fn of(answer: Result<HttpAnswer, SendError>) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let kind = match error.kind {
                    SendErrorKind::Denied => {
                        "the runtime does not allow it (allowed_outbound_hosts): "
                    }
                    SendErrorKind::TimedOut => "no answer in time: ",
                    SendErrorKind::Unsupported | SendErrorKind::TooLarge | SendErrorKind::Other => {
                        ""
                    }
                };
                return Self::Failed(Failure {
                    error: shortened(&format!("{kind}{error}")),
                    is_too_large: false,
                    is_slow: error.kind == SendErrorKind::TimedOut,
                    wait_ms: None,
                });
            }
        };
        if matches!(answer.status, 200 | 202) {
            return match Answer::parse(&answer.body) {
                Some(answer) => Self::Taken(answer),
                None => Self::Failed(Failure {
                    error: "the answer is not that of an Isotherm that takes batches".to_owned(),
                    is_too_large: false,
                    is_slow: false,
                    wait_ms: Some(limits::SYNC_REFUSED_MS),
                }),
            };
        }
        let wait_ms = match answer.status {
            413 => Some(0),
            408 | 429 | 500..=599 => retry_after_ms(&answer),
            _ => Some(limits::SYNC_REFUSED_MS),
        };
        // 408: the peer waited for the body in vain.
        let (is_too_large, is_slow) = (answer.status == 413, answer.status == 408);
        let error = shortened(&format!("{}: {}", answer.status, said(&answer)));
        Self::Failed(Failure { error, is_too_large, is_slow, wait_ms })
    }
}

fn said(answer: &HttpAnswer) -> String {
    detail_of_problem(&answer.body).unwrap_or_else(|| "no reason was given".to_owned())
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(limits::SYNC_ERROR_CHARS_MAX).collect()
}

/// What `retry-after` says in seconds; `None` if it says nothing.
fn retry_after_ms(answer: &HttpAnswer) -> Option<i64> {
    let (_, value) = answer.headers.iter().find(|(name, _)| name == "retry-after")?;
    let seconds: i64 = value.trim().parse().ok()?;
    Some(seconds.saturating_mul(1_000).clamp(0, limits::SYNC_REFUSED_MS))
}
