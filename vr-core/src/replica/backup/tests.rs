//! Tests of a backup: what it says again when it is told again.

use super::*;
use crate::clients::ClientTable;
use crate::config::{ClusterConfig, Config};
use crate::entry::{Entry, Kind, Predicted, Request};
use crate::id::{ClientId, ClusterId, Instance, RequestNumber, Session, Time};
use crate::stored::Stored;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;

/// Replica 1 of three, a backup in view 0.
fn following() -> (Common, Backup) {
    let cluster = ClusterConfig::of_size(ClusterId(1), 3);
    let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(1), Instance(1));
    let mut common = Common::new(Config::new(cluster, ReplicaId(1)), disk, ClientTable::new(8), Time::ZERO);
    let backup = Backup::enter(&mut common, &mut Vec::new(), Op::ZERO);
    (common, backup)
}

/// What the primary says, and which ops are acknowledged then.
fn hear(common: &mut Common, backup: &mut Backup, body: Body) -> Vec<Op> {
    let mut out = Vec::new();
    assert_eq!(backup.on_message(common, &mut out, ReplicaId(0), body), Next::Stay);
    assert!(common.pending.persisted(common.pending.reach().0));
    backup.settle(common, &mut out);
    let said =
        |action: &Action| if let Action::Send { message, .. } = action { Some(message.body.clone()) } else { None };
    let acked = |body: Body| if let Body::PrepareOk { head, .. } = body { Some(head.op) } else { None };
    out.iter().filter_map(said).filter_map(acked).collect()
}

#[test]
fn a_backup_that_is_told_again_what_it_acknowledged_acknowledges_it_again() {
    let (mut common, mut backup) = following();
    let (client, session, number) = (ClientId(7), Session::ZERO, RequestNumber::ZERO);
    let (kind, predicted, body) = (Kind::Register, Predicted::default(), Bytes::new());
    let (request, base) = (Request { client, session, number, kind, predicted, body }, common.log.head());
    let entry = Entry::new(common.epoch(), common.view(), base.op.next(), base.hash, request);
    let entries = Entries::new(alloc::vec![entry]).expect("one entry is a chain");
    let prepare = Body::Prepare { entries, commit: Op::ZERO, beat: Beat(1) };
    assert_eq!(hear(&mut common, &mut backup, prepare.clone()), [Op(1)]);
    assert_eq!(hear(&mut common, &mut backup, prepare), [Op(1)]);
    let start = common.start_view(Op::ZERO, common.tail());
    assert_eq!(hear(&mut common, &mut backup, Body::StartView(Box::new(start))), [Op(1)]);
    let quiet =
        Body::NewState(Box::new(NewState { id: crate::id::FetchId::ZERO, commit: Op::ZERO, tail: common.tail() }));
    assert_eq!(hear(&mut common, &mut backup, quiet), [], "nobody asked for an acknowledgement");
}
