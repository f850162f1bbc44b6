//! The timer of `cargo xtask up --peer` for a runtime that has none.

use std::net::SocketAddr;
use std::time::Duration;

use isotherm_fleet::client;

/// How often it calls.
const EVERY: Duration = Duration::from_secs(10);

/// How often it looks whether the node serves by now.
const LOOKS_EVERY: Duration = Duration::from_millis(500);

/// Calls `POST /v1/sync` of a node from now on, in a thread that ends with this process. A
/// failure is said when it begins and when it is over.
pub(crate) fn start(node: SocketAddr, token: Option<String>) {
    std::thread::spawn(move || {
        let mut serves = false;
        let mut fails = false;
        loop {
            let called = call(node, token.as_deref());
            serves |= called.is_ok() || client::send(node, "GET", "/healthz", None, "").is_ok();
            if !serves {
                std::thread::sleep(LOOKS_EVERY);
                continue;
            }
            match &called {
                Err(error) if !fails => eprintln!("the beat fails: POST /v1/sync: {error}"),
                Ok(()) if fails => eprintln!("the beat works again"),
                _ => {}
            }
            fails = called.is_err();
            std::thread::sleep(EVERY);
        }
    });
}

fn call(node: SocketAddr, token: Option<&str>) -> Result<(), String> {
    match client::send(node, "POST", "/v1/sync", token, "") {
        Ok(answer) if answer.is_success() => Ok(()),
        Ok(answer) => Err(format!("{} {}", answer.status, answer.body.trim())),
        Err(error) => Err(error.to_string()),
    }
}
