//! The kit for storage: what a write-ahead log must give back, whatever happens to the disk under it.
//!
//! Owns the faults and the judgement: power is cut behind every operation on the medium, confirmed bytes rot, a sync
//! fails, the disk is full. What is opened must be the fold of a prefix of the writes ([`vr_core::Stored`]) with all that
//! was confirmed in it, or be refused, or say what is lost. Must not know files. PROTOCOL §6, D40 to D45, D53 to D62.

mod reference;
mod story;
mod torn;

pub use reference::{Defect, Reference};

use super::Report;
use story::{Chapter, story};
use torn::fits;
use vr_core::{ClusterConfig, ClusterId, ReplicaId, Stored, Write, WriteId};

/// Whose disk it is: the replica.
pub const REPLICA: ReplicaId = ReplicaId(1);

/// Whose disk it is: the cluster.
#[must_use]
pub fn cluster() -> ClusterConfig {
    ClusterConfig::of_size(ClusterId(0xD15C), 3)
}

/// What a power cut leaves of what was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeps {
    /// Nothing.
    Nothing,
    /// Everything.
    Everything,
    /// Some of it, as finely as the medium tears: the same for the same number.
    Some(u64),
}

/// What became of a write that was handed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrote {
    /// It is on its way; a later sync says when it is durable.
    Taken,
    /// There is no room. Nothing of it was begun.
    Full,
    /// The disk failed: nothing is confirmed any more.
    Failed,
}

/// An embedder's storage, over a medium that can be made to fail.
pub trait Storage: Sized {
    /// A new disk on which nothing went wrong, formatted for [`REPLICA`] of [`cluster`], and closed.
    fn format(&mut self) -> Result<(), String>;

    /// Opens it. An error is a refusal: this replica must not take part.
    ///
    /// # Errors
    /// In one line, when it is not sure what was promised.
    fn open(&mut self) -> Result<Stored, String>;

    /// Hands over a write, after those before it.
    fn write(&mut self, id: WriteId, write: &Write) -> Wrote;

    /// Makes durable what was handed over, and says through which write that is.
    ///
    /// # Errors
    /// When the disk failed.
    fn sync(&mut self) -> Result<WriteId, String>;

    /// Closes it in good order; what was handed over may become durable.
    fn close(&mut self);

    /// How many operations there were on the medium since the last `format`, or since `cut` made it: each write, each
    /// sync, each change of a name. Power can be cut behind any of them.
    fn moments(&self) -> u64;

    /// The storage, closed, as it is found after the power failed behind the first `moment` operations. This one stays as
    /// it is. Where a medium cannot be copied, what it was made to do is done again up to there.
    #[must_use]
    fn cut(&self, moment: u64, keeps: Keeps) -> Self;

    /// Spoils a place of the closed medium, the same for the same number; false when there are fewer places.
    fn rot(&mut self, place: u64) -> bool;

    /// From now on there is no room for anything new, or there is again.
    fn fill(&mut self, full: bool);

    /// The next sync fails, and the medium says so. Later ones work again.
    fn fail_sync(&mut self);
}

/// What was done to a storage, and what it said.
struct Run {
    /// What is stored after 0, 1, … writes.
    folds: Vec<Stored>,
    writes: Vec<Write>,
    /// After so many operations so many writes were confirmed.
    confirmed: Vec<(u64, usize)>,
    /// After so many operations so many writes had been handed over.
    issued: Vec<(u64, usize)>,
    /// The format and the first opening were over here.
    begun: u64,
}

impl Run {
    fn begin<S: Storage>(subject: &mut S) -> Result<Self, String> {
        subject.format()?;
        let begun = subject.moments();
        let first = subject.open()?;
        let virgin = Stored::format(cluster().cluster, cluster().digest(), REPLICA, first.instance);
        if first != virgin {
            return Err(format!("a disk that was just formatted holds {first:?}"));
        }
        let none = vec![(0, 0)];
        Ok(Self { folds: vec![first], writes: Vec::new(), confirmed: none.clone(), issued: none, begun })
    }

    fn last(&self) -> &Stored {
        self.folds.last().expect("the first is there from the beginning")
    }

