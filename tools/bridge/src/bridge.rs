//! The connection to the broker, and what is done with its messages.
//!
//! One task has the connection and all that depends on it, so that an acknowledgement never
//! goes to another connection than its message came on.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rumqttc::{
    AsyncClient, ConnAck, ConnectionError, Event, EventLoop, MqttOptions, Packet, Publish, QoS,
    SubAck, SubscribeFilter, SubscribeReasonCode,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

use crate::arrivals::Arrivals;
use crate::gate::Gate;
use crate::lane::{Lanes, Message, Outcome, Shared};
use crate::options::Options;
use crate::pauses::Pauses;
use crate::post::Poster;
use crate::report::{Report, Source, complain, say};

/// How often the broker is asked whether it is there, and so half the time after which a
/// silent broker counts as away.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How often the line of the counters is printed.
const STATUS_EVERY: Duration = Duration::from_secs(60);

/// How long the last acknowledgements may take before the program ends without them. The
/// broker then sends those messages again.
const FAREWELL: Duration = Duration::from_secs(5);

/// The largest message of MQTT, in bytes (its length has four bytes of 7 bits). A message
/// that was not read could not be acknowledged, and would be sent for ever; the broker's
/// `message_size_limit` is the place for less.
const PACKET_BYTES_MAX: usize = 268_435_455;

/// How many messages, and how many bytes of them, are here at most. A broker that keeps to its
/// window (mosquitto: `max_inflight_messages`, 20) sends less. What is beyond it is not taken,
/// and fetched by a new connection once the rest is settled.
const HELD_MESSAGES_MAX: usize = 1_000;
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What waits to be written to the broker at most: an acknowledgement for every message, and
/// subscriptions.
const QUEUE_MAX: usize = 2 * HELD_MESSAGES_MAX;

/// Takes messages until a signal ends it. Fails if it can't be started.
pub(crate) async fn run(options: &Options, report: &Arc<Report>) -> Result<()> {
    let (mut bridge, mut connection) = Bridge::new(options, report)?;
    let mut pause = Duration::ZERO;
    loop {
        pause = match bridge.turn(&mut connection, pause).await {
            Turn::Event(Ok(event)) => bridge.handle(&mut connection, event),
            Turn::Event(Err(_)) if bridge.refills => {
                bridge.forget(&mut connection);
                Duration::ZERO
            }
            Turn::Event(Err(error)) => bridge.lose(&mut connection, &error.to_string()),
            Turn::Refill => bridge.refill(),
            Turn::Stop => break,
        };
    }
    bridge.stop(&mut connection).await;
    Ok(())
}

/// What comes next.
enum Turn {
    /// Something from the connection.
    Event(Result<Event, ConnectionError>),
    /// All that was taken is settled, and the broker has messages that were not taken.
    Refill,
    /// The program is to end.
    Stop,
}

struct Bridge {
    client: AsyncClient,
    /// Where it is, for lines.
    broker: String,
    filters: Vec<String>,
    client_id: String,
    takes_retained: bool,
    lanes: Lanes,
    outcomes: UnboundedReceiver<Outcome>,
    gate: Arc<Gate>,
    report: Arc<Report>,
    arrivals: Arrivals,
    /// Messages in the lanes, and their bytes.
    held: (usize, usize),
    /// A message of QoS 1 was not taken. No later one may go before it.
    leaves_rest: bool,
    /// The broker was asked to close the connection, so that the next one brings the rest.
    refills: bool,
    is_connected: bool,
    /// It was told that the broker is there.
    is_told: bool,
    pauses: Pauses,
    signals: [Signal; 2],
    status: Interval,
}

