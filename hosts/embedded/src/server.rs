//! An HTTP server that answers each request with a fresh instance of a component.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use hyper::header::{HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use wasmtime::component::{Component, Linker};
use wasmtime::{Cache, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::bindings::{self, Grants, Instance};
use crate::database::Database;
use crate::faults::{FAULTS_PATH, Faults};
use crate::key_value::KeyValueStore;
use crate::manifest::Application;
use crate::memory::{MEMORY_PATH, Memory, Peak};
use crate::redis::RedisStore;
use crate::runtime_config::{DatabaseConfig, KeyValueConfig, Stores};
use crate::stores::{DatabaseFile, KeyValueFile};

/// The most requests that are answered at once.
const INSTANCES_MAX: u32 = 1_000;

/// How often a computing guest yields to other tasks.
const YIELD_EVERY: Duration = Duration::from_millis(10);

/// The largest plan of faults, in bytes.
const PLAN_BYTES_MAX: usize = 64 * 1024;

/// The path of Spin's own health check.
const HEALTH_PATH: &str = "/.well-known/spin/health";

/// The header in which Spin tells a component where a connection comes from.
const CLIENT_ADDRESS: &str = "spin-client-addr";

/// An application with compiled components and open stores.
pub struct Server {
    application: Application,
    components: BTreeMap<String, Prepared>,
    faults: Arc<Faults>,
    options: Options,
}

/// Options of the command line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Whether the stores can be made to fail over HTTP.
    pub faults: bool,
    /// The most memory of an instance, in bytes.
    pub instance_memory_bytes_max: Option<usize>,
}

struct Prepared {
    instance: ProxyPre<Instance>,
    grants: Arc<Grants>,
    peak: Peak,
}

impl Server {
    /// Compiles the components and opens the stores.
    pub fn new(application: Application, stores: &Stores, options: Options) -> Result<Self> {
        let engine = engine()?;
        let mut linker = Linker::new(&engine);
        bindings::add_to_linker(&mut linker)?;
        let key_value = open_key_value(&application, stores)?;
        let faults = Arc::new(Faults::default());
        let mut components = BTreeMap::new();
        for component in &application.components {
            let source = &component.source;
            let compiled = Component::from_file(&engine, source)
                .map_err(anyhow::Error::from)
                .with_context(|| format!("{} can't be loaded; build it first", source.display()))?;
            let grants = Grants {
                key_value: granted(&component.key_value_stores, &key_value)?,
                sqlite: databases(&component.sqlite_databases, &stores.sqlite)?,
                outbound: component.outbound.clone(),
                files: component.files.clone(),
                variables: component.variables.clone(),
                faults: faults.clone(),
            };
            let instance = ProxyPre::new(linker.instantiate_pre(&compiled)?)?;
            let prepared = Prepared { instance, grants: Arc::new(grants), peak: Peak::default() };
            components.insert(component.id.clone(), prepared);
        }
        Ok(Self { application, components, faults, options })
    }

    /// Serves connections forever, one task each.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> Result<()> {
        loop {
            let (stream, peer) = listener.accept().await?;
            let server = self.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let server = server.clone();
                    async move { Ok::<_, hyper::Error>(server.answer(request, peer).await) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service);
                // A client that disconnects is no error.
                drop(connection.await);
            });
        }
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
        let prepared = component.and_then(|component| self.components.get(&component.id));
        let prepared = prepared.with_context(|| format!("nothing serves {path}"))?;
        prepared.handle(request, self.options.instance_memory_bytes_max).await
    }

    /// Sets or shows the plan of faults.
    async fn switch(
        &self,
        request: Request<hyper::body::Incoming>,
    ) -> Result<Response<HyperOutgoingBody>> {
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

    /// The most memory that any instance of each component has had, in bytes.
    fn peaks(&self) -> serde_json::Value {
        let peak =
            |(id, prepared): (&String, &Prepared)| (id.clone(), prepared.peak.bytes().into());
        serde_json::Value::Object(self.components.iter().map(peak).collect())
    }

    async fn answer(
        &self,
        request: Request<hyper::body::Incoming>,
        peer: SocketAddr,
    ) -> Response<HyperOutgoingBody> {
        let path = request.uri().path().to_owned();
        if path == HEALTH_PATH {
            return plain(StatusCode::OK, "OK");
        }
        if path == FAULTS_PATH && self.options.faults {
            return self.switch(request).await.unwrap_or_else(|error| {
                text(StatusCode::BAD_REQUEST, format!("{error:#}\n").into_bytes())
            });
        }
        if path == MEMORY_PATH {
            return text(StatusCode::OK, self.peaks().to_string().into_bytes());
        }
        let component = self.application.route(&path);
        let prepared = component.and_then(|component| self.components.get(&component.id));
        let Some(prepared) = prepared else {
            return plain(StatusCode::NOT_FOUND, "");
        };
        let mut request = request;
        // As Spin tells it, and never as a client does.
        if let Ok(address) = HeaderValue::from_str(&peer.to_string()) {
            request.headers_mut().insert(CLIENT_ADDRESS, address);
        }
        match prepared.handle(request, self.options.instance_memory_bytes_max).await {
            Ok(response) => response,
            Err(error) => {
                eprintln!("request from {peer} to {path} failed: {error:?}");
                plain(StatusCode::INTERNAL_SERVER_ERROR, "")
            }
        }
    }
}

