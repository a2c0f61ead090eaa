//! Sessions of the node's own, for requests that name none: one for each request at a time.
//!
//! Owns them. Their number is bounded well below the client table's capacity, so that they do not drive out clients'
//! sessions; who finds all of them taken waits, and who finds too many waiting is refused. Must not know HTTP.

use super::Problem;
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Semaphore;
use vr_tokio::{ClientId, Handle, Reply, RequestError, RequestNumber, Session};

/// So many requests may wait for each session.
const WAITING_PER_SESSION: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Pooled {
    client: ClientId,
    session: Session,
    last: RequestNumber,
}

/// Sessions that are shared by whoever names none.
#[derive(Debug)]
pub struct Pool {
    idle: Mutex<Vec<Pooled>>,
    free: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// A name for a client that nobody else has.
pub(super) fn random_client() -> Result<ClientId, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| Problem::Internal)?;
    Ok(ClientId(u128::from_le_bytes(bytes)))
}

impl Pool {
    /// A pool for a cluster whose client table has so many places: an eighth of them, at most 512.
    #[must_use]
    pub fn new(client_capacity: u32) -> Self {
        let sessions = usize::try_from(client_capacity / 8).unwrap_or(usize::MAX).clamp(1, 512);
        Self {
            idle: Mutex::default(),
            free: Semaphore::new(sessions),
            waiting: AtomicUsize::new(0),
            waiting_max: sessions * WAITING_PER_SESSION,
        }
    }

    /// Has `body` executed in a session of the pool.
    ///
    /// # Errors
    /// As the handle says; `Busy` when too many wait for a session.
    pub async fn request(&self, handle: &Handle, body: Bytes) -> Result<Reply, RequestError> {
        let _permit = match self.free.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                let _waits = Waits::new(&self.waiting, self.waiting_max)?;
                self.free.acquire().await.map_err(|_| RequestError::Halted)?
            }
        };
        let mut attempts = 0;
        loop {
            let known = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut pooled = match known {
                Some(pooled) => pooled,
                None => open(handle).await?,
            };
            pooled.last = pooled.last.next();
            let answer = handle.request_in(pooled.client, pooled.session, pooled.last, body.clone()).await;
            if answer != Err(RequestError::Evicted) {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(pooled);
                return answer;
            }
            // A number that was never sent before had no effect in a session that is gone: ask in another one.
            attempts += 1;
            if attempts > 2 {
                return Err(RequestError::Busy);
            }
        }
    }
}

async fn open(handle: &Handle) -> Result<Pooled, RequestError> {
    let client = random_client().map_err(|_| RequestError::Busy)?;
    let session = handle.register(client).await?;
    Ok(Pooled { client, session, last: RequestNumber::ZERO })
}

/// Counts who waits.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(waiting: &'a AtomicUsize, most: usize) -> Result<Self, RequestError> {
        let this = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= most { Err(RequestError::Busy) } else { Ok(this) }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
