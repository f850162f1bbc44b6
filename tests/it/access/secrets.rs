//! No secret is seen: not in the log, not in a file of the stores, not in a metric, and in no
//! answer but the one that makes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use isotherm_it::{Service, now_ms};
use isotherm_load::sender::Answer;
use serde_json::json;

use super::credentials::{Worth, of_id, sent, variables};
use super::{SESSION_KEY, bearer, jwt};
use crate::support::bare::ask;
use crate::support::readings::in_hall;
use crate::support::service::Expect as _;

/// Everything that must not be seen, by what it is.
#[derive(Default)]
struct Secrets(BTreeMap<String, String>);

impl Secrets {
    fn add(&mut self, what: &str, text: &str) {
        // Short ones would be found by accident.
        assert!(text.len() >= 20, "{what}: {text}");
        self.0.insert(what.to_owned(), text.to_owned());
    }

    /// A token, and the random part of it alone.
    fn add_token(&mut self, what: &str, token: &str) {
        self.add(what, token);
        self.add(&format!("the random part of {what}"), &token[token.len() - 43..]);
    }

    /// The first of them that is in these bytes.
    fn found_in(&self, bytes: &[u8]) -> Option<&str> {
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        self.0.iter().find(|(_, text)| has(text)).map(|(what, _)| what.as_str())
    }
}

