//! Two nodes in this process, of which one sends to the other: over a link that a test can
//! cut, and in simulated time.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::Method;
use isotherm::api::routes::Route;
use isotherm::api::{readings, router, sync};
use isotherm::host::{HttpAnswer, HttpCall, SendError, SendErrorKind};
use isotherm::http::{Header, Request, Response};
use isotherm::internals::wire::batch::decode;
use isotherm_stores::native::NativeHost;
use serde_json::Value;

use crate::support::faulty::{FaultyHost, Plan};
use crate::support::node::{Node, scratch};
use crate::support::readings::{NOW, at};

/// The receiving side, as the link reaches it.
pub(crate) struct Hub {
    host: Mutex<FaultyHost>,
    clock: Mutex<i64>,
    /// How many requests arrived.
    pub(crate) requests: AtomicUsize,
    /// How many bytes of bodies arrived.
    pub(crate) bytes: AtomicUsize,
    /// What becomes of requests.
    pub(crate) link: Mutex<Quality>,
    /// All that was tried, also what did not arrive.
    tried: Mutex<Vec<Tried>>,
}

/// A request of the gateway, whether it arrived or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    /// By the gateway's clock.
    pub(crate) at: i64,
    pub(crate) bytes: usize,
    pub(crate) readings: usize,
    /// How many readings it said it had beside these.
    pub(crate) behind: u64,
    /// Whether an answer with 202 came back.
    pub(crate) was_taken: bool,
}

/// What becomes of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    Good,
    /// None arrives.
    Cut,
    /// All arrive, and no answer comes back.
    Deaf,
    /// All get this status for an answer.
    Answers(u16),
    /// All get 503 for an answer, and are to come back after so many seconds.
    Busy(u32),
    /// Larger bodies than this get 413 for an answer.
    Narrow(usize),
    /// Larger bodies than this take too long.
    Slow(usize),
    /// As many requests arrive as this says, and then none.
    Breaks(usize),
}

/// A hub, and a gateway that sends to it.
pub(crate) struct Linked {
    pub(crate) hub: Node,
    pub(crate) gateway: Node,
    pub(crate) reached: Arc<Hub>,
    pub(crate) now: i64,
    hub_behind_ms: i64,
    _stores: [tempfile::TempDir; 2],
}

/// A host of the gateway's over these stores.
fn gateway_over(directory: &Path, further: &[(&str, &str)], reached: &Arc<Hub>) -> Node {
    let variables = [&[("peer1", "http://hub"), ("node", "gw-1")], further].concat();
    let mut gateway = Node::over(directory, &variables).simulated(1, 3).with_clock_at(NOW);
    let link = reached.clone();
    gateway.host.link = Some(Arc::new(move |call| link.take(call)));
    gateway
}

impl Linked {
    pub(crate) fn new(of_hub: &[(&str, &str)]) -> Self {
        Self::with(of_hub, &[])
    }

    /// The same with further variables for the gateway.
    pub(crate) fn with(of_hub: &[(&str, &str)], of_gateway: &[(&str, &str)]) -> Self {
        let stores = [scratch(), scratch()];
        let hub = Node::over(stores[0].path(), of_hub).with_clock_at(NOW);
        let host = NativeHost::new(stores[0].path(), of_hub).unwrap().simulated(1, 99);
        let reached = Arc::new(Hub {
            host: Mutex::new(FaultyHost::over(host)),
            clock: Mutex::new(NOW),
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            link: Mutex::new(Quality::Good),
            tried: Mutex::new(Vec::new()),
        });
        let gateway = gateway_over(stores[1].path(), of_gateway, &reached);
        Self { hub, gateway, reached, now: NOW, hub_behind_ms: 0, _stores: stores }
    }

    /// Starts the hub again on the same stores, with these variables.
    pub(crate) fn restart_hub(&mut self, variables: &[(&str, &str)]) {
        self.hub.restart(variables);
        let host = NativeHost::new(self.hub.directory(), variables).unwrap().simulated(1, 99);
        *self.reached.host.lock().unwrap() = FaultyHost::over(host);
    }

    /// Stops the gateway, does something with the directory of its stores, and starts it.
    pub(crate) fn with_gateway_stopped(&mut self, work: impl FnOnce(&Path)) {
        let directory = self.gateway.directory().to_owned();
        self.gateway = Node::quiet(&[]);
        work(&directory);
        self.gateway = gateway_over(&directory, &[], &self.reached);
        self.pass(0);
    }

    /// All that was tried since it was asked last.
    pub(crate) fn take_tried(&self) -> Vec<Tried> {
        std::mem::take(&mut *self.reached.tried.lock().unwrap())
    }

    /// From now on the hub's clock is so much behind.
    pub(crate) fn set_hub_behind(&mut self, ms: i64) {
        self.hub_behind_ms = ms;
        self.pass(0);
    }