    /// Hands over one more write.
    fn write<S: Storage>(&mut self, subject: &mut S, write: Write) -> Wrote {
        let before = subject.moments();
        let id = WriteId(u64::try_from(self.folds.len()).unwrap_or(u64::MAX));
        let wrote = subject.write(id, &write);
        if wrote != Wrote::Full {
            let mut next = self.last().clone();
            next.apply(write.clone());
            self.issued.push((before, self.folds.len()));
            self.folds.push(next);
            self.writes.push(write);
        }
        wrote
    }

    fn sync<S: Storage>(&mut self, subject: &mut S) -> Result<(), String> {
        let id = subject.sync()?;
        let all = self.writes.len();
        let through = usize::try_from(id.0).ok().filter(|through| *through <= all);
        let through = through.ok_or_else(|| format!("write {} is confirmed, of {all}", id.0))?;
        self.confirmed.push((subject.moments(), through));
        Ok(())
    }

    fn tell<S: Storage>(&mut self, subject: &mut S) -> Result<(), String> {
        for chapter in story() {
            match chapter {
                Chapter::Sync => self.sync(subject)?,
                Chapter::Write(step) => {
                    let Some(write) = step.write(self.last()) else { continue };
                    let wrote = self.write(subject, write);
                    if wrote != Wrote::Taken {
                        return Err(format!("write {}: {wrote:?}", self.writes.len()));
                    }
                }
            }
        }
        self.sync(subject)
    }

    /// The writes that must be there, and those that may be, after so many operations.
    fn bounds(&self, moment: u64) -> (usize, usize) {
        let most = |list: &[(u64, usize)]| list.iter().filter(|(at, _)| *at <= moment).map(|(_, n)| *n).max();
        (most(&self.confirmed).unwrap_or(0), most(&self.issued).unwrap_or(0))
    }

    /// Is that what a power cut may leave?
    fn judge(&self, moment: u64, found: &Stored) -> Result<(), String> {
        let (least, most) = self.bounds(moment);
        if fits(&self.folds, &self.writes, least..=most, found) {
            return Ok(());
        }
        Err(format!("cut behind operation {moment}, when {least} to {most} writes were on their way: found {found:?}"))
    }
}

/// Tries everything. A kit of a few thousand starts: on a medium in memory a second or two.
pub fn try_all<S: Storage>(subject: &mut S) -> Report {
    let mut report = Report::new("storage");
    report.case("what was confirmed is there after it was closed", |tried| closed(subject, tried));
    report.case("a power cut that leaves nothing of what was not synced leaves what was confirmed", |tried| {
        cuts(subject, &[Keeps::Nothing], tried)
    });
    report.case("a power cut that leaves all of what was not synced leaves a prefix", |tried| {
        cuts(subject, &[Keeps::Everything], tried)
    });
    report.case("a power cut that leaves some of what was not synced leaves a prefix", |tried| {
        cuts(subject, &[1, 2, 3].map(Keeps::Some), tried)
    });
    report.case("what was found after a power cut is found again after the next", |tried| again(subject, tried));
    report.case("what rotted is refused or told, and never a shorter log in silence", |tried| rot(subject, tried));
    report.case("nothing is confirmed after a sync that failed", |tried| failed_sync(subject, tried));
    report.case("a full disk refuses what it has no room for and keeps the rest", |tried| full(subject, tried));
    report
}

fn closed<S: Storage>(subject: &mut S, tried: &mut u64) -> Result<(), String> {
    let mut run = Run::begin(subject)?;
    run.tell(subject)?;
    subject.close();
    *tried += 1;
    let found = subject.open()?;
    let same = found == *run.last();
    if same { Ok(()) } else { Err(format!("found {found:?}, not {:?}", run.last())) }
}

fn cuts<S: Storage>(subject: &mut S, all: &[Keeps], tried: &mut u64) -> Result<(), String> {
    let mut run = Run::begin(subject)?;
    run.tell(subject)?;
    for moment in run.begun..=subject.moments() {
        for keeps in all {
            *tried += 1;
            let mut left = subject.cut(moment, *keeps);
            let found = left.open().map_err(|why| format!("cut behind operation {moment}: {why}"))?;
            run.judge(moment, &found).map_err(|why| format!("{keeps:?}: {why}"))?;
        }
    }
    Ok(())
}

