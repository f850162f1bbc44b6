//! The runtime's own timer: it calls `POST /v1/sync` of the application every so often, so that
//! a node without another timer exchanges readings with its peers.
//!
//! It calls the component in the process. So it needs no address to connect to, and works
//! while all connections are taken.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Method, Request};
use tokio::time::MissedTickBehavior;

use crate::log;
use crate::server::Server;

/// What is called.
pub const PATH: &str = "/v1/sync";

/// The shortest time from one call to the next.
const SHORTEST: Duration = Duration::from_secs(1);

/// How much of an answer is read, in bytes, and how much of it is said, in characters.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const SAID_CHARS_MAX: usize = 300;

/// When it calls, and with which token.
pub struct Beat {
    every: Duration,
    authorization: Option<HeaderValue>,
}

impl Beat {
    /// Fails if the token can't be in a header; it is not part of the error.
    pub fn new(every: Duration, token: Option<&str>) -> Result<Self> {
        let token = token.map(str::trim).filter(|token| !token.is_empty());
        let authorization = token.map(|token| {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.ok().context("the token for the beat is none")?;
            value.set_sensitive(true);
            Ok::<_, anyhow::Error>(value)
        });
        Ok(Self { every, authorization: authorization.transpose()? })
    }

    /// Calls for ever. A failure is logged when it begins and when it is over.
    pub async fn run(self, server: Arc<Server>) {
        let mut timer = tokio::time::interval(self.every);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut fails = false;
        loop {
            timer.tick().await;
            let called = self.call(&server).await;
            match &called {
                Err(error) if !fails => {
                    log::say(&format!("the beat fails: POST {PATH}: {error:#}"))
                }
                Ok(()) if fails => log::say("the beat works again"),
                _ => {}
            }
            fails = called.is_err();
        }
    }

    async fn call(&self, server: &Server) -> Result<()> {
        let mut request = Request::builder().method(Method::POST).uri(PATH);
        request = request.header(HOST, "localhost");
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let empty = Empty::<Bytes>::new().map_err(|never| -> hyper::Error { match never {} });
        let answer = server.call(PATH, request.body(empty)?).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        let said: String = String::from_utf8_lossy(&body).chars().take(SAID_CHARS_MAX).collect();
        bail!("{} {}", status.as_u16(), said.trim())
    }
}

/// Reads a time between calls: a whole number with `s`, `m` or `h` behind it, at least `1s`.
pub fn parse_every(text: &str) -> Result<Duration> {
    let wanted = || format!("{text:?}: a number with s, m or h is needed, at least 1s");
    let mut characters = text.chars();
    let unit_s = match characters.next_back() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        _ => bail!(wanted()),
    };
    let digits = characters.as_str();
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>());
    let number = number.and_then(Result::ok).with_context(wanted)?;
    let every = Duration::from_secs(u64::from(number) * unit_s);
    if every < SHORTEST {
        bail!(wanted());
    }
    Ok(every)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_a_second_or_longer() {
        let seconds = |text: &str| parse_every(text).ok().map(|every| every.as_secs());
        assert_eq!(seconds("1s"), Some(1));
        assert_eq!(seconds("10s"), Some(10));
        assert_eq!(seconds("2m"), Some(120));
        assert_eq!(seconds("1h"), Some(3_600));
        for wrong in ["", "s", "0s", "10", "500ms", "-1s", "+1s", "1.5s", "1 s", "5000000000s"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_that_is_none_is_not_in_the_error() {
        assert!(Beat::new(SHORTEST, Some(" isotherm_a_b \n")).is_ok());
        let error = Beat::new(SHORTEST, Some("hush\nhush")).err().unwrap();
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
}
