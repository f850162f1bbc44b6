//! The application's components behind its routes: each request is answered by a fresh instance.
//! [`crate::front`] has the connections.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::components::{Components, Load};
use crate::engine::{config, engine};
use crate::faults::{FAULTS_PATH, Faults};
use crate::front::Counted;
use crate::key_value::KeyValueStore;
use crate::log;
use crate::manifest::Application;
use crate::memory::MEMORY_PATH;
use crate::opened::open_key_value;
use crate::runtime_config::Stores;
use crate::traces;

/// The largest plan of faults, in bytes.
const PLAN_BYTES_MAX: usize = 64 * 1024;

/// The path of Spin's own health check.
const HEALTH_PATH: &str = "/.well-known/spin/health";

/// Where the application has its metrics.
const METRICS_PATH: &str = "/metrics";

const END_OF_OPENMETRICS: &[u8] = b"# EOF\n";

/// The header in which Spin tells a component where a connection comes from.
const CLIENT_ADDRESS: &str = "spin-client-addr";

/// An application with compiled components and open stores.
pub struct Server {
    application: Application,
    components: Components,
    faults: Arc<Faults>,
    options: Options,
    /// How many instances may live at once.
    instances_max: u32,
    /// One for each of them.
    places: Arc<Semaphore>,
    counted: Arc<Counted>,
    /// The stores whose commits are counted.
    key_value: Vec<KeyValueStore>,
}

/// Options of the command line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether the stores can be made to fail over HTTP.
    pub faults: bool,
    /// The most memory of an instance, in bytes.
    pub instance_memory_bytes_max: Option<usize>,
    /// Whether the most memory of an instance is shown over HTTP.
    pub shows_memory: bool,
    /// Whether `/metrics` has what the runtime counts of itself.
    pub own_metrics: bool,
}

impl Server {
    /// Compiles the components and opens the stores.
    ///
    /// # Errors
    ///
    /// A component that can't be compiled, or a store that can't be opened.
    #[cfg(feature = "compiler")]
    pub fn new(application: Application, stores: &Stores, options: Options) -> Result<Self> {
        let load = |engine: &Engine, component: &crate::manifest::Component| {
            let source = &component.source;
            std::fs::read(source)
                .map_err(anyhow::Error::from)
                .and_then(|content| crate::compiler::compile(engine, &content))
                .with_context(|| format!("{} can't be loaded; build it first", source.display()))
        };
        let mut config = config();
        // Only the first start compiles.
        crate::compiler::keep(&mut config);
        let engine = engine(&config)?;
        let server = Self::with_code(application, stores, options, engine, Box::new(load))?;
        server.components.load_all()?;
        Ok(server)
    }

    /// The same with components that `load` takes from elsewhere: each when a request asks for it
    /// first, unless [`Self::load_all`] does.
    pub fn compiled_ahead(
        application: Application,
        stores: &Stores,
        options: Options,
        load: Load,
    ) -> Result<Self> {
        Self::with_code(application, stores, options, engine(&config())?, load)
    }

    /// Loads all components.
    ///
    /// # Errors
    ///
    /// One that can't be, such as one for another kind of processor.
    pub fn load_all(&self) -> Result<()> {
        self.components.load_all()
    }

