//! What became of the readings of a request, as the answer says.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::sender::Answer;

/// What became of the readings of one request, by their positions in it, from 0. Each
/// counts once: as stored, duplicate, conflict, unknown or rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// How many are newly counted.
    pub stored: usize,
    /// How many were already counted.
    pub duplicate: usize,
    /// How many contradict a counted reading, which stands.
    pub conflict: usize,
    /// The positions of the conflicts, as far as the service names them.
    pub conflicts: Vec<usize>,
    /// How many are acknowledged but not counted yet: they may be stored, duplicates or
    /// conflicts.
    pub unknown: usize,
    /// Readings that were not acknowledged, as far as the service names them.
    pub rejected: Vec<Rejected>,
    /// How many more are not acknowledged.
    pub rejected_omitted: usize,
    /// How often the request was sent again. If an attempt stores readings but its
    /// answer is lost, they are duplicates in the next one.
    pub retries: usize,
}

/// A reading that was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Rejected {
    /// Its position in the request, from 0.
    pub index: usize,
    /// The reason's code.
    pub reason: String,
    /// The reason in a sentence.
    #[serde(default)]
    pub detail: String,
}

/// The body of an answer: a 200, 202 or 422.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    accepted: usize,
    #[serde(default)]
    stored: usize,
    #[serde(default)]
    duplicates: usize,
    #[serde(default)]
    conflicts: usize,
    #[serde(default)]
    outcomes: Vec<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default, alias = "errors")]
    rejected: Vec<Rejected>,
}

impl Delivered {
    /// What `answer` says about `sent` readings. An answer that can't be read, or that
    /// counts more of them, is an error.
    pub(crate) fn told_by(answer: &Answer, sent: usize) -> Result<Self> {
        let body = &answer.body;
        let told: Told = serde_json::from_str(body)
            .with_context(|| format!("{} with a body that can't be read: {body}", answer.status))?;
        let conflicts = told.outcomes.iter().enumerate();
        let conflicts = conflicts.filter(|(_, outcome)| *outcome == "conflict");
        let mut delivered = Self {
            stored: told.stored,
            duplicate: told.duplicates,
            conflict: told.conflicts,
            conflicts: conflicts.map(|(index, _)| index).collect(),
            unknown: told.accepted,
            rejected: told.rejected,
            ..Self::default()
        };
        if delivered.rejected.is_empty() && answer.status == 422 {
            // Not the service's own format, but its text applies to all readings.
            let detail = told.detail.unwrap_or_else(|| body.clone());
            let all = |index| Rejected { index, reason: "422".to_owned(), detail: detail.clone() };
            delivered.rejected = (0..sent).map(all).collect();
        }
        let rest = sent.checked_sub(delivered.acknowledged() + delivered.rejected.len());
        delivered.rejected_omitted = rest.with_context(|| {
            format!("{} counts more readings than the {sent} sent: {body}", answer.status)
        })?;
        Ok(delivered)
    }

    /// How many are acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.stored + self.duplicate + self.conflict + self.unknown
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(status: u16, body: &serde_json::Value, sent: usize) -> Result<Delivered> {
        let answer = Answer { status, headers: Vec::new(), body: body.to_string() };
        Delivered::told_by(&answer, sent)
    }

    fn rejected(index: usize, reason: &str, detail: &str) -> Rejected {
        Rejected { index, reason: reason.to_owned(), detail: detail.to_owned() }
    }

    #[test]
    fn a_fold_says_what_became_of_each() {
        let item = json!({"index": 2, "reason": "too_old", "detail": "older"});
        let body = json!({
            "ack": "folded", "stored": 1, "duplicates": 1, "conflicts": 2,
            "outcomes": ["conflict", "stored", "rejected", "duplicate", "conflict"],
            "rejected": [item],
        });
        let expected = Delivered {
            stored: 1,
            duplicate: 1,
            conflict: 2,
            conflicts: vec![0, 4],
            rejected: vec![rejected(2, "too_old", "older")],
            ..Delivered::default()
        };
        assert_eq!(told(200, &body, 5).unwrap(), expected);
    }

    #[test]
    fn what_is_journaled_is_not_known_yet() {
        let item = json!({"index": 0, "reason": "malformed", "detail": "no object"});
        let body = json!({
            "ack": "journaled", "accepted": 3, "rejected": [item], "rejected_omitted": 2,
        });
        let expected = Delivered {
            unknown: 3,
            rejected: vec![rejected(0, "malformed", "no object")],
            rejected_omitted: 2,
            ..Delivered::default()
        };
        assert_eq!(told(202, &body, 6).unwrap(), expected);
    }

    #[test]
    fn a_request_of_which_nothing_was_accepted_has_its_reasons() {
        let item = json!({"index": 1, "reason": "in_future", "detail": "ahead"});
        let body = json!({
            "type": "about:blank", "status": 422, "detail": "all 3 readings were rejected",
            "errors": [item], "errors_omitted": 2,
        });
        let delivered = told(422, &body, 3).unwrap();
        assert_eq!(delivered.rejected, [rejected(1, "in_future", "ahead")]);
        assert_eq!((delivered.rejected_omitted, delivered.acknowledged()), (2, 0));

        let delivered = told(422, &json!({"detail": "no"}), 2).unwrap();
        assert_eq!(delivered.rejected, [rejected(0, "422", "no"), rejected(1, "422", "no")]);
    }

    #[test]
    fn an_answer_that_does_not_add_up_is_an_error() {
        let body = json!({"ack": "journaled", "accepted": 3, "rejected": []});
        let error = told(202, &body, 2).unwrap_err().to_string();
        assert!(error.contains("more readings than the 2 sent"), "{error}");
        assert!(told(200, &json!("yes"), 2).is_err());
    }
}
