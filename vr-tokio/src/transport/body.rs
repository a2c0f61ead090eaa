//! The body of a request as it arrives: no longer than the limit, no slower than the connection allows.
//!
//! Owns the count of its bytes and tells the connection when it is complete. Must not know what is in it.

use super::stream::ReadBy;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The body of a request, within its limits. `http_body_util::BodyExt` and axum's extractors read it.
pub struct RequestBody {
    inner: Incoming,
    left: u64,
    read_by: ReadBy,
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
    /// A body that may have so many bytes. When it has none, the connection waits for nothing more.
    pub(crate) fn new(inner: Incoming, limit: u64, read_by: ReadBy) -> Self {
        if inner.is_end_stream() {
            read_by.clear();
        }
        Self { inner, left: limit, read_by }
    }

    /// From here on, no more than so many bytes.
    pub(crate) fn limit_to(&mut self, limit: u64) {
        self.left = self.left.min(limit);
    }

    /// All of it. A body that came in one piece is not copied.
    ///
    /// # Errors
    /// When it is too long or does not come.
    pub async fn bytes(mut self) -> Result<Bytes, BodyError> {
        let expected = self.size_hint().exact().and_then(|length| usize::try_from(length).ok());
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(frame) = self.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if first.is_empty() && rest.is_empty() {
                first = data;
                continue;
            }
            if rest.is_empty() {
                rest.reserve(expected.unwrap_or(0).max(first.len() + data.len()));
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
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
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
