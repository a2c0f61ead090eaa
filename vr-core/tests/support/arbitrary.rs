//! Arbitrary messages, writes and events: anything that can be written down, whether or not anybody would say it.
//!
//! Owns the generators. Must not know how the codec is built, or what a replica makes of it. DESIGN 9.18.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use vr_core::wire::COUNTER_MAX;
use vr_core::{
    Beat, Body, Checkpoint, CheckpointDurable, CheckpointPart, ClientId, DoViewChange, Entries, Entry, Epoch, Event,
    FetchId, GetState, Hash, Head, Header, Incarnation, Input, Instance, Kind, MAX_ANCHORS, Message, NewState, Nonce,
    Op, Position, Predicted, Query, Recovery, RecoveryResponse, ReplicaId, ReplicaSet, Request, RequestNumber, Seq,
    Session, StartView, Tail, Time, View, Write, WriteId,
};

pub(crate) fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..=251u64, 65_000..66_000u64, (u64::from(u32::MAX) - 9)..(u64::from(u32::MAX) + 9), 0..=COUNTER_MAX]
}

pub(crate) fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![number(), any::<u64>(), Just(u64::MAX)]
}

pub(crate) fn wide() -> impl Strategy<Value = u128> {
    prop_oneof![any_number().prop_map(u128::from), any::<u128>()]
}

pub(crate) fn body() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

pub(crate) fn request() -> BoxedStrategy<Request> {
    let kind = prop_oneof![Just(Kind::Register), Just(Kind::Operation), Just(Kind::Reconfiguration)];
    (wide(), any_number(), any_number(), kind, any_number(), any_number(), body())
        .prop_map(|(client, session, number, kind, wall_ns, seed, body)| Request {
            client: ClientId(client),
            session: Session(session),
            number: RequestNumber(number),
            kind,
            predicted: Predicted { wall_ns, seed },
            body,
        })
        .boxed()
}

pub(crate) fn head() -> impl Strategy<Value = Head> {
    (number(), wide()).prop_map(|(op, hash)| Head { op: Op(op), hash: Hash(hash) })
}

pub(crate) fn chain(base: Head, links: Vec<(u64, u64, Request)>) -> Entries {
    let mut end = base;
    let link = |(epoch, view, request)| {
        let entry = Entry::new(Epoch(epoch), View(view), end.op.next(), end.hash, request);
        end = Head { op: entry.op(), hash: entry.hash() };
        entry
    };
    Entries::new(links.into_iter().map(link).collect()).expect("a chain")
}

pub(crate) fn tail_of(least: usize) -> BoxedStrategy<Tail> {
    let base = (0..COUNTER_MAX / 2, wide()).prop_map(|(op, hash)| Head { op: Op(op), hash: Hash(hash) });
    let links = vec((number(), number(), request()), least..least + 4);
    (base, links, prop::option::of((1..COUNTER_MAX / 4, wide())))
        .prop_map(|(base, links, beyond)| {
            let entries = chain(base, links);
            let last = entries.last().map_or(base, |last| Head { op: last.op(), hash: last.hash() });
            let head = beyond.map_or(last, |(more, hash)| Head { op: last.op.plus(more), hash: Hash(hash) });
            Tail { base, entries, head }
        })
        .boxed()
}

pub(crate) fn start_view() -> BoxedStrategy<StartView> {
    (number(), number(), tail_of(0))
        .prop_map(|(start, commit, tail)| StartView { view_start: Op(start), commit: Op(commit), tail })
        .boxed()
}

pub(crate) fn nonce() -> impl Strategy<Value = Nonce> {
    (number(), any_number()).prop_map(|(life, counter)| Nonce { incarnation: Incarnation(life), counter })
}

