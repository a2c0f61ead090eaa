//! What three production nodes recorded, judged by the simulator's checkers. Owns the run; what must hold is theirs.

#[path = "../../vr-tokio/examples/counter.rs"]
#[allow(dead_code)] // Its `main` is for the processes.
mod counter;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use vr_tokio::client::{Client, ClientOptions};
use vr_tokio::vr_core::recording::{self, Recording};
use vr_tokio::{ClusterConfig, ClusterId, Node, NodeConfig, RecordConfig, ReplicaId};

/// A free address, outside the range from which outgoing connections take theirs.
fn free() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() % 20_000;
    loop {
        let port = 10_000 + (first + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % 20_000;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("below 30,000")));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn configs(dir: &Path) -> Vec<NodeConfig> {
    let place = |id: u16| vr_tokio::NodeAddresses::new(id, dir.join(id.to_string()), free(), free());
    let places: Vec<_> = (0..3).map(place).collect();
    let config = |id| {
        let cluster = ClusterConfig::of_size(ClusterId(7), 3);
        let mut config = NodeConfig::new(cluster, ReplicaId(id), places.clone()).expect("valid");
        config.record = Some(RecordConfig::new(dir.join("flight")));
        config
    };
    (0..3).map(config).collect()
}

async fn start(config: &NodeConfig) -> Node {
    let mut node = Node::start(config.clone(), counter::Counter::default()).await.expect("it starts");
    node.serve_clients().await.expect("its address is free");
    node
}

fn recorded(dir: &Path) -> Vec<Recording> {
    let files = std::fs::read_dir(dir.join("flight")).expect("there").map(|file| file.expect("a file").path());
    let read = |path| recording::read(&std::fs::read(path).expect("read").into()).expect("whole frames");
    files.map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_run_with_a_killed_primary_holds_before_all_checkers() {
    let dir = tempfile::tempdir().expect("a directory");
    let configs = configs(dir.path());
    let mut nodes = Vec::new();
    for config in &configs {
        Node::format(config).expect("an empty directory");
        nodes.push(start(config).await);
    }
    let client = Client::new(configs.iter().map(|config| config.client.to_string()), ClientOptions::default());
    let mut session = client.expect("addresses").session().await.expect("opened");
    for round in 1..=20 {
        assert_eq!(session.call("1").await.expect("answered").result, round.to_string());
        if round == 10 {
            nodes.remove(0).abort().await;
            nodes.insert(0, start(&configs[0]).await);
        }
    }
    for node in nodes {
        node.handle().stop().await;
        node.stopped().await;
    }
    let report = vr_sim::flight::judge_all(&recorded(dir.path()), None).expect("everything holds");
    assert_eq!((report.lives, &report.partial), (4, &None));
    assert!(report.committed.0 >= 21 && report.views >= 2, "{report:?}");
}

/// One node keeps 1 MiB of several: its ring wraps, and its last life begins midway.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_run_of_which_one_ring_has_wrapped_is_judged_for_what_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut configs = configs(dir.path());
    let max_bytes = 1 << 20;
    configs[1].record = Some(RecordConfig { max_bytes, ..RecordConfig::new(dir.path().join("flight")) });
    // So that the state stays small: what a checkpoint holds is cut from the log, once it is written.
    for config in &mut configs {
        config.cluster.checkpoint_interval = 8;
    }
    let mut nodes = Vec::new();
    for config in &configs {
        Node::format(config).expect("an empty directory");
        nodes.push(start(config).await);
    }
    let client = Client::new(configs.iter().map(|config| config.client.to_string()), ClientOptions::default());
    let mut session = client.expect("addresses").session().await.expect("opened");
    let one = format!("{}1", "0".repeat(8 << 10));
    for round in 1..=600 {
        assert_eq!(session.call(one.clone()).await.expect("answered").result, round.to_string());
    }
    for node in nodes {
        node.handle().stop().await;
        node.stopped().await;
    }
    let bytes = |name: &str| {
        let files = std::fs::read_dir(dir.path().join("flight")).expect("there").map(|file| file.expect("a file"));
        let of = files.filter(|file| file.file_name().to_string_lossy().starts_with(name));
        of.map(|file| file.metadata().expect("its size").len()).sum::<u64>()
    };
    assert!(bytes("replica-1-") <= max_bytes && bytes("replica-2-") > 4 * max_bytes);
    let report = vr_sim::flight::judge_all(&recorded(dir.path()), None).expect("everything holds that can be judged");
    assert!(report.given_up > 300 && report.matched > 50 && report.committed.0 >= 601, "{report:?}");
    let why = report.partial.expect("not all of it is there");
    assert_eq!(why, "the beginning of r1 is not recorded");
}
