//! Every event as one plain sentence, for terminals and for the page's event list.
//!
//! Owns the wording. Must not know more than the event says. VIEW.md P5 ("a one-sentence plain-language
//! explanation").

use super::event::{TraceEvent, What};
use super::kinds::{
    Crashed, DiskEvent, Executed, LogSlot, Meta, Partitioned, Received, Restarted, Returned, Sent, State, Summary,
    Synced, TimerEvent,
};
use super::names::Node;
use super::words::{DiskAct, LogAct, Settled, SyncAct, TimerAct, Verdict};
use core::fmt::{self, Display, Formatter};

impl Display for TraceEvent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.what, self.n) {
            (What::Sent(sent), Some(n)) => write!(f, "{n} → {sent}"),
            (What::Received(received), Some(n)) => write!(f, "{} → {n} {received}", received.m.sender()),
            (what, Some(n)) => write!(f, "{n} {what}"),
            (what, None) => what.fmt(f),
        }
    }
}

impl Display for What {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meta(meta) => meta.fmt(f),
            Self::Snap(snap) => write!(f, "is{}", snap.state),
            Self::Set(state) => write!(f, "now{state}"),
            Self::Sent(sent) => write!(f, "→ {sent}"),
            Self::Received(received) => received.fmt(f),
            Self::Dropped(it) => write!(f, "loses {}{}: {}", it.m, Towards(it.to), it.why),
            Self::Duplicated(it) => write!(f, "delivers {}{} once more", it.m, Towards(it.to)),
            Self::Delayed(it) => write!(f, "holds {}{} back until {} ns", it.m, Towards(it.to), it.until),
            Self::Corrupted(it) => write!(f, "damages {} bits of {}{}", it.bits, it.m, Towards(it.to)),
            Self::Timer(timer) => timer.fmt(f),
            Self::Log(slot) => slot.fmt(f),
            Self::Acknowledged(ack) => {
                write!(f, "counts {}'s acknowledgement through op {}", ack.from, ack.op)?;
                match (ack.have, ack.need) {
                    (Some(have), Some(need)) => write!(f, ": {have} of {need}"),
                    (Some(_) | None, Some(_) | None) => Ok(()),
                }
            }
            Self::Committed(commit) => write!(f, "knows that everything through op {} is committed", commit.op),
            Self::Executed(executed) => executed.fmt(f),
            Self::Disk(disk) => disk.fmt(f),
            Self::Crashed(crash) => crash.fmt(f),
            Self::Restarted(restart) => restart.fmt(f),
            Self::Partitioned(partition) => partition.fmt(f),
            Self::Healed(heal) => match heal.id {
                Some(id) => write!(f, "ends partition {id}"),
                None => f.write_str("ends every partition"),
            },
            Self::Invoked(it) => write!(f, "calls {}({}), its request {}", it.f, it.input, it.req),
            Self::Returned(returned) => returned.fmt(f),
            Self::Checkpointed(it) => write!(f, "has a checkpoint after op {}: {}", it.op, it.ck),
            Self::Synced(synced) => synced.fmt(f),
            Self::Reconfigured(it) => write!(f, "starts epoch {} with {}", it.epoch, Nodes(&it.members)),
            Self::Aggregated(it) => {
                write!(f, "{} → {}: {} × {}, {} bytes in {} ns", it.from, it.to, it.count, it.ty, it.bytes, it.dt)
            }
            Self::Gap(gap) => {
                write!(f, "{} events are missing: its state is unknown until the next snapshot", gap.lost)
            }
            Self::Do(it) => {
                f.write_str("was told:")?;
                it.cmd.iter().try_for_each(|(key, value)| match key.as_ref() {
                    "do" => write!(f, " {value}"),
                    key => write!(f, " {key}={value}"),
                })
            }
            Self::Note(remark) => f.write_str(&remark.text),
            Self::Violated(it) => write!(f, "VIOLATION of {} ({}): {}", it.inv, it.sev, it.msg),
            Self::Ended(it) => write!(f, "the end: {}, {} events, {} violations", it.result, it.events, it.viol),
            Self::Unknown => f.write_str("did something that this version does not know"),
        }
    }
}

struct Towards(Option<Node>);

impl Display for Towards {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |to| write!(f, " to {to}"))
    }
}

struct Nodes<'a>(&'a [Node]);

