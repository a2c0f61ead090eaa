//! Tests of state transfer: which answer is one, which checkpoint is an offer, what has to be written down.

use super::*;
use crate::clients::ClientTable;
use crate::config::{ClusterConfig, Config};
use crate::entry::{Kind, Predicted, Request};
use crate::id::{ClientId, ClusterId, Epoch, Hash, Instance, RequestNumber, Session, Time, View};
use crate::stored::Stored;
use bytes::Bytes;

fn head(op: u64, hash: u128) -> Head {
    Head { op: Op(op), hash: Hash(hash) }
}

/// So many entries after `base`, of a log that ends in `end`, or with them.
fn tail(base: Head, n: u64, end: Option<Head>) -> Tail {
    let mut last = base;
    let make = |number| {
        let (client, session, predicted) = (ClientId(7), Session(1), Predicted::default());
        let (number, kind, body) = (RequestNumber(number), Kind::Operation, Bytes::new());
        let request = Request { client, session, number, kind, predicted, body };
        let entry = Entry::new(Epoch(0), View(0), last.op.next(), last.hash, request);
        last = Head { op: entry.op(), hash: entry.hash() };
        entry
    };
    let entries = Entries::new((1..=n).map(make).collect()).expect("a chain");
    Tail { base, entries, head: end.unwrap_or(last) }
}

fn checkpoint(head: Head) -> Box<Checkpoint> {
    Box::new(Checkpoint::new(head, Predicted::default(), Bytes::new(), Bytes::new()))
}

#[test]
fn an_answer_is_known_by_the_number_of_the_question() {
    let cluster = ClusterConfig::of_size(ClusterId(1), 3);
    let disk = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(0), Instance(1));
    let mut common = Common::new(Config::new(cluster, ReplicaId(0)), disk, ClientTable::new(8), Time::ZERO);
    let have = catch_up(&common);
    let fetch = Fetch::ask(&mut common, &mut Vec::new(), ReplicaId(1), have, None);
    let page = |id| NewState { id, commit: Op::ZERO, tail: tail(head(0, 1), 0, None) };
    assert!(fetch.answers(&page(fetch.id)));
    assert!(!fetch.answers(&page(fetch.id.next())) && !fetch.answers(&page(FetchId::ZERO)));
}

/// The answerer begins at op 10, has two entries more, and its log ends at op 15; here nothing is known but the target.
#[test]
fn a_checkpoint_is_offered_by_an_answer_beyond_what_is_committed_here_within_what_is_committed_there() {
    let (log, target) = (Log::new(Head::default()), head(20, 9));
    let answer = tail(head(10, 5), 2, Some(head(15, 6)));
    let lacking = Assembly::toward(target, &log);
    let offers = |answer: &Tail, commit, theirs| lacking.offers_checkpoint(&log, answer, Op(commit), Op(theirs));
    assert!(offers(&answer, 9, 10));
    assert!(!offers(&answer, 10, 10), "it is committed here");
    assert!(!offers(&answer, 9, 9), "it is not committed there");
    assert!(!offers(&Tail { head: head(9, 6), ..answer.clone() }, 9, 10), "it lies beyond the log it is of");
    assert!(!offers(&Tail { base: head(9, 5), ..answer.clone() }, 5, 10), "its entries do not continue it");
    let on_it = Log::new(head(10, 5));
    assert!(!lacking.offers_checkpoint(&on_it, &answer, Op(9), Op(10)), "our log has it");
    assert!(!Assembly::toward(log.head(), &log).offers_checkpoint(&log, &answer, Op(9), Op(10)), "nothing is lacking");
    let mut gathered = Assembly::toward(target, &log);
    gathered.begin_on_checkpoint(&answer);
    assert!(gathered.offers_checkpoint(&log, &answer, Op(9), Op(10)), "it is on its way, and may be gone");
    assert!(gathered.ground_on(checkpoint(head(10, 5))));
    assert!(!gathered.offers_checkpoint(&log, &answer, Op(9), Op(10)), "it is here");
}

#[test]
fn a_log_is_grounded_on_the_checkpoint_it_waits_for_and_on_no_other() {
    let log = Log::new(Head::default());
    let mut assembly = Assembly::toward(head(20, 9), &log);
    assert!(!assembly.ground_on(checkpoint(log.base())), "none is waited for");
    assembly.begin_on_checkpoint(&tail(head(10, 5), 2, None));
    assert!(!assembly.ground_on(checkpoint(head(10, 6))) && assembly.awaits_checkpoint());
    assert!(assembly.ground_on(checkpoint(head(10, 5))) && !assembly.awaits_checkpoint());
    assert!(!assembly.ground_on(checkpoint(head(10, 5))), "it is here");
}

#[test]
fn what_is_here_already_needs_no_room() {
    let (log, rules) = (Log::new(head(3, 1)), Rules::default());
    assert!(!Assembly::toward(log.head(), &log).finish(&log, rules).needs_room());
    let news = tail(log.head(), 2, None);
    let mut assembly = Assembly::toward(news.head, &log);
    assert!(assembly.offer(&log, &news) && assembly.is_whole(rules));
    assert!(assembly.finish(&log, rules).needs_room());
    let mut assembly = Assembly::toward(head(20, 9), &log);
    assembly.begin_on_checkpoint(&tail(head(10, 5), 0, None));
    assert!(assembly.ground_on(checkpoint(head(10, 5))) && assembly.is_whole(rules));
    assert!(assembly.finish(&log, rules).needs_room(), "the checkpoint has to be written");
}
