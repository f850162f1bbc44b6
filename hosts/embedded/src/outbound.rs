//! Requests that a component sends to other servers.

use std::sync::Arc;

use http_body_util::BodyExt;
use wasmtime_wasi_http::{RequestOptions, WasiBody, WasiHttpHooks};

use crate::bindings::Grants;

/// Sends requests to the servers that the manifest allows the component, and refuses others.
pub(crate) struct Outbound(pub(crate) Arc<Grants>);

type Sent<T> = Box<dyn Future<Output = wasmtime_wasi_http::Result<T>> + Send>;

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Sent<()>,
    ) -> Sent<(http::Response<WasiBody>, Sent<()>)> {
        if !self.0.outbound.iter().any(|origin| origin.has(request.uri())) {
            return Box::new(async { Err(wasmtime_wasi_http::Error::HttpRequestDenied) });
        }
        Box::new(async move {
            let sent = wasmtime_wasi_http::default_send_request(request, options).await;
            let (response, sent) = sent?;
            Ok((response.map(BodyExt::boxed_unsync), Box::new(sent) as Sent<()>))
        })
    }
}
