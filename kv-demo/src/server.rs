//! One node of the store: the state machine in a `vr-tokio` node, served to clients.
//!
//! Owns how the two are put together. Must not know the command line.

use crate::api::{Api, Pool};
use crate::store::Store;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::task::JoinHandle;
use vr_tokio::transport::server::Server;
use vr_tokio::{Handle, Node, NodeConfig, StartError, StopReason};

/// A running node of the store.
#[derive(Debug)]
pub struct StoreNode {
    node: Node,
    clients: Server,
    expiry: JoinHandle<()>,
}

impl StoreNode {
    /// Starts it.
    ///
    /// # Errors
    /// When its log cannot be opened, or one of its addresses is taken.
    pub async fn start(config: NodeConfig) -> Result<Self, StartError> {
        let pool = Pool::new(config.cluster.client_capacity);
        let scheme = if config.client_tls.is_some() { "https" } else { "http" };
        let limit = usize::try_from(config.cluster.max_request_bytes).unwrap_or(usize::MAX);
        let node = Node::start(config, Store::default()).await?;
        let api = Api::new(node.handle(), node.routes(), pool, scheme, limit);
        let watched = Arc::clone(&api);
        let clients = node
            .listen(move |_| {
                let api = Arc::clone(&api);
                service_fn(move |request| {
                    let api = Arc::clone(&api);
                    async move { Ok::<_, Infallible>(api.answer(request).await) }
                })
            })
            .await?;
        let expiry = tokio::spawn(async move { watched.watch_expiry().await });
        Ok(Self { node, clients, expiry })
    }

    /// What an embedder holds of the node.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.node.handle()
    }

    /// Waits until it has stopped, for whatever reason.
    pub async fn stopped(self) -> StopReason {
        let reason = self.node.stopped().await;
        self.expiry.abort();
        self.clients.shutdown().await;
        reason
    }
}
