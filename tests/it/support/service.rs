//! What a test expects of a service over a real socket.

use std::time::Duration;

use http::Method;
use isotherm_it::{Service, next_page};
use isotherm_load::sender::Answer;
use isotherm_stores::{KeyValueFile, to_stderr};
use serde_json::{Value, json};

use crate::support::readings::shuffled;

/// A client that would rather wait than hear no outcomes.
pub(crate) const WAIT: &[(&str, &str)] = &[("prefer", "wait")];

/// A service's answers, each of the status that is expected: any other one fails the test.
pub(crate) trait Expect {
    /// Posts `body` with these headers.
    fn send(&self, body: &Value, headers: &[(&str, &str)]) -> Answer;
    /// Posts `body`; it is acknowledged with 202.
    fn accept(&self, body: &Value) -> Value;
    /// Posts `body` and waits for the outcomes, which come with 200.
    fn accept_and_wait(&self, body: &Value) -> Value;
    /// Asks for `path` with these headers.
    fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer;
    /// The JSON at `path`, with 200.
    fn read(&self, path: &str) -> Value;
    /// The JSON at `path` and on all pages after it.
    fn pages(&self, path: &str) -> Vec<Value>;
    /// What `/v1/regions` says once it is fresh and counts every acknowledged entry: on a
    /// busy machine a fold may outlast the budget of the first query.
    fn settled(&self) -> Value;
    /// The sum of the counts and of the sums of all regions, settled.
    fn totals(&self) -> (i64, i64);
    /// Its journal's file, opened beside it.
    fn journal(&self) -> KeyValueFile;
    /// The keys in it that begin so.
    fn keys(&self, prefix: &str) -> Vec<String>;
    /// Where it listens, for a bare connection.
    fn address(&self) -> &str;
    /// From now on every call to the store `sqlite` or `key_value` has this effect.
    fn fail(&self, store: &str, effect: &str);
    /// From now on no call fails.
    fn heal(&self);
}

impl Expect for Service {
    #[track_caller]
    fn send(&self, body: &Value, headers: &[(&str, &str)]) -> Answer {
        self.sender().post(body.to_string().as_bytes(), headers).unwrap()
    }

    #[track_caller]
    fn accept(&self, body: &Value) -> Value {
        json_of(&self.send(body, &[]), 202)
    }

    #[track_caller]
    fn accept_and_wait(&self, body: &Value) -> Value {
        json_of(&self.send(body, WAIT), 200)
    }

    #[track_caller]
    fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.sender().send_with(&Method::GET, path, headers).unwrap()
    }

    #[track_caller]
    fn read(&self, path: &str) -> Value {
        json_of(&self.get(path).unwrap(), 200)
    }

    #[track_caller]
    fn pages(&self, path: &str) -> Vec<Value> {
        let (mut path, mut pages) = (path.to_owned(), Vec::new());
        loop {
            let page = self.read(&path);
            let next = page["next"].as_str().map(|next| next_page(&path, next));
            pages.push(page);
            match next {
                Some(next) => path = next,
                None => return pages,
            }
        }
    }

    #[track_caller]
    fn settled(&self) -> Value {
        until("the journal is empty", || {
            let body = self.get("/v1/regions").unwrap().json().unwrap();
            (body["unfolded_entries"] == 0 && body["stale"] == false).then_some(body)
        })
    }

    #[track_caller]
    fn totals(&self) -> (i64, i64) {
        let body = self.settled();
        let regions = body["regions"].as_array().unwrap();
        let add = |field: &str| regions.iter().map(|region| region[field].as_i64().unwrap()).sum();
        (add("count"), add("sum_millicelsius"))
    }

    #[track_caller]
    fn journal(&self) -> KeyValueFile {
        KeyValueFile::open(&self.journal_file(), "default", to_stderr).unwrap()
    }

    #[track_caller]
    fn keys(&self, prefix: &str) -> Vec<String> {
        let keys = self.journal().keys().unwrap();
        keys.into_iter().filter(|key| key.starts_with(prefix)).collect()
    }

    #[track_caller]
    fn address(&self) -> &str {
        self.sender().url().strip_prefix("http://").unwrap()
    }

    #[track_caller]
    fn fail(&self, store: &str, effect: &str) {
        self.set_faults(&json!([{"store": store, "effect": effect}])).unwrap();
    }

    #[track_caller]
    fn heal(&self) {
        self.set_faults(&json!([])).unwrap();
    }
}

/// Starts a service with these lines of a runtime configuration. They go into a file in the
/// service's own directory.
#[track_caller]
pub(crate) fn start_over(config: &str, variables: &[(&str, &str)]) -> Service {
    let mut service = prepare_over(config, variables);
    service.run().unwrap();
    service
}

/// The same, not started yet.
#[track_caller]
pub(crate) fn prepare_over(config: &str, variables: &[(&str, &str)]) -> Service {
    let mut service = Service::prepare("spin.toml", variables, &[]).unwrap();
    service.configure(config).unwrap();
    service
}

/// Sends all readings to `service` in an order of its own, on four connections.
pub(crate) fn send_shuffled(service: &Service, readings: &[Value], seed: u64) {
    let mine = shuffled(readings, seed);
    std::thread::scope(|scope| {
        for quarter in mine.chunks(mine.len().div_ceil(4)) {
            scope.spawn(|| {
                for batch in quarter.chunks(250) {
                    service.sender().deliver(batch).unwrap();
                }
            });
        }
    });
}

#[track_caller]
fn json_of(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.body);
    answer.json().unwrap()
}

/// Asks again and again, for a minute at most, until there is an answer.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("in a minute it did not come to this: {what}");
}
