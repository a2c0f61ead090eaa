//! One run, resolved: the cluster, its surroundings and its clients as plain numbers.
//!
//! Owns [`Setup`], what a case file keeps of it, and how it becomes the configuration of replicas. Must not
//! know how it was drawn, nor any fault: those are decisions.

use crate::digest::{Digest, joined};
use crate::plan::Plan;
use crate::workload::Mix;
use serde::{Deserialize, Serialize};
use vr_core::{
    Batching, ClusterConfig, ClusterId, Config, Durability, Instance, Lease, ReplicaId, Rules, Timeouts, Wait,
};

/// Everything about a run that is fixed before it starts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// Names what is arbitrary but no choice: ids, bodies, jitter.
    #[serde(with = "crate::case::text")]
    pub seed: u64,
    /// How many replicas.
    pub replicas: u16,
    /// How many more wait to be added to the group: their ids follow.
    #[serde(default, skip_serializing_if = "is_none")]
    pub spares: u16,
    /// Which of them are witnesses; none in most clusters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<u16>,
    /// What an operator wants of the group; nothing, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// When a promise may leave.
    pub durability: Durability,
    /// A planted bug, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
    /// H; most other times are multiples of it.
    pub heartbeat: Wait,
    /// T_vc is drawn from these, in heartbeats.
    pub view_change: (u64, u64),
    /// T_abd, in heartbeats.
    pub abdicate: u64,
    /// The shortest latency of a link.
    pub latency: Wait,
    /// Links are up to so many thousandths slower than that.
    pub latency_spread: u64,
    /// How long a sync takes.
    pub sync: Wait,
    /// How long an upcall takes.
    pub execute: Wait,
    /// Clocks run fast or slow by up to so many parts in a million.
    pub drift_ppm: u32,
    /// How often nothing may be between commit and execution.
    pub checkpoint_interval: u32,
    /// How many sessions there may be.
    pub client_capacity: u32,
    /// The longest message.
    pub max_message_bytes: u32,
    /// The longest body of a request.
    pub max_request_bytes: u32,
    /// Batching and back-pressure.
    pub batching: Batching,
    /// How many clients.
    pub clients: u32,
    /// How many operations each of them calls under faults.
    pub ops: u32,
    /// The longest time a client thinks between two operations.
    pub think: Wait,
    /// All clients call at the same moments, that far apart: bursts, and batches.
    pub in_step: bool,
    /// When a client tries again.
    pub client_timeout: Wait,
    /// What clients ask for.
    pub mix: Mix,
    /// How long the faults last.
    pub safety: Wait,
    /// How often something may break.
    pub slot: Wait,
    /// Drivers work off what waits at once: requests that come close together are one event, and so are the answers to
    /// one upcall.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub together: bool,
    /// Services set their state aside for a checkpoint and go on; it is given later, after up to so long.
    #[serde(default, skip_serializing_if = "is_no_wait")]
    pub aside: Wait,
    /// The primary answers reads under a lease; in most clusters it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// Crashes respect what the asynchronous mode tolerates, so that liveness can be asked for.
    pub crash_budget: bool,
}

impl Setup {
    /// A plain cluster for hands and tests: nothing is odd about it.
    #[must_use]
    pub fn plain(replicas: u16, durability: Durability) -> Self {
        let heartbeat = Wait::millis(50);
        Self {
            seed: 1,
            replicas,
            spares: 0,
            witnesses: Vec::new(),
            plan: None,
            durability,
            mutant: None,
            heartbeat,
            view_change: (8, 16),
            abdicate: 10,
            latency: Wait::millis(1),
            latency_spread: 0,
            sync: Wait::micros(500),
            execute: Wait::ZERO,
            drift_ppm: 0,
            checkpoint_interval: 16,
            client_capacity: 64,
            max_message_bytes: 1 << 20,
            max_request_bytes: 1 << 16,
            batching: Batching::default(),
            clients: 0,
            ops: 0,
            think: heartbeat,
            in_step: false,
            client_timeout: heartbeat.times(6),
            mix: Mix::default(),
            safety: Wait::ZERO,
            slot: heartbeat,
            together: false,
            aside: Wait::ZERO,
            lease: None,
            crash_budget: true,
        }
    }

    /// Can a world be made of it? Also whoever edited a case file by hand is told here, not by a panic.
    ///
    /// # Errors
    /// In one line, when not.
    pub fn validate(&self) -> Result<(), String> {
        self.config(0)?;
        let longest = Wait::millis(3_600_000);
        let all = [self.heartbeat, self.latency, self.sync, self.execute, self.think, self.client_timeout, self.slot];
        if all.iter().any(|wait| *wait > longest) || self.safety > longest.times(10_000) {
            return Err("a time is longer than an hour, or the faults last longer than a year".into());
        }
        if [self.heartbeat, self.client_timeout, self.slot].contains(&Wait::ZERO) {
            return Err("heartbeat, client_timeout and slot must not be zero".into());
        }
        let numbers = [self.view_change.0, self.view_change.1, self.abdicate, self.latency_spread / 10];
        if numbers.iter().any(|n| *n > 10_000) || self.drift_ppm > 500_000 {
            return Err("view_change, abdicate, latency_spread or drift_ppm is out of bounds".into());
        }
        if self.clients > 10_000 || u64::from(self.ops) * u64::from(self.clients) > 100_000_000 {
            return Err("too many clients or operations".into());
        }
        if self.plan.is_some() && !self.witnesses.is_empty() {
            return Err("a group with witnesses cannot be changed".into());
        }
        let least = self.cluster().least_members();
        self.plan.as_ref().map_or(Ok(()), |plan| plan.validate(self.replicas, self.spares, least))
    }