impl Display for Nodes<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(i, node)| write!(f, "{}{node}", if i == 0 { "" } else { " " }))
    }
}

/// A number, or that it is not known.
struct Number(Option<u64>);

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("?"),
        }
    }
}

impl Display for Meta {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} trace of {}", self.mode, Nodes(&self.config.members))?;
        self.seed.map_or(Ok(()), |seed| write!(f, ", seed {seed}"))?;
        self.repro.as_ref().map_or(Ok(()), |command| write!(f, ", again with: {command}"))
    }
}

impl Display for State {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { inc, view, epoch, status, lnv, op, commit, applied, durable, ckpt, primary, log_lo, want, .. } =
            self;
        status.map_or(Ok(()), |status| write!(f, " {status}"))?;
        let numbers = [
            ("incarnation", inc),
            ("epoch", epoch),
            ("view", view),
            ("last normal in view", lnv),
            ("op", op),
            ("durable through", durable),
            ("committed through", commit),
            ("executed through", applied),
            ("checkpoint", ckpt),
            ("log from", log_lo),
            ("waiting requests", &self.queue),
        ];
        let known = numbers.into_iter().filter_map(|(name, number)| number.map(|number| (name, number)));
        known.into_iter().try_for_each(|(name, number)| write!(f, " · {name} {number}"))?;
        primary.map_or(Ok(()), |primary| write!(f, " · primary {primary}"))?;
        match want {
            Some(true) => f.write_str(" · wants another view"),
            Some(false) if inc.is_none() => f.write_str(" · wants no other view any more"),
            Some(false) | None => Ok(()),
        }
    }
}

impl Display for Sent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { m: _, to, ty, view, op, commit, sz: _, b } = self;
        let none = Summary::default();
        let more = b.as_deref().unwrap_or(&none);
        let (view, op, commit) = (Number(*view), Number(*op), Number(*commit));
        write!(f, "{to} {ty}: ")?;
        match ty.as_ref() {
            "Prepare" => {
                match more.n {
                    Some(n) => write!(f, "{n} entries through op {op}")?,
                    None => write!(f, "op {op}")?,
                }
                write!(f, " in view {view}, committed through op {commit}")
            }
            "PrepareOk" => write!(f, "durable through op {op} in view {view}"),
            "Commit" => write!(f, "still primary of view {view}, committed through op {commit}, log ends at op {op}"),
            "CommitOk" => write!(f, "heard the primary of view {view}"),
            "StartViewChange" if more.want == Some(true) => write!(f, "wants to leave view {view}"),
            "StartViewChange" => write!(f, "is in view {view}"),
            "DoViewChange" => {
                let lnv = Number(more.lnv);
                write!(f, "for view {view}: log of view {lnv} through op {op}, committed through op {commit}")
            }
            "StartView" => write!(f, "view {view} starts, its log ends at op {op}, committed through op {commit}"),
            "GetState" => write!(f, "asks for what follows {}", Newest(more)),
            "NewState" => write!(f, "{} of a log that ends at op {op}", Listed(more)),
            "Recovery" => write!(f, "asks for its memory, of view {} or later", Number(more.view_min)),
            "RecoveryResponse" if more.log_len.is_none() => write!(f, "is in view {view}"),
            "RecoveryResponse" => write!(f, "is primary of view {view}, {}, its log ends at op {op}", Listed(more)),
            "GetReadIndex" => f.write_str("asks what the answers to its clients' reads must reflect"),
            "ReadIndex" => write!(f, "reads must reflect everything through op {op}"),
            "Request" | "Read" => f.write_str(more.val.as_deref().unwrap_or("opens a session")),
            "Reply" if self.op.is_none() => f.write_str("its read is answered"),
            "Reply" => write!(f, "op {op} is done{}", more.val.as_ref().map_or("", |_| ": "))
                .and_then(|()| f.write_str(more.val.as_deref().unwrap_or_default())),
            "Reject" => write!(f, "refused, {}", more.why.as_deref().unwrap_or("no reason given")),
            _ => write!(f, "view {view}, op {op}"),
        }
    }
}

/// The newest position a question names.
struct Newest<'a>(&'a Summary);

impl Display for Newest<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.have.as_ref().and_then(|have| have.first()) {
            Some((op, _)) => write!(f, "op {op}"),
            None => f.write_str("nothing"),
        }
    }
}

