//! Batches over HTTP, sent again until they are acknowledged.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use ureq::http::Method;

/// A request is sent again after a lost connection, 429 and 503.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Sends to one instance of Isotherm.
pub struct Sender {
    agent: ureq::Agent,
    url: String,
    patience: Duration,
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

/// The part of a 202 or 200 that counts: `accepted` of what was journaled, and what
/// became of it where it was folded at once, as when the journal is away.
#[derive(Deserialize)]
struct Acknowledged {
    #[serde(default)]
    accepted: usize,
    #[serde(default)]
    stored: usize,
    #[serde(default)]
    duplicate: usize,
    #[serde(default)]
    conflict: usize,
    rejected: Vec<serde_json::Value>,
    #[serde(default)]
    rejected_omitted: usize,
}

impl Acknowledged {
    fn totals(&self, retries: usize) -> Totals {
        let accepted = self.accepted + self.stored + self.duplicate + self.conflict;
        Totals { accepted, rejected: self.rejected.len() + self.rejected_omitted, retries }
    }
}

impl Sender {
    /// A sender to `url`, the root of an instance, that keeps trying for
    /// `patience`.
    pub fn new(url: &str, patience: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_TIMEOUT))
            .http_status_as_error(false)
            .max_idle_connections_per_host(64);
        let url = url.trim_end_matches('/').to_owned();
        Self { agent: config.build().into(), url, patience }
    }

    /// The root of the instance.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// One POST of `body` to `/v1/readings`, whatever comes back.
    pub fn post(&self, body: &[u8], headers: &[(&str, &str)]) -> Result<Answer> {
        let mut request = self.agent.post(format!("{}/v1/readings", self.url));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.send(body)?)
    }

    /// One PUT of `body` as JSON to `path`, whatever comes back.
    pub fn put(&self, path: &str, body: &[u8]) -> Result<Answer> {
        let request = self.agent.put(format!("{}{path}", self.url));
        answer(request.header("content-type", "application/json").send(body)?)
    }

    /// One GET of `path`, whatever comes back.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.send(&Method::GET, path)
    }

    /// One request without a body, whatever comes back.
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
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(self.agent.run(request.uri(format!("{}{path}", self.url)).body(())?)?)
    }

    /// Sends `readings` until they are acknowledged. Sending again is free: the
    /// same reading counts once.
    pub fn deliver(&self, readings: &[impl Serialize]) -> Result<Totals> {
        let body = serde_json::to_vec(readings)?;
        let started = now();
        let mut pause = Duration::from_millis(20);
        let mut retries = 0;
        loop {
            let attempt = self.post(&body, &[]);
            let (problem, asked) = match attempt {
                Ok(answer) if matches!(answer.status, 200 | 202) => {
                    let acknowledged: Acknowledged = serde_json::from_str(&answer.body)?;
                    return Ok(acknowledged.totals(retries));
                }
                Ok(answer) if answer.status == 422 => {
                    return Ok(Totals { accepted: 0, rejected: readings.len(), retries });
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
        let next = Mutex::new(batches.iter());
        let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || -> Result<Totals> {
            let mut totals = Totals::default();
            while let Some(batch) = take() {
                totals.add(self.deliver(batch)?);
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
    let body = response.into_body().read_to_string()?;
    Ok(Answer { status, headers, body })
}
