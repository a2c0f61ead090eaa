//! The wire format: every value survives, every damaged frame is refused, nobody can make the decoder panic or
//! reserve more than it was sent, and today's bytes are the golden ones.
//!
//! Owns what the codec promises. Must not know how it is built; what is arbitrary comes from `support/arbitrary`. DESIGN 9.18.

#[path = "support/arbitrary.rs"]
mod arbitrary;

use arbitrary::{chain, event, message, write};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use vr_core::wire::{
    FRAME_HEADER_BYTES, Fault, Limits, WireError, decode, decode_event, decode_within, decode_write, digest_of, encode,
    encode_event, encode_shared, encode_write, encoded_size, frame_length, fuzz_decode,
};
use vr_core::{
    Beat, Body, CheckpointDurable, CheckpointPart, ClientId, ClusterConfig, ClusterId, DoViewChange,
    ENTRY_OVERHEAD_BYTES, Entries, Epoch, FetchId, GetState, Hash, Head, Header, Incarnation, Instance, Kind,
    MAX_ANCHORS, MESSAGE_OVERHEAD_BYTES, Message, MessageKind, NewState, Nonce, Op, PROTOCOL_VERSION, Position,
    Predicted, Recovery, RecoveryResponse, ReplicaId, Request, RequestNumber, Seq, Session, StartView, Tail, View,
    Write,
};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

fn frame_of(message: &Message) -> Bytes {
    let mut frame = Vec::new();
    encode(message, &mut frame);
    Bytes::from(frame)
}

/// A frame with a right checksum around any payload.
fn sealed(letter: u8, payload: &[u8]) -> Bytes {
    let mut frame = vec![b'V', letter];
    frame.extend_from_slice(&PROTOCOL_VERSION.to_le_bytes());
    frame.extend_from_slice(&u32::try_from(payload.len()).expect("a short payload").to_le_bytes());
    frame.extend_from_slice(&xxh3_64(payload).to_le_bytes());
    frame.extend_from_slice(payload);
    Bytes::from(frame)
}

fn header(largest: bool) -> Header {
    let (small, wide) = if largest { (u64::MAX, u128::MAX) } else { (1, 2) };
    Header {
        config: Hash(wide),
        epoch: Epoch(small),
        view: View(small),
        from: ReplicaId(if largest { u16::MAX } else { 3 }),
        instance: Instance(wide),
        incarnation: Incarnation(small),
        seq: Seq(small),
    }
}

/// The bytes of a header's fields, and what follows them.
fn payload(rest: &[u8]) -> Vec<u8> {
    [[2, 1, 1, 3, 2, 1, 1].as_slice(), rest].concat()
}

fn refused(rest: &[u8]) -> WireError {
    decode(&sealed(b'M', &payload(rest))).expect_err("a payload nobody sends")
}

// ---- properties

proptest! {
    #[test]
    fn every_message_survives_the_wire_in_exactly_one_encoding(message in message()) {
        let frame = frame_of(&message);
        prop_assert_eq!(decode(&frame), Ok(message.clone()));
        prop_assert_eq!(encoded_size(&message), frame.len());
        prop_assert_eq!(frame_length(&frame, &Limits::default()), Ok(frame.len()));
        // The layout is that of the serde types: this digest is made through serde.
        prop_assert_eq!(digest_of(&message), Hash(xxh3_128(&frame[FRAME_HEADER_BYTES..])));
    }

    #[test]
    fn every_write_and_every_event_survives(write in write(), event in event()) {
        let mut frame = Vec::new();
        encode_write(&write, &mut frame);
        prop_assert_eq!(digest_of(&write), Hash(xxh3_128(&frame[FRAME_HEADER_BYTES..])));
        prop_assert_eq!(decode_write(&Bytes::from(frame), &Limits::NONE), Ok(write));
        let mut frame = Vec::new();
        encode_event(&event, &mut frame);
        prop_assert_eq!(digest_of(&event), Hash(xxh3_128(&frame[FRAME_HEADER_BYTES..])));
        prop_assert_eq!(decode_event(&Bytes::from(frame), &Limits::NONE), Ok(event));
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(data in vec(any::<u8>(), 0..600)) {
        fuzz_decode(&data);
    }

    #[test]
    fn no_damage_behind_the_checksum_makes_a_decoder_panic(
        message in message(),
        event in event(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut frames = [frame_of(&message).to_vec(), Vec::new()];
        encode_event(&event, &mut frames[1]);
        for mut frame in frames {
            for (index, byte) in &damage {
                let at = index.index(frame.len());
                frame[at] = *byte;
            }
            fuzz_decode(&frame[FRAME_HEADER_BYTES..]);
            fuzz_decode(&frame);
        }
    }

    #[test]
    fn a_body_shares_the_memory_of_its_frame(message in message()) {
        let frame = frame_of(&message);
        let decoded = decode(&frame).expect("a frame of ours");
        if let Body::Prepare { entries, .. } = &decoded.body {
            for entry in entries.iter().filter(|entry| !entry.body().is_empty()) {
                prop_assert!(frame.as_ptr_range().contains(&entry.body().as_ptr()));
            }
        }
    }
}

proptest! {
    // Each case tries every bit.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused(message in message()) {
        let frame = frame_of(&message);
        for bit in 0..frame.len() * 8 {
            let mut damaged = frame.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(&Bytes::from(damaged)).is_err(), "bit {}", bit);
        }
        for length in 0..frame.len() {
            let error = decode(&frame.slice(..length)).expect_err("a frame was cut");
            prop_assert_eq!(error.fault(), Fault::Transit);
        }
        let longer = Bytes::from([frame.as_ref(), &[0]].concat());
        prop_assert_eq!(decode(&longer).map_err(|error| error.reason()), Err("length"));
    }
}