impl Bridge {
    fn new(options: &Options, report: &Arc<Report>) -> Result<(Self, EventLoop)> {
        let (client, connection) = AsyncClient::new(mqtt_options(options), QUEUE_MAX);
        let gate = Arc::new(Gate::default());
        let poster = Poster::new(&options.to, options.token.clone(), options.content_type.clone());
        let shared = Shared { poster, gate: gate.clone(), report: report.clone() };
        let (sender, outcomes) = unbounded_channel();
        let lanes = Lanes::start(options.in_flight, &Arc::new(shared), &sender)?;
        let listen = |kind| signal(kind).context("no signals");
        let mut status = interval(STATUS_EVERY);
        status.set_missed_tick_behavior(MissedTickBehavior::Delay);
        status.reset();
        let bridge = Self {
            client,
            broker: format!("{}:{}", options.broker.0, options.broker.1),
            filters: options.topics.clone(),
            client_id: options.client_id.clone(),
            takes_retained: options.takes_retained,
            lanes,
            outcomes,
            gate,
            report: report.clone(),
            arrivals: Arrivals::default(),
            held: (0, 0),
            leaves_rest: false,
            refills: false,
            is_connected: false,
            is_told: false,
            pauses: Pauses::default(),
            signals: [listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?],
            status,
        };
        Ok((bridge, connection))
    }

    /// Waits for what comes next, after a pause, and settles what the lanes have done
    /// meanwhile. The poll of the connection is not cancelled for that: it could lose an
    /// acknowledgement.
    async fn turn(&mut self, connection: &mut EventLoop, pause: Duration) -> Turn {
        let poll = async {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            connection.poll().await
        };
        tokio::pin!(poll);
        loop {
            if self.leaves_rest && self.held.0 == 0 && !self.refills {
                return Turn::Refill;
            }
            let [terminate, interrupt] = &mut self.signals;
            tokio::select! {
                event = &mut poll => return Turn::Event(event),
                Some(outcome) = self.outcomes.recv() => self.settle(&outcome),
                _ = terminate.recv() => return Turn::Stop,
                _ = interrupt.recv() => return Turn::Stop,
                _ = self.status.tick() => self.report.status(),
            }
        }
    }

    /// Returns how long to wait before the connection is asked again.
    fn handle(&mut self, connection: &mut EventLoop, event: Event) -> Duration {
        match event {
            Event::Incoming(Packet::ConnAck(answer)) => self.begin(&answer),
            Event::Incoming(Packet::Publish(publish)) => self.take(publish),
            Event::Incoming(Packet::SubAck(answer)) => {
                if let Some(filter) = self.refused_filter(&answer) {
                    let why = format!("the broker does not give {filter} with QoS 1");
                    return self.lose(connection, &why);
                }
                self.subscribed();
            }
            _ => {}
        }
        Duration::ZERO
    }

    /// The broker has accepted the connection.
    fn begin(&mut self, answer: &ConnAck) {
        self.is_connected = true;
        if !answer.session_present {
            let id = &self.client_id;
            complain(&format!("the broker has no session of {id}: it is new, or was lost"));
        }
        // Also for a session that is there, which may have other filters.
        let filters = self.filters.iter();
        let filters = filters.map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
        if let Err(error) = self.client.try_subscribe_many(filters) {
            complain(&format!("nothing is subscribed to: {error}"));
        }
    }

    /// The broker sends messages from now on.
    fn subscribed(&mut self) {
        self.pauses = Pauses::default();
        self.report.goes_on(Source::Broker);
        if !self.is_told {
            self.is_told = true;
            say(&format!("isotherm-bridge: subscribed at {}", self.broker));
        }
    }

    /// The first filter that the broker does not give, or with QoS 0 alone.
    fn refused_filter(&self, answer: &SubAck) -> Option<&str> {
        let is_refused = |code: &SubscribeReasonCode| {
            matches!(
                code,
                SubscribeReasonCode::Failure | SubscribeReasonCode::Success(QoS::AtMostOnce)
            )
        };
        let mut codes = answer.return_codes.iter().zip(&self.filters);
        codes.find(|(code, _)| is_refused(code)).map(|(_, filter)| filter.as_str())
    }

