//! What is not opened: a configuration that contradicts itself, the disk of somebody else, a log without its checkpoint.
//!
//! Owns these sentences (PROTOCOL D60, D66). Must not know the inside of a replica.

use bytes::Bytes;
use vr_core::{
    Checkpoint, ClusterConfig, ClusterId, Config, Epoch, Hash, Head, Instance, Log, Op, OpenError, Predicted, Replica,
    ReplicaId, Stored, Time, View,
};

fn config() -> Config {
    Config::new(ClusterConfig::of_size(ClusterId(1), 3), ReplicaId(0))
}

fn disk() -> Stored {
    let cluster = config().cluster;
    Stored::format(cluster.cluster, cluster.digest(), ReplicaId(0), Instance(0))
}

/// Why it is not opened; nothing may be asked of the driver then.
fn refused(config: Config, disk: Stored) -> String {
    let mut actions = Vec::new();
    let refused: OpenError = Replica::open(config, disk, Time::ZERO, &mut actions).expect_err("it is not opened");
    assert_eq!(actions, []);
    refused.to_string()
}

#[test]
fn a_configuration_that_contradicts_itself_is_not_opened() {
    let mut config = config();
    config.cluster.checkpoint_interval = 0;
    assert!(refused(config, disk()).starts_with("invalid configuration: "));
}

#[test]
fn a_disk_of_another_cluster_configuration_or_replica_is_not_opened() {
    let told = "this disk was formatted for another cluster, configuration or replica";
    let mut other = config();
    other.cluster = ClusterConfig::of_size(ClusterId(2), 3);
    assert_eq!(refused(other, disk()), told);
    let mut other = config();
    other.cluster.client_capacity += 1;
    assert_eq!(refused(other, disk()), told);
    assert_eq!(refused(Config { me: ReplicaId(1), ..config() }, disk()), told);
}

#[test]
fn a_log_that_does_not_go_on_from_a_checkpoint_that_can_be_read_is_not_opened() {
    let told = "the log on this disk does not go on from the checkpoint that it holds";
    let head = Head { op: Op(4), hash: Hash(1) };
    let at = |head: Head| Some(Checkpoint::new(head, Predicted::default(), Bytes::from("no table"), Bytes::new()));
    let elsewhere = Head { op: Op(8), ..head };
    for checkpoint in [None, at(elsewhere), at(head)] {
        let mut disk = disk();
        (disk.log, disk.checkpoint) = (Log::new(head), checkpoint);
        assert_eq!(refused(config(), disk), told);
    }
}

#[test]
fn a_disk_that_lost_the_checkpoint_its_epoch_began_with_is_not_opened() {
    let mut disk = disk();
    disk.view = View::first_of(Epoch(1));
    assert_eq!(refused(config(), disk), "this disk is of a later epoch than the checkpoint that it holds");
}