/// A whole answer, with its headers.
fn text(answer: &Answer) -> String {
    let lines = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
    lines.collect::<String>() + &answer.body
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// A service, and what it answered.
struct Run {
    service: Service,
    secrets: Secrets,
    answers: Vec<(String, String)>,
}

impl Run {
    fn ask(&mut self, method: &str, path: &str, headers: &[(&str, String)], body: &str) -> Answer {
        let answer = ask(&self.service, method, path, headers, body);
        self.answers.push((format!("{method} {path}"), text(&answer)));
        answer
    }

    /// The same, where the answer is the one that has a secret.
    fn told(&mut self, path: &str, headers: &[(&str, String)], body: &str) -> Answer {
        let answer = self.ask("POST", path, headers, body);
        self.answers.pop();
        answer
    }

    /// Makes tokens and sessions, and uses them.
    fn make(&mut self) {
        let root = [("authorization", bearer(&of_id("root")))];
        for id in ["made", "gone"] {
            let wanted = json!({"id": id, "scopes": ["read:*", "write:*@*"]}).to_string();
            let answer = self.told("/v1/tokens", &root, &wanted);
            let token = answer.json().unwrap()["token"].as_str().unwrap().to_owned();
            assert!(self.secrets.found_in(text(&answer).as_bytes()).is_none());
            self.secrets.add_token(id, &token);
            self.ask("GET", "/v1/regions", &[("authorization", bearer(&token))], "");
            let reading = in_hall("d1", now_ms()).to_string();
            self.ask("POST", "/v1/readings", &[("authorization", bearer(&token))], &reading);
        }
        self.ask("PUT", "/v1/tokens/made", &root, r#"{"state":"inactive"}"#);
        self.ask("DELETE", "/v1/tokens/gone", &root, "");
        let jwt = jwt::hs256(&jwt::claims("read:hall"));
        for credential in [of_id("root"), jwt] {
            let answer = self.told("/v1/session", &[("authorization", bearer(&credential))], "");
            let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
            let value = cookie.split_once('=').unwrap().1;
            self.secrets.add(&format!("cookie {}", self.secrets.0.len()), value);
            let mac = value.split_once('.').unwrap().1.to_owned();
            self.secrets.add(&format!("its HMAC {}", self.secrets.0.len()), &mac);
            for path in ["/v1/session", "/v1/regions", "/v1/tokens"] {
                self.ask("GET", path, &[("cookie", cookie.clone())], "");
            }
            self.ask("DELETE", "/v1/session", &[("cookie", cookie)], "");
        }
    }

    /// Sends every credential, good and bad, to many routes, and where it does not belong.
    fn send_all(&mut self) {
        let reading = in_hall("d1", now_ms()).to_string();
        for credential in sent() {
            let headers = credential.headers();
            for path in ["/v1/regions", "/v1/readings", "/metrics", "/v1/tokens", "/v1/rejections"]
            {
                self.ask("GET", path, &headers, "");
            }
            self.ask("POST", "/v1/readings", &headers, &reading);
            self.ask("POST", "/v1/readings", &headers, r#"[{"unit":"F"}]"#);
            self.ask("POST", "/v1/readings", &headers, "{");
            self.ask("POST", "/v1/tokens", &headers, "{}");
            self.ask("GET", "/v1/session", &headers, "");
        }
        let (root, hall) = (of_id("root"), of_id("hall"));
        let by_root = [("authorization", bearer(&root))];
        // In places where a hurried person puts one.
        for path in [
            format!("/v1/regions?token={hall}"),
            format!("/v1/regions?access_token={hall}"),
            format!("/v1/tokens/{hall}"),
            format!("/{hall}"),
        ] {
            for headers in [&by_root[..], &[]] {
                self.ask("GET", &path, headers, "");
                self.ask("DELETE", &path, headers, "");
            }
        }
        for wanted in [
            json!({"id": hall, "scopes": ["admin"]}),
            json!({"id": "a", "scopes": [hall]}),
            json!({"id": "a", "scopes": ["admin"], "expires": hall}),
        ] {
            self.ask("POST", "/v1/tokens", &by_root, &wanted.to_string());
        }
        self.ask("PUT", "/v1/tokens/made", &by_root, &json!({"state": hall}).to_string());
    }
}

fn run() -> Run {
    let variables = variables("on");
    let pairs: Vec<_> = variables.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let service = Service::start_faulty(&pairs).unwrap();
    let mut secrets = Secrets::default();
    secrets.add("the session key", SESSION_KEY);
    secrets.add("the secret of HS256", std::str::from_utf8(jwt::SECRET).unwrap());
    secrets.add("the same in base64url", &jwt::base64url(jwt::SECRET));
    for credential in sent() {
        let (name, Some((_, value))) = (credential.name, credential.header) else { continue };
        let text = value.split_once(' ').map_or(value.as_str(), |(_, text)| text);
        if ["isotherm_", "isokey_"].iter().any(|prefix| text.starts_with(prefix)) {
            secrets.add_token(name, text);
        } else if text.len() >= 20 && credential.worth != Worth::Missing {
            secrets.add(name, text);
            if let Some((_, signature)) = text.rsplit_once('.').filter(|(_, s)| s.len() > 20) {
                secrets.add(&format!("the signature of {name}"), signature);
            }
        }
    }
    Run { service, secrets, answers: Vec::new() }
}

#[test]
fn no_secret_is_seen_in_a_whole_run() {
    let mut run = run();
    run.make();
    run.send_all();
    // Errors are logged, and tell more.
    for store in ["key_value", "sqlite"] {
        run.service.fail(store, "fail");
        run.send_all();
        run.make_nothing();
        run.service.heal();
    }
    run.send_all();

    let Run { service, secrets, answers } = run;
    assert!(answers.len() > 500, "{} answers", answers.len());
    for (asked, answer) in &answers {
        let leaked = secrets.found_in(answer.as_bytes());
        assert_eq!(leaked, None, "in the answer to {asked}: {answer}");
    }
    service.wait_for_log("\"who\":\"root\"").unwrap();
    let log = service.log();
    for line in log.lines() {
        assert_eq!(secrets.found_in(line.as_bytes()), None, "in the log: {line}");
    }
    assert!(log.contains("\"who\":\"made\"") && log.contains("\"who\":\"jwt:"), "{log}");
    assert!(!log.contains("ada@example.org"), "{log}");
    let mut stored = Vec::new();
    files(service.directory(), &mut stored);
    let journal = service.journal_file();
    assert!(stored.contains(&journal), "{stored:?}");
    for file in stored {
        let bytes = std::fs::read(&file).unwrap();
        assert_eq!(secrets.found_in(&bytes), None, "in {}", file.display());
    }
    // What is looked for would be found: a token's id, and its digest.
    let bytes = std::fs::read(&journal).unwrap();
    let wal = std::fs::read(journal.with_extension("db-wal")).unwrap_or_default();
    let has = |bytes: &[u8]| bytes.windows(12).any(|window| window == b"token/1/made");
    assert!(has(&bytes) || has(&wal), "no token is stored in {}", journal.display());
}

impl Run {
    /// Requests that would make something, while a store is away.
    fn make_nothing(&mut self) {
        let root = [("authorization", bearer(&of_id("root")))];
        let wanted = json!({"id": "never", "scopes": ["admin"]}).to_string();
        let answer = self.told("/v1/tokens", &root, &wanted);
        if let Some(token) = answer.json().unwrap()["token"].as_str() {
            self.secrets.add_token("one that was made meanwhile", token);
        }
    }
}
