//! A beat: sends each peer what it may not have.

use crate::access::secret::Secret;
use crate::domain::reading::UnixMillis;
use crate::error::{Error, best_effort};
use crate::exchange::apply::{Applied, apply};
use crate::exchange::outcome::{Failure, Outcome, shortened};
use crate::exchange::peers::{self, Configured};
use crate::exchange::push::{Prepared, Told, prepare};
use crate::host::{Host, HttpAnswer, HttpCall, SendError, SendLimits, Sql, Value};
use crate::ledger::database::{Budget, Database};
use crate::ledger::outbox;
use crate::limits;
use crate::upkeep;
use crate::wire::batch::MEDIA_TYPE;

/// How long the database may take for one step.
const STEP: Budget = Budget::waiting(limits::SYNC_STEP_MS_MAX);

/// How long a peer may take.
const PATIENCE: SendLimits = SendLimits {
    connect_ms: 5_000,
    first_byte_ms: 15_000,
    between_bytes_ms: 5_000,
    rest_ms: 8_000,
};

/// The node's clock during a beat: that of its beginning, and how long it has lasted since.
struct Clock<'a, H: Host> {
    host: &'a H,
    now: UnixMillis,
    started_ms: u64,
}

impl<H: Host> Clock<'_, H> {
    fn elapsed_ms(&self) -> u64 {
        self.host.monotonic_ms().saturating_sub(self.started_ms)
    }

    fn now(&self) -> UnixMillis {
        self.now.saturating_add(i64::try_from(self.elapsed_ms()).unwrap_or(i64::MAX))
    }
}

/// Takes the lease; `false` if another request runs beats. Beats at the same time would do no
/// harm, but the same work. It lasts as long as an exchange may take, and each one renews it:
/// so it is soon free again where a process was killed.
pub(crate) fn lease<H: Host>(host: &H, now: UnixMillis) -> Result<bool, Error> {
    // A clock that was set back must not lock it for ever. (The other request may have read
    // its clock a little later.)
    let statement = "UPDATE lease SET until = ?1 + ?2 WHERE until < ?1 OR until > ?1 + 2 * ?2 \
                     RETURNING until";
    let bindings = [now.get(), limits::LEASE_MS].map(Value::Integer);
    let database = Database::open(host, STEP)?;
    let rows =
        database.transaction(|sql| sql.execute(statement, &bindings).map_err(Error::Regions))?;
    Ok(!rows.is_empty())
}

/// Renews the lease, or gives it back.
fn set_lease<H: Host>(database: &Database<'_, H>, until: i64) -> Result<(), Error> {
    let statement = "UPDATE lease SET until = ?1";
    database.transaction(|sql| {
        sql.execute(statement, &[Value::Integer(until)]).map_err(Error::Regions)
    })?;
    Ok(())
}

/// Makes the database know the peers that the variables name.
pub(crate) fn register<H: Host>(host: &H, now: UnixMillis) -> Result<Vec<Configured>, Error> {
    let configured = peers::configured(host)?;
    peers::register_in(&Database::open(host, STEP)?, &configured, now)?;
    Ok(configured)
}

/// Runs beats until `for_ms` is over, at least one. The lease must have been taken. What
/// fails is kept with the peer that it is about, and is tried again.
pub(crate) fn run<H: Host>(host: &H, now: UnixMillis, for_ms: u64) -> Result<(), Error> {
    let clock = Clock { host, now, started_ms: host.monotonic_ms() };
    let done = rounds(&clock, for_ms);
    best_effort(Database::open(host, STEP).and_then(|database| set_lease(&database, 0)));
    done
}

