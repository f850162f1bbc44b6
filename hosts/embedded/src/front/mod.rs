//! Connections: how many there may be, how slow they may be, and how they end.
//!
//! Each connection is a task of its own, its handshake included, so that none waits for another.
//! A connection ends when its client stalls, when it has been idle for long, when its place is
//! needed while it is idle, or when the server stops and it has nothing under way.

mod bounds;
mod connection;
mod metrics;
mod pace;
mod tls;
mod watched;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::log;
use crate::server::Server;
use bounds::Bounds;
pub use metrics::Counted;
pub use tls::{Clients, Files, Tls};

/// What a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once. Beyond it, the one that has been idle for the longest makes room.
    pub connections: usize,
    /// Of these, with one address; an IPv6 network of 64 bits counts as one.
    pub connections_by_address: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the head of a request may take, from its first byte on.
    pub head: Duration,
    /// Within this time, 1 KiB of a body must come, or a part of an answer be taken.
    pub stall: Duration,
    /// How long a connection is kept without a request.
    pub idle: Duration,
    /// How long requests that are under way may take once the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connections: 4_096,
            connections_by_address: 1_024,
            handshake: seconds(10),
            head: seconds(10),
            stall: seconds(30),
            idle: seconds(75),
            drain: seconds(20),
        }
    }
}

/// Serves a server to the network.
pub struct Front {
    server: Arc<Server>,
    limits: Limits,
    tls: Option<Arc<Tls>>,
    bounds: Arc<Bounds>,
    counted: Arc<Counted>,
}

impl Front {
    /// With TLS where there is a configuration for it.
    pub fn new(server: Arc<Server>, limits: Limits, tls: Option<Arc<Tls>>) -> Self {
        let counted = server.counted();
        Self { server, limits, tls, bounds: Bounds::new(limits), counted }
    }

    /// Serves connections until `stop` is true, and then what is under way.
    ///
    /// # Errors
    ///
    /// A listener that can't be used any more.
    pub async fn serve(
        self: Arc<Self>,
        listeners: Vec<TcpListener>,
        stop: watch::Receiver<bool>,
    ) -> Result<()> {
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let (front, mut stop) = (self.clone(), stop.clone());
            accepting.spawn(async move {
                let connections = stop.clone();
                tokio::select! {
                    () = front.accept(&listener, connections) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            });
        }
        while accepting.join_next().await.is_some() {}
        self.drain().await;
        Ok(())
    }

    /// Waits for what is under way: connections, and components that go on after their answer.
    async fn drain(&self) {
        let quiet = async {
            self.bounds.empty().await;
            self.server.idle().await;
        };
        if tokio::time::timeout(self.limits.drain, quiet).await.is_err() {
            let (connections, instances) = (self.bounds.len(), self.server.instances());
            log::say(&format!(
                "stopped with {connections} connections and {instances} requests under way"
            ));
        }
    }

    async fn accept(self: &Arc<Self>, listener: &TcpListener, stop: watch::Receiver<bool>) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.admit(stream, peer, stop.clone()),
                // Of the connection, or for want of descriptors, which others will give back.
                Err(error) => {
                    self.counted.accept_failed();
                    log::say(&format!("a connection can't be accepted: {error}"));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, stop: watch::Receiver<bool>) {
        let admitted = match self.bounds.admit(peer.ip()) {
            Ok(admitted) => admitted,
            Err(bound) => return self.counted.refused(bound),
        };
        self.counted.accepted();
        let front = self.clone();
        tokio::spawn(async move { front.connection(stream, peer, admitted, stop).await });
    }
}