// ---- sizes

fn largest_entries(count: u64, body: usize) -> Entries {
    let request = Request {
        client: ClientId(u128::MAX),
        session: Session(u64::MAX),
        number: RequestNumber(u64::MAX),
        kind: Kind::Operation,
        predicted: Predicted { wall_ns: u64::MAX, seed: u64::MAX },
        body: Bytes::from(vec![7; body]),
    };
    let base = Head { op: Op(u64::MAX - count), hash: Hash(u128::MAX) };
    chain(base, (0..count).map(|_| (u64::MAX, u64::MAX, request.clone())).collect())
}

#[test]
fn no_message_costs_more_than_the_core_reckons_with() {
    let far = Head { op: Op(u64::MAX), hash: Hash(u128::MAX) };
    let (op, id, view, beat) = (Op(u64::MAX), FetchId(u64::MAX), View(u64::MAX), Beat(u64::MAX));
    let nonce = Nonce { incarnation: Incarnation(u64::MAX), counter: u64::MAX };
    let hears = (0..64).filter_map(Position::new).collect();
    for (count, body) in [(0, 0), (1, 0), (1, 1 << 20), (3, 70_000), (300, 300)] {
        let entries = largest_entries(count, body);
        let tail = || Tail { base: far, entries: entries.clone(), head: far };
        let start = StartView { view_start: op, commit: op, tail: tail() };
        let have = vec![far; MAX_ANCHORS];
        let bodies = [
            Body::Prepare { entries: entries.clone(), commit: op, beat },
            Body::PrepareOk { head: far, beat },
            Body::Commit { commit: op, head: far, beat },
            Body::CommitOk { beat },
            Body::StartViewChange { want: true, hears },
            Body::DoViewChange(Box::new(DoViewChange { log_view: view, commit: op, tail: tail() })),
            Body::StartView(Box::new(start.clone())),
            Body::GetState(Box::new(GetState { id, have: have.clone(), want: Some(far) })),
            Body::NewState(Box::new(NewState { id, commit: op, tail: tail() })),
            Body::Recovery(Box::new(Recovery { nonce, view_min: view, have })),
            Body::RecoveryResponse(Box::new(RecoveryResponse { nonce, log: Some(start) })),
            Body::GetCheckpoint { head: far, offset: u64::MAX },
            Body::CheckpointPart(Box::new(CheckpointPart {
                head: far,
                digest: Hash(u128::MAX),
                length: u64::MAX,
                offset: u64::MAX,
                bytes: Bytes::from(vec![7; entries.len() * body]).into(),
            })),
            Body::GetEntries { through: far },
            Body::Entries(entries.clone()),
            Body::StartEpoch(golden::group(64, &Bytes::new())),
            Body::EpochStarted { epoch: Epoch(u64::MAX) },
            Body::NewEpoch(golden::group(64, &Bytes::new())),
            Body::CheckEpoch,
            Body::GetReadIndex { id: FetchId(u64::MAX) },
            Body::ReadIndex { id: FetchId(u64::MAX), op: Op(u64::MAX) },
            Body::CheckpointDurable(Box::new(CheckpointDurable { head: far, held: far })),
        ];
        assert_eq!(bodies.each_ref().map(Body::kind), MessageKind::ALL);
        let room = usize::try_from(MESSAGE_OVERHEAD_BYTES).unwrap() + entries.len() * (ENTRY_OVERHEAD_BYTES + body);
        for body in bodies {
            let message = Message::new(header(true), body);
            let size = frame_of(&message).len();
            assert!(size <= room, "{:?}: {size} bytes, {room} reckoned", message.body.kind());
            assert_eq!(encoded_size(&message), size);
            assert_eq!(encode_shared(&message).concat(), frame_of(&message));
        }
    }
}