fn rounds<H: Host>(clock: &Clock<'_, H>, for_ms: u64) -> Result<(), Error> {
    let host = clock.host;
    let configured = register(host, clock.now())?;
    let name = peers::node_name(host)?;
    // A beat before was killed while it sent them, or could not note the answer.
    Database::open(host, STEP)?.transaction(outbox::take_back_unanswered)?;
    let most = for_ms / limits::SYNC_EVERY_MS + 1;
    for _ in 0..most {
        let begun_ms = clock.elapsed_ms();
        // What is in the journal is not in the ledger yet.
        if let Err(error) = upkeep::run(host, clock.now()) {
            host.log(&format!("before a beat: {error}"));
        }
        turns(clock, &configured, &name);
        let next_ms = begun_ms.saturating_add(limits::SYNC_EVERY_MS);
        if next_ms > for_ms {
            break;
        }
        let renewed = clock.now().saturating_add(limits::LEASE_MS).get();
        best_effort(Database::open(host, STEP).and_then(|database| set_lease(&database, renewed)));
        host.sleep_ms(next_ms.saturating_sub(clock.elapsed_ms()));
    }
    Ok(())
}

/// What comes after an exchange with a peer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Nothing, in this beat.
    Done,
    /// Another exchange.
    More,
    /// The same, once it has counted some of what is under way.
    Wait,
}

/// Exchanges with all peers, each in its turn, until nothing waits for any of them, each has
/// failed, or it is time for the next beat: no peer has to wait for what another one lacks.
fn turns<H: Host>(clock: &Clock<'_, H>, configured: &[Configured], name: &str) {
    let begun_ms = clock.elapsed_ms();
    let mut left: Vec<&Configured> = configured.iter().collect();
    for _ in 0..limits::EXCHANGES_PER_BEAT_MAX {
        let mut waits = true;
        left.retain(|peer| {
            let next = exchange(clock, peer, name).unwrap_or_else(|error| {
                note_trouble(clock, peer, &error);
                Next::Done
            });
            waits &= next != Next::More;
            next != Next::Done
        });
        let took_ms = clock.elapsed_ms().saturating_sub(begun_ms);
        if left.is_empty() || took_ms >= limits::SYNC_EVERY_MS {
            break;
        }
        if waits {
            clock.host.sleep_ms(limits::SYNC_FULL_MS);
        }
    }
}

/// Sends a batch to a peer, or asks it, and acts on its answer.
fn exchange<H: Host>(clock: &Clock<'_, H>, peer: &Configured, name: &str) -> Result<Next, Error> {
    let host = clock.host;
    let Some(prepared) = next_batch(clock, peer, name)? else { return Ok(Next::Done) };
    let Prepared { body, told } = prepared;
    let outcome = Outcome::of(send(host, peer, &body));
    let database = Database::open(host, STEP)?;
    let now = clock.now();
    match outcome {
        Outcome::Taken(answer) => {
            let applied = apply(&database, &told, &answer, now)?;
            database.transaction(|sql| note_success(sql, &told, body.len(), now))?;
            if applied == Applied::Again {
                host.log(&format!(
                    "{} does not know what it had: it was restored, or is another node. \
                     Everything is sent again",
                    peer.origin
                ));
            }
            let is_full = told.asked.len() >= limits::BATCHES_ASKED_MAX;
            Ok(match told.batch {
                Some(_) => Next::More,
                None if applied == Applied::Again => Next::More,
                None if is_full => Next::Wait,
                None => Next::Done,
            })
        }
        Outcome::Failed(failure) => {
            let random = host.random();
            let goes_on = failure.is_too_large && told.readings.len() > 1;
            database.transaction(|sql| note_failure(sql, &told, &failure, random, now))?;
            Ok(if goes_on { Next::More } else { Next::Done })
        }
    }
}

/// Notes what kept this node from making a batch, or from acting on an answer.
fn note_trouble<H: Host>(clock: &Clock<'_, H>, peer: &Configured, error: &Error) {
    clock.host.log(&format!("the exchange with {}: {error}", peer.origin));
    let statement = "UPDATE peers SET tried = ?2, failures = failures + 1, error = ?3 \
                     WHERE peer = ?1";
    let bindings = [
        Value::Integer(peer.peer),
        Value::Integer(clock.now().get()),
        Value::Text(shortened(&format!("this node: {error}"))),
    ];
    // Where the database is what fails, the log alone has it.
    best_effort(Database::open(clock.host, STEP).and_then(|database| {
        database.transaction(|sql| sql.execute(statement, &bindings).map_err(Error::Regions))
    }));
}

