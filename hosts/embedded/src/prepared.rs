//! A component that is ready to be instantiated, and its instances.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::body::Body;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime::Store;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::bindings::{Grants, Instance};
use crate::front::Counted;
use crate::log;
use crate::memory::{Memory, Peak};

/// A component, what it may use, and the most memory that an instance has had.
pub(crate) struct Prepared {
    pub(crate) instance: ProxyPre<Instance>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) peak: Peak,
}

impl Prepared {
    /// Answers a request with an instance of its own. It lives while it has `place`, also after the
    /// answer.
    ///
    /// # Errors
    ///
    /// The component trapped, met a limit, or gave no answer.
    pub(crate) async fn handle<B>(
        &self,
        mut request: Request<B>,
        memory_bytes_max: Option<usize>,
        place: OwnedSemaphorePermit,
        counted: Arc<Counted>,
    ) -> Result<Response<HyperOutgoingBody>>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<wasmtime_wasi_http::Error>,
    {
        // HTTP/1.0 needs no host header, and HTTP/2 has it elsewhere, but wasi:http wants it.
        let authority = request.uri().authority().and_then(|name| name.as_str().parse().ok());
        let host = authority.unwrap_or(HeaderValue::from_static("localhost"));
        request.headers_mut().entry(HOST).or_insert(host);
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
            let _place = place;
            let proxy = instance.instantiate_async(&mut store).await?;
            proxy.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
        });
        if let Ok(response) = receiver.await {
            tokio::spawn(async move {
                if let Err(error) = flatten(guest.await) {
                    counted.trap_after_the_answer();
                    log::say(&format!("a component failed after its response: {error:?}"));
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
