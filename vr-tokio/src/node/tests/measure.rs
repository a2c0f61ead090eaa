//! What three nodes in one process do in a second, with real sockets and real disks. Reported only; run it with
//! `cargo test --release -p vr-tokio --lib measure -- --ignored --nocapture`. Owns no bound: machines differ.

use super::*;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn operations_in_a_second() {
    for durability in [Durability::Sync, Durability::Async] {
        for clients in [1_u64, 64, 256] {
            let cluster = Cluster::start(|config| {
                config.cluster.durability = durability;
                config.disk.segment_bytes = 64 << 20;
            })
            .await;
            let primary = ready(&cluster).await;
            let (done, until) = (Arc::new(AtomicU64::new(0)), Instant::now() + Duration::from_secs(3));
            let asks = (1..=clients).map(|client| {
                let (handle, done) = (cluster.handle(primary), Arc::clone(&done));
                tokio::spawn(async move {
                    let session = handle.register(ClientId(client.into())).await.expect("opened");
                    let body = Bytes::from(vec![b' '; 256]);
                    for count in 1.. {
                        let asked = handle.request_in(ClientId(client.into()), session, number(count), body.clone());
                        asked.await.expect("answered");
                        done.fetch_add(1, Ordering::Relaxed);
                        if Instant::now() >= until {
                            break;
                        }
                    }
                })
            });
            let asks: Vec<_> = asks.collect();
            for ask in asks {
                timely(ask).await.expect("no panic");
            }
            let (per_second, view) = (done.load(Ordering::Relaxed) / 3, cluster.handle(primary).status().view);
            println!("{durability:?}, {clients} clients: {per_second} operations/s, view {view} at the end");
        }
    }
}

/// Who answers requests.
async fn ready(cluster: &Cluster) -> usize {
    loop {
        let primary = cluster.primary_from(0).await;
        if cluster.handle(primary).register(ANN).await.is_ok() {
            return primary;
        }
    }
}
