//! Services that see what a pod sees, and nothing else.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use isotherm_it::programs::{check, variable};
use isotherm_it::{Service, now_ms, root};
use serde_json::json;
use tempfile::TempDir;

use super::pods::pods;
use crate::access::{SESSION_KEY, tokens};
use crate::manifests::readme::blocks;
use crate::support::assert::check_fields;
use crate::support::hrana::Hrana;
use crate::support::readings::in_hall;
use crate::support::redis::Redis;
use crate::support::service::Expect as _;

/// What the Secrets have, and a token with all scopes.
#[derive(Clone)]
struct Secrets {
    known: Vec<(&'static str, String)>,
    bearer: String,
}

impl Secrets {
    fn new(libsql: &Hrana) -> Self {
        let ([token], line) = tokens([("everything", "write:*@* read:* admin")]);
        let known = vec![
            ("isotherm-access/tokens", line),
            ("isotherm-access/session_key", SESSION_KEY.to_owned()),
            ("isotherm-stores/libsql-url", libsql.url()),
            ("isotherm-stores/libsql-token", libsql.token().to_owned()),
        ];
        Self { known, bearer: format!("Bearer {token}") }
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.known.retain(|(known, _)| *known != name);
        self.known.push((name, value));
        self
    }

    fn headers(&self) -> [(&str, &str); 1] {
        [("authorization", &self.bearer)]
    }
}

#[test]
fn a_service_that_sees_what_a_pod_sees_counts_and_keeps_it_on_the_volume() {
    for overlay in ["edge", "hub", "hub/gateway", "edge-operator", "fleet", "fleet/gateway"] {
        let data = TempDir::new().unwrap();
        let libsql = Hrana::start(&data.path().join("server.db"));
        let secrets = Secrets::new(&libsql);
        let service = pods(overlay)["isotherm"].start(data.path(), &secrets.known);
        let headers = secrets.headers();
        assert_eq!(service.send(&in_hall("d1", now_ms()), &[]).status, 401, "{overlay}");
        let answer = service.send(&in_hall("d1", now_ms()), &headers);
        assert_eq!(answer.status, 202, "{overlay}: {}", answer.body);
        let answer = service.get_with("/v1/regions/hall", &headers);
        check_fields(&answer.json().unwrap(), &json!({"count": 1}));
        let ready = service.read("/readyz");
        check_fields(&ready, &json!({"status": "ready", "auth": "on"}));
        assert!(data.path().join("journal.db").exists(), "{overlay}");
        let has_file = data.path().join("regions.db").exists();
        assert_eq!(has_file, !overlay.starts_with("fleet"), "{overlay}");
    }
}

#[test]
fn what_one_pod_of_several_acknowledges_another_answers() {
    for overlay in ["cloud", "canary"] {
        let data = TempDir::new().unwrap();
        let (redis, libsql) = (Redis::start(), Hrana::start(&data.path().join("server.db")));
        let secrets = Secrets::new(&libsql).with("isotherm-stores/redis-url", redis.url());
        let pods = pods(overlay);
        let start = |name: &str| pods[name].start(data.path(), &secrets.known);
        let (writers, readers): (Vec<&String>, Vec<&String>) =
            pods.keys().partition(|name| name.contains("ingest"));
        let (writers, readers): (Vec<Service>, Vec<Service>) = (
            writers.iter().map(|name| start(name)).collect(),
            readers.iter().map(|name| start(name)).collect(),
        );
        let count = if overlay == "canary" { 2 } else { 1 };
        assert_eq!((writers.len(), readers.len()), (count, count), "{overlay}");
        let headers = secrets.headers();
        for (index, writer) in writers.iter().enumerate() {
            let answer = writer.send(&in_hall(&format!("d{index}"), now_ms()), &headers);
            assert_eq!(answer.status, 202, "{overlay}: {}", answer.body);
            check_fields(&writer.read("/readyz/ingest"), &json!({"status": "ready"}));
            // What it does not have is not served.
            assert_eq!(writer.get_with("/v1/regions/hall", &headers).status, 404);
        }
        for reader in &readers {
            let answer = reader.get_with("/v1/regions/hall", &headers);
            check_fields(&answer.json().unwrap(), &json!({"count": count}));
            check_fields(&reader.read("/readyz"), &json!({"status": "ready", "auth": "on"}));
        }
    }
}

#[test]
fn with_an_empty_address_of_a_store_no_pod_starts_and_its_log_says_why() {
    let data = TempDir::new().unwrap();
    let libsql = Hrana::start(&data.path().join("server.db"));
    let secrets = Secrets::new(&libsql);
    for (overlay, name, key, what) in [
        ("fleet/gateway", "isotherm", "isotherm-stores/libsql-url", "libSQL"),
        ("cloud", "isotherm-ingest", "isotherm-stores/redis-url", "Redis"),
    ] {
        let broken = secrets.clone().with(key, String::new());
        let said = pods(overlay)[name].try_start(data.path(), &broken.known);
        let said = format!("{:#}", said.err().unwrap());
        assert!(said.contains(what) && said.contains("URL"), "{said}");
    }
}

#[test]
fn the_first_reading_of_the_readme_is_counted() {
    let data = TempDir::new().unwrap();
    let libsql = Hrana::start(&data.path().join("server.db"));
    // As under "Who may do what".
    let ([token], line) = tokens([("admin", "admin")]);
    let secrets = Secrets::new(&libsql).with("isotherm-access/tokens", line);
    let service = pods("edge")["isotherm"].start(data.path(), &secrets.known);
    std::fs::write(data.path().join("admin"), format!("{token}\n")).unwrap();
    let readme = std::fs::read_to_string(root().join("deploy/spinkube/README.md")).unwrap();
    let block = blocks(&readme).find(|block| block.contains("overlays/edge\n")).unwrap();
    let ours = block.lines().filter(|line| !line.starts_with("kubectl "));
    let script =
        ours.collect::<Vec<_>>().join("\n").replace("https://gw-1.example", &service.url());
    assert!(script.contains("/v1/readings"), "{script}");
    let output = shell(&script, data.path());
    assert!(output.contains("\"accepted\":1") && output.contains("\"count\":1"), "{output}");
}

/// Prints the token's claims, if its key signed it.
const CLAIMS: &str = "
import base64, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
bytes_of = lambda text: base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))
token, key = sys.argv[1:]
said, signature = token.rsplit('.', 1)
Ed25519PublicKey.from_public_bytes(bytes_of(key)).verify(bytes_of(signature), said.encode())
print(*(bytes_of(part).decode() for part in said.split('.')))
";

