//! What a story looks at: a question to several replicas asserts that they agree.
//!
//! Owns questions and expectations; lets no time pass. Must not know any story.

use super::stage::{Role, Scenario, Verdict};
use crate::service::Key;
use std::fmt::Debug;
use vr_core::{Note, Op, Snapshot, StatusName, View};

impl Scenario {
    /// What is the same for everybody of this role who is up.
    ///
    /// # Errors
    /// When nobody is, or they do not agree; or the property that does not hold any more.
    pub fn agreed<T: PartialEq + Debug>(&self, role: Role, what: &str, of: impl Fn(&Snapshot) -> T) -> Verdict<T> {
        self.judge()?;
        let values: Vec<T> = self.snapshots(role).iter().map(of).collect();
        let agree = values.iter().all(|value| *value == values[0]);
        match values.into_iter().next() {
            Some(value) if agree => Ok(value),
            Some(_) => self.disappoint(format!("{role:?} to agree on {what}")),
            None => self.disappoint(format!("somebody of {role:?} to be up")),
        }
    }

    /// Their commit-number.
    ///
    /// # Errors
    /// When they do not agree.
    pub fn commit(&self, role: Role) -> Verdict<Op> {
        self.agreed(role, "the commit-number", |s| s.commit)
    }

    /// Their op-number.
    ///
    /// # Errors
    /// When they do not agree.
    pub fn op(&self, role: Role) -> Verdict<Op> {
        self.agreed(role, "the op-number", |s| s.op)
    }

    /// Their view.
    ///
    /// # Errors
    /// When they do not agree.
    pub fn view(&self, role: Role) -> Verdict<View> {
        self.agreed(role, "the view", |s| s.view)
    }

    /// Their status.
    ///
    /// # Errors
    /// When they do not agree.
    pub fn status(&self, role: Role) -> Verdict<StatusName> {
        self.agreed(role, "the status", |s| s.status)
    }

    /// They are all in this view.
    ///
    /// # Errors
    /// When they are not.
    pub fn expect_view(&self, role: Role, view: u64) -> Verdict {
        let is = self.view(role)?;
        self.expect(is == View(view), format!("{role:?} in view {view}"))
    }

    /// Their commit-number is this.
    ///
    /// # Errors
    /// When it is not.
    pub fn expect_commit(&self, role: Role, op: Op) -> Verdict {
        let is = self.commit(role)?;
        self.expect(is == op, format!("{role:?} at commit {op}"))
    }

    /// Their op-number is this.
    ///
    /// # Errors
    /// When it is not.
    pub fn expect_op(&self, role: Role, op: Op) -> Verdict {
        let is = self.op(role)?;
        self.expect(is == op, format!("{role:?} at op {op}"))
    }

    /// They are all this.
    ///
    /// # Errors
    /// When they are not.
    pub fn expect_status(&self, role: Role, status: StatusName) -> Verdict {
        let is = self.status(role)?;
        self.expect(is == status, format!("{role:?} to be {status:?}"))
    }

    /// Somebody of this role stated something like this at some time.
    ///
    /// # Errors
    /// When nobody did.
    pub fn expect_note(&self, role: Role, what: &str, like: impl Fn(&Note) -> bool) -> Verdict {
        self.expect(self.count_notes(role, like) > 0, format!("{role:?} to have noted {what}"))
    }

    /// Nobody of this role ever stated something like this.
    ///
    /// # Errors
    /// When somebody did.
    pub fn expect_no_note(&self, role: Role, what: &str, like: impl Fn(&Note) -> bool) -> Verdict {
        self.expect(self.count_notes(role, like) == 0, format!("nobody of {role:?} to have noted {what}"))
    }

    /// How often somebody of this role stated something like this.
    #[must_use]
    pub fn count_notes(&self, role: Role, like: impl Fn(&Note) -> bool) -> usize {
        let who = self.all(role);
        self.world.notes().iter().filter(|(at, note)| who.contains(at) && like(note)).count()
    }

    /// Everybody of this role who is up has this value in memory.
    ///
    /// # Errors
    /// When somebody has not.
    pub fn expect_value(&self, role: Role, key: u16, value: Option<&str>) -> Verdict {
        for at in self.up(role) {
            let is = self.world.service(at).and_then(|kv| kv.value(Key(key)));
            self.expect(is == value.map(str::as_bytes), format!("r{at} to hold {value:?} for key {key}"))?;
        }
        Ok(())
    }

    /// Everybody of this role is up and has the same memory, the same client table, and the same log in memory and on
    /// disk, all of it executed.
    ///
    /// # Errors
    /// When they differ.
    pub fn expect_equal_memory_and_disk(&mut self, role: Role) -> Verdict {
        let all = self.all(role);
        let what = format!("nothing on its way to the disk of r{all:?}");
        self.wait_until(self.heartbeat(), &what, |world| all.iter().all(|at| world.writes_under_way(*at) == 0))?;
        let first = all[0];
        let (kv, log) = (self.world.service(first), &self.world.disk(first).log);
        let op = self.op(role)?;
        for at in &all {
            let disk = &self.world.disk(*at).log;
            self.expect(disk.op() == op, format!("the disk of r{at} to end at op {op}, not {}", disk.op()))?;
            let both = disk.base().op.max(log.base().op);
            let same = disk.after(both).eq(log.after(both));
            self.expect(same, format!("the disks of r{at} and r{first} to hold the same log"))?;
            self.expect(self.world.service(*at) == kv, format!("r{at} and r{first} to hold the same values"))?;
            let tables = self.world.table_digest(*at) == self.world.table_digest(first);
            self.expect(tables, format!("r{at} and r{first} to hold the same client table"))?;
        }
        let executed = self.agreed(role, "what is executed", |s| s.executed)?;
        self.expect(executed == op, format!("{role:?} to have executed op {op}"))
    }
}
