//! What an operator sees: metrics, status, probes, and the stream of events.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Asks a path; the status and what follows the head, as far as it came when `is_enough`.
async fn get(address: SocketAddr, path: &str, is_enough: impl Fn(&str) -> bool) -> (u16, String) {
    let mut tcp = TcpStream::connect(address).await.expect("it listens");
    let ask = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    tcp.write_all(ask.as_bytes()).await.expect("it reads");
    let mut said = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&said).into_owned();
        let is_over = is_enough(&text) || timely(tcp.read_buf(&mut said)).await.expect("it answers") == 0;
        if is_over {
            let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
            return (status, text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()));
        }
    }
}

async fn whole(address: SocketAddr, path: &str) -> (u16, String) {
    get(address, path, |_| false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_status_and_probes_say_what_the_node_does() {
    let cluster = Cluster::start(steady).await;
    let at = cluster.configs[0].nodes[0].client;
    timely(cluster.handle(0).request(ANN, number(1), body("1"))).await.expect("answered");
    cluster.until(0, |status| status.is_ready() && status.executed == Op(2)).await;
    let (status, metrics) = whole(at, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "vr_committed_ops_total 2",
        "vr_commit 2",
        "vr_is_primary 1",
        "vr_is_normal 1",
        "vr_reply_seconds_count 2",
        "vr_wal_sync_seconds_count",
        "vr_peer_sent_messages_total{peer=\"1\"}",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let (status, said) = whole(at, "/status").await;
    let said: serde_json::Value = serde_json::from_str(said.trim()).expect("JSON");
    assert_eq!((status, &said["status"], &said["commit"]), (200, &"Primary".into(), &2.into()));
    assert_eq!(whole(at, "/healthz").await.0, 200);
    assert_eq!(whole(at, "/readyz").await.0, 200);
    assert_eq!(whole(at, "/nonsense").await.0, 404);
    assert_eq!(whole(at, "/vr/v1/events").await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_address_of_its_own_the_operator_is_served_there_only() {
    let ops = free();
    let cluster = Cluster::start(|config| {
        steady(config);
        config.ops = (config.id == ReplicaId(0)).then_some(ops);
    })
    .await;
    assert_eq!(whole(cluster.configs[0].nodes[0].client, "/status").await.0, 404);
    assert_eq!(whole(ops, "/status").await.0, 200);
    assert_eq!(whole(ops, "/vr/v1/request").await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_of_events_goes_on_after_a_cursor_and_says_what_was_lost() {
    let cluster = Cluster::start(|config| {
        steady(config);
        config.events.enabled = true;
        config.events.ring = 64;
    })
    .await;
    let at = cluster.configs[0].nodes[0].client;
    let primary = cluster.handle(0);
    timely(primary.request(ANN, number(1), body("1"))).await.expect("answered");
    let metrics = whole(at, "/metrics").await.1;
    assert!(metrics.contains("vr_trace_events_total 0\n"), "unread, nothing is made: {metrics}");
    let (status, lines) = get(at, "/vr/v1/events", |text| text.contains("\"k\":\"snap\"")).await;
    assert_eq!(status, 200);
    assert!(lines.contains("\"format\":\"vrtrace/1\""), "{lines}");
    for count in 2..=41 {
        timely(primary.request(ANN, number(count), body("1"))).await.expect("answered");
    }
    let (_, late) = get(at, "/vr/v1/events?after=3", |text| text.contains("\"k\":\"gap\"")).await;
    assert!(late.contains("\"lost\":"), "{late}");
}
