//! Each request has one effect, and clients are told the truth about it: S14 and S22 (and the gaps of S2).
//!
//! Owns the ghost client table: what every decided op must do, computed from the decided log alone by the rules
//! of DESIGN §10 "Clients", and what each replica's service may be asked. Must not know who decides or when.
//! VRR §4.1, §4.5, as corrected in PROTOCOL 1.2; D70 to D79.

use super::lineage::Who;
use super::shadow::Shadow;
use super::{Violation, index};
use std::collections::{BTreeMap, BTreeSet};
use vr_core::{ClientId, Entries, Entry, Head, Kind, Op, Reject, Rejection, ReplicaId, Reply, RequestNumber, Session};

const S2: &str = "S2 prefix execution";
const S14: &str = "S14 at most once";
const S14T: &str = "S14 taken once";
const S22: &str = "S22 reply truth";

/// One session of the ghost table.
#[derive(Clone, Copy, Debug)]
struct Row {
    session: Session,
    /// The last request with an effect; 0 before the first.
    last: RequestNumber,
    /// Its op; the session's before the first. The lowest one gives way.
    last_op: Op,
}

/// What a decided op does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// Opens this session, or finds it open.
    Opens(Session),
    /// The service executes it.
    Effect,
    /// Nothing: this op did the same request before.
    Repeats(Op),
    /// Nothing: a later request of the session was executed.
    Stale,
    /// Nothing: its session is gone.
    NoSession,
    /// It changes the group, and the service never sees it.
    Reconfigures,
    /// Nobody saw where it came from.
    Unknown,
}

/// An answer, however it was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a> {
    pub(super) client: ClientId,
    pub(super) session: Session,
    pub(super) number: RequestNumber,
    pub(super) op: Op,
    pub(super) result: &'a [u8],
}

impl<'a> From<&'a Reply> for Answer<'a> {
    fn from(reply: &'a Reply) -> Self {
        let Reply { client, session, number, op, ref result, .. } = *reply;
        Self { client, session, number, op, result }
    }
}

#[derive(Clone, Debug)]
pub(super) struct AtMostOnce {
    capacity: usize,
    rows: BTreeMap<ClientId, Row>,
    /// The newest request of each client that any primary put into its log, and which entry it became.
    taken: BTreeMap<ClientId, (Session, RequestNumber, Head)>,
    /// By op.
    outcomes: Vec<Outcome>,
    /// The reconfigurations that were decided.
    reconfigured: BTreeSet<(ClientId, Session, RequestNumber)>,
}