#[test]
fn the_token_for_libsql_is_signed_and_does_not_expire() {
    let directory = TempDir::new().unwrap();
    let readme = std::fs::read_to_string(root().join("deploy/spinkube/README.md")).unwrap();
    let block = blocks(&readme).find(|block| block.contains("Ed25519PrivateKey")).unwrap();
    let (made, _) = block.split_once(". ./made\n").unwrap();
    let python = variable("ISOTHERM_PYTHON");
    let script = made.replace("python3", &python)
        + "\n. ./made\n\"$PYTHON\" -c \"$CLAIMS\" \"$LIBSQL_TOKEN\" \"$PUBLIC_KEY\"";
    let script = format!("PYTHON={python}\nCLAIMS=$(cat claims.py)\n{script}");
    std::fs::write(directory.path().join("claims.py"), CLAIMS).unwrap();
    let said = shell(&script, directory.path());
    assert_eq!(said.trim(), r#"{"alg": "EdDSA", "typ": "JWT"} {"a": "rw"}"#);
}

/// What the script prints. It ends at the first command that fails.
fn shell(script: &str, directory: &Path) -> String {
    let output = Command::new("sh").args(["-euc", script]).current_dir(directory).output().unwrap();
    check(&output);
    String::from_utf8(output.stdout).unwrap()
}

/// Servers of Redis and libSQL for services of another process: two for each connection. They end
/// when this is dropped, and their files go then: a service that was killed may have sent a
/// request that is answered only after its own directory is gone.
struct Servers {
    /// Where to ask for them.
    address: String,
    started: Arc<Mutex<Vec<(Hrana, Redis, TempDir)>>>,
}

impl Servers {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let started: Arc<Mutex<Vec<_>>> = Arc::default();
        let own = started.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let directory = TempDir::new().unwrap();
                let libsql = Hrana::start(&directory.path().join("server.db"));
                let redis = Redis::start();
                let (url, token, journal) = (libsql.url(), libsql.token(), redis.url());
                own.lock().unwrap().push((libsql, redis, directory));
                let lines =
                    format!("libsql-url={url}\nlibsql-token={token}\nredis-url={journal}\n");
                stream.write_all(lines.as_bytes()).unwrap();
            }
        });
        Self { address, started }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Runs the tests of the contract with services that see what this pod sees. They have all
/// components, and what is on servers for themselves.
fn check_contract(pod: &str, stores: Option<&str>) {
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests
        .args(["contract::", "--test-threads", "2"])
        // Of the bound by default: a pod with files has a smaller one.
        .args(["--skip", "eight_mebibytes", "--skip", "the_longest_readings_fit"])
        .env("ISOTHERM_POD", format!("{pod}.txt"));
    if let Some(stores) = stores {
        tests.env("ISOTHERM_STORES", stores);
    }
    let output = tests.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{pod}: {said}");
    let passed = said.split("test result: ok. ").nth(1).unwrap();
    let passed: u32 = passed.split(' ').next().unwrap().parse().unwrap();
    assert!(passed > 20, "{pod}: {said}");
}

#[test]
fn the_tests_of_the_contract_pass_in_a_pod_with_files() {
    for pod in ["edge.isotherm", "hub.isotherm", "hub-gateway.isotherm", "edge-operator.isotherm"] {
        check_contract(pod, None);
    }
}

#[test]
fn the_tests_of_the_contract_pass_in_a_pod_with_stores_on_servers() {
    for pod in [
        "fleet.isotherm",
        "fleet-gateway.isotherm",
        "cloud.isotherm-query",
        "canary.isotherm-ingest-next",
    ] {
        let servers = Servers::start();
        check_contract(pod, Some(&servers.address));
    }
}
