//! Requests to a service, repeated while it is not ready.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long to wait for a whole answer: a little longer than the service lets one take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(130);

/// The largest answer that is read, in bytes: the largest page has 12 MiB.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Asks one instance of Isotherm.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    patience: Duration,
    /// `Bearer <token>`, where access control is on.
    authorization: Option<String>,
}

/// An answer with status 200.
pub struct Answer {
    /// The body.
    pub body: Vec<u8>,
    headers: ureq::http::HeaderMap,
}

impl Answer {
    /// A header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("the answer is not JSON")
    }

    /// The path of the next page, after one of `path`; `None` on the last page.
    pub fn next(&self, path: &str) -> Result<Option<String>> {
        let Some(link) = self.header("link") else { return Ok(None) };
        let next = link.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let (next, _) = next.with_context(|| format!("an unknown link: {link}"))?;
        let resource = path.split('?').next().unwrap_or(path);
        match next.starts_with('?') {
            true => Ok(Some(format!("{resource}{next}"))),
            false => bail!("an unknown link: {link}"),
        }
    }
}

impl Client {
    /// A client of `url`, the root of an instance. It keeps trying for `patience`.
    pub fn new(url: &str, patience: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_TIMEOUT))
            .http_status_as_error(false);
        let url = url.trim_end_matches('/').to_owned();
        Self { agent: config.build().into(), url, patience, authorization: None }
    }

    /// The same with the token in the environment's variable `ISOTHERM_TOKEN`, if it is set.
    #[must_use]
    pub fn with_token_of_environment(self) -> Self {
        let token = std::env::var("ISOTHERM_TOKEN").ok().filter(|token| !token.is_empty());
        Self { authorization: token.map(|token| format!("Bearer {token}")), ..self }
    }

    /// The root of the instance.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The answer to a GET of `path` as this type. Asks again after a lost connection, 429
    /// and 503; any other status but 200 is an error, with what the service says of it.
    pub fn get(&self, path: &str, accept: &str) -> Result<Answer> {
        let started = now();
        let mut pause = Duration::from_millis(50);
        loop {
            let (problem, asked) = match self.try_get(path, accept) {
                Ok((200, answer)) => return Ok(answer),
                Ok((429 | 503, answer)) => {
                    let seconds = answer.header("retry-after").and_then(|s| s.parse().ok());
                    (detail(&answer.body), seconds.map(Duration::from_secs))
                }
                Ok((status, answer)) => bail!("{path}: {status}, {}", detail(&answer.body)),
                Err(error) => (format!("{error:#}"), None),
            };
            if now().duration_since(started) > self.patience {
                bail!("{}{path}: no answer in {:?}: {problem}", self.url, self.patience);
            }
            std::thread::sleep(asked.unwrap_or(pause).min(PAUSE_MAX));
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn try_get(&self, path: &str, accept: &str) -> Result<(u16, Answer)> {
        let request = self.agent.get(format!("{}{path}", self.url));
        let mut request = request.header("accept", accept);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let response = request.call()?;
        let (head, body) = response.into_parts();
        let body = body.into_with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        Ok((head.status.as_u16(), Answer { body, headers: head.headers }))
    }
}

/// The sentence of a problem, or the whole body if it is none.
fn detail(body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem.get("detail")?.as_str());
    detail.map_or_else(|| String::from_utf8_lossy(body).into_owned(), ToOwned::to_owned)
}

#[expect(clippy::disallowed_methods, reason = "a client is an entry: it has a clock of its own")]
fn now() -> Instant {
    Instant::now()
}
