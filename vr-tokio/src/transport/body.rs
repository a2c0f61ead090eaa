//! The body of a request as it arrives: no longer than the limit, no slower than the connection allows.
//!
//! Owns the count of its bytes and tells the connection when it is complete. Must not know what is in it.

use super::room::Room;
use super::stream::ReadBy;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Pieces up to here are copied out of the connection's buffer. What is kept of them, an operation in the log, would
/// otherwise keep all of the buffer, and the connection would need a new one.
const COPIED_BYTES_MAX: usize = 32 << 10;

/// The body of a request, within its limits. `http_body_util::BodyExt` and axum's extractors read it.
pub struct RequestBody {
    inner: Incoming,
    left: u64,
    read_by: ReadBy,
    /// How long it may take, from when it is first asked for.
    timeout: Option<Duration>,
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than the listener's limit.
    #[error("the body is longer than this listener accepts")]
    TooLarge,
    /// It did not come, or not completely, or not in time.
    #[error("the body did not come: {0}")]
    Broken(#[from] hyper::Error),
}

impl RequestBody {
    /// A body that may have so many bytes and take so long. Until it is asked for, its connection waits for nothing.
    pub(crate) fn new(inner: Incoming, limit: u64, read_by: ReadBy, timeout: Duration) -> Self {
        read_by.clear();
        Self { inner, left: limit, read_by, timeout: Some(timeout) }
    }

    /// From here on, no more than so many bytes.
    pub(crate) fn limit_to(&mut self, limit: u64) {
        self.left = self.left.min(limit);
    }

    /// All of it, in one piece.
    ///
    /// # Errors
    /// When it is too long or does not come.
    pub async fn bytes(mut self) -> Result<Bytes, BodyError> {
        let expected = self.size_hint().exact().and_then(|length| usize::try_from(length).ok());
        let mut first = Bytes::new();
        let mut rest = None;
        while let Some(frame) = self.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if first.is_empty() && rest.is_none() {
                first = data;
                continue;
            }
            let room = rest.get_or_insert_with(|| {
                let mut room = Room::new(expected.unwrap_or(0).max(first.len() + data.len()));
                room.add(&std::mem::take(&mut first));
                room
            });
            room.add(&data);
        }
        Ok(rest.map_or(first, Room::whole))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Some(timeout) = self.timeout.take() {
            self.read_by.within(timeout);
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if frame.is_none() || self.inner.is_end_stream() {
            self.read_by.clear();
        }
        let Some(frame) = frame.transpose()? else { return Poll::Ready(None) };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        match self.left.checked_sub(u64::try_from(bytes).unwrap_or(u64::MAX)) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Some(Err(BodyError::TooLarge))),
        }
        let copied = |data: Bytes| if data.len() > COPIED_BYTES_MAX { data } else { Bytes::copy_from_slice(&data) };
        Poll::Ready(Some(Ok(frame.map_data(copied))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
