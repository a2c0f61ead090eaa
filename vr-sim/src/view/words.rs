//! Events in few words, for lines of fixed columns: what the columns beside them say already is left out.
//!
//! Owns the wording of what happens often; what happens seldom is said as `vr_core::trace` says it. Must not know
//! columns. VIEW F5.

use std::fmt::Display;
use vr_core::trace::{
    Acknowledged, DiskAct, DiskEvent, Executed, LogAct, LogSlot, Node, Received, Recipient, Sent, State, Summary,
    TraceEvent, Verdict, What,
};

/// What happened.
pub(super) fn of(event: &TraceEvent) -> String {
    match &event.what {
        What::Meta(meta) => format!("{} trace of {}", meta.mode, listed(&meta.config.members)),
        What::Snap(snap) => state(&beyond_columns(&snap.state)),
        What::Set(change) => state(change),
        What::Sent(sent) => message(sent),
        What::Received(received) => arrival(received),
        What::Dropped(it) => format!("{}{}: {}", it.m, toward(it.to), it.why),
        What::Duplicated(it) => format!("{}{} once more", it.m, toward(it.to)),
        What::Delayed(it) => format!("{}{} until {}", it.m, toward(it.to), moment(it.until)),
        What::Corrupted(it) => format!("{}{}: {} bits", it.m, toward(it.to), it.bits),
        What::Log(slot) => slot_of(slot),
        What::Acknowledged(ack) => acknowledgement(ack),
        What::Committed(commit) => format!("committed through op {}", commit.op),
        What::Executed(executed) => execution(executed),
        What::Disk(disk) => of_disk(disk),
        What::Timer(_)
        | What::Crashed(_)
        | What::Restarted(_)
        | What::Partitioned(_)
        | What::Healed(_)
        | What::Invoked(_)
        | What::Returned(_)
        | What::Checkpointed(_)
        | What::Synced(_)
        | What::Reconfigured(_)
        | What::Aggregated(_)
        | What::Gap(_)
        | What::Do(_)
        | What::Note(_)
        | What::Violated(_)
        | What::Ended(_)
        | What::Unknown => event.what.to_string(),
        // Of a newer core.
        _ => event.what.to_string(),
    }
}

/// A moment in seconds, to the microsecond.
pub(super) fn moment(ns: u64) -> String {
    format!("{}.{:06}", ns / 1_000_000_000, ns / 1000 % 1_000_000)
}

/// A duration in nanoseconds, with its unit.
pub(super) fn lasting(ns: u64) -> String {
    let tenths = |unit: u64, name: &str| format!("{}.{} {name}", ns / unit, ns % unit * 10 / unit);
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => tenths(1_000, "µs"),
        1_000_000..1_000_000_000 => tenths(1_000_000, "ms"),
        1_000_000_000..60_000_000_000 => tenths(1_000_000_000, "s"),
        _ => format!("{} min {} s", ns / 60_000_000_000, ns / 1_000_000_000 % 60),
    }
}