    /// A message has come.
    fn take(&mut self, publish: Publish) {
        let has_qos_0 = publish.qos == QoS::AtMostOnce;
        let (count, bytes) = self.held;
        let is_full = count.max(self.arrivals.len()) >= HELD_MESSAGES_MAX
            || count > 0 && bytes + publish.payload.len() > HELD_BYTES_MAX;
        match has_qos_0 {
            true if is_full => return self.report.dropped(),
            false if is_full || self.leaves_rest => {
                self.leaves_rest = true;
                return;
            }
            _ => {}
        }
        let number = (!has_qos_0).then(|| self.arrivals.add(publish.pkid));
        if publish.retain && !self.takes_retained {
            self.report.skipped();
            return self.acknowledge(number);
        }
        self.held = (count + 1, bytes + publish.payload.len());
        self.report.held(self.held.0);
        if !self.lanes.send(Message { number, publish }) {
            complain("a lane has ended: a message stays with the broker");
        }
    }

    /// A lane is done with a message.
    fn settle(&mut self, outcome: &Outcome) {
        let (count, bytes) = self.held;
        self.held = (count.saturating_sub(1), bytes.saturating_sub(outcome.bytes));
        self.report.held(self.held.0);
        match (outcome.is_settled, outcome.number) {
            (true, number) => self.acknowledge(number),
            (false, None) => self.report.dropped(),
            (false, Some(_)) => {}
        }
    }

    fn acknowledge(&mut self, number: Option<u64>) {
        let ready = number.map(|number| self.arrivals.settle(number)).unwrap_or_default();
        for packet_id in ready {
            let mut publish = Publish::new("", QoS::AtLeastOnce, Vec::new());
            publish.pkid = packet_id;
            if let Err(error) = self.client.try_ack(&publish) {
                // The next connection brings it again.
                complain(&format!("a message was not acknowledged: {error}"));
                self.leaves_rest = true;
            }
        }
    }

    /// The connection is lost, or was refused. Returns how long to wait for the next one.
    fn lose(&mut self, connection: &mut EventLoop, why: &str) -> Duration {
        self.forget(connection);
        self.is_told = false;
        self.report.waits(Source::Broker, &format!("broker: {why}"));
        self.pauses.next()
    }

    /// Asks the broker to close the connection, after the acknowledgements that are on their
    /// way. A connection that is cut off could lose them, and so would never get further.
    fn refill(&mut self) -> Duration {
        self.refills = true;
        if let Err(error) = self.client.try_disconnect() {
            complain(&format!("the broker was not asked for the rest: {error}"));
        }
        Duration::ZERO
    }

    /// Gives up the connection, and all that came on it: the broker sends it again.
    fn forget(&mut self, connection: &mut EventLoop) {
        connection.clean();
        // It would hand out messages of this connection after the next one has begun.
        connection.state.events.clear();
        // It would send subscriptions again, which are made for every connection.
        connection.pending.clear();
        self.gate.forget_before(self.arrivals.forget());
        self.leaves_rest = false;
        self.refills = false;
        self.is_connected = false;
    }

    /// Lets the lanes finish what is under way, acknowledges it, and takes leave of the broker.
    /// A second signal ends it at once.
    async fn stop(mut self, connection: &mut EventLoop) {
        self.gate.stop();
        drop(std::mem::replace(&mut self.lanes, Lanes::none()));
        loop {
            let [terminate, interrupt] = &mut self.signals;
            tokio::select! {
                outcome = self.outcomes.recv() => match outcome {
                    Some(outcome) => self.settle(&outcome),
                    None => break,
                },
                event = connection.poll(), if self.is_connected => {
                    self.is_connected = event.is_ok();
                }
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
            }
        }
        if self.is_connected && self.client.try_disconnect().is_ok() {
            // Until the broker closes the connection: then it has read all of it.
            let farewell = async { while connection.poll().await.is_ok() {} };
            if timeout(FAREWELL, farewell).await.is_err() {
                complain("the broker does not take the last acknowledgements");
            }
        }
    }
}

fn mqtt_options(options: &Options) -> MqttOptions {
    let (host, port) = &options.broker;
    let mut mqtt = MqttOptions::new(&options.client_id, host, *port);
    mqtt.set_clean_session(false);
    mqtt.set_manual_acks(true);
    mqtt.set_keep_alive(KEEP_ALIVE);
    mqtt.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    if let Some((user, password)) = &options.login {
        mqtt.set_credentials(user, password);
    }
    mqtt
}