pub(crate) fn said() -> BoxedStrategy<Body> {
    let have = || vec(head(), 0..=MAX_ANCHORS);
    let hears = any::<u64>().prop_map(|bits| {
        let positions = (0..64).filter(|position| bits >> position & 1 == 1);
        positions.filter_map(Position::new).collect::<ReplicaSet>()
    });
    prop_oneof![
        (tail_of(1), number(), number()).prop_map(|(tail, commit, beat)| Body::Prepare {
            entries: tail.entries,
            commit: Op(commit),
            beat: Beat(beat),
        }),
        (head(), number()).prop_map(|(head, beat)| Body::PrepareOk { head, beat: Beat(beat) }),
        (head(), number(), number()).prop_map(|(head, commit, beat)| Body::Commit {
            commit: Op(commit),
            head,
            beat: Beat(beat),
        }),
        number().prop_map(|beat| Body::CommitOk { beat: Beat(beat) }),
        (any::<bool>(), hears).prop_map(|(want, hears)| Body::StartViewChange { want, hears }),
        (number(), number(), tail_of(0)).prop_map(|(view, commit, tail)| {
            Body::DoViewChange(Box::new(DoViewChange { log_view: View(view), commit: Op(commit), tail }))
        }),
        start_view().prop_map(|start| Body::StartView(Box::new(start))),
        (number(), have(), prop::option::of(head())).prop_map(|(id, have, want)| Body::GetState(Box::new(GetState {
            id: FetchId(id),
            have,
            want
        }))),
        (number(), number(), tail_of(0)).prop_map(|(id, commit, tail)| {
            Body::NewState(Box::new(NewState { id: FetchId(id), commit: Op(commit), tail }))
        }),
        (nonce(), number(), have()).prop_map(|(nonce, view, have)| {
            Body::Recovery(Box::new(Recovery { nonce, view_min: View(view), have }))
        }),
        (nonce(), prop::option::of(start_view()))
            .prop_map(|(nonce, log)| Body::RecoveryResponse(Box::new(RecoveryResponse { nonce, log }))),
        (head(), any_number()).prop_map(|(head, offset)| Body::GetCheckpoint { head, offset }),
        (head(), wide(), any_number(), any_number(), body()).prop_map(|(head, digest, length, offset, bytes)| {
            Body::CheckpointPart(Box::new(CheckpointPart {
                head,
                digest: Hash(digest),
                length,
                offset,
                bytes: bytes.into(),
            }))
        }),
        head().prop_map(|through| Body::GetEntries { through }),
        tail_of(1).prop_map(|tail| Body::Entries(tail.entries)),
        (1..65u16, body()).prop_map(|(members, at)| Body::StartEpoch(super::golden::group(members, &at))),
        number().prop_map(|epoch| Body::EpochStarted { epoch: Epoch(epoch) }),
        (1..65u16, body()).prop_map(|(members, at)| Body::NewEpoch(super::golden::group(members, &at))),
        Just(Body::CheckEpoch),
        number().prop_map(|id| Body::GetReadIndex { id: FetchId(id) }),
        (number(), number()).prop_map(|(id, op)| Body::ReadIndex { id: FetchId(id), op: Op(op) }),
        (head(), head()).prop_map(|(head, held)| Body::CheckpointDurable(Box::new(CheckpointDurable { head, held }))),
    ]
    .boxed()
}

pub(crate) fn message() -> BoxedStrategy<Message> {
    let header = (wide(), number(), number(), any::<u16>(), wide(), number(), number()).prop_map(
        |(config, epoch, view, from, instance, incarnation, seq)| Header {
            config: Hash(config),
            epoch: Epoch(epoch),
            view: View(view),
            from: ReplicaId(from),
            instance: Instance(instance),
            incarnation: Incarnation(incarnation),
            seq: Seq(seq),
        },
    );
    (header, said()).prop_map(|(header, body)| Message::new(header, body)).boxed()
}

pub(crate) fn checkpoint_at(head: Head) -> BoxedStrategy<Box<Checkpoint>> {
    (any_number(), any_number(), body(), body())
        .prop_map(move |(wall_ns, seed, table, state)| {
            Box::new(Checkpoint::new(head, Predicted { wall_ns, seed }, table, state))
        })
        .boxed()
}

pub(crate) fn write() -> BoxedStrategy<Write> {
    prop_oneof![
        head().prop_flat_map(checkpoint_at).prop_map(Write::Checkpoint),
        number().prop_map(|op| Write::Cut { through: Op(op) }),
        tail_of(0)
            .prop_flat_map(|tail| (checkpoint_at(tail.base), Just(tail.entries), number()))
            .prop_map(|(checkpoint, entries, view)| Write::Install { checkpoint, entries, view: View(view) }),
        tail_of(0).prop_map(|tail| Write::Repair { keep: tail.base.op, entries: tail.entries }),
        number().prop_map(|incarnation| Write::Incarnation(Incarnation(incarnation))),
        number().prop_map(|view| Write::View(View(view))),
        Just(Write::Clean),
        tail_of(0).prop_map(|tail| Write::Append(tail.entries)),
        (tail_of(0), number()).prop_map(|(tail, view)| Write::Replace {
            keep: tail.base.op,
            entries: tail.entries,
            view: View(view),
        }),
    ]
    .boxed()
}

pub(crate) fn event() -> BoxedStrategy<Event> {
    let input = prop_oneof![
        Just(Input::Tick),
        Just(Input::WriteFailed),
        Just(Input::Stop),
        proptest::option::of(any::<u16>()).prop_map(|to| Input::HandOver { to: to.map(ReplicaId) }),
        any::<bool>().prop_map(Input::Space),
        request().prop_map(Input::Request),
        vec(request(), 0..4).prop_map(Input::Requests),
        (number(), vec(body(), 0..4)).prop_map(|(op, replies)| Input::ExecutedRun { first: Op(op), replies }),
        message().prop_map(Input::Message),
        number().prop_map(|id| Input::Persisted(WriteId(id))),
        (number(), body()).prop_map(|(op, reply)| Input::Executed { op: Op(op), reply }),
        (number(), body()).prop_map(|(op, state)| Input::CheckpointTaken { op: Op(op), state }),
        number().prop_map(|op| Input::CheckpointBegun { op: Op(op) }),
        head().prop_flat_map(checkpoint_at).prop_map(Input::CheckpointGiven),
        number().prop_map(|op| Input::Restored { op: Op(op) }),
        (any::<u128>(), any_number(), body(), 0..3u8).prop_map(|(client, number, body, kind)| {
            let query = Query { client: ClientId(client), number: RequestNumber(number), body };
            match kind {
                0 => Input::Query(query),
                1 => Input::QueryHere(query),
                _ => Input::QueryLate(query),
            }
        }),
    ];
    (any_number(), input).prop_map(|(at, input)| Event { at: Time(at), input }).boxed()
}
