//! The page in a browser (tests/browser): over services with and without access control, and
//! over made-up answers. A new reading is to be seen within five seconds, and a browser needs
//! much of a small machine.

use std::fmt::Write as _;
use std::process::Command;

use isotherm_it::programs::{check, variable};
use isotherm_it::{Service, binary, root};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::alone;

/// The tokens of the service, with what they allow.
const TOKENS: [(&str, &str); 4] = [
    ("operator", "admin"),
    ("reader", "read:* metrics"),
    ("hall", "read:hall"),
    ("devices", "write:*@*"),
];

/// The token with this id. What is random in a real one is not, here.
fn token(id: &str) -> String {
    format!("isotherm_{id}_{:x<43}", id)
}

/// The variable `tokens`.
fn lines() -> String {
    let mut lines = String::new();
    for (id, scopes) in TOKENS {
        let digest = hex(&Sha256::digest(token(id).as_bytes()));
        writeln!(lines, "{id} {digest} {scopes}").unwrap();
    }
    lines
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Runs files of tests/browser, with these variables.
fn run(files: &[&str], variables: &[(&str, &str)]) {
    let screenshots = root().join("target/screenshots");
    std::fs::create_dir_all(&screenshots).unwrap();
    let tested = Command::new("node")
        .args(["--test", "--test-timeout=600000"])
        .args(files)
        .current_dir(root().join("tests/browser"))
        .env("ISOTHERM_CHROMIUM", variable("ISOTHERM_CHROMIUM"))
        .env("ISOTHERM_SCREENSHOTS", screenshots)
        .envs(variables.iter().copied())
        .output();
    check(&tested.unwrap());
}

/// The variable `ISOTHERM_TOKENS`.
fn tokens() -> String {
    let tokens = TOKENS.iter().map(|(id, _)| ((*id).to_owned(), token(id).into()));
    Value::from(tokens.collect::<Map<String, Value>>()).to_string()
}

#[test]
fn the_page() {
    let _alone = alone();
    let service = Service::start_with(&[("retention", "0")], &["--faults"]).unwrap();
    let empty = Service::start(&[]).unwrap();
    let replayed = Command::new(binary("isotherm-load").unwrap())
        .current_dir(root())
        .args(["replay", "tests/data/seattle-hourly-2010.csv", "--timestamp", "date"])
        .args(["--temperature", "temperature", "--device", "kbfi", "--region", "seattle"])
        .args(["--url", service.sender().url()])
        .output();
    check(&replayed.unwrap());
    let urls =
        [("ISOTHERM_URL", service.sender().url()), ("ISOTHERM_EMPTY_URL", empty.sender().url())];
    run(&["page.test.mjs"], &urls);
}

#[test]
fn the_views_of_made_up_answers() {
    let _alone = alone();
    run(&["views.test.mjs"], &[]);
}

#[test]
fn the_page_of_a_node_with_others() {
    let _alone = alone();
    run(&["exchange.test.mjs"], &[]);
}

#[test]
fn the_page_of_a_node_with_sources() {
    let _alone = alone();
    run(&["sources.test.mjs"], &[]);
}

#[test]
fn the_page_asks_for_a_token_and_shows_what_it_allows() {
    let _alone = alone();
    let lines = lines();
    let key = "0123456789abcdef0123456789abcdef";
    let variables = [("auth", "on"), ("tokens", lines.as_str()), ("session_key", key)];
    let service = Service::start(&variables).unwrap();
    let url = service.sender().url();
    run(&["access.test.mjs"], &[("ISOTHERM_URL", url), ("ISOTHERM_TOKENS", &tokens())]);
    // Not even a wrong one gets there.
    for (id, _) in TOKENS {
        let secret = &token(id)["isotherm_".len() + id.len()..];
        assert!(!service.log().contains(secret), "{id} is in the log:\n{}", service.log());
    }
}

#[test]
fn the_form_and_what_it_says_of_made_up_answers() {
    let _alone = alone();
    run(&["login.test.mjs"], &[("ISOTHERM_URL", ""), ("ISOTHERM_TOKENS", &tokens())]);
}