impl AtMostOnce {
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            capacity: index(u64::from(capacity)),
            rows: BTreeMap::new(),
            taken: BTreeMap::new(),
            outcomes: Vec::new(),
            reconfigured: BTreeSet::new(),
        }
    }

    fn outcome(&self, op: Op) -> Option<Outcome> {
        self.outcomes.get(index(op.0.checked_sub(1)?)).copied()
    }

    /// The next op was decided.
    pub(super) fn decided(&mut self, op: Op, who: Option<Who>) {
        let outcome = match who {
            None => Outcome::Unknown,
            Some(who) => match who.kind {
                Kind::Register => Outcome::Opens(self.register(op, who.client)),
                Kind::Operation => self.take(op, who),
                Kind::Reconfiguration => {
                    let outcome = self.take(op, who);
                    let is_first = outcome == Outcome::Effect;
                    if is_first {
                        self.reconfigured.insert((who.client, who.session, who.number));
                    }
                    if is_first { Outcome::Reconfigures } else { outcome }
                }
            },
        };
        self.outcomes.push(outcome);
    }

    fn register(&mut self, op: Op, client: ClientId) -> Session {
        if let Some(row) = self.rows.get(&client) {
            return row.session;
        }
        if self.rows.len() >= self.capacity {
            let oldest =
                self.rows.iter().min_by_key(|(client, row)| (row.last_op, **client)).map(|(client, _)| *client);
            oldest.and_then(|client| self.rows.remove(&client));
        }
        let session = Session(op.0);
        self.rows.insert(client, Row { session, last: RequestNumber::ZERO, last_op: op });
        session
    }

    fn take(&mut self, op: Op, who: Who) -> Outcome {
        let Some(row) = self.rows.get_mut(&who.client).filter(|row| row.session == who.session) else {
            return Outcome::NoSession;
        };
        if who.number > row.last {
            (row.last, row.last_op) = (who.number, op);
            return Outcome::Effect;
        }
        if who.number == row.last { Outcome::Repeats(row.last_op) } else { Outcome::Stale }
    }

    // ---- S14

    /// A primary puts requests into its log: none that is there already, executed or not (PROTOCOL D70, D76). That
    /// execution would pass over the second one is a safety net, not a licence.
    pub(super) fn takes(&mut self, shadow: &Shadow, who: usize, entries: &Entries) -> Result<(), Violation> {
        for entry in entries.iter().filter(|entry| entry.kind() != Kind::Register) {
            let (session, number) = (entry.session(), entry.number());
            let head = Head { op: entry.op(), hash: entry.hash() };
            let slot = self.taken.entry(entry.client()).or_insert((session, number, head));
            let (of, newest, before) = *slot;
            // What was given up behind a checkpoint is there if it was decided.
            let decided = shadow.lineage.decision(before.op).is_some_and(|decision| decision.hash == before.hash);
            let memory = &shadow.replicas[who].memory;
            let here = before != head && memory.holds(before) && (decided || before.op > memory.base());
            if here && of == session && number <= newest {
                return Err(Self::taken_again(shadow.id(who), entry, (newest, before.op)));
            }
            *slot = (session, number, head);
        }
        Ok(())
    }

    #[cold]
    fn taken_again(id: ReplicaId, entry: &Entry, (newest, before): (RequestNumber, Op)) -> Violation {
        let (op, request) = (entry.op(), describe(entry.client(), entry.session(), entry.number()));
        let message =
            format!("{id:?} takes {request} into its log as op {op}, but op {before} is request {newest} already");
        Violation::safety(S14T, message, &[id], &[op, before])
    }

    /// The service of a replica is asked to execute these decided ops, after it had come as far as `after`.
    pub(super) fn executes(&self, shadow: &Shadow, who: usize, entries: &Entries) -> Result<(), Violation> {
        let mut next = shadow.replicas[who].executed.next();
        for entry in entries {
            while next < entry.op() {
                if self.outcome(next) == Some(Outcome::Effect) {
                    return Err(Self::skipped(shadow.id(who), next, entry.op()));
                }
                next = next.next();
            }
            match self.outcome(next) {
                Some(Outcome::Effect | Outcome::Unknown) | None => {}
                Some(outcome) => return Err(self.twice(shadow, who, next, outcome)),
            }
            next = next.next();
        }
        Ok(())
    }

    #[cold]
    fn skipped(id: ReplicaId, skipped: Op, op: Op) -> Violation {
        let message = format!("{id:?} executes op {op} without having executed op {skipped}, which has an effect");
        Violation::safety(S2, message, &[id], &[skipped, op])
    }

    #[cold]
    fn twice(&self, shadow: &Shadow, who: usize, op: Op, outcome: Outcome) -> Violation {
        let id = shadow.id(who);
        let of = shadow.lineage.decision(op).and_then(|decision| decision.who);
        let request = of.map_or_else(String::new, |who| describe(who.client, who.session, who.number));
        let (why, before) = match outcome {
            Outcome::Repeats(first) => (format!("op {first} had executed the same request"), first),
            Outcome::Stale => ("a later request of that session had been executed".to_owned(), op),
            Outcome::NoSession => ("that session was not open any more".to_owned(), op),
            Outcome::Opens(_) | Outcome::Reconfigures => ("it is none of the service's business".to_owned(), op),
            Outcome::Effect | Outcome::Unknown => (String::new(), op),
        };
        let message = format!("{id:?} executes op {op} ({request}), although {why}");
        Violation::safety(S14, message, &[id], &[op, before])
    }

    // ---- S22

    /// A client is answered: with the result of exactly its request.
    pub(super) fn answers(&self, shadow: &Shadow, from: Option<usize>, answer: Answer<'_>) -> Result<(), Violation> {
        let Answer { client, session, number, op, result } = answer;
        let decision = shadow.lineage.decision(op);
        let lie = |why: String| Err(Self::lie(shadow, from, answer, &why));
        let (Some(decision), Some(outcome)) = (decision, self.outcome(op)) else {
            return lie(format!("op {op} is not committed"));
        };
        let Some(of) = decision.who else { return Ok(()) };
        if (of.client, of.number) != (client, number) {
            return lie(format!("op {op} is {}", describe(of.client, of.session, of.number)));
        }
        match outcome {
            Outcome::Opens(opened) if session == opened || session == Session::ZERO => Ok(()),
            Outcome::Opens(opened) => lie(format!("op {op} opened session {opened}")),
            Outcome::Effect | Outcome::Reconfigures if of.session != session => {
                lie(format!("op {op} is of session {}", of.session))
            }
            Outcome::Effect => match &decision.result {
                Some(first) if first == result => Ok(()),
                Some(first) => lie(format!("the service answered \"{}\"", first.escape_ascii())),
                None => lie("no service has answered it yet".to_owned()),
            },
            Outcome::Repeats(first) => lie(format!("op {op} had no effect: it repeats op {first}")),
            Outcome::Stale | Outcome::NoSession => lie(format!("op {op} had no effect")),
            Outcome::Unknown | Outcome::Reconfigures => Ok(()),
        }
    }

    #[cold]
    fn lie(shadow: &Shadow, from: Option<usize>, answer: Answer<'_>, why: &str) -> Violation {
        let ids: Vec<ReplicaId> = from.iter().map(|place| shadow.id(*place)).collect();
        let who = ids.first().map_or_else(|| "a replica".to_owned(), |id| format!("{id:?}"));
        let Answer { client, session, number, op, result } = answer;
        let (request, result) = (describe(client, session, number), result.escape_ascii());
        let message = format!("{who} answers {request} with \"{result}\" at op {op}, but {why}");
        Violation::safety(S22, message, &ids, &[op])
    }

    /// A client is refused: told to be evicted only if it is.
    pub(super) fn rejects(&self, shadow: &Shadow, who: usize, rejection: &Rejection) -> Result<(), Violation> {
        let request = (rejection.client, rejection.session, rejection.number);
        if matches!(rejection.reason, Reject::Reconfiguration(_)) && self.reconfigured.contains(&request) {
            let (id, request) = (shadow.id(who), describe(request.0, request.1, request.2));
            let message = format!("{id:?} refuses {request}, a reconfiguration that took effect, as if it were new");
            return Err(Violation::safety(S22, message, &[id], &[]));
        }
        if rejection.reason != Reject::Evicted {
            return Ok(());
        }
        self.evicts(Some(shadow.id(who)), rejection.client, rejection.session)
    }

    /// Somebody says that a session is gone.
    pub(super) fn evicts(&self, from: Option<ReplicaId>, client: ClientId, session: Session) -> Result<(), Violation> {
        let Some(row) = self.rows.get(&client).filter(|row| row.session == session) else { return Ok(()) };
        let who = from.map_or_else(|| "a replica".to_owned(), |id| format!("{id:?}"));
        let message = format!(
            "{who} tells {client:?} that its session {session} is gone, but it is open: it executed op {} last",
            row.last_op
        );
        let ids: Vec<ReplicaId> = from.into_iter().collect();
        Err(Violation::safety(S22, message, &ids, &[row.last_op]))
    }

    // ---- for others

    /// The requests with an effect, and where.
    pub(super) fn effects<'a>(
        &'a self,
        shadow: &'a Shadow,
    ) -> impl Iterator<Item = ((ClientId, Session, RequestNumber), Op)> + 'a {
        let effects = self.outcomes.iter().zip(1u64..).filter(|(outcome, _)| **outcome == Outcome::Effect);
        effects.filter_map(|(_, op)| {
            let who = shadow.lineage.decision(Op(op))?.who?;
            Some(((who.client, who.session, who.number), Op(op)))
        })
    }
}