impl Prepared {
    async fn handle<B>(
        &self,
        mut request: Request<B>,
        memory_bytes_max: Option<usize>,
    ) -> Result<Response<HyperOutgoingBody>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<wasmtime_wasi_http::Error>,
    {
        // HTTP/1.0 needs no host header, but wasi:http does.
        request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("localhost"));
        let memory = Memory::new(memory_bytes_max, self.peak.clone());
        let instance = Instance::new(self.grants.clone(), memory)?;
        let mut store = Store::new(self.instance.engine(), instance);
        store.limiter(|instance| instance.memory());
        store.epoch_deadline_async_yield_and_update(1);
        let (sender, receiver) = oneshot::channel();
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let out = store.data_mut().http().new_response_outparam(sender)?;
        let instance = self.instance.clone();
        // A separate task: the guest may continue after its response.
        let guest = tokio::spawn(async move {
            let proxy = instance.instantiate_async(&mut store).await?;
            proxy.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
        });
        if let Ok(response) = receiver.await {
            tokio::spawn(async move {
                if let Err(error) = flatten(guest.await) {
                    eprintln!("a component failed after its response: {error:?}");
                }
            });
            return response.context("the component gave an error for a response");
        }
        flatten(guest.await)?;
        bail!("the component returned without a response")
    }
}

fn flatten(
    joined: Result<wasmtime::Result<()>, tokio::task::JoinError>,
) -> Result<(), anyhow::Error> {
    Ok(joined??)
}

fn plain(status: StatusCode, body: &'static str) -> Response<HyperOutgoingBody> {
    text(status, body.into())
}

fn text(status: StatusCode, body: Vec<u8>) -> Response<HyperOutgoingBody> {
    let body = Full::new(Bytes::from(body));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

/// Pools instances if the machine has the address space. Compiled code is cached where
/// Spin caches it, too, so only the first start compiles.
fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    match Cache::from_file(None) {
        Ok(cache) => drop(config.cache(Some(cache))),
        Err(error) => eprintln!("compiled components can't be kept: {error:#}"),
    }
    let mut pooled = config.clone();
    // As many concurrent instances as in Spin, each of which is three core instances.
    let mut pool = PoolingAllocationConfig::default();
    pool.total_core_instances(4 * INSTANCES_MAX).total_tables(2 * INSTANCES_MAX);
    pool.total_component_instances(INSTANCES_MAX).total_stacks(INSTANCES_MAX);
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = match Engine::new(&pooled) {
        Ok(engine) => engine,
        Err(_) => Engine::new(&config)?,
    };
    let clock = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = clock.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(YIELD_EVERY);
        }
    });
    Ok(engine)
}

/// Opens every key-value store that a component uses, once.
fn open_key_value(
    application: &Application,
    stores: &Stores,
) -> Result<BTreeMap<String, KeyValueStore>> {
    let used: BTreeSet<&String> =
        application.components.iter().flat_map(|component| &component.key_value_stores).collect();
    let open = |label: &String| {
        let store = match configured(label, &stores.key_value)? {
            KeyValueConfig::File(path) => KeyValueStore::File(KeyValueFile::open(path, label)?),
            KeyValueConfig::Redis(url) => KeyValueStore::Redis(RedisStore::new(url)?),
        };
        Ok((label.clone(), store))
    };
    used.into_iter().map(open).collect()
}

fn granted(
    labels: &[String],
    open: &BTreeMap<String, KeyValueStore>,
) -> Result<BTreeMap<String, KeyValueStore>> {
    let grant = |label: &String| {
        let store = open.get(label).with_context(|| format!("no key-value store {label}"))?;
        Ok((label.clone(), store.clone()))
    };
    labels.iter().map(grant).collect()
}

fn databases(
    labels: &[String],
    configs: &BTreeMap<String, DatabaseConfig>,
) -> Result<BTreeMap<String, Database>> {
    let grant = |label: &String| {
        let database = match configured(label, configs)? {
            DatabaseConfig::File(path) => Database::File(DatabaseFile::new(path)?),
            DatabaseConfig::Server(server) => Database::Server(server.clone()),
        };
        Ok((label.clone(), database))
    };
    labels.iter().map(grant).collect()
}

fn configured<'a, T>(label: &str, stores: &'a BTreeMap<String, T>) -> Result<&'a T> {
    stores.get(label).with_context(|| format!("the runtime configuration has no store {label}"))
}
