//! The state of all nodes, a line for each.

use serde_json::Value;

use crate::client;
use crate::node::Node;
use crate::{Fleet, Gateway};

impl Fleet {
    /// A line for each node.
    pub(super) fn status(&mut self) -> String {
        let senders = get(&mut self.hub, "/v1/senders");
        let mut lines = vec![of_hub(&mut self.hub)];
        lines.extend(self.gateways.iter_mut().map(|gateway| of_gateway(gateway, senders.as_ref())));
        lines.join("\n")
    }
}

fn of_hub(hub: &mut Node) -> String {
    format!("{:<10} {:<12} {}", hub.name().to_owned(), state(hub, false), readings(hub))
}

fn of_gateway(gateway: &mut Gateway, senders: Option<&Value>) -> String {
    let node = &mut gateway.node;
    let mut line = format!(
        "{:<10} {:<12} {}",
        node.name().to_owned(),
        state(node, gateway.proxy.is_cut()),
        readings(node)
    );
    if let Some(behind) = get(node, "/v1/sync").as_ref().and_then(behind_readings) {
        line += &format!(", {behind} to send");
    }
    match gateway.sensors.waiting() {
        0 => {}
        waiting => line += &format!(", {waiting} waiting in its sensors"),
    }
    line + " · the hub: " + &said_of(node.name(), senders)
}

/// What the only peer may not have yet.
fn behind_readings(sync: &Value) -> Option<i64> {
    sync.pointer("/peers/0/behind_readings")?.as_i64()
}

/// What the hub says of a sender.
fn said_of(name: &str, senders: Option<&Value>) -> String {
    let Some(senders) = senders else { return "no answer".to_owned() };
    let nodes = senders.get("nodes").and_then(Value::as_array);
    let is_it = |sender: &&Value| sender.get("name").is_some_and(|known| known == name);
    let Some(sender) = nodes.into_iter().flatten().find(is_it) else {
        return "has not heard of it".to_owned();
    };
    let contact = sender.get("contact").and_then(Value::as_str);
    let contact = contact.and_then(|at| at.get(11..19)).unwrap_or("?");
    let missing = sender.get("missing_readings").and_then(Value::as_i64).unwrap_or(0);
    match sender.get("silent").and_then(Value::as_bool) {
        Some(true) => format!("SILENT since {contact} UTC, about {missing} readings missing"),
        _ => format!("last contact {contact} UTC, {missing} missing"),
    }
}

fn state(node: &mut Node, is_cut: bool) -> &'static str {
    match (node.is_running(), is_cut) {
        (true, false) => "runs",
        (true, true) => "runs, cut",
        (false, false) => "ended",
        (false, true) => "ended, cut",
    }
}

fn readings(node: &mut Node) -> String {
    let count = |status: Value| status.get("readings")?.as_i64();
    match get(node, "/v1/status").and_then(count) {
        Some(readings) => format!("{readings:>7} readings"),
        None => format!("{:>7} readings", "?"),
    }
}

/// The JSON of an answer; `None` if there is none.
fn get(node: &mut Node, path: &str) -> Option<Value> {
    let answer = client::send(node.address(), "GET", path, None, "").ok()?;
    answer.is_success().then(|| serde_json::from_str(&answer.body).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_hub_says_of_a_sender_when_it_heard_of_it_and_what_is_missing() {
        let sender = |silent: bool| {
            json!({"nodes": [{
                "name": "gateway-2", "silent": silent, "contact": "2026-11-26T16:05:07.123Z",
                "missing_readings": 40,
            }]})
        };
        let said = |silent| said_of("gateway-2", Some(&sender(silent)));
        assert_eq!(said(false), "last contact 16:05:07 UTC, 40 missing");
        assert_eq!(said(true), "SILENT since 16:05:07 UTC, about 40 readings missing");
        assert_eq!(said_of("gateway-1", Some(&sender(true))), "has not heard of it");
        assert_eq!(said_of("gateway-1", None), "no answer");
    }
}
