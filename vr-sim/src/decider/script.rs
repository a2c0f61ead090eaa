//! Departures spelt out in bytes, so that a change of some of them changes one departure and not all that follow.
//!
//! Owns the spelling: six bytes for each, the kind, how many choices of that kind go by before it, and what is chosen.
//! Must not know what a choice does. DESIGN 9.13, 9.19.

use super::ChoiceKind;
use std::collections::{BTreeMap, VecDeque};

/// Bytes of one departure.
const DEPARTURE: usize = 6;
/// So many kinds there may be: what names none of them is no departure, so that a new one changes no others.
const KINDS_MOST: u8 = 32;

/// What is still to come, of each kind: after so many choices as usual, this one.
#[derive(Clone, Debug)]
pub(super) struct Script(BTreeMap<ChoiceKind, VecDeque<(u32, u32)>>);

impl Script {
    pub(super) fn new(data: &[u8]) -> Self {
        let kinds: Vec<_> = ChoiceKind::all().collect();
        let mut script: BTreeMap<_, VecDeque<_>> = BTreeMap::new();
        for departure in data.chunks_exact(DEPARTURE) {
            let Some(kind) = kinds.get(usize::from(departure[0] % KINDS_MOST)).copied() else { continue };
            let value = u32::from_le_bytes([departure[2], departure[3], departure[4], departure[5]]);
            script.entry(kind).or_default().push_back((usual(departure[1]), value));
        }
        Self(script)
    }

    /// Below `bound`, which is at least 2; never 0 where a departure is due.
    pub(super) fn choose(&mut self, kind: ChoiceKind, bound: u32) -> u32 {
        let Some(to_come) = self.0.get_mut(&kind) else { return 0 };
        match to_come.front_mut() {
            Some((0, value)) => {
                let value = 1 + *value % (bound - 1);
                to_come.pop_front();
                value
            }
            Some((usual, _)) => {
                *usual -= 1;
                0
            }
            None => 0,
        }
    }
}

/// Few of them exactly, many of them roughly: up to 2,032.
fn usual(byte: u8) -> u32 {
    let byte = u32::from(byte);
    if byte < 32 { byte } else { byte * byte / 32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_departure_is_due_after_as_many_choices_of_its_kind_as_it_says() {
        let core = ChoiceKind::all().position(|kind| kind == ChoiceKind::Core).unwrap();
        let core = u8::try_from(core).unwrap();
        let mut script = Script::new(&[core, 2, 7, 0, 0, 0, core, 0, 9, 0, 0, 0, core, 0]);
        let mut choose = |kind| script.choose(kind, 10);
        assert_eq!([choose(ChoiceKind::Core), choose(ChoiceKind::Core)], [0, 0]);
        assert_eq!(choose(ChoiceKind::Fault), 0, "another kind changes nothing");
        assert_eq!([choose(ChoiceKind::Core), choose(ChoiceKind::Core), choose(ChoiceKind::Core)], [8, 1, 0]);
    }

    #[test]
    fn every_kind_can_be_spelt_but_for_messages_about_epochs_read_indexes_and_of_groups_with_witnesses() {
        // No script reconfigures, has witnesses, or lets backups answer reads.
        assert_eq!(ChoiceKind::all().count(), usize::from(KINDS_MOST) + 7);
    }

    #[test]
    fn the_smallest_bound_leaves_one_departure() {
        let mut script = Script::new(&[0, 0, 255, 255, 255, 255]);
        assert_eq!(script.choose(ChoiceKind::all().next().unwrap(), 2), 1);
    }
}
