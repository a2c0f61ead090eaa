//! Restarts and recovery, VRR §4.3, and state transfer, §5.2: what a replica may say of what it no longer knows.
//!
//! Owns the sentences about disks, incarnations, Recovery and GetState, in both durability modes.

use super::{group_of, three};
use crate::scripted::{EVERY, Packet, Scripted};
use vr_core::{
    Action, Body, Durability, EnterCause, HaltReason, Ignored, Input, Message, MessageKind, Note, Op,
    ReplicaId, StatusName, View, Wait,
};

fn in_memory(members: u16) -> Scripted {
    group_of(members, |config| config.cluster.durability = Durability::Async).0
}
