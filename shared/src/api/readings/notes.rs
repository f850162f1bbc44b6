//! What is noted of a request that was rejected, as a whole or in part.

use super::batch::{Batch, RejectedItem};
use crate::domain::reading::UnixMillis;
use crate::domain::rejection::{AsSent, shown};
use crate::http::{Kind, Problem, Request};
use crate::journal::recent::Rejected;
use crate::limits;

/// The kinds of problem of a body that can't be read.
pub(crate) const UNREADABLE: [Kind; 4] =
    [Kind::Unreadable, Kind::BodyTimeout, Kind::TooLarge, Kind::UnsupportedMediaType];

/// A body that could not be read. Of other problems nothing is noted: they are no fault of a
/// sensor, or nobody's.
pub(super) fn of_problem(problem: &Problem, request: &Request) -> Option<Rejected> {
    UNREADABLE.contains(&problem.kind()).then(|| Rejected {
        at: UnixMillis::MIN,
        device_id: None,
        region: None,
        reason: problem.kind().code().to_owned(),
        detail: cut(&without_word(problem.detail())),
        address: address(request),
        stands_for: 1,
    })
}

/// The rejected items of a batch: those that are alike as one record, and what is too much
/// as another.
pub(super) fn of_batch(batch: &Batch<'_>, request: &Request) -> Vec<Rejected> {
    let mut groups: Vec<(&RejectedItem, u64)> = Vec::new();
    let mut others: Option<(&RejectedItem, u64)> = None;
    for item in &batch.rejected {
        if let Some((_, count)) = groups.iter_mut().find(|(first, _)| first.is_like(item)) {
            *count += 1;
        } else if groups.len() < limits::REJECTIONS_PER_REQUEST_MAX - 1 {
            groups.push((item, 1));
        } else {
            others.get_or_insert((item, 0)).1 += 1;
        }
    }
    let others = others.map(|(item, count)| Rejected {
        detail: "further readings of the same request, also of other devices".to_owned(),
        ..record(item, &AsSent::default(), count, request)
    });
    let nameless = AsSent::default();
    let named = groups.into_iter().map(|(item, count)| {
        record(item, item.sent.as_deref().unwrap_or(&nameless), count, request)
    });
    others.into_iter().chain(named).collect()
}

fn record(item: &RejectedItem, sent: &AsSent, count: u64, request: &Request) -> Rejected {
    Rejected {
        at: UnixMillis::MIN,
        device_id: sent.device_id.clone(),
        region: sent.region.clone(),
        reason: item.reason.code().to_owned(),
        detail: cut(&item.error.detail),
        address: address(request),
        stands_for: count,
    }
}

fn address(request: &Request) -> Option<String> {
    request.client_address().map(shown)
}

/// The detail of a body that could not be read, without the word of it where it could not
/// go on: such a body may be anything.
fn without_word(detail: &str) -> String {
    let parts = detail.split_once(" (near `").and_then(|(before, rest)| {
        let (_word, behind) = rest.split_once("`)")?;
        Some(format!("{before}{behind}"))
    });
    parts.unwrap_or_else(|| detail.to_owned())
}

fn cut(detail: &str) -> String {
    detail.chars().take(limits::REJECTION_DETAIL_CHARS_MAX).collect()
}
