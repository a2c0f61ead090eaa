//! Equal replicas act equally: a list of events is a replay, from the start or from any state written down on the way.
//!
//! Owns one eventful run per durability mode, and three ways to run it again; and what came at once against the same one
//! by one. DESIGN §5 "Time is in the event", 9.5.

#[path = "support/scripted.rs"]
mod scripted;

use scripted::{EVERY, Happening, Scripted, request};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use vr_core::{
    Action, Body, CheckpointPart, ClusterConfig, ClusterId, Config, Durability, Event, Input, Instance, Message,
    MessageKind, Note, Op, Replica, ReplicaId, Request, Session, Stored, Time, Wait, Write, WriteId,
};

/// Requests, lost and held messages, a view change, state transfer in pages, crashes with torn writes, restarts.
fn eventful(durability: Durability) -> Scripted {
    let mut group = Scripted::new(3, |config| {
        config.cluster.durability = durability;
        config.cluster.max_request_bytes = 64;
        config.cluster.max_message_bytes = vr_core::MESSAGE_OVERHEAD_BYTES + 512;
        config.cluster.checkpoint_interval = 5;
    });
    let session = group.register(1);
    group.isolate(2);
    for number in 1..=12 {
        group.ask(group.primary(), request(1, session, number, "a"));
    }
    group.heal();
    group.pass(Wait::millis(200));
    group.hold(EVERY.from(1).of(MessageKind::PrepareOk));
    group.nodes[1].disk_stuck = true;
    group.ask(0, request(1, session, 13, "b"));
    group.crash_torn(1, 1);
    group.nodes[1].disk_stuck = false;
    group.restart(1);
    group.heal();
    group.release(EVERY);
    group.pass(Wait::millis(200));
    group.crash(0);
    group.until("there is another primary", |group| group.find_primary().is_some_and(|at| at != 0));
    group.restart(0);
    group.pass(Wait::millis(500));
    for _ in 0..2 {
        group.ask(group.primary(), request(1, session, 14, "c"));
    }
    group.ask((group.primary() + 1) % 3, request(1, session, 14, "c"));
    assert!(group.replies.last().is_some_and(|reply| reply.duplicate) && !group.rejections.is_empty());
    group.pass(Wait::millis(500));
    let notes = || (0..3).flat_map(|at| group.notes_since(0, at));
    assert!(notes().any(|note| matches!(note, Note::BecamePrimary { view, .. } if view.0 > 0)));
    assert!(
        notes().filter(|note| matches!(note, Note::TookState { .. } | Note::CheckpointInstalled { .. })).count() > 1
    );
    assert!(notes().any(|note| matches!(note, Note::TableAt { .. })));
    let recovered = notes().any(|note| matches!(note, Note::Recovered { .. }));
    assert_eq!(recovered, durability == Durability::Async);
    group
}

/// One life of one replica: what it was started with, and what happened to it.
struct Life<'a> {
    from: &'a Stored,
    now: Time,
    first: &'a [Action],
    events: Vec<(&'a Event, &'a [Action])>,
}

fn lives(group: &Scripted, of: usize) -> Vec<Life<'_>> {
    let mut lives: Vec<Life<'_>> = Vec::new();
    for happening in &group.happened {
        match happening {
            Happening::Opened { at, from, now, actions, .. } if *at == of => {
                lives.push(Life { from, now: *now, first: actions, events: Vec::new() });
            }
            Happening::Stepped { at, event, actions, .. } if *at == of => {
                lives.last_mut().expect("a life begins with its opening").events.push((event, actions));
            }
            Happening::Opened { .. } | Happening::Stepped { .. } => {}
            Happening::Strayed { .. } | Happening::Crashed { .. } | Happening::Said(_) => {}
        }
    }
    lives
}

/// Runs every life of every replica again; `between` may exchange the replica after each event.
fn again(group: &Scripted, between: impl FnMut(usize, Replica) -> Replica) {
    again_as(group, between, &Action::clone, &Replica::clone);
}

