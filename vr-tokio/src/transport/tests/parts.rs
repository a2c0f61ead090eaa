//! The parts that read bytes, under any bytes: they never panic, and give back what was written. Owns no helper.

use super::answer::Answer;
use super::link::Pieces;
use super::*;
use bytes::Buf;
use proptest::prelude::*;
use std::io::IoSlice;
use vr_core::wire::Limits;

fn json(messages: &[Message]) -> Vec<u8> {
    serde_json::to_vec(messages).expect("JSON")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_body_is_decoded_or_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        for codec in [Codec::Bincode, Codec::Json] {
            let _ = codec.decode(body.clone().into(), &Limits::of(&cluster()));
        }
    }

    #[test]
    fn a_damaged_json_body_is_refused_or_means_something_that_frames_could_say(at in 0_usize..2000, byte in any::<u8>()) {
        let mut body = json(&[prepare(R1, 1, 2, 20), beat(R1, 2)]);
        let at = at % body.len();
        body[at] = byte;
        let Ok(messages) = Codec::Json.decode(body.into(), &Limits::of(&cluster())) else { return Ok(()) };
        let again = Codec::Bincode.decode(frames(&messages).into(), &Limits::of(&cluster()));
        prop_assert_eq!(again, Ok(messages));
    }

    #[test]
    fn any_answer_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Answer::parse(&bytes);
    }

    #[test]
    fn an_answer_that_is_not_all_there_is_waited_for(cut in 0_usize..75) {
        let all = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 23\r\nconnection: x, Close\r\n\r\n{}";
        let head_bytes = all.len() - 2;
        let part = Answer::parse(&all[..cut.min(head_bytes - 1)]).expect("good so far");
        prop_assert!(part.is_none());
        let answer = Answer::parse(all).expect("good").expect("complete");
        prop_assert_eq!((answer.status, answer.head_bytes, answer.body_bytes, answer.closes), (503, head_bytes, 23, true));
    }

    #[test]
    fn pieces_are_written_whole_however_much_goes_at_a_time(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..10),
        steps in proptest::collection::vec(1_usize..30, 1..40),
        slots in 1_usize..12,
    ) {
        let messages: Vec<Bytes> = pieces.iter().cloned().map(Bytes::from).collect();
        let expected = [b"head".to_vec(), pieces.concat()].concat();
        let mut buf = Pieces::new(b"head", &messages);
        let mut written = Vec::new();
        let mut steps = steps.into_iter().cycle();
        while buf.has_remaining() {
            let mut slices = vec![IoSlice::new(&[]); slots];
            let count = buf.chunks_vectored(&mut slices);
            let offered: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
            prop_assert!(!offered.is_empty() && offered.starts_with(buf.chunk()));
            let taken = steps.next().expect("a cycle").min(offered.len());
            written.extend_from_slice(&offered[..taken]);
            buf.advance(taken);
        }
        prop_assert_eq!(written, expected);
    }
}

#[test]
fn both_encodings_say_the_same() {
    let messages = vec![prepare(R1, 1, 3, 50), beat(R1, 2), prepare(R1, 3, 1, 0)];
    let limits = Limits::of(&cluster());
    assert_eq!(Codec::Bincode.decode(frames(&messages).into(), &limits), Ok(messages.clone()));
    assert_eq!(Codec::Json.decode(json(&messages).into(), &limits), Ok(messages));
    for codec in [Codec::Bincode, Codec::Json] {
        assert_eq!(Codec::of_content_type(codec.content_type()), Some(codec));
    }
}

#[test]
fn json_of_the_longest_message_fits_its_limit() {
    let empty = prepare(R1, 1, 1000, 0);
    let frame = vr_core::wire::encoded_size(&empty);
    assert!(json(&[empty]).len() <= Codec::Json.body_limit(frame), "many entries without a body");
    let long = prepare(R1, 1, 1, 60_000);
    let frame = vr_core::wire::encoded_size(&long);
    assert!(json(&[long]).len() <= Codec::Json.body_limit(frame), "one entry with a long one");
}
