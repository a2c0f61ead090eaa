//! How the beginning or the middle of a life is laid out in a payload: configuration and disk, field by field.
//!
//! Owns these shapes, which no message carries. Must not know frames or checksums. Paper: none; DESIGN §5.

use super::shapes::{fields, plain, variants};
use super::{Framed, Shape, Sink, Source, WireError, put_number};
use crate::config::{Batching, ClusterConfig, Config, Durability, Timeouts};
use crate::id::{ClusterId, ReplicaId, Wait, count};
use crate::lease::Lease;
use crate::log::{Log, continues};
use crate::opening::{Midway, Opening};
use crate::rules::Rules;
use crate::stored::{Damage, Stored};
use alloc::vec::Vec;

impl Framed for Opening {
    const LETTER: u8 = b'O';
    const IS_RECORDED: bool = true;
}

impl Framed for Midway {
    const LETTER: u8 = b'R';
}

impl Framed for Unwritten {
    const LETTER: u8 = b'U';
}

/// How many events happened after the last one of a recording, and are not in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Unwritten(pub u64);

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
    Lease { length, drift_ppm }
    Damage { from, pieces, is_end_certain }
    Stored {
        cluster, config, id, instance, incarnation, epoch, view, log_view, log, damage, clean, checkpoint,
    }
}

/// Witnesses, then the lease, stand at the end of what holds the configuration, if there are any: what was written before there
/// were is read.
fn put_later(config: &Config, to: &mut impl Sink) {
    let ClusterConfig { witnesses, lease, .. } = &config.cluster;
    if !witnesses.is_empty() || lease.is_some() {
        witnesses.put(to);
    }
    if let Some(lease) = lease {
        lease.put(to);
    }
}

fn get_later(config: &mut Config, from: &mut Source<'_>) -> Result<(), WireError> {
    let cluster = &mut config.cluster;
    if !from.rest.is_empty() {
        cluster.witnesses = Shape::get(from)?;
        if !from.rest.is_empty() {
            cluster.lease = Some(Shape::get(from)?);
        } else if cluster.witnesses.is_empty() {
            return Err(WireError::Number);
        }
    }
    Ok(())
}

impl Shape for Opening {
    fn put(&self, to: &mut impl Sink) {
        let Self { config, stored, at, host } = self;
        config.put(to);
        stored.put(to);
        at.put(to);
        host.put(to);
        put_later(config, to);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let (config, stored) = (Shape::get(from)?, Shape::get(from)?);
        let mut this = Self { config, stored, at: Shape::get(from)?, host: Shape::get(from)? };
        get_later(&mut this.config, from)?;
        Ok(this)
    }
}

impl Shape for Midway {
    fn put(&self, to: &mut impl Sink) {
        let Self { config, life, at, host, events, image } = self;
        config.put(to);
        life.put(to);
        at.put(to);
        host.put(to);
        events.put(to);
        image.put(to);
        put_later(config, to);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        let (config, life, at) = (Shape::get(from)?, Shape::get(from)?, Shape::get(from)?);
        let (host, events, image) = (Shape::get(from)?, Shape::get(from)?, Shape::get(from)?);
        let mut this = Self { config, life, at, host, events, image };
        get_later(&mut this.config, from)?;
        Ok(this)
    }
}

impl Shape for ClusterConfig {
    fn put(&self, to: &mut impl Sink) {
        let Self {
            cluster,
            members,
            witnesses: _,
            durability,
            client_capacity,
            checkpoint_interval,
            max_message_bytes,
            max_request_bytes,
            lease: _,
        } = self;
        cluster.put(to);
        members.put(to);
        durability.put(to);
        [client_capacity, checkpoint_interval, max_message_bytes, max_request_bytes]
            .into_iter()
            .for_each(|n| n.put(to));
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        Ok(Self {
            cluster: Shape::get(from)?,
            members: Shape::get(from)?,
            witnesses: Vec::new(),
            durability: Shape::get(from)?,
            client_capacity: Shape::get(from)?,
            checkpoint_interval: Shape::get(from)?,
            max_message_bytes: Shape::get(from)?,
            max_request_bytes: Shape::get(from)?,
            lease: None,
        })
    }
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
