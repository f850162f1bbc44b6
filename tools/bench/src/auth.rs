//! Measures what access control costs: services with and without it get the same requests,
//! in turns. Ratios are formed within a round, so that a machine that becomes slower does
//! not change them.
//!
//! - `report`: the table, and its medians and quartiles.

mod report;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;

use anyhow::{Context, Result, anyhow};
use isotherm::UnixMillis;
use isotherm_export::progress::Progress;
use isotherm_it::{Service, now_ms};
use serde_json::json;

use crate::auth::report::{Quartiles, Report, Row};
use crate::client::Client;
use crate::fleet::Fleet;
use crate::measure::{now, syncs_per_s};
use crate::options::Options;
use crate::run::{fresh_service, settle_on, thirty_days_ago_ms};

/// How often each service has its turn, if the options say nothing else.
const ROUNDS: u64 = 100;
/// Rounds before them that are not measured.
const ROUNDS_BEFORE: u64 = 3;

/// What a service is asked for in its turn, on one connection.
struct Work {
    what: &'static str,
    requests: u32,
    /// The most that it may take with a token, as a part of what it takes without access
    /// control.
    limit: f64,
    ask: fn(&mut Node) -> Result<()>,
}

const WORKS: [Work; 2] = [
    Work { what: "single readings", requests: 60, limit: 1.02, ask: Node::post },
    Work { what: "GET /v1/regions/{region}", requests: 30, limit: 1.03, ask: Node::get },
];

/// The scopes of the token that is measured.
const SCOPES: [&str; 2] = ["write:*@*", "read:*"];

/// How a service knows the token of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// It asks for none.
    Off,
    /// Off as well: how far the ratios are from 1 without a cause.
    OffAgain,
    /// By the variable `tokens`.
    Variable,
    /// By its key-value store: the token was made over HTTP.
    Stored,
}

impl Access {
    /// The first is what the others are compared with.
    const ALL: [Self; 4] = [Self::Off, Self::OffAgain, Self::Variable, Self::Stored];

    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::OffAgain => "off, a second service",
            Self::Variable => "a token in `tokens`",
            Self::Stored => "a stored token",
        }
    }

    /// Whether the limits are about it.
    fn is_on(self) -> bool {
        matches!(self, Self::Variable | Self::Stored)
    }
}

/// A service, and its one connection.
struct Node {
    /// Dropping it ends the service.
    _service: Service,
    client: Client,
    fleet: Fleet,
    body: Vec<u8>,
}

impl Node {
    fn start(access: Access, options: &Options) -> Result<Self> {
        let (admin, admin_line) = token("admin", &["admin"])?;
        let (sender, sender_line) = token("sender", &SCOPES)?;
        let tokens = format!("{admin_line};{sender_line}");
        let on = [("auth", "on"), ("tokens", tokens.as_str())];
        let mut service = fresh_service(if access.is_on() { &on } else { &[] })?;
        // The first start may take memory to compile what the runtime caches.
        service.run()?;
        let client = || Client::connect(service.sender().url());
        let client = match access {
            Access::Off | Access::OffAgain => client()?,
            Access::Variable => client()?.with_token(&sender),
            Access::Stored => {
                let wanted = json!({"id": "sender-2", "scopes": SCOPES});
                let made = client()?.with_token(&admin).create("/v1/tokens", &wanted)?;
                let stored = made.get("token").and_then(|token| token.as_str());
                client()?.with_token(stored.context("no token was made")?)
            }
        };
        let fleet = Fleet::new(options.devices, options.regions, thirty_days_ago_ms()?);
        let mut node = Self { _service: service, client, fleet, body: Vec::new() };
        // So that the region that is asked for is known.
        node.fleet.write(1_000, &mut node.body)?;
        node.client.post(&node.body)?;
        settle_on(&mut node.client)?;
        Ok(node)
    }

    fn post(&mut self) -> Result<()> {
        self.fleet.write(1, &mut self.body)?;
        self.client.post(&self.body)
    }

    fn get(&mut self) -> Result<()> {
        self.client.get("/v1/regions/region-00").map(|_| ())
    }

    /// The microseconds that a request of this work takes: the median of a turn, so that a
    /// fold, or another process that takes the processor for a while, changes little. What is
    /// left in the journal is counted before the next turn, beside the clock.
    fn turn(&mut self, work: &Work) -> Result<f64> {
        let mut micros = Vec::new();
        for _ in 0..work.requests {
            let begun = now();
            (work.ask)(self)?;
            micros.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        settle_on(&mut self.client)?;
        Ok(Quartiles::of(micros).context("no request was made")?.median)
    }
}

/// Measures all services, in turns.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let rounds = options.rounds.unwrap_or(ROUNDS);
    let progress = Progress::new("bench", "rounds", Some(ROUNDS_BEFORE + rounds));
    progress.step("starting");
    let start = |access: Access| Node::start(access, options).context(access.name());
    let mut nodes = Access::ALL.into_iter().map(start).collect::<Result<Vec<_>>>()?;
    let syncs_per_s = syncs_per_s(&std::env::temp_dir())?;
    let mut rows: Vec<Row> = WORKS.iter().map(row).collect();
    for round in 0..ROUNDS_BEFORE + rounds {
        for (work, row) in WORKS.iter().zip(&mut rows) {
            for index in shuffled(Access::ALL.len()) {
                let (Some(access), Some(node)) = (Access::ALL.get(index), nodes.get_mut(index))
                else {
                    continue;
                };
                progress.step(work.what);
                let micros = node.turn(work).with_context(|| access.name())?;
                if round >= ROUNDS_BEFORE {
                    row.add(index, micros);
                }
            }
        }
        progress.add(1);
    }
    Ok(Report::new(rounds, syncs_per_s, rows))
}

fn row(work: &Work) -> Row {
    let services = Access::ALL.map(|access| (access.name(), access.is_on().then_some(work.limit)));
    Row::new(work.what, work.requests, &services)
}

/// The numbers below `count` in an order by chance (Fisher and Yates).
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        // Its keys differ each time.
        let chance = RandomState::new().build_hasher().finish();
        let below = last as u64 + 1;
        order.swap(last, usize::try_from(chance % below).unwrap_or(last));
    }
    order
}

/// A token, and its line for the variable `tokens`.
fn token(id: &str, scopes: &[&str]) -> Result<(String, String)> {
    let mut random = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let now = UnixMillis::new(now_ms()).context("the machine's clock is wrong")?;
    isotherm::new_token(id, &random, scopes, None, now).map_err(|cause| anyhow!(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_one_turn_a_round_and_each_may_be_first() {
        let mut firsts = [false; 4];
        for _ in 0..1_000 {
            let order = shuffled(4);
            firsts[order[0]] = true;
            let mut sorted = order;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
        }
        assert_eq!(firsts, [true; 4]);
    }
}
