//! Sends traces by OTLP, where OpenTelemetry's usual variables say so.

use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use isotherm_host::traces;
use opentelemetry::global;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;

/// How long a collector may take. What it does not take is lost: a trace is no reading.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most of a collector's answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Any of these turns traces on.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// Traces that are sent. The last ones are, when this is dropped.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// `None` where the environment names no collector, or turns OpenTelemetry off.
    ///
    /// # Errors
    ///
    /// An endpoint that is none.
    pub(crate) fn begin(environment: &[(String, String)]) -> Result<Option<Self>> {
        let is_set = |name: &str, wanted: fn(&str) -> bool| {
            environment.iter().any(|(known, value)| known == name && wanted(value))
        };
        let has_endpoint = ENDPOINTS.iter().any(|name| is_set(name, |value| !value.is_empty()));
        let is_off = is_set("OTEL_SDK_DISABLED", |value| value.eq_ignore_ascii_case("true"));
        if !has_endpoint || is_off {
            return Ok(None);
        }
        // The rest of the variables are read there.
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new())
            .build()
            .context("traces")?;
        let mut resource = Resource::builder();
        if !is_set("OTEL_SERVICE_NAME", |_| true) {
            resource = resource.with_service_name("isotherm");
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        global::set_text_map_propagator(TraceContextPropagator::new());
        global::set_tracer_provider(provider.clone());
        traces::turn_on();
        Ok(Some(Self(provider)))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // A collector that is away has no part in the end.
        drop(self.0.shutdown_with_timeout(Duration::from_secs(2)));
    }
}

/// Sends what was collected. It blocks, on the thread that the SDK has for it.
#[derive(Debug)]
struct Client(ureq::Agent);

impl Client {
    fn new() -> Self {
        let config = ureq::Agent::config_builder();
        let config = config.timeout_global(Some(PATIENCE)).http_status_as_error(false);
        Self(config.build().into())
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.0.run(request.map(|body| body.to_vec()))?;
        let (head, mut body) = answer.into_parts();
        let body = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }
}
