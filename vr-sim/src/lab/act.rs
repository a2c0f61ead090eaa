//! Commands on a world: may this be done, and doing it.
//!
//! Owns why a command makes no sense in the state of a cluster, and the mark that each leaves on the tape. Must not know
//! sessions, nor what shall come of a command. VIEW §3.6.

use super::command::{Act, Command, Deed, To};
use crate::client::Waiting;
use crate::net::Filter;
use crate::workload::KvClients;
use crate::world::{On, Status, World};
use bytes::Bytes;
use vr_core::trace::{MessageId, Node};
use vr_core::{Session, WriteId};

type Lab = World<KvClients>;

/// Can it be done?
///
/// # Errors
/// Why not, in one line.
pub(super) fn check(world: &Lab, command: &Command) -> Result<(), String> {
    reason_against(world, command).map_or(Ok(()), |why| Err(format!("`{command}`: {why}")))
}

/// Does it. It was checked.
pub(super) fn carry_out(world: &mut Lab, command: &Command) {
    let (now, node) = (world.now(), node_of(world, command));
    if let Some(tape) = world.tape_mut() {
        tape.told(now, node, command.to_string());
    }
    world.take_in_hand();
    match command {
        Command::Register { client, replica } => world.register(*client, *replica),
        Command::Request { client, replica, op } => world.request(*client, *replica, Bytes::from(op.clone())),
        Command::Retry { client, replica } => world.retry(*client, *replica),
        Command::CrashClient(client) => world.crash_client(*client),
        Command::Replica(act, on) => act_on(world, *act, *on),
        Command::Sync(on, write) => world.sync_through(*on, WriteId(*write)),
        Command::Clock(on, ahead) => world.advance_clock(*on, *ahead),
        Command::SlowDisk(on, times) => world.slow_disk(*on, *times),
        Command::Cut(from, to) => world.cut(*from, *to),
        Command::HealLink(from, to) => world.mend(*from, *to),
        Command::Heal => world.mend_all(),
        Command::Partition(groups) => world.cut_all(&between(groups)),
        Command::Hold(true) => world.hold(Filter::default()),
        Command::Hold(false) => world.stop_filtering(Filter::default()),
        Command::Message(deed, m, to) => {
            let to = receiver(world, *to);
            let _ = match deed {
                Deed::Deliver => world.deliver_letter(*m, to),
                Deed::Drop => world.drop_letter(*m, to),
                Deed::Duplicate => world.double_letter(*m, to),
                Deed::Delay(wait) => world.delay_letter(*m, to, *wait),
            };
        }
        Command::DeliverAll => world.deliver_held(),
        Command::DropAll => world.drop_held(),
        Command::Step(_) | Command::Run(_) | Command::Note(_) => {}
    }
}

fn act_on(world: &mut Lab, act: Act, on: usize) {
    match act {
        Act::Crash => world.crash_now(on),
        Act::Restart => world.restart(on),
        Act::Pause => world.stand_still(on),
        Act::Resume => world.go_on(on),
        Act::Stop => world.stop_in_order(on),
        Act::Isolate => {
            let links = around(world.members(), on);
            world.cut_all(&links);
        }
        Act::Timer => world.fire_now(on),
        Act::FailSync => world.fail_next_sync(on),
        Act::Fill => world.fill(on),
        Act::Room => world.make_room(on),
    }
}

// ---- may it be done?

fn reason_against(world: &Lab, command: &Command) -> Option<String> {
    let replica = |at: usize| (at >= world.members()).then(|| format!("there is no r{at}"));
    match command {
        Command::Register { client, replica: on } | Command::Request { client, replica: on, .. } => {
            no_client(world, *client)
                .or_else(|| replica(*on))
                .or_else(|| against_call(world, *client, matches!(command, Command::Register { .. })))
        }
        Command::Retry { client, replica: on } => no_client(world, *client).or_else(|| replica(*on)).or_else(|| {
            (!world.is_waiting(*client)).then(|| format!("c{client} waits for nothing that it could send again"))
        }),
        Command::CrashClient(client) => no_client(world, *client),
        Command::Replica(act, on) => replica(*on).or_else(|| against_act(world, *act, *on)),
        Command::Sync(on, write) => replica(*on).or_else(|| against_sync(world, *on, WriteId(*write))),
        Command::Clock(on, _) | Command::SlowDisk(on, _) => replica(*on),
        Command::Cut(from, to) => replica(*from).or_else(|| replica(*to)).or_else(|| {
            let same = (from == to).then(|| "a replica has no link to itself".to_owned());
            same.or_else(|| world.is_cut(*from, *to).then(|| "it is cut already".to_owned()))
        }),
        Command::HealLink(from, to) => replica(*from)
            .or_else(|| replica(*to))
            .or_else(|| (!world.is_cut(*from, *to)).then(|| "it is not cut".to_owned())),
        Command::Heal => (!world.is_any_cut()).then(|| "no link is cut".to_owned()),
        Command::Partition(groups) => groups.iter().flatten().find_map(|on| replica(*on)),
        Command::Hold(on) => (world.holds_all() == *on)
            .then(|| if *on { "messages are held already".to_owned() } else { "messages are not held".to_owned() }),
        Command::Message(_, m, to) => against_message(world, *m, *to),
        Command::DeliverAll | Command::DropAll => world.held().is_empty().then(|| "no message is held".to_owned()),
        Command::Step(_) | Command::Run(_) | Command::Note(_) => None,
    }
}

