//! Client tables are replicated state: equal after equal ops: S16.
//!
//! Owns the first digest seen at each op. Must not know what is in a table. VRR §4.1, §4.5; PROTOCOL §4 S16, D74, D77.

use super::shadow::Shadow;
use super::{Violation, short};
use std::collections::BTreeMap;
use vr_core::{Hash, Op};

const S16: &str = "S16 table equality";

#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    /// By op: the first digest, and whose it was.
    first: BTreeMap<Op, (Hash, usize)>,
}

impl Tables {
    /// A replica told the digest of its table after `op`.
    pub(super) fn at(&mut self, shadow: &Shadow, who: usize, op: Op, table: Hash) -> Result<(), Violation> {
        let (first, by) = *self.first.entry(op).or_insert((table, who));
        if first == table {
            return Ok(());
        }
        let (id, other) = (shadow.id(who), shadow.id(by));
        let (ours, theirs) = (short(table), short(first));
        let message = format!("after op {op} the client table of {id:?} is {ours}, that of {other:?} was {theirs}");
        Err(Violation::safety(S16, message, &[id, other], &[op]))
    }
}

#[cfg(test)]
mod tests {
    use crate::check::stage::{Stage, broken};
    use vr_core::{Durability, Hash, Note, Op};

    #[test]
    fn tables_that_differ_after_the_same_op_are_caught() {
        let mut stage = Stage::new(3, Durability::Sync);
        let at = |op, table| Note::TableAt { op: Op(op), table: Hash(table) };
        for (r, op, table) in [(0, 8, 1), (1, 8, 1), (0, 16, 2), (2, 8, 1), (1, 16, 2)] {
            assert_eq!(broken(stage.notes(r, at(op, table))), "nothing");
        }
        assert_eq!(broken(stage.notes(2, at(16, 1))), super::S16);
    }
}
