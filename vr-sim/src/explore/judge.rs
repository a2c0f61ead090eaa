//! What must hold in every state of a search, and of every step in it.
//!
//! Owns the properties that an exhaustive search judges, and [`Decided`], the only thing about the past that it remembers
//! of the group. Must not know how states are found. PROTOCOL §4: S1, S5, S7, S8, S9, S10, S11, S24.

use super::node::{Fact, Node};
use vr_core::{Body, Durability, Hash, Message, Note, View};

/// Who judges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judge {
    /// All of it: also promises that are broken and copies that are missing, before anybody comes to harm.
    All,
    /// Only harm: replicas that disagree on what is committed, a view that is led without it, a replica that stops.
    Harm,
}

/// What does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Which property, as [`crate::check::PROPERTIES`] names it.
    pub property: &'static str,
    /// What happened, in a sentence.
    pub message: String,
}

impl Broken {
    pub(super) const fn new(property: &'static str, message: String) -> Self {
        Self { property, message }
    }
}

/// The ops that were decided, from the first on: each by its hash, with the view in which it was.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Decided(pub(super) Vec<(Hash, View)>);

impl Decided {
    /// What becomes of it when this is stated; `None` when nothing does.
    pub(super) fn after(&self, at: usize, fact: &Fact) -> Result<Option<Self>, Broken> {
        match fact {
            Fact::Committed { view, log } => {
                if let Some(op) = self.0.iter().zip(log).position(|(decided, ours)| decided.0 != *ours) {
                    let message = format!("r{at} holds another op {} for committed than was decided", op + 1);
                    return Err(Broken::new("S1 agreement", message));
                }
                if log.len() <= self.0.len() {
                    return Ok(None);
                }
                let news = log[self.0.len()..].iter().map(|hash| (*hash, *view));
                Ok(Some(Self(self.0.iter().copied().chain(news).collect())))
            }
            Fact::Leads { view, log } => {
                let mut earlier = self.0.iter().enumerate().filter(|(_, (_, of))| of < view);
                let Some((op, _)) = earlier.find(|(op, (hash, _))| log.get(*op) != Some(hash)) else { return Ok(None) };
                let message =
                    format!("r{at} leads view {view} without op {}, which was decided in an earlier view", op + 1);
                Err(Broken::new("S8 best log", message))
            }
        }
    }

    /// What was decided is held by a quorum (`crate::check`, durability: why exactly so many).
    pub(super) fn is_held(&self, holders: usize, quorum: usize) -> Result<(), Broken> {
        if holders >= quorum {
            return Ok(());
        }
        let message = format!("op {} is decided, and fewer than {quorum} replicas hold it now", self.0.len());
        Err(Broken::new("S9 ack durability", message))
    }
}

/// A message leaves: its sender may say that.
pub(super) fn sends(node: &Node, message: &Message) -> Result<(), Broken> {
    let (header, disk) = (&message.header, node.disk());
    let (id, kind) = (header.from, message.body.kind().name());
    if header.view > disk.view || header.incarnation != disk.incarnation {
        let message = format!("r{id} sends a {kind} of view {}, its disk promises view {}", header.view, disk.view);
        return Err(Broken::new("S5 durable header", message));
    }
    if header.view < node.revealed() {
        let message = format!(
            "r{id} sends a {kind} of view {}, but had been known to be in view {}",
            header.view,
            node.revealed()
        );
        return Err(Broken::new("S10 promise kept", message));
    }
    if let Body::PrepareOk { head, .. } = &message.body {
        let is_sync = node.durability() == Durability::Sync;
        let (log_view, holds) = if is_sync {
            (disk.log_view, disk.log.contains(*head))
        } else {
            let (log_view, log) = node.memory();
            (log_view, head.op.0 == 0 || nth(&log, head.op.0) == Some(head.hash))
        };
        if log_view != header.view || !holds {
            let message = format!("r{id} acknowledges op {} in view {}, but does not hold it", head.op, header.view);
            return Err(Broken::new("S11 ack backed", message));
        }
    }
    Ok(())
}

/// Somebody leads a view: never one that an earlier life of its led.
pub(super) fn leads(node: &Node, view: View) -> Result<(), Broken> {
    if node.led().is_none_or(|led| led < view) {
        return Ok(());
    }
    Err(Broken::new("S7 justified start", format!("a replica leads view {view} for a second time")))
}

/// The op of a log.
pub(super) fn nth(log: &[Hash], op: u64) -> Option<Hash> {
    let at = usize::try_from(op.checked_sub(1)?).ok()?;
    log.get(at).copied()
}

/// What a note states that the group has to agree on.
pub(super) fn fact(note: &Note, view: View, log: impl FnOnce() -> Vec<Hash>) -> Option<Fact> {
    if let Note::Committed { op } = note {
        let mut log = log();
        log.truncate(usize::try_from(op.0).unwrap_or(0));
        Some(Fact::Committed { view, log })
    } else if let Note::BecamePrimary { view, .. } = note {
        Some(Fact::Leads { view: *view, log: log() })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(ops: &[(u128, u64)]) -> Decided {
        Decided(ops.iter().map(|(hash, view)| (Hash(*hash), View(*view))).collect())
    }

    fn log(ops: &[u128]) -> Vec<Hash> {
        ops.iter().copied().map(Hash).collect()
    }

    #[test]
    fn what_is_committed_is_decided_once_and_never_differs() {
        let none = Decided::default();
        let first = none.after(0, &Fact::Committed { view: View(0), log: log(&[7, 8]) }).unwrap().unwrap();
        assert_eq!(first, decided(&[(7, 0), (8, 0)]));
        assert_eq!(first.after(1, &Fact::Committed { view: View(0), log: log(&[7]) }), Ok(None));
        let other = first.after(1, &Fact::Committed { view: View(1), log: log(&[7, 9]) }).unwrap_err();
        assert_eq!(other.property, "S1 agreement");
        assert!(other.message.contains("op 2"), "{}", other.message);
    }

    #[test]
    fn a_view_is_led_with_everything_that_earlier_ones_decided() {
        let two = decided(&[(7, 0), (8, 2)]);
        assert_eq!(two.after(1, &Fact::Leads { view: View(1), log: log(&[7]) }), Ok(None), "op 2 came later");
        let lacking = two.after(1, &Fact::Leads { view: View(3), log: log(&[7]) }).unwrap_err();
        assert_eq!(lacking.property, "S8 best log");
        assert!(two.after(1, &Fact::Leads { view: View(1), log: log(&[9]) }).is_err());
    }

    #[test]
    fn what_is_decided_is_held_by_a_quorum() {
        assert_eq!(decided(&[(7, 0)]).is_held(2, 2), Ok(()));
        assert_eq!(decided(&[(7, 0)]).is_held(1, 2).unwrap_err().property, "S9 ack durability");
    }
}
