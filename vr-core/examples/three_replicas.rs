//! Three replicas of a counter in one thread: the whole driver, in one function that decides nothing.
//!
//! Shows what an embedder does with each action. Run it with `cargo run -p vr-core --example three_replicas`.

use bytes::Bytes;
use std::collections::VecDeque;
use vr_core::{
    Action, ClientId, ClusterConfig, ClusterId, Config, Event, Input, Instance, Kind, Predicted, Replica, ReplicaId,
    Reply, Request, RequestNumber, Session, Stored, Time, To,
};

/// A replica, and the state machine it replicates.
struct Node {
    replica: Replica,
    counter: u64,
}

/// Carries out what the replicas ask for until nobody asks for anything; collects the answers to clients.
fn run(nodes: &mut [Node], first: usize, input: Input) -> Vec<Reply> {
    let mut inbox = VecDeque::from([(first, input)]);
    let mut replies = Vec::new();
    let mut actions = Vec::new();
    while let Some((at, input)) = inbox.pop_front() {
        let node = &mut nodes[at];
        node.replica.step_into(Event { at: Time::ZERO, input }, &mut actions);
        for action in actions.drain(..) {
            match action {
                Action::Send { to: To::One(to), message } => {
                    inbox.push_back((usize::from(to.0), Input::Message(message)));
                }
                Action::Send { to: To::Others, message } => {
                    let others = (0..3).filter(|other| *other != at);
                    inbox.extend(others.map(|other| (other, Input::Message(message.clone()))));
                }
                // A real driver writes and syncs first. Memory is this example's disk.
                Action::Persist { id, .. } => inbox.push_back((at, Input::Persisted(id))),
                Action::Execute(entries) => {
                    for entry in &entries {
                        let add = entry.body().first().copied().unwrap_or(0);
                        node.counter += u64::from(add);
                        let reply = Bytes::copy_from_slice(&node.counter.to_le_bytes());
                        inbox.push_back((at, Input::Executed { op: entry.op(), reply }));
                    }
                }
                // Every `checkpoint_interval` ops; a real driver asks its service.
                Action::Checkpoint { op } => {
                    let state = Bytes::copy_from_slice(&node.counter.to_le_bytes());
                    inbox.push_back((at, Input::CheckpointTaken { op, state }));
                }
                Action::Restore(checkpoint) => {
                    node.counter =
                        checkpoint.state().whole().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
                    inbox.push_back((at, Input::Restored { op: checkpoint.op() }));
                }
                Action::Read(queries) => println!("r{at}: {} questions are answered {}", queries.len(), node.counter),
                // This cluster has no lease: nobody asks for it.
                Action::ReadBefore { .. } => {}
                Action::Reply(reply) => replies.push(reply),
                Action::Reject(rejection) => println!("refused: {:?}", rejection.reason),
                Action::Note(note) => println!("r{at}: {note:?}"),
                Action::Halt(reason) => panic!("replica {at} must not go on: {reason:?}"),
            }
        }
    }
    replies
}

fn request(session: Session, number: u64, body: &'static [u8]) -> Input {
    let kind = if number == 0 { Kind::Register } else { Kind::Operation };
    let (client, number, predicted) = (ClientId(42), RequestNumber(number), Predicted::default());
    Input::Request(Request { client, session, number, kind, predicted, body: Bytes::from_static(body) })
}

fn main() {
    let cluster = ClusterConfig::of_size(ClusterId(1), 3);
    let mut nodes = Vec::new();
    let mut first = Vec::new();
    for id in cluster.members.clone() {
        let disk = Stored::format(cluster.cluster, cluster.digest(), id, Instance(u128::from(id.0)));
        let config = Config::new(cluster.clone(), id);
        let mut actions = Vec::new();
        let replica = Replica::open(config, disk, Time::ZERO, &mut actions).expect("a valid configuration");
        for action in actions {
            if let Action::Persist { id: write, .. } = action {
                first.push((id, write));
            }
        }
        nodes.push(Node { replica, counter: 0 });
    }
    for (ReplicaId(at), write) in first {
        run(&mut nodes, usize::from(at), Input::Persisted(write));
    }

    let opened = run(&mut nodes, 0, request(Session::ZERO, 0, b""));
    let session = opened[0].session;
    let added = run(&mut nodes, 0, request(session, 1, &[5]));
    let again = run(&mut nodes, 0, request(session, 1, &[5]));
    assert_eq!(added[0].result, again[0].result, "a repeated request gets the first answer");
    assert!(again[0].duplicate);
    let _ = run(&mut nodes, 0, request(session, 2, &[2]));
    println!("the primary counts {}, backups follow with its next message", nodes[0].counter);
    assert_eq!(nodes[0].counter, 7);
}
