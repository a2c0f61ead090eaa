//! How a story moves views: replicas lose patience together, elect, settle.
//!
//! Owns the few compound moves that stories are made of. They do nothing that a timer could not do. Must not know any
//! story. DESIGN §10 "The gate".

use super::stage::{Role, Scenario, Verdict};
use crate::workload::KvClients;
use crate::world::World;
use vr_core::{Snapshot, StatusName, View, Wait};

/// Is it in normal status?
pub(crate) const fn is_normal(snapshot: &Snapshot) -> bool {
    matches!(snapshot.status, StatusName::Primary | StatusName::Backup)
}

impl Scenario {
    /// Longer than any replica waits for anything.
    fn beyond_patience(&self) -> Wait {
        let setup = self.world.setup();
        self.heartbeat().times(setup.view_change.1 * 8 + setup.abdicate + 1)
    }

    /// The patience of these is at an end: their clocks jump over every deadline.
    pub fn lose_patience(&mut self, who: &[usize]) {
        let ahead = self.beyond_patience();
        who.iter().for_each(|at| self.world.advance_clock(*at, ahead));
    }

    /// These lose patience together and leave the latest view among them for the next one. Whoever could keep them
    /// in it must be cut off before.
    ///
    /// # Errors
    /// When they do not; or the property that does not hold any more.
    pub fn depose(&mut self, who: &[usize]) -> Verdict<View> {
        let views = |scenario: &Self| who.iter().filter_map(|at| scenario.world.snapshot(*at)).map(|s| s.view).max();
        let from = views(self).unwrap_or_default();
        let left = |world: &World<KvClients>, at: usize| world.snapshot(at).is_some_and(|s| s.view > from);
        // Whoever first has to learn of the view loses patience with it after that.
        for _ in 0..4 {
            let content = |at: &usize| self.world.snapshot(*at).is_some_and(|s| s.view <= from && !s.wants_view_change);
            let impatient: Vec<usize> = who.iter().copied().filter(content).collect();
            self.lose_patience(&impatient);
            let until = self.world.now().after(self.heartbeat().times(2));
            self.world.run_until(until, |world| who.iter().all(|at| left(world, *at)));
            self.judge()?;
        }
        let all = who.iter().all(|at| left(&self.world, *at));
        self.expect(all, format!("r{who:?} to leave view {from}"))?;
        Ok(views(self).unwrap_or_default())
    }

    /// These leave their view, and the next, until one of them leads the others.
    ///
    /// # Errors
    /// When that does not happen; or the property that does not hold any more.
    pub fn elect(&mut self, who: &[usize]) -> Verdict<View> {
        for _ in 0..self.members() {
            let view = self.depose(who)?;
            let primary = usize::from(self.world.config(0).cluster.primary(view).0);
            if who.contains(&primary) {
                self.join(who, view)?;
                return Ok(view);
            }
        }
        self.disappoint(format!("one of r{who:?} to lead the others"))
    }

    /// [`Scenario::elect`], until this one leads.
    ///
    /// # Errors
    /// As there.
    pub fn elect_as(&mut self, primary: usize, who: &[usize]) -> Verdict<View> {
        for _ in 0..self.members() {
            let view = self.elect(who)?;
            if usize::from(self.world.config(0).cluster.primary(view).0) == primary {
                return Ok(view);
            }
        }
        self.disappoint(format!("r{primary} to lead r{who:?}"))
    }

    /// These are soon normal in this view.
    ///
    /// # Errors
    /// When they are not; or the property that does not hold any more.
    pub fn join(&mut self, who: &[usize], view: View) -> Verdict {
        let wait = self.heartbeat().times(4);
        self.wait_until(wait, &format!("r{who:?} to be normal in view {view}"), |world| {
            who.iter().all(|at| world.snapshot(*at).is_some_and(|s| s.view == view && is_normal(&s)))
        })
    }

    /// Everybody who is up comes to agree and every client is answered, without any help.
    ///
    /// # Errors
    /// When that does not happen within the bound on liveness; or the property that does not hold any more.
    pub fn settle(&mut self) -> Verdict {
        self.settle_among(&self.up(Role::All))
    }

    /// [`Scenario::settle`], of these alone.
    ///
    /// # Errors
    /// As there.
    pub fn settle_among(&mut self, who: &[usize]) -> Verdict {
        self.wake_clients();
        let (clients, bound) = (self.clients(), self.world.setup().liveness_bound());
        self.wait_until(bound, &format!("r{who:?} to settle"), |world| {
            let idle = (0..clients).all(|client| !world.is_waiting(client));
            let Some(all) = who.iter().map(|at| world.snapshot(*at)).collect::<Option<Vec<_>>>() else { return false };
            let led = all.iter().any(|s| s.status == StatusName::Primary && !s.wants_view_change);
            let place = |s: &Snapshot| (s.view, s.op, s.op, s.op);
            // A witness executes nothing.
            let executed = |s: &Snapshot| if world.setup().witnesses.contains(&s.id.0) { s.commit } else { s.executed };
            let together = |s: &Snapshot| (s.view, s.op, s.commit, executed(s)) == place(&all[0]);
            idle && led && all.iter().all(|s| is_normal(s) && together(s))
        })
    }
}
