//! The answer of a node to a batch of another one.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::domain::exchange::{Anchor, BatchId, Known, Mark, NodeId, from_hex};
use crate::domain::reading::UnixMillis;

/// What a peer says of a batch, and of those before (`docs/formats.md`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Readings that it rejected, by reason, with their positions in the batch.
    pub rejected: Vec<(String, Vec<usize>)>,
    /// The positions of corrections that it rejected.
    pub rejected_corrections: Vec<usize>,
    /// It takes readings from this time on.
    pub takes_from: UnixMillis,
    /// What its database knows; `None` while that is away.
    pub known: Option<Known>,
}

/// An answer as JSON.
#[derive(Deserialize, Serialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    ack: Cow<'a, str>,
    #[serde(default)]
    accepted: usize,
    rejected: Vec<Rejected>,
    #[serde(default)]
    rejected_corrections: Vec<usize>,
    /// Unix milliseconds.
    takes_from: i64,
    /// What follows is null while the database is away.
    node: Option<String>,
    counted: Option<Vec<String>>,
    latest: Option<Latest>,
    anchor_known: Option<bool>,
}

/// Readings that were rejected for the same reason.
#[derive(Deserialize, Serialize)]
struct Rejected {
    reason: String,
    indexes: Vec<usize>,
}

#[derive(Deserialize, Serialize)]
struct Latest {
    batch: String,
    mark: String,
}

impl Answer {
    /// Writes the answer to a batch of which `accepted` readings were taken, as JSON.
    pub(crate) fn to_json(&self, accepted: usize) -> impl Serialize {
        let rejected = self.rejected.iter();
        let known = self.known.as_ref();
        let latest = known.and_then(|known| known.latest);
        Body {
            ack: "journaled".into(),
            accepted,
            rejected: rejected
                .map(|(reason, indexes)| Rejected {
                    reason: reason.clone(),
                    indexes: indexes.clone(),
                })
                .collect(),
            rejected_corrections: self.rejected_corrections.clone(),
            takes_from: self.takes_from.get(),
            node: known.map(|known| known.node.to_string()),
            counted: known.map(|known| known.counted.iter().map(ToString::to_string).collect()),
            latest: latest.map(|Anchor { batch, mark }| Latest {
                batch: batch.to_string(),
                mark: mark.to_string(),
            }),
            anchor_known: known.map(|known| known.anchor_known),
        }
    }

    /// Reads an answer; `None` if it is none of a peer's.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let body: Body<'_> = serde_json::from_slice(body).ok()?;
        let known = match (body.node, body.counted, body.anchor_known) {
            (Some(node), Some(counted), Some(anchor_known)) => {
                let counted = counted.iter().map(|id| from_hex(id).map(BatchId));
                let latest = match &body.latest {
                    None => None,
                    Some(Latest { batch, mark }) => Some(Anchor {
                        batch: BatchId(from_hex(batch)?),
                        mark: Mark(from_hex(mark)?),
                    }),
                };
                let (node, counted) = (NodeId(from_hex(&node)?), counted.collect::<Option<_>>()?);
                Some(Known { node, counted, latest, anchor_known })
            }
            _ => None,
        };
        let rejected = body.rejected.into_iter().map(|one| (one.reason, one.indexes)).collect();
        let takes_from = UnixMillis::new(body.takes_from)?;
        let rejected_corrections = body.rejected_corrections;
        Some(Self { rejected, rejected_corrections, takes_from, known })
    }
}

/// A problem, as far as it is looked at.
#[derive(Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
}

/// What the body of a refusal says; `None` if it is no problem.
pub(crate) fn detail_of_problem(body: &[u8]) -> Option<String> {
    let problem: Problem = serde_json::from_slice(body).ok()?;
    problem.detail.or(problem.title)
}