/// How many entries a page brings.
struct Listed<'a>(&'a Summary);

impl Display for Listed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.log.as_deref() {
            Some([_]) => f.write_str("1 entry"),
            Some(log) if self.0.cut == Some(true) => write!(f, "{} entries or more", log.len()),
            Some(log) => write!(f, "{} entries", log.len()),
            None => f.write_str("no entries"),
        }
    }
}

impl Display for Received {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} arrives", self.ty, self.m)?;
        let why = self.why.as_deref().unwrap_or("no reason given");
        match self.verdict {
            Verdict::Ok => Ok(()),
            Verdict::Ignored => write!(f, " and is ignored: {why}"),
            Verdict::Stale => write!(f, " too late: {why}"),
            Verdict::Bad => write!(f, " and is refused: {why}"),
        }
    }
}

impl Display for TimerEvent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let until = Number(self.at);
        match self.act {
            TimerAct::Set => write!(f, "sets its timer {} to {until} ns", self.name),
            TimerAct::Fire => write!(f, "timer {} is due", self.name),
            TimerAct::Cancel => write!(f, "cancels its timer {}", self.name),
        }
    }
}

impl Display for LogSlot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let op = self.op;
        match self.act {
            LogAct::Append => write!(f, "puts op {op} into its log")?,
            LogAct::Repair => write!(f, "fills op {op} of its log from a peer")?,
            LogAct::Truncate => return write!(f, "drops everything after op {op} from its log"),
            LogAct::Faulty => return write!(f, "cannot read op {op} of its log"),
        }
        match (self.client, self.req) {
            (Some(client), Some(0)) => write!(f, ": a session for {client}")?,
            (Some(client), req) => write!(f, ": request {} of {client}", Number(req))?,
            (None, _) => {}
        }
        self.val.as_ref().map_or(Ok(()), |value| write!(f, ", {value}"))?;
        self.view.map_or(Ok(()), |view| write!(f, ", of view {view}"))
    }
}

impl Display for Executed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "executed op {}", self.op)?;
        self.client.map_or(Ok(()), |client| write!(f, ", request {} of {client}", Number(self.req)))?;
        self.res.as_ref().map_or(Ok(()), |result| write!(f, ": {result}"))
    }
}

impl Display for DiskEvent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let w = Number(self.w);
        match self.act {
            DiskAct::Write => write!(f, "disk takes write {w}")?,
            DiskAct::Fsync => write!(f, "disk holds every write through {w}")?,
            DiskAct::Read => f.write_str("disk is read")?,
        }
        self.what.as_ref().map_or(Ok(()), |what| write!(f, " ({what})"))?;
        self.op.map_or(Ok(()), |op| write!(f, ", through op {op}"))?;
        self.fault.map_or(Ok(()), |fault| write!(f, ": {fault}"))
    }
}

impl Display for Crashed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("crashes")?;
        if self.wiped == Some(true) {
            f.write_str(" and loses its disk")?;
        }
        self.lost.as_ref().map_or(Ok(()), |lost| write!(f, ", {} ops are not on its disk", lost.len()))
    }
}

impl Display for Restarted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "starts its life {}", self.inc)?;
        if self.wiped == Some(true) { f.write_str(", on an empty disk") } else { Ok(()) }
    }
}

impl Display for Partitioned {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let between = if self.oneway == Some(true) { " ⇢ " } else { " | " };
        write!(f, "partition {}: ", self.id)?;
        self.groups
            .iter()
            .enumerate()
            .try_for_each(|(i, group)| write!(f, "{}{}", if i == 0 { "" } else { between }, Nodes(group)))
    }
}

impl Display for Returned {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let out = self.out.as_deref().unwrap_or_default();
        match self.st {
            Settled::Ok => write!(f, "has the answer to its request {}: {out}", self.req),
            Settled::Fail => write!(f, "knows that its request {} had no effect", self.req),
            Settled::Info => write!(f, "will never know about its request {}", self.req),
        }
    }
}

impl Display for Synced {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.act, self.hi) {
            (SyncAct::Ask, _) => write!(f, "asks {} for ops from {} on", self.from, self.lo),
            (SyncAct::Take, Some(hi)) => write!(f, "takes ops {} to {hi} from {}", self.lo, self.from),
            (SyncAct::Take, None) => write!(f, "takes ops from {} on from {}", self.lo, self.from),
        }
    }
}
