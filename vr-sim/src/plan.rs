//! What an operator wants of a cluster: which group shall follow which.
//!
//! Owns [`Plan`] and whether one can be carried out. Must not know how it was drawn, nor how the operator goes about it.
//! VRR §7; PROTOCOL 1.9.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use vr_core::{Epoch, Member, Reconfiguration, ReplicaId, Wait};

/// The groups that an operator asks for, one after the other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The members of each epoch but the first, by their ids.
    pub groups: Vec<Vec<u16>>,
    /// The longest time between an answer and the next question.
    pub pause: Wait,
    /// Those who are added are started up to so much later than the others.
    pub late: Wait,
    /// Whoever was replaced and need not stay any more is shut down for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dismisses: bool,
}

impl Plan {
    /// What the operator asks for at the end of an epoch, if it wants anything then.
    #[must_use]
    pub fn question(&self, epoch: Epoch) -> Option<Bytes> {
        let at = usize::try_from(epoch.0).ok()?;
        let member = |id: &u16| Member { id: ReplicaId(*id), address: Bytes::new() };
        let members = self.groups.get(at)?.iter().map(member).collect();
        Some(Reconfiguration { epoch, members }.encode())
    }

    /// The largest group there will be.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.groups.iter().map(|group| u64::try_from(group.len()).unwrap_or(u64::MAX)).max().unwrap_or(0)
    }

    /// Can a group of `replicas` be followed by these, when `spares` more wait and a group has so many members at least?
    ///
    /// # Errors
    /// In one line, when not.
    pub fn validate(&self, replicas: u16, spares: u16, least: usize) -> Result<(), String> {
        let mut before: Vec<u16> = (0..replicas).collect();
        let mut next = replicas;
        for group in &self.groups {
            let distinct = group.iter().enumerate().all(|(at, id)| !group[..at].contains(id));
            let known = group.iter().all(|id| before.contains(id) || *id >= next);
            let exist = group.iter().all(|id| *id < replicas.saturating_add(spares));
            if group.len() < least.max(1) || group.len() > 64 || *group == before || !distinct || !known || !exist {
                return Err(format!("the plan has a group that cannot follow: {group:?}"));
            }
            next = group.iter().map(|id| id.saturating_add(1)).max().unwrap_or(0).max(next);
            before.clone_from(group);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(groups: &[&[u16]]) -> Plan {
        let groups = groups.iter().map(|group| group.to_vec()).collect();
        Plan { groups, pause: Wait::ZERO, late: Wait::ZERO, dismisses: false }
    }

    #[test]
    fn what_no_group_would_admit_is_no_plan() {
        let of = |groups: &[&[u16]]| plan(groups).validate(3, 2, 1).is_ok();
        assert!(of(&[&[0, 1, 2, 3], &[0, 2, 3, 4], &[4]]));
        assert!(!of(&[&[0, 1, 5]]) && !of(&[&[0, 0]]) && !of(&[&[]]) && !of(&[&[0, 1, 2]]));
        assert!(!of(&[&[0, 1], &[0, 1, 2]]), "an id that was used before");
        assert!(!of(&[&[0, 1, 4], &[0, 1, 3]]), "an id that was passed over");
        assert!(plan(&[&[1]]).validate(3, 0, 2).is_err(), "too few for the asynchronous mode");
    }

    #[test]
    fn at_the_end_of_each_epoch_the_next_group_is_asked_for() {
        let plan = plan(&[&[0, 1], &[0, 2]]);
        let asked = |epoch| plan.question(Epoch(epoch)).and_then(Reconfiguration::decode);
        let ids = |next: Reconfiguration| next.members.iter().map(|member| member.id.0).collect::<Vec<_>>();
        assert_eq!(asked(1).map(ids), Some(vec![0, 2]));
        assert_eq!(asked(2).map(ids), None);
    }
}