#[test]
fn an_entry_and_the_rest_of_a_message_each_stay_within_their_own_allowance() {
    let size = |count| {
        let entries = largest_entries(count, 0);
        let body = Body::Prepare { entries, commit: Op(u64::MAX), beat: Beat(u64::MAX) };
        encoded_size(&Message::new(header(true), body))
    };
    assert!(size(2) - size(1) <= ENTRY_OVERHEAD_BYTES, "{} bytes an entry", size(2) - size(1));
    assert!(size(0) <= usize::try_from(MESSAGE_OVERHEAD_BYTES).unwrap());
}

#[test]
fn encoding_appends_and_does_not_allocate_where_there_is_room() {
    let message = Message::new(header(false), Body::CommitOk { beat: Beat(9) });
    let mut out = Vec::with_capacity(1000);
    out.extend_from_slice(b"before");
    let place = out.as_ptr();
    encode(&message, &mut out);
    encode(&message, &mut out);
    assert_eq!((out.as_ptr(), out.capacity()), (place, 1000));
    let frames = Bytes::from(out).slice(6..);
    let length = frame_length(&frames, &Limits::default()).expect("a frame");
    assert_eq!(decode(&frames.slice(..length)), Ok(message.clone()));
    assert_eq!(decode(&frames.slice(length..)), Ok(message));
}

#[test]
fn a_part_in_many_pieces_has_the_frame_of_one_in_one_and_shares_what_is_long() {
    let bytes = Bytes::from((0..=255).cycle().take(100_000).collect::<Vec<u8>>());
    let (head, digest) = (Head::default(), Hash(1));
    let part = |every: usize| {
        let bytes = (0..bytes.len()).step_by(every).map(|at| bytes.slice(at..bytes.len().min(at + every))).collect();
        let part = CheckpointPart { head, digest, length: 200_000, offset: 3, bytes };
        Message::new(header(false), Body::CheckpointPart(Box::new(part)))
    };
    let whole = frame_of(&part(bytes.len()));
    for every in [777, 4095, 4096, 30_000, bytes.len()] {
        let pieces = encode_shared(&part(every));
        assert_eq!((Bytes::from(pieces.concat()), frame_of(&part(every))), (whole.clone(), whole.clone()), "{every}");
        let place = bytes.as_ptr().addr();
        let shared = pieces.iter().filter(|piece| (place..place + bytes.len()).contains(&piece.as_ptr().addr()));
        assert_eq!(
            shared.count(),
            if every < 4096 { 0 } else { bytes.len().div_ceil(every) - usize::from(every == 4096) }
        );
    }
    assert_eq!(decode(&whole), Ok(part(1000)));
}

#[test]
fn the_limit_is_looked_at_before_anything_else() {
    let frame = frame_of(&Message::new(header(false), Body::CommitOk { beat: Beat(9) }));
    assert_eq!(Limits::of(&ClusterConfig::of_size(ClusterId(1), 3)), Limits::default());
    assert!(decode_within(&frame, &Limits { frame_bytes: frame.len() }).is_ok());
    let tight = Limits { frame_bytes: frame.len() - 1 };
    let error = decode_within(&frame, &tight).expect_err("too long");
    assert_eq!((error.reason(), error.fault()), ("too_long", Fault::Setup));
    assert_eq!(frame_length(&frame, &tight), Err(error));
    let garbage = Bytes::from(vec![0; 100]);
    assert_eq!(decode_within(&garbage, &tight).map_err(|e| e.reason()), Err("too_long"));
    assert_eq!(decode(&garbage).map_err(|e| e.reason()), Err("not_a_frame"));
}