fn describe(client: ClientId, session: Session, number: RequestNumber) -> String {
    if number == RequestNumber::ZERO {
        format!("the registration of {client:?}")
    } else {
        format!("request {number} of {client:?} in session {session}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Happening;
    use crate::check::stage::{CLUSTER, Stage, broken, entry, origin, run_of, session};
    use bytes::Bytes;
    use vr_core::{Action, ClusterConfig, Durability, View};

    /// Client 5 registers and makes two requests; then whatever else is asked for. All of it is committed.
    fn stage(more: &[(u128, u64, u64)]) -> Stage {
        let mut config = ClusterConfig::of_size(CLUSTER, 3);
        (config.client_capacity, config.durability) = (2, Durability::Async);
        let mut stage = Stage::with(config);
        let mut log = session(origin(), View(0), 5, &["ka", "kb"]).as_slice().to_vec();
        for (client, session, number) in more {
            let last = log.last().expect("a session");
            log.push(entry(Head { op: last.op(), hash: last.hash() }, View(0), *client, *session, *number, "kx"));
        }
        for place in 0..log.len() {
            stage.checkers.at_most_once.taken.clear(); // let duplicates pass
            stage.prepares(0, &[1, 2], &run_of(&log[place..=place])).expect("legal");
        }
        let all = u64::try_from(log.len()).expect("small");
        (0..3).try_for_each(|r| stage.commits(r, all)).expect("legal");
        stage
    }

    fn reply(client: u128, session: u64, number: u64, op: u64, result: &'static str) -> Action {
        let (client, session, number) = (ClientId(client), Session(session), RequestNumber(number));
        let result = Bytes::from_static(result.as_bytes());
        Action::Reply(Reply { client, session, number, op: Op(op), view: View(0), result, duplicate: false })
    }

    fn evicted(client: u128, session: u64) -> Action {
        let (client, session, number) = (ClientId(client), Session(session), RequestNumber(1));
        Action::Reject(Box::new(Rejection { client, session, number, reason: Reject::Evicted }))
    }

    #[test]
    fn a_request_that_is_in_the_log_already_is_not_taken_again() {
        let log = session(origin(), View(0), 5, &["ka", "kb"]);
        let again = |number: u64| {
            let mut stage = Stage::new(3, Durability::Sync);
            stage.appends(0, &log).expect("legal");
            let entry = entry(stage.puppets[0].head(), View(0), 5, 1, number, "kc");
            broken(stage.appends(0, &run_of(&[entry])))
        };
        assert_eq!([again(1), again(2), again(3)], [S14T, S14T, "nothing"]);
        // What another view took and lost may be taken again.
        let mut stage = Stage::new(3, Durability::Sync);
        stage.appends(0, &log).expect("legal");
        stage.changes_view(1, &[1, 2]).expect("legal");
        assert_eq!(broken(stage.appends(1, &session(origin(), View(1), 5, &["ka"]))), "nothing");
    }

    #[test]
    fn a_request_that_is_executed_again_is_caught() {
        let mut repeated = stage(&[(5, 1, 2), (5, 1, 1), (5, 1, 3)]);
        assert_eq!(broken(repeated.executes(0, 2..=3)), "nothing");
        assert_eq!(broken(repeated.executes(0, 6..=6)), "nothing", "ops 4 and 5 have no effect");
        let Err(violation) = repeated.executes(1, 2..=4) else { panic!("op 4 repeats op 3") };
        let expected = "r1 executes op 4 (request 2 of c5 in session 1), although op 3 had executed the same request";
        assert_eq!((violation.property, violation.message.as_str()), (S14, expected));
        assert_eq!(broken(stage(&[(5, 1, 2), (5, 1, 1)]).executes(1, 5..=5)), S2, "ops 2 and 3 are passed over");
        assert_eq!(broken(stage(&[(6, 9, 1)]).executes(1, 2..=4)), S14, "there is no session 9");
        assert_eq!(broken(stage(&[]).executes(1, 1..=3)), S14, "a registration is not the service's business");
    }

    #[test]
    fn an_op_with_an_effect_that_is_passed_over_is_caught() {
        assert_eq!(broken(stage(&[]).executes(2, 3..=3)), S2);
    }

    #[test]
    fn an_answer_to_another_request_or_with_another_result_is_caught() {
        let mut stage = stage(&[(5, 1, 2)]);
        assert_eq!(broken(stage.acts(0, &[reply(5, 1, 1, 2, "")])), S22, "nobody has executed it");
        stage.executes(0, 2..=3).expect("legal");
        stage.service_answers(0, 2, "").expect("legal");
        stage.service_answers(0, 3, "a").expect("legal");
        let mut say = |action: Action| broken(stage.acts(0, &[action]));
        assert_eq!(say(reply(5, 1, 0, 1, "")), "nothing", "the registration");
        assert_eq!(say(reply(5, 1, 2, 3, "a")), "nothing");
        assert_eq!(say(reply(5, 1, 2, 3, "b")), S22);
        assert_eq!(say(reply(5, 1, 1, 3, "a")), S22, "op 3 is request 2");
        assert_eq!(say(reply(6, 1, 2, 3, "a")), S22, "of client 5");
        assert_eq!(say(reply(5, 2, 2, 3, "a")), S22, "in session 1");
        assert_eq!(say(reply(5, 1, 2, 4, "a")), S22, "op 4 had no effect");
        assert_eq!(say(reply(5, 1, 3, 5, "a")), S22, "op 5 is not committed");
        assert_eq!(say(reply(5, 3, 0, 1, "")), S22, "the session is 1");
    }

    #[test]
    fn an_answer_that_reaches_a_client_is_judged_like_one_that_leaves() {
        let mut stage = stage(&[]);
        stage.executes(0, 2..=3).expect("legal");
        stage.service_answers(0, 2, "").expect("legal");
        let (client, session, number) = (ClientId(5), Session(1), RequestNumber(1));
        let answered = |result| Happening::Answered { client, session, number, op: Op(2), view: View(0), result };
        assert_eq!(broken(stage.observe(&answered(b""))), S22, "it did not ask");
        stage.observe(&Happening::Invoked { client, session, number, body: b"ka" }).expect("legal");
        assert_eq!(broken(stage.observe(&answered(b""))), "nothing");
        assert_eq!(broken(stage.observe(&answered(b"x"))), S22);
    }

    #[test]
    fn the_session_that_executed_longest_ago_gives_way_and_nobody_else_is_called_gone() {
        // Two sessions fit: 6 registers at op 4, executes at op 6; 7 takes the place of 5, which executed at op 5 last.
        let mut stage = stage(&[(6, 0, 0), (5, 1, 3), (6, 4, 1), (7, 0, 0), (5, 1, 4)]);
        assert_eq!(broken(stage.executes(0, 2..=3)), "nothing");
        assert_eq!(broken(stage.executes(0, 5..=6)), "nothing");
        assert_eq!(broken(stage.executes(0, 8..=8)), S14, "session 1 is gone");
        assert_eq!(broken(stage.acts(0, &[evicted(5, 1)])), "nothing");
        assert_eq!(broken(stage.acts(0, &[evicted(6, 1)])), "nothing", "client 6 never had that session");
        assert_eq!(broken(stage.acts(0, &[evicted(6, 4)])), S22);
        let told = |client, session| Happening::ToldEvicted { client: ClientId(client), session: Session(session) };
        assert_eq!(broken(stage.observe(&told(5, 1))), "nothing");
        assert_eq!(broken(stage.observe(&told(7, 7))), S22);
    }

    #[test]
    fn a_client_that_registers_again_keeps_its_session() {
        let mut stage = stage(&[(5, 0, 0)]);
        assert_eq!(broken(stage.acts(0, &[reply(5, 1, 0, 4, "")])), "nothing");
        assert_eq!(broken(stage.acts(0, &[reply(5, 4, 0, 4, "")])), S22);
    }
}