fn listed(nodes: &[Node]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn toward(to: Option<Node>) -> String {
    to.map_or_else(String::new, |to| format!(" → {to}"))
}

/// `name value`, when there is one.
fn part(name: &str, value: Option<impl Display>) -> Option<String> {
    value.map(|value| format!("{name} {value}"))
}

fn joined(parts: impl IntoIterator<Item = Option<String>>) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A whole state without what stands in the columns.
fn beyond_columns(s: &State) -> State {
    State { view: None, op: None, commit: None, durable: None, ..s.clone() }
}

fn state(s: &State) -> String {
    let want = match (s.want, s.inc) {
        (Some(true), _) => Some("wants another view".to_owned()),
        (Some(false), None) => Some("wants no other view any more".to_owned()),
        (Some(false), Some(_)) | (None, _) => None,
    };
    let status = s.status.map(|status| status.word().replace('_', " "));
    let said = joined([
        part("life", s.inc),
        status,
        part("view", s.view),
        part("primary", s.primary),
        part("log of view", s.lnv),
        part("op", s.op),
        part("durable", s.durable),
        part("committed", s.commit),
        part("executed", s.applied),
        part("checkpoint", s.ckpt),
        part("log from", s.log_lo),
        part("epoch", s.epoch.filter(|epoch| *epoch > 0)),
        part("waiting requests", s.queue),
        want,
    ]);
    if said.is_empty() { "as before".to_owned() } else { said }
}

/// A message's type, and the op that it speaks of.
pub(super) fn brief(sent: &Sent) -> String {
    joined([Some(sent.ty.to_string()), part("op", sent.op)])
}

fn message(sent: &Sent) -> String {
    let to = match sent.to {
        Recipient::One(to) => to.to_string(),
        Recipient::Others => "all".to_owned(),
    };
    let said = said(sent);
    let between = if said.is_empty() { "" } else { "  " };
    format!("{} {} → {to}{between}{said}", sent.ty, sent.m)
}

fn said(sent: &Sent) -> String {
    let none = Summary::default();
    let more = sent.b.as_deref().unwrap_or(&none);
    let entries = more.log.as_ref().map(|log| {
        let (n, plus) = (log.len(), if more.cut == Some(true) { "+" } else { "" });
        format!("{n}{plus} entr{}", if n == 1 { "y" } else { "ies" })
    });
    let view = |what: &str| sent.view.map(|view| format!("{what} view {view}"));
    let (op, commit) = (part("op", sent.op), part("commit", sent.commit));
    match sent.ty.as_ref() {
        "Prepare" => joined([more.n.map(|n| format!("{n} entries")), op, commit]),
        "StartViewChange" if more.want == Some(true) => joined([view("wants to leave")]),
        "StartViewChange" => joined([view("in")]),
        "DoViewChange" => joined([view("for"), part("log of view", more.lnv), op, commit]),
        "StartView" => joined([view("of"), op, commit]),
        "GetState" => joined([Some(format!("has {}", has(more))), part("wants op", sent.op)]),
        "Recovery" => joined([part("view ≥", more.view_min)]),
        "NewState" | "RecoveryResponse" => joined([view("in"), entries, op, commit]),
        "Request" | "Read" => more.val.clone().unwrap_or_else(|| "opens a session".to_owned()),
        "Reply" if sent.op.is_none() => "its read is answered".to_owned(),
        "Reply" => joined([op, more.dup.map(|_| "again".to_owned()), more.val.clone()]),
        "Reject" => more.why.as_deref().unwrap_or("no reason given").to_owned(),
        _ => joined([op, commit]),
    }
}

fn has(more: &Summary) -> String {
    let first = more.have.as_ref().and_then(|have| have.first());
    first.map_or_else(|| "nothing".to_owned(), |(op, _)| format!("op {op}"))
}

fn arrival(received: &Received) -> String {
    let from = received.m.sender();
    let head = format!("{} {} ← {from}", received.ty, received.m);
    let why = received.why.as_deref().unwrap_or("no reason given");
    match received.verdict {
        Verdict::Ok => head,
        verdict @ (Verdict::Ignored | Verdict::Stale | Verdict::Bad) => format!("{head}  {verdict}: {why}"),
    }
}

fn slot_of(slot: &LogSlot) -> String {
    let op = slot.op;
    let head = match slot.act {
        LogAct::Append => format!("op {op}"),
        LogAct::Repair => format!("op {op} from a peer"),
        LogAct::Truncate => return format!("nothing after op {op} any more"),
        LogAct::Faulty => return format!("op {op} cannot be read"),
    };
    let whose = match (slot.client, slot.req) {
        (Some(client), Some(0)) => Some(format!("session of {client}")),
        (Some(client), Some(req)) => Some(format!("{client} request {req}")),
        (Some(client), None) => Some(client.to_string()),
        (None, _) => None,
    };
    joined([Some(head), part("view", slot.view), slot.ck.clone(), whose, slot.val.clone()])
}

fn acknowledgement(ack: &Acknowledged) -> String {
    let (from, op) = (ack.from, ack.op);
    match (ack.have, ack.need) {
        (Some(have), Some(need)) => format!("{from} has through op {op}: {have} of {need}"),
        (Some(_) | None, Some(_) | None) => format!("{from} has through op {op}"),
    }
}

fn execution(executed: &Executed) -> String {
    let whose = executed.client.map(|client| match executed.req {
        Some(req) => format!("{client} request {req}"),
        None => client.to_string(),
    });
    joined([Some(format!("executed op {}", executed.op)), whose, executed.res.clone()])
}

fn of_disk(disk: &DiskEvent) -> String {
    let what = match disk.act {
        DiskAct::Write => part("write", disk.w),
        DiskAct::Fsync => part("synced through write", disk.w),
        DiskAct::Read => Some("read".to_owned()),
    };
    let kind = disk.what.as_ref().map(ToString::to_string);
    joined([what, kind, part("op", disk.op), disk.fault.map(|fault| fault.to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_durations_have_units_and_no_more_digits_than_they_are_worth() {
        assert_eq!(moment(1_002_003_999), "1.002003");
        let said = [7, 1_250, 2_050_000, 3_990_000_000, 61_000_000_000].map(lasting);
        assert_eq!(said, ["7 ns", "1.2 µs", "2.0 ms", "3.9 s", "1 min 1 s"]);
    }
}
