//! What clients called and what they were answered: JSON lines in the shape of Jepsen's histories.
//!
//! Owns the shape: an `invoke`, then `ok`, `fail` or `info`; a process that does not know how its call ended calls no
//! more, and its client goes on under another number. Must not know what calls mean. VIEW §5.3.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use vr_core::trace::{Name, Node, Settled, TraceEvent, What};

/// A line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Its place in the history.
    pub index: u64,
    /// When, in nanoseconds.
    pub time: u64,
    /// `invoke`, `ok`, `fail` or `info`.
    #[serde(rename = "type")]
    pub kind: Name,
    /// Who: one after the other, one call at a time.
    pub process: u64,
    /// The function.
    pub f: Name,
    /// Its arguments, or its answer.
    pub value: Option<String>,
    /// The client.
    pub client: Node,
    /// Which of its requests.
    pub req: u64,
}

/// The history of a trace, a JSON object a line. A call without an end is open.
///
/// # Panics
/// Never: every step can be written.
#[must_use]
pub fn export(events: &[TraceEvent]) -> String {
    steps(events).iter().map(|step| serde_json::to_string(step).expect("plain values") + "\n").collect()
}

/// A client's call that has no end yet.
struct Open {
    process: u64,
    f: Name,
    req: u64,
}

/// The history of a trace.
#[must_use]
pub fn steps(events: &[TraceEvent]) -> Vec<Step> {
    let (mut steps, mut processes, mut next) = (Vec::new(), BTreeMap::new(), 0);
    let mut open: BTreeMap<Node, Open> = BTreeMap::new();
    for event in events {
        let index = u64::try_from(steps.len()).expect("an address has at most 64 bits");
        if let What::Invoked(call) = &event.what {
            let client = call.client;
            // A client that calls again gave up the call before, whose end it never saw.
            if open.remove(&client).is_some() {
                processes.remove(&client);
            }
            let process = *processes.entry(client).or_insert_with(|| {
                next += 1;
                next - 1
            });
            let (f, req, value) = (call.f.clone(), call.req, Some(call.input.clone()));
            open.insert(client, Open { process, f: f.clone(), req });
            steps.push(Step { index, time: event.t, kind: "invoke".into(), process, f, value, client, req });
        } else if let What::Returned(end) = &event.what {
            let client = end.client;
            let Some(Open { process, f, req }) = open.remove(&client) else { continue };
            if end.st == Settled::Info {
                processes.remove(&client);
            }
            let kind = Name::Borrowed(end.st.word());
            steps.push(Step { index, time: event.t, kind, process, f, value: end.out.clone(), client, req });
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{record_seed, trace_case};
    use crate::swarm::Options;

    #[test]
    fn every_call_of_a_run_is_in_its_history_once_and_its_end_follows_it() {
        let mut given_up = 0;
        for seed in 0..12 {
            let case = record_seed(&Options::default(), seed).case.expect("recorded");
            let events = trace_case(&case, None).1.events;
            let read: Vec<Step> =
                export(&events).lines().map(|line| serde_json::from_str(line).expect("a step")).collect();
            assert_eq!(read, steps(&events), "written and read back");
            let calls = events.iter().filter(|event| matches!(event.what, What::Invoked(_))).count();
            assert_eq!(read.iter().filter(|step| step.kind == "invoke").count(), calls);
            let answers = |event: &&TraceEvent| matches!(&event.what, What::Returned(end) if end.st == Settled::Ok);
            assert_eq!(read.iter().filter(|step| step.kind == "ok").count(), events.iter().filter(answers).count());
            let mut open: BTreeMap<u64, &Step> = BTreeMap::new();
            let mut gone = Vec::new();
            for (step, index) in read.iter().zip(0..) {
                assert_eq!(step.index, index);
                assert!(!gone.contains(&step.process), "seed {seed}: a process that knew no end calls again: {step:?}");
                if step.kind == "invoke" {
                    assert!(open.insert(step.process, step).is_none(), "seed {seed}: two calls at once: {step:?}");
                    continue;
                }
                let call = open.remove(&step.process).expect("it was called");
                assert_eq!((call.client, call.req, &call.f), (step.client, step.req, &step.f));
                assert!(call.time <= step.time);
                if step.kind == "info" {
                    gone.push(step.process);
                    given_up += 1;
                }
            }
        }
        assert!(given_up > 0, "no client gave up in any of these seeds");
    }

    #[test]
    fn a_client_that_does_not_know_how_its_call_ended_goes_on_as_another_process() {
        use vr_core::ClientId;
        use vr_core::trace::{Invoked, Returned};
        let client = Node::Client(ClientId(7));
        let call = |req| What::Invoked(Invoked { client, req, f: "put".into(), input: "x".to_owned() });
        let end = |req, st| What::Returned(Returned { client, req, out: None, st });
        let facts =
            [call(1), end(1, Settled::Ok), call(2), end(0, Settled::Info), call(3), call(4), end(4, Settled::Fail)];
        let events = facts.map(|what| TraceEvent::at(0, client, what));
        let seen: Vec<_> = steps(&events).into_iter().map(|step| (step.process, step.kind, step.req)).collect();
        let expected = [
            (0, "invoke", 1),
            (0, "ok", 1),
            (0, "invoke", 2),
            (0, "info", 2),
            (1, "invoke", 3),
            (2, "invoke", 4),
            (2, "fail", 4),
        ];
        assert_eq!(seen, expected.map(|(process, kind, req)| (process, Name::Borrowed(kind), req)));
    }
}