    /// Loads one of them, which shows what is wrong with all.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn load_one(&self) -> Result<()> {
        self.components.load_one()
    }

    /// Whether all components can be loaded here, without a store.
    ///
    /// # Errors
    ///
    /// One that can't.
    pub fn check(application: &Application, load: &Load) -> Result<()> {
        let (engine, _) = engine(&config())?;
        let mut components = application.components.iter();
        components.try_for_each(|component| load(&engine, component).map(drop))
    }

    fn with_code(
        application: Application,
        stores: &Stores,
        options: Options,
        (engine, instances_max): (Engine, u32),
        load: Load,
    ) -> Result<Self> {
        let key_value = open_key_value(&application, stores)?;
        let faults = Arc::new(Faults::default());
        let components = Components::new(engine, load, &application, &key_value, stores, &faults)?;
        let places = Arc::new(Semaphore::new(usize::try_from(instances_max)?));
        let counted = Arc::default();
        let key_value = key_value.into_values().collect();
        Ok(Self {
            application,
            components,
            faults,
            options,
            instances_max,
            places,
            counted,
            key_value,
        })
    }

    /// What is counted of it, of its connections, and of what goes on beside it.
    pub fn counted(&self) -> Arc<Counted> {
        self.counted.clone()
    }

    /// How many instances live.
    pub(crate) fn instances(&self) -> usize {
        let all = usize::try_from(self.instances_max).unwrap_or(usize::MAX);
        all.saturating_sub(self.places.available_permits())
    }

    /// Returns when no instance lives.
    pub(crate) async fn idle(&self) {
        // It is never closed.
        drop(self.places.acquire_many(self.instances_max).await);
    }

    /// Whether a component serves exactly this path.
    pub fn has_route(&self, path: &str) -> bool {
        self.application.components.iter().any(|component| component.route == path)
    }

    /// Calls the component that serves this path, without a connection.
    pub(crate) async fn call<B>(
        &self,
        path: &str,
        request: Request<B>,
    ) -> Result<Response<HyperOutgoingBody>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<wasmtime_wasi_http::Error>,
    {
        let component = self.application.route(path);
        let component = component.with_context(|| format!("nothing serves {path}"))?;
        let prepared = self.components.get_for_request(&component.id)?;
        let place = self.places.clone().try_acquire_owned().context("too much is under way")?;
        let (most, counted) = (self.options.instance_memory_bytes_max, self.counted());
        prepared.handle(request, most, place, counted).await
    }

    /// Sets or shows the plan of faults.
    async fn switch<B>(&self, request: Request<B>) -> Result<Response<HyperOutgoingBody>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match *request.method() {
            Method::GET => Ok(text(StatusCode::OK, self.faults.show()?)),
            Method::PUT => {
                let body = Limited::new(request.into_body(), PLAN_BYTES_MAX).collect().await;
                let body = body.map_err(|error| anyhow!("the plan can't be read: {error}"))?;
                self.faults.set(&body.to_bytes())?;
                Ok(text(StatusCode::NO_CONTENT, Vec::new()))
            }
            ref other => bail!("{other} is neither GET nor PUT"),
        }
    }

    /// Answers a request of this client.
    pub(crate) async fn answer<B>(
        &self,
        mut request: Request<B>,
        peer: SocketAddr,
    ) -> Response<HyperOutgoingBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<wasmtime_wasi_http::Error> + Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.counted.request();
        let path = request.uri().path().to_owned();
        if path == HEALTH_PATH {
            return plain(StatusCode::OK, "OK");
        }
        if path == FAULTS_PATH && self.options.faults {
            return self.switch(request).await.unwrap_or_else(|error| {
                text(StatusCode::BAD_REQUEST, format!("{error:#}\n").into_bytes())
            });
        }
        if path == MEMORY_PATH && self.options.shows_memory {
            return text(StatusCode::OK, self.components.peaks().to_string().into_bytes());
        }
        let Some(component) = self.application.route(&path) else {
            return plain(StatusCode::NOT_FOUND, "");
        };
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            self.counted.busy();
            return busy();
        };
        let span = traces::begin(&request, component, peer);
        // As Spin tells it, and never as a client does.
        if let Ok(address) = HeaderValue::from_str(&peer.to_string()) {
            request.headers_mut().insert(CLIENT_ADDRESS, address);
        }
        let is_of_metrics = self.options.own_metrics && path == METRICS_PATH;
        let most = self.options.instance_memory_bytes_max;
        let answered = match self.components.get_for_request(&component.id) {
            Ok(prepared) => prepared.handle(request, most, place, self.counted()).await,
            Err(error) => Err(error),
        };
        let response = match answered {
            Ok(response) if is_of_metrics => self.with_own_metrics(response).await,
            Ok(response) => response,
            Err(error) => {
                self.counted.trap();
                log::say(&format!("request from {peer} to {path} failed: {error:?}"));
                plain(StatusCode::INTERNAL_SERVER_ERROR, "")
            }
        };
        traces::end(span, response.status());
        response
    }

    /// The application's metrics, and those of the runtime behind them.
    async fn with_own_metrics(
        &self,
        response: Response<HyperOutgoingBody>,
    ) -> Response<HyperOutgoingBody> {
        if response.status() != StatusCode::OK {
            return response;
        }
        let (mut head, body) = response.into_parts();
        let Ok(body) = body.collect().await else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR, "");
        };
        let mut all = body.to_bytes().to_vec();
        // Its own instance is not counted.
        let commits = self.key_value.iter().map(KeyValueStore::commits);
        let commits = commits.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        // OpenMetrics ends with a line of its own.
        let is_open = all.ends_with(END_OF_OPENMETRICS);
        if is_open {
            all.truncate(all.len() - END_OF_OPENMETRICS.len());
        }
        let instances = self.instances().saturating_sub(1);
        all.extend(self.counted.to_text(instances, commits, is_open).into_bytes());
        if is_open {
            all.extend(END_OF_OPENMETRICS);
        }
        head.headers.remove(CONTENT_LENGTH);
        Response::from_parts(head, full(all))
    }
}

fn plain(status: StatusCode, body: &'static str) -> Response<HyperOutgoingBody> {
    text(status, body.into())
}

/// So many requests are under way that another one would fail. What was sent is not kept.
fn busy() -> Response<HyperOutgoingBody> {
    let body = r#"{"type":"urn:isotherm:problem:busy","title":"Busy","status":503,"detail":"too many requests are under way: send it again in a second"}"#;
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn text(status: StatusCode, body: Vec<u8>) -> Response<HyperOutgoingBody> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response
}

fn full(body: Vec<u8>) -> HyperOutgoingBody {
    Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync()
}
