//! A service between two others: it sends to one, and another one sends to it.

use isotherm_it::{Service, now_ms};

use crate::support::bare::ask;
use crate::support::readings::{HOUR, json_reading};
use crate::support::service::{Expect as _, until};

/// A service that has all metrics of the exchange, and the nodes around it.
pub(super) struct Between {
    _peer: Service,
    pub(super) service: Service,
    sender: Service,
}

impl Between {
    pub(super) fn start() -> Self {
        // Older readings are put aside for it.
        let peer = Service::start(&[("retention", "1h")]).unwrap();
        let service = Service::start(&[("peer1", peer.url().as_str())]).unwrap();
        let sender =
            Service::start(&[("peer1", service.url().as_str()), ("node", "gw-1")]).unwrap();
        Self { _peer: peer, service, sender }
    }

    /// Has both send what they have, until it shows.
    pub(super) fn exchange(&self) {
        let now = now_ms();
        self.sender.send(&json_reading("of-gw-1", "r0", 20.0, now), &[]);
        self.service.send(&json_reading("old", "r0", 20.0, now - 3 * HOUR), &[]);
        for one in [&self.sender, &self.service] {
            let answer = ask::<&str>(one, "POST", "/v1/sync", &[], "");
            assert!(matches!(answer.status, 200 | 202), "{}", answer.body);
        }
        until("both have sent", || {
            let metrics = self.service.get("/metrics").ok()?.body;
            let has = |name: &str| metrics.contains(name).then_some(());
            has("\nisotherm_sender_silent{")?;
            has("\nisotherm_outbox_aside_readings{")
        });
    }
}