    /// Makes calls of the hub fail by this plan.
    pub(crate) fn set_plan_of_hub(&self, plan: Plan) -> Arc<Plan> {
        let plan = Arc::new(plan);
        self.reached.host.lock().unwrap().plan = plan.clone();
        plan
    }

    pub(crate) fn set_link(&self, quality: Quality) {
        *self.reached.link.lock().unwrap() = quality;
    }

    /// Both clocks.
    pub(crate) fn pass(&mut self, ms: i64) {
        self.now += ms;
        self.gateway.set_clock(self.now);
        let of_hub = self.now - self.hub_behind_ms;
        self.hub.set_clock(of_hub);
        *self.reached.clock.lock().unwrap() = of_hub;
    }

    /// `POST /v1/sync` at the gateway, and what it does after its answer: beats for nearly a
    /// minute, which passes.
    pub(crate) fn beat(&mut self) -> Response {
        let request = Request::with_method(Method::POST, "/v1/sync");
        let host = &self.gateway.host;
        let routes = Route::<FaultyHost>::SYNC;
        let answered = router::answer_at_once(&routes, host, &request, &[], at(self.now));
        if answered.response.status == 202 {
            // What fails is tried again by the next beat.
            drop(sync::run(host, at(self.now)));
        }
        self.pass(60_000);
        answered.response
    }

    /// `GET /v1/sync` at the gateway.
    pub(crate) fn state(&self) -> Value {
        let routes = Route::<FaultyHost>::SYNC;
        let (host, request) = (&self.gateway.host, Request::get("/v1/sync"));
        let answered = router::answer_at_once(&routes, host, &request, &[], at(self.now));
        assert_eq!(answered.response.status, 200);
        serde_json::from_slice(&answered.response.body).unwrap()
    }
}

impl Hub {
    pub(super) fn take(&self, call: &HttpCall<'_>) -> Result<HttpAnswer, SendError> {
        assert_eq!((call.method, call.url), ("POST", "http://hub/v1/readings"));
        let answer = self.carry(call);
        let batch = decode(call.body).unwrap();
        self.tried.lock().unwrap().push(Tried {
            at: batch.sender.as_of.get(),
            bytes: call.body.len(),
            readings: batch.count(),
            behind: batch.sender.behind.readings,
            was_taken: answer.as_ref().is_ok_and(|answer| answer.status == 202),
        });
        answer
    }

    /// The hub's clock. No two requests arrive in the same millisecond.
    fn tick(&self) -> i64 {
        let mut clock = self.clock.lock().unwrap();
        *clock += 1;
        *clock - 1
    }

    /// What becomes of a request that does not arrive.
    fn turned_away(&self, bytes: usize) -> Option<Result<HttpAnswer, SendError>> {
        let answer = |status, headers| Some(Ok(HttpAnswer { status, headers, body: Vec::new() }));
        let fails = |kind, text| Some(Err(SendError::new(kind, text)));
        let mut link = self.link.lock().unwrap();
        match *link {
            Quality::Good | Quality::Deaf => None,
            Quality::Breaks(left) if left > 0 => {
                *link = Quality::Breaks(left - 1);
                None
            }
            Quality::Cut | Quality::Breaks(_) => fails(SendErrorKind::Other, "connection refused"),
            Quality::Answers(status) => answer(status, Vec::new()),
            Quality::Busy(seconds) => {
                answer(503, vec![("retry-after".to_owned(), seconds.to_string())])
            }
            Quality::Narrow(most) if bytes > most => answer(413, Vec::new()),
            Quality::Slow(most) if bytes > most => fails(SendErrorKind::TimedOut, "no answer"),
            Quality::Narrow(_) | Quality::Slow(_) => None,
        }
    }

    fn carry(&self, call: &HttpCall<'_>) -> Result<HttpAnswer, SendError> {
        let quality = *self.link.lock().unwrap();
        if let Some(away) = self.turned_away(call.body.len()) {
            return away;
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(call.body.len(), Ordering::Relaxed);
        let mut request = Request::post("/v1/readings");
        for (name, value) in call.headers {
            match *name {
                "content-type" => request = request.with(Header::ContentType, *value),
                "authorization" => request = request.with(Header::Authorization, *value),
                other => panic!("a header {other}"),
            }
        }
        let (host, now) = (self.host.lock().unwrap(), at(self.tick()));
        let handled = readings::post(&*host, &request, call.body, now);
        drop(handled.after_answer.run(&*host, now));
        if quality == Quality::Deaf {
            return Err(SendError::new(SendErrorKind::TimedOut, "no answer"));
        }
        let Response { status, headers, body, .. } = handled.response;
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Ok(HttpAnswer { status: status.as_u16(), headers: headers.collect(), body })
    }
}
