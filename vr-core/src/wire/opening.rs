//! How the beginning or the middle of a life is laid out in a payload: configuration and disk, field by field.
//!
//! Owns these shapes, which no message carries. Must not know frames or checksums. Paper: none; DESIGN §5.

use super::shapes::{fields, plain, variants};
use super::{Shape, Sink, Source, Unwritten, WireError, put_number};
use crate::config::{Batching, ClusterConfig, Config, Durability, Timeouts};
use crate::id::{ClusterId, ReplicaId, Wait, count};
use crate::log::{Log, continues};
use crate::opening::{Midway, Opening};
use crate::rules::Rules;
use crate::stored::{Damage, Stored};
use alloc::vec::Vec;

/// As many members as a cluster has at most.
const MEMBERS_MAX: usize = 64;

plain! { Wait = number, ClusterId = wide_number }

impl Shape for u32 {
    fn put(&self, to: &mut impl Sink) {
        put_number(*self, to);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        Self::try_from(from.number()?).map_err(|_| WireError::Number)
    }
}

variants! {
    Durability {
        0 => Sync,
        1 => Async,
    }
}

fields! {
    Timeouts { heartbeat, view_change_min, view_change_max, abdicate, vote, fetch, retransmit }
    Batching { pipeline, batch_entries, queue_entries }
    ClusterConfig {
        cluster, members, durability, client_capacity, checkpoint_interval, max_message_bytes, max_request_bytes,
    }
    Damage { from, pieces, is_end_certain }
    Stored {
        cluster, config, id, instance, incarnation, epoch, view, log_view, log, damage, clean, checkpoint,
    }
    Opening { config, stored, at, host }
    Midway { config, life, at, host, events, image }
}

/// As long whatever the number, so that it can be written over in place.
impl Shape for Unwritten {
    fn put(&self, to: &mut impl Sink) {
        to.put(&self.0.to_le_bytes());
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let bytes = from.take(size_of::<u64>())?;
        bytes.try_into().map(|bytes| Self(u64::from_le_bytes(bytes))).map_err(|_| WireError::Ended)
    }
}

impl Shape for Config {
    fn put(&self, to: &mut impl Sink) {
        let Self { cluster, me, timeouts, batching, jitter_seed, joins: _, rules: _ } = self;
        cluster.put(to);
        me.put(to);
        timeouts.put(to);
        batching.put(to);
        jitter_seed.put(to);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let (cluster, me): (ClusterConfig, ReplicaId) = (Shape::get(from)?, Shape::get(from)?);
        let joins = cluster.position(me).is_none();
        Ok(Self {
            cluster,
            me,
            joins,
            timeouts: Shape::get(from)?,
            batching: Shape::get(from)?,
            jitter_seed: Shape::get(from)?,
            rules: Rules::default(),
        })
    }
}

impl Shape for Vec<ReplicaId> {
    fn put(&self, to: &mut impl Sink) {
        put_number(count(self.len()), to);
        self.iter().for_each(|id| id.put(to));
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let length = from.list_length("members", 1)?;
        if length > MEMBERS_MAX {
            return Err(WireError::TooMany { what: "members", claimed: count(length), limit: MEMBERS_MAX });
        }
        (0..length).map(|_| ReplicaId::get(from)).collect()
    }
}

/// As many pieces as a damaged log is told in: what lies behind more holes than these is not told.
const PIECES_MAX: usize = 1 << 16;

impl Shape for Vec<Log> {
    fn put(&self, to: &mut impl Sink) {
        put_number(count(self.len()), to);
        self.iter().for_each(|piece| piece.put(to));
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let length = from.list_length("pieces", 1)?;
        if length > PIECES_MAX {
            return Err(WireError::TooMany { what: "pieces", claimed: count(length), limit: PIECES_MAX });
        }
        (0..length).map(|_| Log::get(from)).collect()
    }
}

/// The base, then all entries as one run.
impl Shape for Log {
    fn put(&self, to: &mut impl Sink) {
        self.base().put(to);
        put_number(self.len(), to);
        self.after(self.base().op).for_each(|entry| entry.put(to));
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let mut log = Self::new(Shape::get(from)?);
        let entries = Shape::get(from)?;
        if !continues(&entries, log.base()) {
            return Err(WireError::NotAfterBase);
        }
        log.append(entries);
        Ok(log)
    }
}