/// The next batch for a peer, unless it has to wait. The database is closed when it is sent.
fn next_batch<H: Host>(
    clock: &Clock<'_, H>,
    peer: &Configured,
    name: &str,
) -> Result<Option<Prepared>, Error> {
    let database = Database::open(clock.host, STEP)?;
    let known = database.read(|sql| peers::one(sql, peer.peer))?;
    if known.is_none_or(|known| known.wait_until > clock.now().get()) {
        return Ok(None);
    }
    set_lease(&database, clock.now().saturating_add(limits::LEASE_MS).get())?;
    prepare(&database, peer.peer, name, clock.now())
}

fn send(host: &impl Host, peer: &Configured, body: &[u8]) -> Result<HttpAnswer, SendError> {
    let url = format!("{}/v1/readings", peer.origin);
    let authorization =
        peer.token.as_ref().map(|token| format!("Bearer {}", Secret::expose(token)));
    let mut headers = vec![("content-type", MEDIA_TYPE)];
    headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
    host.send(&HttpCall {
        method: "POST",
        url: &url,
        headers: &headers,
        body,
        limits: PATIENCE,
        answer_bytes_max: limits::SYNC_ANSWER_BYTES_MAX,
    })
}

fn note_success(sql: &impl Sql, told: &Told, bytes: usize, now: UnixMillis) -> Result<(), Error> {
    let statement = "\
        UPDATE peers SET answered = ?2, failures = 0, wait_until = 0, error = NULL, \
            sent_bytes = sent_bytes + ?3, sent_readings = sent_readings + ?4, \
            readings_max = min(readings_max * 2, ?5) \
        WHERE peer = ?1";
    let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let numbers = [
        told.peer,
        now.get(),
        number(bytes),
        number(told.readings.len()),
        number(limits::READINGS_PER_REQUEST_MAX),
    ];
    sql.execute(statement, &numbers.map(Value::Integer)).map(|_no_rows| ()).map_err(Error::Regions)
}

/// Notes why a batch was not taken. What is in it waits again: it is not known to have
/// arrived, and that it comes twice does no harm.
fn note_failure(
    sql: &impl Sql,
    told: &Told,
    failure: &Failure,
    random: u64,
    now: UnixMillis,
) -> Result<(), Error> {
    if let Some((batch, id)) = &told.batch {
        outbox::take_back_failed(sql, told.peer, *batch, &id.0)?;
    }
    let Some(peer) = peers::one(sql, told.peer)? else { return Ok(()) };
    let wait_ms = failure.wait_ms.unwrap_or_else(|| {
        let doubled = 1_i64.checked_shl(u32::try_from(peer.failures).unwrap_or(u32::MAX).min(16));
        let most =
            doubled.unwrap_or(i64::MAX).saturating_mul(1_000).min(limits::SYNC_BACKOFF_MS_MAX);
        // Full jitter, so that senders that failed together don't come back together.
        i64::try_from(random >> 2).unwrap_or(0) % most.saturating_add(1).max(1)
    });
    let smaller = failure.is_too_large || failure.is_slow;
    let sent = i64::try_from(told.readings.len()).unwrap_or(i64::MAX);
    let most = if smaller { (sent / 2).max(1) } else { peer.readings_max };
    let statement = "UPDATE peers SET failures = failures + 1, wait_until = ?2, error = ?3, \
                     readings_max = ?4 WHERE peer = ?1";
    let bindings = [
        Value::Integer(told.peer),
        Value::Integer(now.saturating_add(wait_ms).get()),
        Value::Text(failure.error.clone()),
        Value::Integer(most),
    ];
    sql.execute(statement, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
}
