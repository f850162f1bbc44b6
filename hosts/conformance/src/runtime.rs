//! Checks of time, randomness, variables, and requests to other servers.

use isotherm::host::{Host, HttpAnswer, HttpCall, SendError, SendErrorKind, SendLimits};

use crate::check::{Check, Outcome, done, equal, holds};

pub(crate) fn checks<H: Host>() -> Vec<Check<H>> {
    vec![
        Check { name: "to_sleep_moves_the_clock", run: sleeps },
        Check { name: "random_numbers_differ", run: random },
        Check { name: "a_variable_has_its_value_or_none", run: variables },
        Check { name: "a_file_that_is_not_mounted_is_none", run: files },
        Check { name: "a_request_is_sent_or_the_host_says_that_it_sends_none", run: sends },
    ]
}

fn sleeps<H: Host>(host: &H) -> Outcome {
    for ms in [0, 1, 20] {
        let before = host.monotonic_ms();
        host.sleep_ms(ms);
        let slept = host.monotonic_ms().checked_sub(before);
        let slept = slept.ok_or("the clock ran backwards")?;
        // Each of the two clock values is cut to whole milliseconds.
        holds(&format!("slept {slept} of {ms} ms"), slept + 1 >= ms)?;
    }
    Ok(())
}

fn random<H: Host>(host: &H) -> Outcome {
    let numbers = [(); 8].map(|()| host.random());
    holds("all are the same", numbers.iter().any(|number| *number != numbers[0]))
}

fn variables<H: Host>(host: &H) -> Outcome {
    let defined = done("variable", host.variable("defined"))?;
    equal("value", defined, Some("a value".to_owned()))?;
    equal("value", done("variable", host.variable("undefined"))?, None)
}

fn files<H: Host>(host: &H) -> Outcome {
    equal("file", done("asset", host.asset("none.txt"))?, None)
}

const LIMITS: SendLimits =
    SendLimits { connect_ms: 1_000, first_byte_ms: 1_000, between_bytes_ms: 1_000, rest_ms: 2_000 };

fn post<H: Host>(host: &H, url: &str, answer_bytes_max: usize) -> Result<HttpAnswer, SendError> {
    let headers = [("content-type", "text/plain")];
    host.send(&HttpCall {
        method: "POST",
        url,
        headers: &headers,
        body: &[b'x'; 10_000],
        limits: LIMITS,
        answer_bytes_max,
    })
}

fn sends<H: Host>(host: &H) -> Outcome {
    let echo = done("variable", host.variable("echo"))?.unwrap_or_default();
    if echo.is_empty() {
        let refused = post(host, "http://127.0.0.1:9/", 1).err().map(|error| error.kind);
        let says_so = matches!(refused, Some(SendErrorKind::Unsupported | SendErrorKind::Denied));
        return holds(&format!("without a server: {refused:?}"), says_so);
    }
    let answer = done("send", post(host, &echo, 10_000))?;
    equal("status", answer.status, 200)?;
    holds("the body is another", answer.body == [b'x'; 10_000])?;
    let type_of = answer.headers.iter().find(|(name, _)| name == "content-type");
    equal("content-type", type_of.map(|(_, value)| value.as_str()), Some("text/plain"))?;
    let kind = |url: &str, bytes| post(host, url, bytes).err().map(|error| error.kind);
    equal("a longer answer", kind(&echo, 9_999), Some(SendErrorKind::TooLarge))?;
    equal("nobody listens", kind("http://127.0.0.1:9/", 1), Some(SendErrorKind::Other))?;
    let silent = format!("{}/silent", echo.trim_end_matches('/'));
    let before = host.monotonic_ms();
    equal("no answer", kind(&silent, 1), Some(SendErrorKind::TimedOut))?;
    holds("waited for too long", host.monotonic_ms() - before < 3 * LIMITS.first_byte_ms)
}
