//! One connection's bytes, plain or TLS, with a bound on how long anything may take.
//!
//! Owns the stream and its timers. A timer is armed only when a read or a write has to wait, and is left running
//! when it ends: in steady state no request touches the timer wheel. Must not know what the bytes say.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::TlsStream;

/// A connection, plain or TLS.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, into),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, from),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, from),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, from),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, from),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// Until when the next bytes of a connection must have come. Shared by the stream, which enforces it, and by
/// whoever knows what the connection is waiting for.
#[derive(Clone)]
pub(crate) struct ReadBy {
    origin: Instant,
    /// Nanoseconds after `origin`; [`WHENEVER`] and [`MISSED`] are none.
    at: Arc<AtomicU64>,
}

const WHENEVER: u64 = u64::MAX;
const MISSED: u64 = u64::MAX - 1;

impl ReadBy {
    /// No deadline yet.
    pub(crate) fn whenever() -> Self {
        Self { origin: Instant::now(), at: Arc::new(AtomicU64::new(WHENEVER)) }
    }

    /// From now on, bytes must come within this time.
    pub(crate) fn within(&self, time: Duration) {
        let at = self.origin.elapsed().saturating_add(time).as_nanos();
        self.set(u64::try_from(at).unwrap_or(WHENEVER));
    }

    /// From now on, bytes may come whenever they like.
    pub(crate) fn clear(&self) {
        self.set(WHENEVER);
    }

    /// Was a deadline missed? There is no other from then on.
    pub(crate) fn is_missed(&self) -> bool {
        self.at.load(Ordering::Relaxed) == MISSED
    }

    fn set(&self, at: u64) {
        if !self.is_missed() {
            self.at.store(at, Ordering::Relaxed);
        }
    }

    fn get(&self) -> Option<Instant> {
        let at = self.at.load(Ordering::Relaxed);
        (at != WHENEVER).then(|| self.origin + Duration::from_nanos(if at == MISSED { 0 } else { at }))
    }
}

/// A stream on which a read that waits past its deadline, and a write that makes no progress for too long, fail.
pub(crate) struct Guarded {
    stream: Stream,
    read_by: ReadBy,
    write_timeout: Duration,
    write_by: Option<Instant>,
    read_timer: Timer,
    write_timer: Timer,
}

impl Guarded {
    pub(crate) fn new(stream: Stream, read_by: ReadBy, write_timeout: Duration) -> Self {
        let (read_timer, write_timer) = (Timer(None), Timer(None));
        Self { stream, read_by, write_timeout, write_by: None, read_timer, write_timer }
    }

    /// The outcome of a write or a flush, or its end when it has waited for too long.
    fn wrote<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.write_by = None;
            return outcome;
        }
        let by = *self.write_by.get_or_insert_with(|| Instant::now() + self.write_timeout);
        ready!(self.write_timer.poll(cx, by));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

/// A timer that is moved only when it must ring earlier, or has rung too early.
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn poll(&mut self, cx: &mut Context<'_>, by: Instant) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(by)));
        if timer.deadline() > by {
            timer.as_mut().reset(by);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= by {
                return Poll::Ready(());
            }
            timer.as_mut().reset(by);
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_read(cx, into);
        if outcome.is_ready() {
            return outcome;
        }
        let Some(by) = this.read_by.get() else { return Poll::Pending };
        ready!(this.read_timer.poll(cx, by));
        this.read_by.set(MISSED);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not speak")))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(cx, from);
        this.wrote(cx, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(cx, from);
        this.wrote(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(cx);
        this.wrote(cx, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.wrote(cx, outcome)
    }
}
