//! A batch of another node (`wire::batch`). Its readings are judged one by one, as those of
//! any sender, and the answer says which of the sender's batches are counted.
//!
//! What a node has counted is not judged again by what this one thinks of as plausible: all
//! nodes are to agree. Whether a reading came late is what it was where it came first.

use http::StatusCode;

use super::batch::Batch;
use super::keep::{self, Journaled};
use super::take::should_fold;
use super::{AfterPost, Handled, doubt};
use crate::access::Grant;
use crate::api::denial::lacks;
use crate::api::names;
use crate::api::router::Admitted;
use crate::domain::correction::Correction;
use crate::domain::exchange::{FromNode, Known, SentCorrection};
use crate::domain::reading::{Region, UnixMillis};
use crate::domain::rejection::{Reason, Rejection};
use crate::error::Error;
use crate::host::Host;
use crate::http::{Kind, Problem, Purpose, Refusal, Request, Response};
use crate::journal::Origin;
use crate::journal::door::Door;
use crate::ledger::database::Database;
use crate::ledger::received;
use crate::resilience::circuit::CircuitBreaker;
use crate::settings::Horizon;
use crate::upkeep::AFTER_ANSWER;
use crate::wire::answer::Answer;
use crate::wire::batch::{self, BadName, Decoded, Fault};
use crate::wire::item::{self, Item};

/// Answers a request with such a body.
pub(super) fn accept<H: Host>(
    host: &H,
    request: &Request,
    admitted: &Admitted,
    body: &[u8],
    now: UnixMillis,
) -> Result<Handled, Refusal> {
    let horizon = Horizon::from_variables(host)?;
    let decoded = batch::decode(body).map_err(unreadable)?;
    let grant = &admitted.grant;
    if !grant.scopes.may_sync_as(decoded.sender.name) {
        return Err(lacks("sync:<node>@<region>").into());
    }
    let items: Vec<Item<'_>> =
        decoded.readings().map(|reading| allowed(reading, grant, decoded.sender.name)).collect();
    let (store, door) = doubt::open(host, &items, admitted.door, horizon, now)?;
    let judge = Judge { host, store: &store, door: &door, horizon, grant, now };
    let (corrections, rejected_corrections) = judge.corrections(&decoded)?;
    let mut batch = Batch::of_node(items, horizon, &door, now);
    doubt::reject_new_names(host, &store, &door, &mut batch, now)?;
    let from = FromNode {
        sender: decoded.sender.clone(),
        batch: decoded.id,
        has_content: decoded.count() > 0 || !decoded.corrections.is_empty(),
        at: now,
        corrections,
    };
    let origin = Origin { from: Some(&from), source: None };
    let regions = match keep::journal(host, &store, &door, &batch, origin, now)? {
        Journaled::Kept { regions, .. } => regions,
        Journaled::Refused { should_fold } => {
            let problem = Problem::of(&Error::JournalFull, Purpose::Writing);
            let after_answer = AfterPost::folding(should_fold);
            return Ok(Handled { after_answer, ..Handled::of(host, request, problem.into()) });
        }
    };
    let counted = CircuitBreaker::new(host, &store, true).call(now, || {
        let database = Database::open(host, AFTER_ANSWER)?;
        database.read_at_once(|sql| {
            let sender = (decoded.sender.node, decoded.sender.name);
            received::counted(sql, sender, &decoded.asked, decoded.anchor)
        })
    });
    // The sender waits for what is not known yet.
    let counted =
        counted.map_err(|error| host.log(&format!("it is not known what is counted: {error}")));
    let counted = counted.ok();
    let is_waited_for =
        counted.as_ref().is_some_and(|known| known.counted.len() < decoded.asked.len());
    let folds = is_waited_for || should_fold(host, batch.readings.len(), regions);
    let takes_from = horizon.oldest(now).max(door.pruned_before);
    let response = answer(&batch, rejected_corrections, takes_from, counted);
    Ok(Handled::kept(host, response, request, &batch, AfterPost::folding(folds)))
}

fn unreadable(fault: Fault) -> Refusal {
    let (kind, detail) = match fault {
        Fault::Version(version) => (
            Kind::UnsupportedMediaType,
            format!("the batch has version {version}, which this release does not know; update it"),
        ),
        Fault::Checksum => {
            (Kind::Unreadable, "the batch was damaged on its way; nothing was stored".to_owned())
        }
        Fault::Content(part) => (
            Kind::Unreadable,
            format!("the batch can't be read: {part} is not valid; nothing was stored"),
        ),
        Fault::TooMany => {
            (Kind::TooLarge, "the batch has too many readings; nothing was stored".to_owned())
        }
    };
    Problem::new(kind, detail).into()
}