/// The same, where it is compared how actions and replicas are `seen`.
fn again_as<R: PartialEq + Debug>(
    group: &Scripted,
    mut between: impl FnMut(usize, Replica) -> Replica,
    seen: &impl Fn(&Action) -> Action,
    ends: &impl Fn(&Replica) -> R,
) {
    let seen = |actions: &[Action]| actions.iter().map(seen).collect::<Vec<_>>();
    for (of, node) in group.nodes.iter().enumerate() {
        let lives = lives(group, of);
        assert!(!lives.is_empty());
        let mut last = None;
        for life in &lives {
            let mut first = Vec::new();
            let opened = Replica::open(node.config.clone(), life.from.clone(), life.now, &mut first);
            let mut replica = opened.expect("it was opened before");
            assert_eq!(seen(&first), seen(life.first), "r{of} starts as it did");
            for (at, (event, actions)) in life.events.iter().enumerate() {
                let acted = replica.step(Event::clone(event));
                assert_eq!(seen(&acted), seen(actions), "r{of}, event {at}: {event:?}");
                replica = between(at, replica);
            }
            last = Some(replica);
        }
        assert_eq!(last.as_ref().map(ends), node.replica.as_ref().map(ends), "r{of} ends as it did");
    }
}

/// As far as somebody knows it who knows of the service's state no more than how long it is.
fn without_states(action: &Action) -> Action {
    if let Action::Persist { id, write: Write::Checkpoint(whole) } = action {
        return Action::Persist { id: *id, write: Write::Checkpoint(Box::new(whole.without_state())) };
    }
    let Action::Send { to, message } = action else { return action.clone() };
    let Body::CheckpointPart(part) = &message.body else { return action.clone() };
    let part = CheckpointPart { bytes: vr_core::State::left_out(part.bytes.len()), ..CheckpointPart::clone(part) };
    Action::Send { to: *to, message: Message::new(message.header, Body::CheckpointPart(Box::new(part))) }
}

/// There and back; equal things are written equally.
fn written_and_read<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> T {
    let written = serde_json::to_string(value).expect("it can be written");
    let read: T = serde_json::from_str(&written).expect("it can be read");
    assert_eq!(read, *value);
    assert_eq!(serde_json::to_string(&read).expect("it can be written"), written);
    read
}

#[test]
fn the_same_script_gives_the_same_run() {
    for durability in [Durability::Sync, Durability::Async] {
        assert_eq!(eventful(durability).happened, eventful(durability).happened);
    }
}

#[test]
fn the_same_events_give_equal_actions_and_equal_replicas() {
    for durability in [Durability::Sync, Durability::Async] {
        again(&eventful(durability), |_, replica| replica);
    }
}

/// After every event the replica is replaced by what it reads as when it was written down.
#[test]
fn a_replica_that_was_written_down_and_read_goes_on_equally() {
    for durability in [Durability::Sync, Durability::Async] {
        again(&eventful(durability), |_, replica| written_and_read(&replica));
    }
}

/// The same, through the image with which a recording begins that begins midway.
#[test]
fn a_replica_goes_on_equally_from_its_image() {
    for durability in [Durability::Sync, Durability::Async] {
        let from_image = |_, replica: Replica| {
            let image = replica.image();
            let read = Replica::of_image(&image).expect("an image");
            assert!(read.image() == image, "written as it was read");
            read
        };
        again_as(&eventful(durability), from_image, &without_states, &Replica::image);
    }
}

/// Images come from files: whatever they hold, reading them ends, and what is read is one replica.
#[test]
fn bytes_that_are_no_image_are_refused_without_a_panic() {
    let mut images = Vec::new();
    again(&eventful(Durability::Sync), |_, replica| {
        images.push(replica.image());
        replica
    });
    let refused = |image: &[u8]| Replica::of_image(image).is_err();
    let (mut changed, mut caught) = (0, 0);
    for image in images.iter().step_by(images.len() / 4) {
        assert!((0..image.len()).all(|end| refused(&image[..end])), "cut off");
        assert!(refused(&[&image[..], &[0]].concat()), "something is left over");
        for at in 0..image.len() {
            for byte in [0, 1, 0x7F, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF] {
                let mut other = image.clone();
                other[at] = byte;
                changed += 1;
                caught += usize::from(other == *image || refused(&other));
            }
        }
    }
    assert!(caught > changed / 4, "{caught} of {changed}");
    assert!(refused(&[]) && refused(&[0xFD; 64]));
}

#[test]
fn a_copy_goes_on_equally_and_apart() {
    let group = eventful(Durability::Sync);
    let mut copies: Vec<Replica> = Vec::new();
    again(&group, |at, replica| {
        if at % 10 == 0 {
            copies.push(replica.clone());
        }
        replica
    });
    assert!(copies.windows(2).all(|pair| pair[0] != pair[1]), "the original moved on, the copies did not");
}

