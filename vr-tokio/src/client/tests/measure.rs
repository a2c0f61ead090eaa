//! What a call costs over loopback when the node answers at once. Prints, asserts nothing but that all is answered.
//! `cargo test --release -p vr-tokio --lib -- --ignored --nocapture measure`

use super::*;
use std::time::Instant;

async fn measure(sessions: usize, for_: Duration) {
    let fake = Fake::start([]).await;
    let client = client(&[&fake], ClientOptions { max_idle_connections: sessions, ..quick() });
    let start = Instant::now();
    let tasks = (0..sessions).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let mut session = client.session().await.expect("a session");
            let mut took = Vec::new();
            while start.elapsed() < for_ {
                let at = Instant::now();
                session.call(Bytes::from_static(&[b'x'; 256])).await.expect("an answer");
                took.push(at.elapsed());
            }
            took
        })
    });
    let done = futures_util::future::join_all(tasks).await;
    let mut took: Vec<_> = done.into_iter().flat_map(|took| took.expect("no panic")).collect();
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    let per_second = u128::from(u64::try_from(took.len()).expect("few")) * 1_000_000_000 / start.elapsed().as_nanos();
    println!("{sessions:3} sessions: {per_second:6} calls/s, p50 {:?}, p99 {:?}", at(50), at(99));
}

#[test]
#[ignore = "a measurement: takes its time, needs a quiet machine"]
fn what_a_call_costs() {
    for threads in [1, 2] {
        println!("client and replica on {threads} threads");
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(threads).enable_all().build().expect("threads");
        runtime.block_on(async {
            for sessions in [1, 64, 256] {
                measure(sessions, Duration::from_secs(2)).await;
            }
        });
    }
}