fn allowed<'a>(
    reading: Result<crate::domain::reading::Reading<'a>, BadName>,
    grant: &Grant,
    name: &str,
) -> Item<'a> {
    let reading = reading.map_err(|bad| match bad {
        BadName::Device => Rejection::new(Reason::InvalidDeviceId, item::NAME_RULE),
        BadName::Region => Rejection::new(Reason::InvalidRegion, item::NAME_RULE),
    })?;
    if grant.scopes.may_sync(name, reading.region.as_str()) {
        return Ok(reading);
    }
    let detail = "the token does not allow this node readings of this region";
    Err(Rejection::new(Reason::Forbidden, detail).of(&reading))
}

/// What the corrections of a batch are judged by: as those of a person are.
struct Judge<'a, H: Host> {
    host: &'a H,
    store: &'a H::KeyValue,
    door: &'a Door,
    horizon: Horizon,
    grant: &'a Grant,
    now: UnixMillis,
}

impl<H: Host> Judge<'_, H> {
    /// The corrections that are taken, and the positions of the others.
    fn corrections<'a>(
        &self,
        decoded: &Decoded<'a>,
    ) -> Result<(Vec<SentCorrection<'a>>, Vec<usize>), Error> {
        let unknown = self.unknown(&decoded.corrections)?;
        let (mut taken, mut rejected) = (Vec::new(), Vec::new());
        for (index, sent) in decoded.corrections.iter().enumerate() {
            let correction = &sent.correction;
            let is_taken = self.allows(correction, decoded.sender.name)
                && correction.timestamp
                    >= self.horizon.oldest(self.now).max(self.door.pruned_before)
                && !names_of(correction).any(|name| unknown.contains(&name));
            match is_taken {
                true => taken.push(sent.clone()),
                false => rejected.push(index),
            }
        }
        Ok((taken, rejected))
    }

    /// Whether the token allows it. Where it does not allow all regions, a correction must name
    /// those that it changes.
    fn allows(&self, correction: &Correction<'_>, name: &str) -> bool {
        let scopes = &self.grant.scopes;
        let may = |region: &Region<'_>| scopes.may_sync(name, region.as_str());
        let expected = correction.expected_region.as_ref();
        expected.map_or_else(|| scopes.may_sync_all(name), may)
            && correction.region.as_ref().is_none_or(may)
    }

    /// The names in them that are not known, where there are as many as may be.
    fn unknown<'a>(&self, all: &'a [SentCorrection<'_>]) -> Result<Vec<&'a str>, Error> {
        let mut unknown = Vec::new();
        if all.is_empty() {
            return Ok(unknown);
        }
        for table in names::full_tables(self.host, self.door)? {
            let mut of_table: Vec<&str> = Vec::with_capacity(all.len());
            for sent in all {
                match table {
                    "regions" => of_table.extend(regions_of(&sent.correction)),
                    _ => of_table.push(sent.correction.device_id.as_str()),
                }
            }
            let known = names::known(self.host, self.store, table, &of_table, self.now);
            let known = of_table.into_iter().zip(known.unwrap_or_default());
            unknown.extend(known.filter(|(_, is_known)| !is_known).map(|(name, _)| name));
        }
        Ok(unknown)
    }
}

fn regions_of<'a>(correction: &'a Correction<'_>) -> impl Iterator<Item = &'a str> {
    let regions = [&correction.expected_region, &correction.region];
    regions.into_iter().flatten().map(Region::as_str)
}

fn names_of<'a>(correction: &'a Correction<'_>) -> impl Iterator<Item = &'a str> {
    regions_of(correction).chain([correction.device_id.as_str()])
}

/// The answer to a node. `docs/formats.md` has its fields.
fn answer(
    batch: &Batch<'_>,
    rejected_corrections: Vec<usize>,
    takes_from: UnixMillis,
    known: Option<Known>,
) -> Response {
    let mut rejected: Vec<(String, Vec<usize>)> = Vec::new();
    for item in &batch.rejected {
        let (code, index) = (item.reason.code(), item.error.index);
        match rejected.iter_mut().find(|(reason, _)| reason == code) {
            Some((_, indexes)) => indexes.push(index),
            None => rejected.push((code.to_owned(), vec![index])),
        }
    }
    let answer = Answer { rejected, rejected_corrections, takes_from, known };
    Response::json(StatusCode::ACCEPTED, &answer.to_json(batch.readings.len()))
}
