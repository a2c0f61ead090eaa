//! The replica's end of a client's request: read, asked of the node, answered.
//!
//! Owns nothing but the order; [`super::form`] has the form. Mounted at [`super::ROUTE`] and
//! [`super::READ_ROUTE`] on the listener for clients. Must not know how the node answers.

use super::form::{Ask, READ_ROUTE, Refused, ask_of, is_here, response_of, response_of_read};
use crate::transport::server::BodyError;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use std::error::Error;
use vr_core::Reply;

/// A node, as clients' requests see it.
pub trait Requests: Send + Sync {
    /// Carries out a request: opens a session when its number is zero, executes the operation otherwise.
    fn request(&self, ask: Ask) -> impl Future<Output = Result<Reply, Refused>> + Send;

    /// Answers a question that changes nothing, so that it reflects everything answered before.
    fn read(&self, query: Bytes) -> impl Future<Output = Result<Bytes, Refused>> + Send;

    /// The same of this node, whether it leads or not. Whoever has no better answer asks the primary.
    fn read_here(&self, query: Bytes) -> impl Future<Output = Result<Bytes, Refused>> + Send {
        self.read(query)
    }

    /// The longest body, in bytes: the cluster's `max_request_bytes`.
    fn max_request_bytes(&self) -> usize;

    /// What the listeners for clients speak: `http` or `https`.
    fn scheme(&self) -> &'static str {
        "http"
    }
}

/// Answers a request to [`super::ROUTE`] or [`super::READ_ROUTE`].
pub async fn answer<N, B>(node: &N, request: Request<B>) -> Response<Full<Bytes>>
where
    N: Requests,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let reads = request.uri().path() == READ_ROUTE;
    let (head, body) = request.into_parts();
    let body = whole(body, node.max_request_bytes()).await;
    if reads {
        let answer = match body.and_then(|query| Ok((query, is_here(&head.headers)?))) {
            Ok((query, false)) => node.read(query).await,
            Ok((query, true)) => node.read_here(query).await,
            Err(refused) => Err(refused),
        };
        return response_of_read(answer, node.scheme());
    }
    let answer = match body.and_then(|body| ask_of(&head.headers, body)) {
        Ok(ask) => node.request(ask).await,
        Err(refused) => Err(refused),
    };
    response_of(answer, node.scheme())
}

async fn whole<B>(body: B, limit: usize) -> Result<Bytes, Refused>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(Refused::TooLarge);
    }
    let body = Limited::new(Box::pin(body), limit).collect().await.map_err(|error| refused_by(&*error))?;
    Ok(body.to_bytes())
}

fn refused_by(error: &(dyn Error + Send + Sync + 'static)) -> Refused {
    let is_long = error.is::<LengthLimitError>() || matches!(error.downcast_ref(), Some(BodyError::TooLarge));
    if is_long { Refused::TooLarge } else { Refused::Malformed }
}