#[test]
fn a_frame_of_another_type_or_version_is_refused_by_name() {
    let mut frame = Vec::new();
    encode_write(&Write::View(View(3)), &mut frame);
    assert_eq!(decode(&Bytes::from(frame.clone())), Err(WireError::OtherType { letter: b'W' }));
    frame[2] = 9;
    assert_eq!(decode_write(&Bytes::from(frame), &Limits::NONE), Err(WireError::OtherVersion { version: 9 }));
}

#[test]
fn a_payload_that_nobody_sends_is_refused_with_its_reason() {
    assert!(decode(&sealed(b'M', &payload(&[3, 9]))).is_ok(), "CommitOk, beat 9: the form of what follows");
    assert_eq!((refused(&[3]), refused(&[3, 9, 0])), (WireError::Ended, WireError::Trailing { bytes: 1 }));
    assert_eq!(refused(&[250]), WireError::Variant { of: "Body" });
    assert_eq!(refused(&[17, 1, 0, 0, 0, 0]), WireError::NoGroup, "of no members");
    assert_eq!(refused(&[3, 251, 9, 0]), WireError::Number, "9 in three bytes");
    assert_eq!(refused(&[3, 255]), WireError::Number, "no such number");
    assert_eq!(refused(&[3, 253, 0, 0, 0, 0, 0, 0, 0, 128]), WireError::Counter);
    assert_eq!(refused(&[4, 2, 0]), WireError::Variant { of: "bool" });
    assert_eq!(refused(&[0, 0, 0, 0]), WireError::NoEntries);
    let entry = [0, 0, 5, 7, 1, 1, 1, 1, 0, 0, 0];
    let two = [[0, 2].as_slice(), &entry, &entry, &[0, 0]].concat();
    assert_eq!(refused(&two), WireError::BrokenChain);
    assert_eq!(refused(&[0, 1, 0, 0, 0, 7, 1, 1, 1, 1, 0, 0, 0, 0, 0]), WireError::EntryAtZero);
    let report = |base: u8, head: u8| [[5, 1, 0, base, 7, 1].as_slice(), &entry, &[head, 0]].concat();
    assert!(decode(&sealed(b'M', &payload(&report(4, 6)))).is_ok());
    assert_eq!(refused(&report(3, 6)), WireError::NotAfterBase);
    assert_eq!(refused(&report(4, 5)), WireError::NotTowardsHead, "op 5 has another hash");
    assert_eq!(refused(&report(4, 4)), WireError::NotTowardsHead);
    let replace = sealed(b'W', &[[3, 3, 1].as_slice(), &entry, &[1]].concat());
    assert_eq!(decode_write(&replace, &Limits::NONE), Err(WireError::NotAfterBase));
    let head = [4, 7, 0, 0];
    let torn = sealed(b'W', &[[5].as_slice(), &head, &[1, b't', 2, b's', b's'], &[9]].concat());
    assert_eq!(decode_write(&torn, &Limits::NONE), Err(WireError::WrongDigest));
    for error in [WireError::Checksum, WireError::Ended, refused(&[13]), refused(&two)] {
        assert!(!error.to_string().is_empty() && !error.reason().contains(' '));
    }
}

#[test]
fn a_list_is_refused_before_there_is_room_for_it_when_it_cannot_follow() {
    let claim = |tag: u8, bytes: usize| [[tag, 1, 252].as_slice(), &[255; 4], &vec![0; bytes]].concat();
    let prepare = [[0, 252].as_slice(), &[255; 4], &[0; 60_000]].concat();
    let many = WireError::TooMany { what: "entries", claimed: u64::from(u32::MAX), limit: 60_000 / 11 };
    assert_eq!(refused(&prepare), many);
    let many = WireError::TooMany { what: "anchors", claimed: u64::from(u32::MAX), limit: 30_000 };
    assert_eq!(refused(&claim(7, 60_000)), many);
    // As many as could follow, but more than anybody asks with.
    let long = [[7, 1, 66].as_slice(), &[0; 60_000]].concat();
    assert_eq!(refused(&long), WireError::TooMany { what: "anchors", claimed: 66, limit: MAX_ANCHORS });
    // 60 KB of the smallest entries: the first one is at op 0, and there are never two alike.
    let hostile = [[0, 251].as_slice(), &5_000u16.to_le_bytes(), &[0; 60_000]].concat();
    assert_eq!(refused(&hostile), WireError::EntryAtZero);
    // A body that claims to be longer than the payload.
    assert_eq!(refused(&[0, 1, 0, 0, 5, 7, 1, 1, 1, 1, 0, 0, 250, 0, 0]), WireError::Ended);
}

#[path = "golden/golden.rs"]
mod golden;
