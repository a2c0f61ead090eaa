//! A cluster that crashed as a whole, and the new one that an operator founds from what one member's disk holds. Owns
//! the disaster; what may be lost in it is `found`'s to say.

use super::*;
use crate::found::{FoundError, found};

/// Three empty places for a cluster of another id.
fn elsewhere(cluster: &Cluster) -> Vec<NodeConfig> {
    let beside = |config: &NodeConfig| {
        let mut config = config.clone();
        config.cluster.cluster = ClusterId(8);
        config.dir.set_extension("new");
        config
    };
    cluster.configs.iter().map(beside).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_cluster_goes_on_where_the_chosen_log_of_the_lost_one_ends() {
    let mut cluster = Cluster::start(|config| {
        steady(config);
        config.cluster.durability = Durability::Async;
    })
    .await;
    let primary = cluster.handle(0);
    let session = timely(primary.register(ANN)).await.expect("opened");
    for count in 1..=5 {
        timely(primary.request_in(ANN, session, number(count), body("2"))).await.expect("answered");
    }
    for id in 0..3 {
        cluster.kill(id).await;
    }
    let new = elsewhere(&cluster);
    let founded = found(&cluster.configs[0], &new, Counter::default()).expect("its log is whole");
    assert_eq!((founded.through, founded.of), (Op(6), ReplicaId(0)));
    assert!(founded.to_string().contains("are lost"), "{founded}");
    cluster.configs = new;
    for id in 0..3 {
        cluster.up(id).await;
    }
    let primary = cluster.handle(0);
    let again = timely(primary.request_in(ANN, session, number(5), body("2"))).await.expect("the session goes on");
    assert!(again.duplicate, "it is not executed twice");
    let reply = timely(primary.request_in(ANN, session, number(6), body("2"))).await.expect("answered");
    assert_eq!((reply.result, reply.op), (body("12"), Op(7)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_not_founded_under_its_old_id_or_while_the_node_runs() {
    let cluster = Cluster::start(|config| config.cluster.durability = Durability::Async).await;
    let mut new = elsewhere(&cluster);
    assert!(matches!(found(&cluster.configs[0], &new, Counter::default()), Err(FoundError::Log(_))));
    new.iter_mut().for_each(|config| config.cluster.cluster = ClusterId(7));
    assert!(matches!(found(&cluster.configs[0], &new, Counter::default()), Err(FoundError::Unfit(_))));
}