    /// What all replicas share.
    #[must_use]
    pub fn cluster(&self) -> ClusterConfig {
        let id = ClusterId(joined(self.number("cluster", 0), self.number("cluster", 1)));
        let witnesses: Vec<ReplicaId> = self.witnesses.iter().copied().map(ReplicaId).collect();
        ClusterConfig {
            durability: self.durability,
            checkpoint_interval: self.checkpoint_interval,
            client_capacity: self.client_capacity,
            max_message_bytes: self.max_message_bytes,
            max_request_bytes: self.max_request_bytes,
            lease: self.lease,
            ..ClusterConfig::of_size(id, self.replicas).with_witnesses(&witnesses)
        }
    }

    /// What the replica at `position` is told.
    ///
    /// # Errors
    /// When there is no planted bug of this name, or the configuration is invalid; in one line.
    pub fn config(&self, position: u16) -> Result<Config, String> {
        let config = Config {
            cluster: self.cluster(),
            me: ReplicaId(position),
            joins: (self.replicas..self.replicas.saturating_add(self.spares)).contains(&position),
            timeouts: self.timeouts(),
            batching: self.batching,
            jitter_seed: self.number("jitter", u64::from(position)),
            rules: rules(self.mutant.as_deref())?,
        };
        config.validate().map_err(|e| e.to_string())?;
        Ok(config)
    }

    /// Its timeouts. A page of state transfer is waited for longer than its way there and back.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        let usual = Timeouts::from_heartbeat(self.heartbeat);
        Timeouts {
            view_change_min: self.heartbeat.times(self.view_change.0),
            view_change_max: self.heartbeat.times(self.view_change.1),
            abdicate: self.heartbeat.times(self.abdicate),
            fetch: usual.fetch.max(self.latency.times(3)),
            ..usual
        }
    }

    /// The disk of the replica at `position`, as it was formatted.
    #[must_use]
    pub fn instance(&self, position: u16) -> Instance {
        Instance(joined(self.number("instance", u64::from(position)), self.seed))
    }

    /// An arbitrary number that is always the same for the same thing.
    #[must_use]
    pub fn number(&self, of: &str, which: u64) -> u64 {
        let mut digest = Digest::of(self.seed);
        digest.add_bytes(of.as_bytes());
        digest.add(which);
        digest.value()
    }

    /// An arbitrary duration up to `longest`, always the same for the same thing.
    #[must_use]
    pub fn wait_up_to(&self, longest: Wait, of: &str, which: u64) -> Wait {
        Wait(self.number(of, which) % longest.0.saturating_add(1).max(1))
    }

    /// How long the healed group may take: n failed views with the longest back-off, and what clients need.
    #[must_use]
    pub fn liveness_bound(&self) -> Wait {
        let slowest_view = self.heartbeat.times(self.view_change.1).times(8);
        // Whoever promised something reports later, by a clock that may be slow.
        let promise = self.lease.map_or(Wait::ZERO, |lease| Wait(lease.length.0 + slowest_view.0 / 4));
        let slowest_view = Wait(slowest_view.0 + promise.0);
        let largest = self.plan.as_ref().map_or(0, Plan::largest).max(self.replicas.into());
        // An epoch that ends then takes as long again, and what the next one begins with has to travel.
        let epochs = if self.plan.is_some() { 4 } else { 1 };
        let views = slowest_view.times(largest + 2);
        Wait(views.0 + self.client_timeout.times(16).0).times(epochs)
    }
}

/// As most cases have it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_none(spares: &u16) -> bool {
    *spares == 0
}

/// As cases have it in which checkpoints are given at once.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_no_wait(wait: &Wait) -> bool {
    wait.0 == 0
}

/// The rules a replica plays by.
///
/// # Errors
/// When there is no planted bug of this name in this build.
#[cfg(feature = "mutants")]
pub fn rules(mutant: Option<&str>) -> Result<Rules, String> {
    let Some(name) = mutant else { return Ok(Rules::default()) };
    let planted = vr_core::Mutant::named(name).ok_or_else(|| format!("there is no planted bug `{name}`"))?;
    Ok(Rules { mutant: Some(planted) })
}

/// The rules a replica plays by.
///
/// # Errors
/// When a planted bug is asked for: this build has none.
#[cfg(not(feature = "mutants"))]
pub fn rules(mutant: Option<&str>) -> Result<Rules, String> {
    let refusal = |name| format!("planted bug `{name}`: this build has none, build with --features mutants");
    mutant.map_or(Ok(Rules::default()), |name| Err(refusal(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_setup_is_valid_for_every_size_and_both_modes() {
        for replicas in 1..=64 {
            for durability in [Durability::Sync, Durability::Async] {
                let config = Setup::plain(replicas, durability).config(replicas - 1);
                assert_eq!(config.is_ok(), replicas > 1 || durability == Durability::Sync);
            }
        }
        assert!(Setup::plain(3, Durability::Sync).config(3).is_err(), "not a member");
    }

    #[test]
    fn an_unknown_planted_bug_is_refused_in_one_line() {
        let mut setup = Setup::plain(3, Durability::Sync);
        setup.mutant = Some("no_such_bug".into());
        assert!(setup.config(0).unwrap_err().contains("no_such_bug"));
    }
}
