//! Sends batches over HTTP, and sends them again until they are acknowledged.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use ureq::http::Method;

use crate::delivered::Delivered;
use crate::progress::Progress;

/// How long to wait for an answer. After a lost connection, 429 or 503, a request is
/// sent again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer that is read, in bytes: the largest page of readings, and more.
const ANSWER_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Asks for an answer once the readings are counted, with the longest wait that the
/// service allows.
const WAIT: &str = "wait=10";

/// Sends to one instance of Isotherm.
pub struct Sender {
    agent: ureq::Agent,
    url: String,
    patience: Duration,
    /// `Bearer <token>`, where access control is on.
    authorization: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, by lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.body).with_context(|| format!("not JSON: {}", self.body))
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What became of the readings that were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Acknowledged readings.
    pub accepted: usize,
    /// Rejected ones.
    pub rejected: usize,
    /// Requests that were sent again.
    pub retries: usize,
}

/// The counts in a 202 or 200: `accepted` for journaled readings, the others for
/// readings folded at once, as when the journal is away.
#[derive(Deserialize)]
struct Acknowledged {
    #[serde(default)]
    accepted: usize,
    #[serde(default)]
    stored: usize,
    #[serde(default)]
    duplicates: usize,
    #[serde(default)]
    conflicts: usize,
    rejected: Vec<serde_json::Value>,
    #[serde(default)]
    rejected_omitted: usize,
}

impl Acknowledged {
    fn totals(&self, retries: usize) -> Totals {
        let accepted = self.accepted + self.stored + self.duplicates + self.conflicts;
        Totals { accepted, rejected: self.rejected.len() + self.rejected_omitted, retries }
    }
}

impl Sender {
    /// A sender to `url`, the root of an instance. It keeps trying for `patience`.
    pub fn new(url: &str, patience: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_TIMEOUT))
            .http_status_as_error(false)
            .max_idle_connections_per_host(64);
        let url = url.trim_end_matches('/').to_owned();
        Self { agent: config.build().into(), url, patience, authorization: None }
    }

    /// The same with the token in the environment's variable `ISOTHERM_TOKEN`, if it is set.
    #[must_use]
    pub fn with_token_of_environment(self) -> Self {
        let token = std::env::var("ISOTHERM_TOKEN").ok().filter(|token| !token.is_empty());
        Self { authorization: token.map(|token| format!("Bearer {token}")), ..self }
    }

    /// The header of the token.
    fn authorization(&self) -> Option<(&str, &str)> {
        self.authorization.as_deref().map(|value| ("authorization", value))
    }

    /// The root of the instance.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// One POST of `body` to `/v1/readings`; any answer is returned.
    pub fn post(&self, body: &[u8], headers: &[(&str, &str)]) -> Result<Answer> {
        let mut request = self.agent.post(format!("{}/v1/readings", self.url));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers.iter().copied().chain(self.authorization()) {
            request = request.header(name, value);
        }
        answer(request.send(body)?)
    }

    /// One PUT of `body` as JSON to `path`; any answer is returned.
    pub fn put(&self, path: &str, body: &[u8]) -> Result<Answer> {
        let mut request = self.agent.put(format!("{}{path}", self.url));
        if let Some((name, value)) = self.authorization() {
            request = request.header(name, value);
        }
        answer(request.header("content-type", "application/json").send(body)?)
    }

    /// One GET of `path`; any answer is returned.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.send(&Method::GET, path)
    }

    /// One request without a body; any answer is returned.
    pub fn send(&self, method: &Method, path: &str) -> Result<Answer> {
        self.send_with(method, path, &[])
    }

    /// The same with headers.
    pub fn send_with(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let mut request = ureq::http::Request::builder().method(method);
        for (name, value) in headers.iter().copied().chain(self.authorization()) {
            request = request.header(name, value);
        }
        answer(self.agent.run(request.uri(format!("{}{path}", self.url)).body(())?)?)
    }

    /// Sends `readings` until they are acknowledged. Sending again is safe: the same
    /// reading counts once.
    pub fn deliver(&self, readings: &[impl Serialize]) -> Result<Totals> {
        let (answer, retries) = self.settle(&serde_json::to_vec(readings)?, &[])?;
        if answer.status == 422 {
            return Ok(Totals { accepted: 0, rejected: readings.len(), retries });
        }
        let acknowledged: Acknowledged = serde_json::from_str(&answer.body)?;
        Ok(acknowledged.totals(retries))
    }

    /// The same, but waits until the readings are counted, so that the service says
    /// what became of each. Fails as `deliver` does: on an answer that another attempt
    /// can't improve, or without an answer for as long as the sender keeps trying.
    pub fn deliver_and_wait(&self, readings: &[impl Serialize]) -> Result<Delivered> {
        let body = serde_json::to_vec(readings)?;
        let (answer, retries) = self.settle(&body, &[("prefer", WAIT)])?;
        Ok(Delivered { retries, ..Delivered::told_by(&answer, readings.len())? })
    }

    /// Posts `body` until the answer is 200, 202 or 422. Also returns how often it was
    /// sent again.
    fn settle(&self, body: &[u8], headers: &[(&str, &str)]) -> Result<(Answer, usize)> {
        let started = now();
        let mut pause = Duration::from_millis(20);
        let mut retries = 0;
        loop {
            let (problem, asked) = match self.post(body, headers) {
                Ok(answer) if matches!(answer.status, 200 | 202 | 422) => {
                    return Ok((answer, retries));
                }
                Ok(answer) if matches!(answer.status, 429 | 503) => {
                    let seconds = answer.header("retry-after").and_then(|s| s.parse().ok());
                    (answer.body, seconds.map(Duration::from_secs))
                }
                Ok(answer) => bail!("refused with {}: {}", answer.status, answer.body),
                Err(error) => (error.to_string(), None),
            };
            if now().duration_since(started) > self.patience {
                bail!("not acknowledged in {:?}; the last answer: {problem}", self.patience);
            }
            std::thread::sleep(asked.unwrap_or(pause).min(PAUSE_MAX));
            pause = (pause * 2).min(PAUSE_MAX);
            retries += 1;
        }
    }

    /// Delivers all batches over `connections` connections at once.
    pub fn deliver_all<T: Serialize + Sync>(
        &self,
        batches: &[Vec<T>],
        connections: usize,
    ) -> Result<Totals> {
        self.deliver_watched(batches, connections, &Progress::hidden())
    }

    /// The same, and `progress` has the readings that are delivered.
    pub fn deliver_watched<T: Serialize + Sync>(
        &self,
        batches: &[Vec<T>],
        connections: usize,
        progress: &Progress,
    ) -> Result<Totals> {
        let next = Mutex::new(batches.iter());
        let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || -> Result<Totals> {
            let mut totals = Totals::default();
            while let Some(batch) = take() {
                totals.add(self.deliver(batch)?);
                progress.add(batch.len());
            }
            Ok(totals)
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..connections).map(|_| scope.spawn(work)).collect();
            let mut totals = Totals::default();
            for worker in workers {
                match worker.join() {
                    Ok(done) => totals.add(done?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(totals)
        })
    }
}

impl Totals {
    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.retries += other.retries;
    }
}

#[expect(clippy::disallowed_methods, reason = "a sender is an entry: it has a clock of its own")]
fn now() -> Instant {
    Instant::now()
}

fn answer(response: ureq::http::Response<ureq::Body>) -> Result<Answer> {
    let status = response.status().as_u16();
    let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers = response.headers().iter().map(header).collect();
    let body = response.into_body().into_with_config().limit(ANSWER_BYTES_MAX).read_to_string()?;
    Ok(Answer { status, headers, body })
}