/// Power fails at any moment of a start, too.
fn again<S: Storage>(subject: &mut S, tried: &mut u64) -> Result<(), String> {
    let mut run = Run::begin(subject)?;
    run.tell(subject)?;
    for moment in (run.begun..=subject.moments()).step_by(5) {
        let mut left = subject.cut(moment, Keeps::Some(moment));
        let found = left.open().map_err(|why| format!("cut behind operation {moment}: {why}"))?;
        for second in [left.moments(), left.moments().saturating_sub(1 + moment % 3)] {
            *tried += 1;
            let mut twice = left.cut(second, Keeps::Nothing);
            let later = twice.open().map_err(|why| format!("cut twice, at {moment} and {second}: {why}"))?;
            let kept = second < left.moments() || later == found;
            if !kept {
                return Err(format!("cut behind operation {moment}: found {found:?}, and then {later:?}"));
            }
            run.judge(moment, &later).map_err(|why| format!("cut twice: {why}"))?;
        }
    }
    Ok(())
}

fn rot<S: Storage>(subject: &mut S, tried: &mut u64) -> Result<(), String> {
    let mut run = Run::begin(subject)?;
    run.tell(subject)?;
    subject.close();
    let all = run.last();
    for place in 0.. {
        let mut rotten = subject.cut(subject.moments(), Keeps::Everything);
        if !rotten.rot(place) {
            return Ok(());
        }
        *tried += 1;
        let Ok(found) = rotten.open() else { continue };
        let told = |what: &str| Err(format!("place {place}: {what}: {found:?} of {all:?}"));
        if (found.incarnation, found.view, found.log_view) != (all.incarnation, all.view, all.log_view) {
            return told("a promise is forgotten");
        }
        if found.damage.is_none() && (found.log.head() != all.log.head() || found.checkpoint != all.checkpoint) {
            return told("a shorter log in silence");
        }
        let known = |head| run.folds.iter().any(|fold| fold.log.contains(head));
        if !known(found.log.head()) {
            return told("a log that was never written");
        }
    }
    Ok(())
}

fn failed_sync<S: Storage>(subject: &mut S, tried: &mut u64) -> Result<(), String> {
    let mut run = Run::begin(subject)?;
    let next = |run: &mut Run, subject: &mut S| {
        let write = Write::View(run.last().view.next());
        run.write(subject, write)
    };
    next(&mut run, subject);
    run.sync(subject)?;
    next(&mut run, subject);
    subject.fail_sync();
    *tried += 1;
    if let Ok(id) = subject.sync() {
        return Err(format!("write {} was confirmed by a sync that failed", id.0));
    }
    // The medium works again, and nobody knows what it holds.
    for _ in 0..3 {
        next(&mut run, subject);
        if let Ok(id) = subject.sync() {
            return Err(format!("write {} was confirmed after a sync had failed", id.0));
        }
    }
    let mut left = subject.cut(subject.moments(), Keeps::Nothing);
    let found = left.open()?;
    run.judge(subject.moments(), &found)
}

fn full<S: Storage>(subject: &mut S, tried: &mut u64) -> Result<(), String> {
    let mut run = Run::begin(subject)?;
    let append = |run: &Run| Write::Append(super::entries_after(run.last().log.head(), run.last().view, 1, 3000));
    let write = append(&run);
    run.write(subject, write);
    run.sync(subject)?;
    subject.fill(true);
    let mut refused = false;
    // What was reserved ahead may still take some.
    for _ in 0..4096 {
        let write = append(&run);
        match run.write(subject, write) {
            Wrote::Taken => run.sync(subject)?,
            Wrote::Full => refused = true,
            Wrote::Failed => return Err("a disk that is full fails, and does not refuse".to_owned()),
        }
        if refused {
            break;
        }
    }
    if !refused {
        return Err("a disk that is full takes everything".to_owned());
    }
    *tried += 1;
    let mut left = subject.cut(subject.moments(), Keeps::Nothing);
    run.judge(subject.moments(), &left.open()?)?;
    subject.fill(false);
    let write = append(&run);
    if run.write(subject, write) != Wrote::Taken {
        return Err("there is room again, and nothing is taken".to_owned());
    }
    run.sync(subject)?;
    let mut left = subject.cut(subject.moments(), Keeps::Nothing);
    run.judge(subject.moments(), &left.open()?)
}

#[cfg(test)]
mod tests;
