//! `GET` and `POST /v1/sync`: the exchange with peers, on the side that sends.

use http::StatusCode;
use serde_json::{Value, json};

use crate::api::answer::HandlerResult;
use crate::api::call::Call;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::exchange::beat;
use crate::exchange::peers::{self, Peer};
use crate::exchange::push::under_way;
use crate::host::{Host, Sql};
use crate::http::Response;
use crate::http::document::Fields;
use crate::ledger::aside;
use crate::ledger::database::{Budget, Database};
use crate::ledger::outbox::{self, Left};
use crate::ledger::{received, tally};
use crate::limits;

/// `POST /v1/sync`: answers at once; the component's entry point then calls `run`, if the
/// answer is 202.
pub(crate) fn begin<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    let configured = beat::register(call.host, call.now)?;
    let (status, state) = match beat::lease(call.host, call.now)? {
        true => (StatusCode::ACCEPTED, "begun"),
        false => (StatusCode::OK, "running"),
    };
    let origins: Vec<Value> = configured.into_iter().map(|one| one.origin.into()).collect();
    let body = Fields::of([("state", state.into()), ("peers", origins.into())]);
    Ok(Response::json(status, &body).into())
}

/// Runs beats for as long as one request may. Call it after an answer of 202.
pub fn run<H: Host>(host: &H, now: UnixMillis) -> Result<(), Error> {
    beat::run(host, now, limits::SYNC_FOR_MS_MAX)
}

/// `GET /v1/sync`: what each peer may not have, and how the exchange with it goes.
pub(crate) fn state<H: Host>(call: &Call<'_, H>) -> HandlerResult {
    peers::check(call.host)?;
    let name = peers::node_name(call.host)?;
    let database = Database::open(call.host, Budget::waiting(limits::QUERY_FOLD_MS_MAX))?;
    let body = database.read_at_once(|sql| {
        let peers = peers::all(sql)?;
        let peers = peers.iter().map(|peer| of_peer(sql, peer, call.now));
        let minute = |name: &str| Ok::<_, Error>(instant_of_minute(Some(tally(sql, name)?)));
        let dropped = tally(sql, outbox::DROPPED)?;
        let (from, to) = (minute(outbox::DROPPED_FROM)?, minute(outbox::DROPPED_TO)?);
        let range = |at: Value| if dropped > 0 { at } else { Value::Null };
        Ok(Fields::of([
            ("node", received::node_id(sql)?.to_string().into()),
            ("name", name.as_str().into()),
            ("as_of", call.now.into()),
            ("peers", peers.collect::<Result<Vec<Value>, _>>()?.into()),
            ("dropped_readings", dropped.into()),
            ("dropped_from", range(from)),
            ("dropped_to", range(to)),
        ]))
    })?;
    Ok(Response::json(StatusCode::OK, &body).into())
}

fn instant_of_minute(minute: Option<i64>) -> Value {
    minute.and_then(|minute| UnixMillis::from_minute(minute, 0)).into()
}

fn of_peer(sql: &impl Sql, peer: &Peer, now: UnixMillis) -> Result<Value, Error> {
    let Left { minutes, readings, oldest } = outbox::left(sql, peer.peer)?;
    let aside = aside::of_peer(sql, peer.peer)?;
    let aside = aside.into_iter().map(|(reason, left)| {
        json!({
            "reason": reason,
            "minutes": left.minutes,
            "readings": left.readings,
            "oldest": instant_of_minute(left.oldest),
        })
    });
    let waits = peer.wait_until > now.get();
    let waits = waits.then(|| UnixMillis::new(peer.wait_until)).flatten();
    Ok(json!({
        "peer": peer.peer,
        "origin": peer.origin,
        "node": peer.node.map(|node| node.to_string()),
        "reachable": peer.answered.is_some() && peer.failures == 0,
        "tried": Value::from(peer.tried),
        "answered": Value::from(peer.answered),
        "failures": peer.failures,
        "error": peer.error,
        "next_try": Value::from(waits),
        "behind_minutes": minutes,
        "behind_readings": readings,
        "oldest_unsent": instant_of_minute(oldest),
        "batches_under_way": under_way(sql, peer.peer)?.len(),
        "aside": aside.collect::<Vec<Value>>(),
        "takes_from": Value::from(peer.takes_from),
        "sent_readings": peer.sent_readings,
        "sent_bytes": peer.sent_bytes,
        "sends": peer.sends,
        "sent_again": peer.again,
    }))
}
