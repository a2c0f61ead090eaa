//! Whose files these are: the block at the start of every header, and how it is compared.
//!
//! Owns the identity of a log and the version of its format. Must not know what follows the block.

use super::bytes::{Put, Take};
use super::error::WalErrorKind;
use vr_core::{ClusterConfig, ClusterId, Hash, Instance, ReplicaId};

/// The version of all files of a log. Raised when an older program would misread them: 2 has repairs of damaged logs.
pub const FORMAT_VERSION: u32 = 2;
/// The oldest version that is read.
const OLDEST_VERSION: u32 = 1;
/// Bytes of the block: magic 8, version 4, replica 4, cluster 16, instance 16, configuration 16.
pub(crate) const STAMP_BYTES: usize = 64;

/// Whose log it is meant to be.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The replicated configuration of the cluster.
    pub cluster: ClusterConfig,
    /// The replica.
    pub id: ReplicaId,
}

/// Whose log it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    pub(crate) cluster: ClusterId,
    pub(crate) config: Hash,
    pub(crate) id: ReplicaId,
    pub(crate) instance: Instance,
}

impl Stamp {
    pub(crate) fn new(identity: &Identity, instance: Instance) -> Self {
        let cluster = &identity.cluster;
        Self { cluster: cluster.cluster, config: cluster.digest(), id: identity.id, instance }
    }

    /// What the sums of records start from: those of another disk never hold here.
    pub(crate) fn seed(&self, number: u64) -> u64 {
        let bytes = Put::default().u128(self.instance.0).u128(self.cluster.0).u64(number).0;
        xxhash_rust::xxh3::xxh3_64(&bytes)
    }

    pub(crate) fn put(&self, magic: [u8; 8]) -> Put {
        let head = Put::default().bytes(&magic).u32(FORMAT_VERSION).u32(self.id.0.into());
        head.u128(self.cluster.0).u128(self.instance.0).u128(self.config.0)
    }

    /// The block, if these bytes start with one of this version.
    pub(crate) fn take(bytes: &[u8], magic: [u8; 8]) -> Result<Self, (WalErrorKind, String)> {
        if bytes.get(..8) != Some(&magic[..]) {
            return Err((WalErrorKind::Foreign, "this is no file of a log".to_owned()));
        }
        let mut rest = Take(&bytes[8..]);
        let (version, id) = (rest.u32(), rest.u32());
        if !(OLDEST_VERSION..=FORMAT_VERSION).contains(&version) {
            let what = format!("format version {version}, and {OLDEST_VERSION} to {FORMAT_VERSION} are known");
            return Err((WalErrorKind::Version, what));
        }
        let id = ReplicaId(u16::try_from(id).unwrap_or(u16::MAX));
        let (cluster, instance, config) = (ClusterId(rest.u128()), Instance(rest.u128()), Hash(rest.u128()));
        Ok(Self { cluster, config, id, instance })
    }

    /// Was this written by an earlier version?
    pub(crate) fn is_old(bytes: &[u8]) -> bool {
        bytes.get(8..12).is_some_and(|version| Take(version).u32() < FORMAT_VERSION)
    }

    /// Is this the log that is meant?
    pub(crate) fn check(&self, meant: &Identity) -> Result<(), (WalErrorKind, String)> {
        let (cluster, config) = (meant.cluster.cluster, meant.cluster.digest());
        let what = if self.cluster != cluster {
            format!("it belongs to cluster {}, not to {cluster}", self.cluster)
        } else if self.id != meant.id {
            format!("it belongs to replica {}, not to {}", self.id, meant.id)
        } else if self.config != config {
            format!("it was formatted with another configuration: digest {}, not {config}", self.config)
        } else {
            return Ok(());
        };
        Err((WalErrorKind::Foreign, what))
    }
}
