//! Tests of recovery: what is asked for again.

use super::*;
use crate::checkpoint::Checkpoint;
use crate::clients::ClientTable;
use crate::config::{ClusterConfig, Config};
use crate::id::{ClusterId, Hash, Instance};
use crate::log::Head;
use crate::message::Tail;
use crate::stored::Stored;
use alloc::boxed::Box;

/// The log of the latest view begins, at replica 1, at op 9.
#[test]
fn a_part_of_the_checkpoint_that_a_recovered_log_begins_with_is_asked_for_again() {
    let cluster = ClusterConfig::of_size(ClusterId(1), 3);
    let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(0), Instance(1));
    let mut common = Common::new(Config::new(cluster, ReplicaId(0)), disk, ClientTable::new(8), Time::ZERO);
    let mut recovering = Recovering::enter(&mut common, &mut Vec::new(), None, false);
    let asked = |recovering: &Recovering, common: &mut Common| {
        let mut out = Vec::new();
        recovering.on_fetch(common, &mut out);
        let said =
            |action: &Action| if let Action::Send { message, .. } = action { Some(message.body.kind()) } else { None };
        out.iter().filter_map(said).any(|kind| kind == MessageKind::GetCheckpoint)
    };
    assert!(!asked(&recovering, &mut common), "nothing is on its way");
    let head = Head { op: Op(9), hash: Hash(1) };
    let mut assembly = Assembly::toward(head, &common.log);
    assembly.begin_on_checkpoint(&Tail { base: head, entries: Entries::empty(), head });
    recovering.arriving = Some(Arriving { view: View(1), assembly: assembly.clone(), commit: Op(9) });
    checkpoints::want(&mut common, &mut Vec::new(), head, ReplicaId(1));
    assert!(asked(&recovering, &mut common));
    let checkpoint =
        Checkpoint::new(head, crate::entry::Predicted::default(), bytes::Bytes::new(), bytes::Bytes::new());
    assert!(assembly.ground_on(Box::new(checkpoint)));
    recovering.arriving = Some(Arriving { view: View(1), assembly, commit: Op(9) });
    assert!(!asked(&recovering, &mut common), "it is here");
}
