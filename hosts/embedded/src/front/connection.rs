//! One connection, from its handshake to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::bounds::Admitted;
use super::pace::{Look, Pace};
use super::tls::fingerprint;
use super::watched::{Busy, Coming, Going, Seen, Watched};
use super::{Front, Limits};

use crate::log;

/// The largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The type of answers that have no end.
const EVENTS: &str = "text/event-stream";

/// The most requests at once on a connection with HTTP/2.
const STREAMS_MAX: u32 = 32;

impl Front {
    /// Serves a connection that has a place.
    pub(super) async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        admitted: Admitted,
        stop: watch::Receiver<bool>,
    ) {
        // Answers are small, and must not wait for more of them.
        if let Err(error) = stream.set_nodelay(true) {
            log::say(&format!("a connection can't send at once: {error}"));
        }
        let handshake = self.limits.handshake;
        match &self.tls {
            None => self.plain(stream, peer, admitted, stop, None, false).await,
            Some(tls) => {
                let mut stopped = stop.clone();
                let accepted = tokio::select! {
                    accepted = tokio::time::timeout(handshake, tls.acceptor().accept(stream)) => accepted.ok(),
                    _ = stopped.wait_for(|stop| *stop) => None,
                };
                let Some(Ok(stream)) = accepted else {
                    self.counted.handshake_failed();
                    return self.counted.ended();
                };
                let (_, session) = stream.get_ref();
                let is_h2 = session.alpn_protocol() == Some(b"h2");
                let certificate = session.peer_certificates().and_then(<[_]>::first);
                let certificate = certificate.map(fingerprint);
                self.plain(stream, peer, admitted, stop, certificate, is_h2).await;
            }
        }
    }

    async fn plain<S>(
        self: &Arc<Self>,
        stream: S,
        peer: SocketAddr,
        admitted: Admitted,
        stop: watch::Receiver<bool>,
        certificate: Option<[u8; 32]>,
        is_h2: bool,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let seen = Arc::new(Seen::default());
        let io = TokioIo::new(Watched { stream, seen: seen.clone() });
        let (front, watched) = (self.clone(), seen.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (front, busy) = (front.clone(), Busy::new(watched.clone()));
            async move {
                let request = front.with_token(request, certificate);
                let request = request.map(|body| Coming::new(body, busy.0.clone()));
                let response = front.server.answer(request, peer).await;
                let is_endless =
                    response.headers().get(CONTENT_TYPE).is_some_and(|of| of == EVENTS);
                Ok::<_, Infallible>(response.map(|body| Going::new(body, busy, is_endless)))
            }
        });
        let ended = if is_h2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
            builder.max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
            let connection = pin!(builder.serve_connection(io, service));
            let end = |connection: Pin<&mut http2::Connection<_, _, _>>| {
                connection.graceful_shutdown();
            };
            watch(connection, end, &seen, &admitted, self.limits, stop, Pace::new(false)).await
        } else {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(None);
            // A client that has sent all that it will still reads its answer.
            builder.half_close(true).max_buf_size(HEAD_BYTES_MAX);
            let connection = pin!(builder.serve_connection(io, service));
            let end = |connection: Pin<&mut http1::Connection<_, _>>| {
                connection.graceful_shutdown();
            };
            watch(connection, end, &seen, &admitted, self.limits, stop, Pace::new(true)).await
        };
        if ended == Ended::Stalled {
            self.counted.stalled();
        }
        self.counted.ended();
    }

    /// A client with a certificate that stands for a token, and without another, has that token.
    fn with_token(
        &self,
        mut request: Request<Incoming>,
        certificate: Option<[u8; 32]>,
    ) -> Request<Incoming> {
        let tls = self.tls.as_ref();
        let token = certificate.zip(tls).and_then(|(known, tls)| tls.authorization(&known));
        if let Some(token) = token {
            request.headers_mut().entry(AUTHORIZATION).or_insert(token);
        }
        request
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// By its client, or after its last request.
    Done,
    /// Its client stalled.
    Stalled,
}

/// What may be wrong with a connection is looked at so often, or more often where limits are
/// shorter.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Drives a connection, and ends it when it is time.
async fn watch<C, E>(
    mut connection: Pin<&mut C>,
    end: impl Fn(Pin<&mut C>),
    seen: &Seen,
    admitted: &Admitted,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
    mut pace: Pace,
) -> Ended
where
    C: Future<Output = Result<(), E>>,
{
    let shortest = limits.head.min(limits.stall).min(limits.idle);
    let mut looks = tokio::time::interval(LOOK_EVERY.min(shortest / 4));

    let mut is_stopping = false;
    loop {
        tokio::select! {
            // A client that disconnects is no error.
            _ended = connection.as_mut() => return Ended::Done,
            _ = stop.wait_for(|stop| *stop), if !is_stopping => {
                is_stopping = true;
                seen.stop();
                end(connection.as_mut());
                if seen.is_quiet() {
                    return Ended::Done;
                }
            }
            () = admitted.place.wanted.notified() => {
                if seen.is_quiet() {
                    return Ended::Done;
                }
                end(connection.as_mut());
            }
            _ = looks.tick() => match pace.look(seen, admitted, limits) {
                Look::Well => {}
                Look::Idle => return Ended::Done,
                Look::Stalled => return Ended::Stalled,
            }
        }
    }
}
