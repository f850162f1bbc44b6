//! What happens on a connection: bytes, requests and answers are seen as they pass.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What happens on a connection, for the task that ends it.
#[derive(Default)]
pub(super) struct Seen {
    /// Bytes that came.
    pub(super) read: AtomicU64,
    /// Bytes that had come when the last request ended: what has come since begins another one.
    pub(super) read_before: AtomicU64,
    /// Bytes that went.
    pub(super) written: AtomicU64,
    /// Answers of which the client has not taken all that is there: nobody asks for more of them.
    pub(super) unasked: AtomicUsize,
    /// The server stops: answers that have no end end now.
    is_stopping: AtomicBool,
    /// Of those answers.
    wakers: Mutex<Vec<Waker>>,
    /// Requests that are under way, until their answers are sent.
    pub(super) busy: AtomicUsize,
    /// Bodies of requests that have not come whole.
    pub(super) bodies: AtomicUsize,
    /// Whether the client does not take what is sent.
    pub(super) is_blocked: AtomicBool,
}

/// A stream that tells what happens on it.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) seen: Arc<Seen>,
}

impl Seen {
    /// Whether no request is under way, and the last answer has gone as far as the socket.
    pub(super) fn is_quiet(&self) -> bool {
        self.busy.load(Ordering::Acquire) == 0 && !self.is_blocked.load(Ordering::Relaxed)
    }

    /// Ends answers that have no end.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut *self.wakers());
        wakers.into_iter().for_each(Waker::wake);
    }

    fn wakers(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Watched<S> {
    fn flushed<T>(&self, poll: Poll<T>) -> Poll<T> {
        self.seen.is_blocked.store(poll.is_pending(), Ordering::Relaxed);
        poll
    }

    fn written(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &poll {
            let count = u64::try_from(*count).unwrap_or(u64::MAX);
            self.seen.written.fetch_add(count, Ordering::Relaxed);
        }
        self.flushed(poll)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let came = u64::try_from(buffer.filled().len() - before).unwrap_or(u64::MAX);
        self.seen.read.fetch_add(came, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.flushed(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A request that is under way, until it is dropped.
pub(super) struct Busy(pub(super) Arc<Seen>);

impl Busy {
    pub(super) fn new(seen: Arc<Seen>) -> Self {
        seen.busy.fetch_add(1, Ordering::AcqRel);
        Self(seen)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let read = self.0.read.load(Ordering::Relaxed);
        self.0.read_before.store(read, Ordering::Relaxed);
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The body of a request.
pub(super) struct Coming {
    body: Incoming,
    /// While it has not come whole.
    seen: Option<Arc<Seen>>,
}

impl Coming {
    pub(super) fn new(body: Incoming, seen: Arc<Seen>) -> Self {
        let seen = (!body.is_end_stream()).then_some(seen);
        if let Some(seen) = &seen {
            seen.bodies.fetch_add(1, Ordering::Relaxed);
        }
        Self { body, seen }
    }

    fn end(&mut self) {
        if let Some(seen) = self.seen.take() {
            seen.bodies.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.end();
    }
}

impl Body for Coming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer.
pub(super) struct Going<B> {
    body: B,
    busy: Busy,
    /// Whether it has no end, as events have.
    is_endless: bool,
    /// Whether there is more of it than the client has taken.
    is_unasked: bool,
}

impl<B> Going<B> {
    pub(super) fn new(body: B, busy: Busy, is_endless: bool) -> Self {
        let mut going = Self { body, busy, is_endless, is_unasked: false };
        going.set_unasked(true);
        going
    }

    fn set_unasked(&mut self, is_unasked: bool) {
        if is_unasked != self.is_unasked {
            self.is_unasked = is_unasked;
            let unasked = &self.busy.0.unasked;
            match is_unasked {
                true => unasked.fetch_add(1, Ordering::AcqRel),
                false => unasked.fetch_sub(1, Ordering::AcqRel),
            };
        }
    }
}

impl<B> Drop for Going<B> {
    fn drop(&mut self) {
        self.set_unasked(false);
    }
}

impl<B: Body + Unpin> Body for Going<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        if self.is_endless {
            let mut wakers = self.busy.0.wakers();
            if !wakers.iter().any(|known| known.will_wake(context.waker())) {
                wakers.push(context.waker().clone());
            }
            drop(wakers);
            if self.busy.0.is_stopping.load(Ordering::SeqCst) {
                return Poll::Ready(None);
            }
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        // While it waits for the application, the client keeps nothing up.
        self.set_unasked(matches!(frame, Poll::Ready(Some(_))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
