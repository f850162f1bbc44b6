//! Traces: a span for each request, once a program has said where they go. Names and attributes are
//! those of OpenTelemetry's semantic conventions for HTTP servers.
//!
//! Neither the path nor the query is in one: for firmware that has nothing but a URL they have a
//! token. The route is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, StatusCode};
use opentelemetry::global::{self, BoxedSpan};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::HeaderExtractor;

use crate::manifest::Component;

static IS_ON: AtomicBool = AtomicBool::new(false);

/// Has spans made from now on. The caller has set what takes them, and what reads `traceparent`.
pub fn turn_on() {
    IS_ON.store(true, Ordering::Relaxed);
}

/// The span of a request that comes in; `None` where nobody takes it.
pub(crate) fn begin<B>(
    request: &Request<B>,
    component: &Component,
    peer: SocketAddr,
) -> Option<BoxedSpan> {
    if !IS_ON.load(Ordering::Relaxed) {
        return None;
    }
    let parent = global::get_text_map_propagator(|propagator| {
        propagator.extract(&HeaderExtractor(request.headers()))
    });
    let scope = InstrumentationScope::builder("isotherm-gateway")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build();
    let tracer = global::tracer_with_scope(scope);
    let (method, route) = (request.method().as_str(), &component.route);
    let span = tracer.span_builder(format!("{method} {route}"));
    let span = span.with_kind(SpanKind::Server).with_attributes([
        KeyValue::new("http.request.method", method.to_owned()),
        KeyValue::new("http.route", route.clone()),
        // Of which one route may have much behind it.
        KeyValue::new("isotherm.component", component.id.clone()),
        KeyValue::new("network.protocol.version", version(request)),
        KeyValue::new("client.address", peer.ip().to_string()),
    ]);
    Some(tracer.build_with_context(span, &parent))
}

fn version<B>(request: &Request<B>) -> &'static str {
    match request.version() {
        http::Version::HTTP_2 => "2",
        http::Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// Ends the span with the head of the answer.
pub(crate) fn end(span: Option<BoxedSpan>, status: StatusCode) {
    let Some(mut span) = span else { return };
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if status.is_server_error() {
        span.set_status(Status::error(status.canonical_reason().unwrap_or("5xx")));
    }
    span.end();
}
