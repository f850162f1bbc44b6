//! `GET /v1/senders`: the nodes that send to this one; and `DELETE /v1/senders/{node}`.

use http::StatusCode;
use serde_json::Value;

use crate::api::answer::{HandlerResult, Listing};
use crate::api::call::Call;
use crate::domain::exchange::NodeId;
use crate::domain::range::Span;
use crate::domain::reading::UnixMillis;
use crate::host::Host;
use crate::http::document::{Fields, Table};
use crate::http::{Kind, Problem, Response};
use crate::ledger::database::{Budget, Database};
use crate::ledger::received::{self, KnownSender};
use crate::limits;
use crate::read::fresh::fold_and_read;
use crate::read::senders::is_silent;
use crate::settings;

const COLUMNS: [&str; 13] = [
    "name",
    "node",
    "silent",
    "contact",
    "as_of",
    "behind_minutes",
    "behind_readings",
    "missing_readings",
    "first_contact",
    "readings",
    "readings_per_hour",
    "forks",
    "forked",
];

/// Sorted by name.
pub(crate) fn list<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let silent_ms = settings::sender_silent_ms(call.host)?;
    let read = fold_and_read(
        call.host,
        Span::ALL_TIME,
        call.now,
        |database| database.read(received::senders),
        |_snapshot| None,
    )?;
    let rows = read.value.iter().map(|sender| cells(sender, silent_ms, call.now)).collect();
    let table = Table { columns: COLUMNS.into(), rows };
    let listing = Listing { list: Some("nodes"), ..Listing::default() };
    Ok(read.covered.answer(call, table, listing))
}

fn cells(sender: &KnownSender, silent_ms: i64, now: UnixMillis) -> Vec<Value> {
    let is_silent = is_silent(sender, silent_ms, now);
    vec![
        sender.name.as_str().into(),
        sender.node.to_string().into(),
        is_silent.into(),
        sender.contact.into(),
        sender.as_of.into(),
        sender.minutes.into(),
        sender.waiting.into(),
        sender.missing(silent_ms, now).into(),
        sender.first.into(),
        sender.readings.into(),
        sender.last_hour.into(),
        sender.forks.into(),
        sender.forked.into(),
    ]
}

/// `DELETE /v1/senders/{node}`: forgets a node that will not send any more. Its readings stay.
pub(crate) fn delete<H: Host>(call: &Call<'_, H>, node: &str) -> HandlerResult {
    let missing = || Problem::new(Kind::NotFound, "no node of this id has sent");
    let node = NodeId::parse(node).ok_or_else(missing)?;
    let database = Database::open(call.host, Budget::waiting(limits::QUERY_FOLD_MS_MAX))?;
    match database.transaction(|sql| received::forget(sql, node))? {
        true => {
            let body = Fields::of([("node", node.to_string().into()), ("forgotten", true.into())]);
            Ok(Response::json(StatusCode::OK, &body).into())
        }
        false => Err(missing().into()),
    }
}