#[test]
fn events_actions_and_disks_can_be_written_down_and_read() {
    let group = eventful(Durability::Async);
    for happening in &group.happened {
        match happening {
            Happening::Opened { from, actions, after, .. } => {
                written_and_read(&**from);
                written_and_read(actions);
                written_and_read(after);
            }
            Happening::Stepped { event, actions, after, .. } => {
                written_and_read(&**event);
                written_and_read(actions);
                written_and_read(after);
            }
            Happening::Strayed { .. } | Happening::Crashed { .. } | Happening::Said(_) => {}
        }
    }
}

// ---- at once, and one by one

fn after(replica: &mut Replica, inputs: impl IntoIterator<Item = Input>) -> Vec<Action> {
    let mut actions = Vec::new();
    inputs.into_iter().for_each(|input| replica.step_into(Event { at: Time::ZERO, input }, &mut actions));
    actions
}

fn is_refusal(action: &Action) -> bool {
    matches!(action, Action::Reject(_) | Action::Note(Note::DuplicateRequest { .. }))
}

/// A cluster of one with two sessions: its disk answers when asked.
fn alone() -> Replica {
    let cluster = ClusterConfig::of_size(ClusterId(7), 1);
    let stored = Stored::format(cluster.cluster, cluster.digest(), ReplicaId(0), Instance(0));
    let opened = Replica::open(Config::new(cluster, ReplicaId(0)), stored, Time::ZERO, &mut Vec::new());
    let mut replica = opened.expect("valid");
    let sessions = [1, 2].map(|client| request(client, Session::ZERO, 0, "")).into();
    let _ =
        after(&mut replica, [Input::Persisted(WriteId(1)), Input::Requests(sessions), Input::Persisted(WriteId(2))]);
    assert_eq!(replica.snapshot().executed, Op(2), "one batch, two sessions");
    replica
}

#[test]
fn requests_that_come_at_once_are_judged_as_if_each_came_alone_and_share_a_batch() {
    let asked: [Request; 4] = [(1, 1), (1, 1), (9, 1), (2, 1)].map(|(client, number)| {
        let session = Session(if client == 9 { 1 } else { client });
        request(client, session, number, "a")
    });
    let (mut one_by_one, mut at_once) = (alone(), alone());
    let each = after(&mut one_by_one, asked.clone().map(Input::Request));
    let all = after(&mut at_once, [Input::Requests(asked.into())]);
    assert_eq!(
        each.iter().filter(|action| is_refusal(action)).collect::<Vec<_>>(),
        all.iter().filter(|action| is_refusal(action)).collect::<Vec<_>>(),
    );
    assert_eq!(all.iter().filter(|action| is_refusal(action)).count(), 2, "a duplicate, and a stranger");
    let writes = |actions: &[Action]| actions.iter().filter(|action| matches!(action, Action::Persist { .. })).count();
    assert_eq!((writes(&each), writes(&all)), (2, 1));
    assert_eq!(one_by_one.snapshot().op, at_once.snapshot().op);
}

#[test]
fn answers_that_come_at_once_are_the_same_as_one_by_one() {
    let mut one_by_one = alone();
    let asked = [1, 2].map(|client| request(client, Session(client), 1, "a")).into();
    let actions = after(&mut one_by_one, [Input::Requests(asked), Input::Persisted(WriteId(3))]);
    let run = actions.iter().find_map(|action| if let Action::Execute(run) = action { Some(run) } else { None });
    assert_eq!(run.map(vr_core::Entries::len), Some(2));
    let mut at_once = one_by_one.clone();
    let reply = |op: u64| format!("reply {op}").into();
    let each = after(&mut one_by_one, [3, 4].map(|op| Input::Executed { op: Op(op), reply: reply(op) }));
    let all = after(&mut at_once, [Input::ExecutedRun { first: Op(3), replies: vec![reply(3), reply(4)] }]);
    assert_eq!((each, &one_by_one), (all, &at_once));
    assert_eq!(at_once.snapshot().executed, Op(4));
    let nothing = after(&mut at_once, [Input::ExecutedRun { first: Op(5), replies: Vec::new() }]);
    assert_eq!((nothing, at_once), (Vec::new(), one_by_one), "no answers, nothing to do");
}