fn no_client(world: &Lab, at: usize) -> Option<String> {
    let clients = world.number_of_clients();
    let is_one = u64::try_from(at).is_ok_and(|at| at < clients);
    (!is_one).then(|| format!("there is no c{at}: the cluster has {clients} clients, counted from c0"))
}

fn against_call(world: &Lab, at: usize, is_registration: bool) -> Option<String> {
    let has_session = world.client(at).session() != Session::ZERO;
    match world.client(at).waiting() {
        Waiting::Session => Some(format!("c{at} waits for its session; `retry c{at} r0` asks again")),
        Waiting::Answer => Some(format!("c{at} waits for an answer, and asks one thing at a time")),
        Waiting::Idle if is_registration && has_session => Some(format!("c{at} has a session")),
        Waiting::Idle if !is_registration && !has_session => {
            Some(format!("c{at} has no session; `register c{at} r0` asks for one"))
        }
        Waiting::Idle => None,
    }
}

fn against_act(world: &Lab, act: Act, on: usize) -> Option<String> {
    let told = |why: &str| Some(format!("r{on} {why}"));
    match (act, world.status(on)) {
        (Act::Restart, Status::Up | Status::Paused) => told("is not down"),
        (Act::Crash | Act::Pause | Act::Stop | Act::Timer | Act::Resume, Status::Down) => told("is down"),
        (Act::Pause | Act::Timer | Act::Stop, Status::Paused) => told("is paused"),
        (Act::Resume, Status::Up) => told("is not paused"),
        (Act::Fill, _) if world.is_disk_full(on) => told("has a full disk"),
        (Act::Room, _) if !world.is_disk_full(on) => told("has room on its disk"),
        (Act::Timer, Status::Up) if !world.has_deadline(on) => told("waits for no timer"),
        (Act::Isolate, _) if world.members() == 1 => told("is alone"),
        (Act::Crash | Act::Restart | Act::Pause | Act::Resume | Act::Stop | Act::Isolate, _)
        | (Act::Timer | Act::FailSync | Act::Fill | Act::Room, _) => None,
    }
}

fn against_sync(world: &Lab, on: usize, write: WriteId) -> Option<String> {
    match world.status(on) {
        Status::Down => Some(format!("r{on} is down")),
        Status::Paused => Some(format!("r{on} is paused")),
        Status::Up => (!world.is_under_way(on, write))
            .then(|| format!("write {} of r{on} is not on its way to the disk", write.0)),
    }
}

fn against_message(world: &Lab, m: MessageId, to: To) -> Option<String> {
    let missing = match to {
        To::Replica(on) => (on >= world.members()).then(|| format!("there is no r{on}")),
        To::Client(at) => no_client(world, at),
    };
    missing.or_else(|| {
        let lost = world.find_letter(m, receiver(world, to)) == On::Nothing;
        lost.then(|| format!("no message {m} is on its way to {to}: neither held nor travelling"))
    })
}

// ---- who is meant

fn receiver(world: &Lab, to: To) -> Node {
    match to {
        To::Replica(on) => Node::Replica(world.config(on).me),
        To::Client(at) => Node::Client(world.client(at).id()),
    }
}

/// At whom it is done, for the tape.
fn node_of(world: &Lab, command: &Command) -> Node {
    match command {
        Command::Register { client, .. } | Command::Request { client, .. } | Command::Retry { client, .. } => {
            receiver(world, To::Client(*client))
        }
        Command::CrashClient(client) => receiver(world, To::Client(*client)),
        Command::Replica(_, on) | Command::Sync(on, _) | Command::Clock(on, _) | Command::SlowDisk(on, _) => {
            receiver(world, To::Replica(*on))
        }
        Command::Cut(..) | Command::HealLink(..) | Command::Heal | Command::Partition(_) => Node::Net,
        Command::Hold(_) | Command::Message(..) | Command::DeliverAll | Command::DropAll => Node::Net,
        Command::Step(_) | Command::Run(_) | Command::Note(_) => Node::Sim,
    }
}

/// All links of a replica, in both directions.
fn around(members: usize, on: usize) -> Vec<(usize, usize)> {
    (0..members).filter(|other| *other != on).flat_map(|other| [(on, other), (other, on)]).collect()
}

/// All links between groups, in both directions.
fn between(groups: &[Vec<usize>]) -> Vec<(usize, usize)> {
    let mut links = Vec::new();
    for (at, one) in groups.iter().enumerate() {
        for other in groups[at + 1..].iter().flatten() {
            links.extend(one.iter().flat_map(|member| [(*member, *other), (*other, *member)]));
        }
    }
    links
}
