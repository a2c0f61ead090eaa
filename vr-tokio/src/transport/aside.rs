//! Long bodies are taken in on a thread that stands behind the others in line for a processor.
//!
//! Owns that thread. What is so long is a part of a checkpoint, for whoever lacks a state: on the way of everything else it
//! would be copied and checked for a millisecond and more while a prepare waits. Must not know what is in a body.

use crate::behind;
use std::io;
use std::sync::{Mutex, PoisonError};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The way to the thread, which is started when there is something for it, and ends with this.
#[derive(Default)]
pub(super) struct Aside(Mutex<Option<Thread>>);

struct Thread {
    handle: Handle,
    _ends: oneshot::Sender<()>,
}

impl Thread {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().build()?;
        let (handle, (ends, ended)) = (runtime.handle().clone(), oneshot::channel());
        behind::spawn("vr-parts-in", move || drop(runtime.block_on(ended)))?;
        Ok(Self { handle, _ends: ends })
    }
}

impl Aside {
    /// Does it there; here, when there is no thread to be had. `None` when the thread ends before.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        match self.thread() {
            Ok(thread) => thread.spawn(work).await.ok(),
            Err(error) => {
                tracing::debug!(%error, "no thread for long bodies");
                Some(work.await)
            }
        }
    }

    fn thread(&self) -> io::Result<Handle> {
        let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*thread {
            return Ok(thread.handle.clone());
        }
        let started = Thread::start()?;
        Ok(thread.insert(started).handle.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_done_aside_is_done_on_another_thread_which_ends_with_it() {
        let aside = Aside::default();
        let name = || std::thread::current().name().map(str::to_owned);
        assert_eq!(aside.run(async move { name() }).await, Some(Some("vr-parts-in".to_owned())));
        let handle = aside.thread().expect("started");
        drop(aside);
        assert!(handle.spawn(std::future::pending::<()>()).await.is_err_and(|error| error.is_cancelled()));
    }
}
