//! Traces that are read back, cut off, broken, hostile and random.

use super::*;
use crate::run::{record_seed, trace_case};
use crate::swarm::Options;
use proptest::prelude::*;

const HEADER: &str = concat!(
    "{\"i\":0,\"t\":0,\"k\":\"meta\",\"format\":\"vrtrace/1\",\"mode\":\"sim\",\"config\":{\"members\":[\"r0\"],",
    "\"epoch\":0,\"f\":0,\"quorum\":1},\"redact\":\"full\"}\n",
);

fn why(text: impl AsRef<[u8]>) -> String {
    trace(text.as_ref()).expect_err("refused").to_string()
}

fn after_header(line: &str) -> String {
    why(format!("{HEADER}{line}\n"))
}

#[test]
fn what_was_written_is_read_back_and_a_cut_is_noticed() {
    let case = record_seed(&Options::default(), 3).case.expect("recorded");
    let tape = trace_case(&case, None).1;
    let text = tape.write();
    let whole = trace(text.as_bytes()).expect("a trace");
    assert_eq!((&whole.events, &whole.cut), (&tape.events, &None));
    let cut = trace(&text.as_bytes()[..text.len() - 9]).expect("most of a trace");
    assert_eq!(cut.events[..], tape.events[..tape.events.len() - 1]);
    assert!(cut.cut.expect("it is cut").contains(&format!("in the middle of line {}", tape.events.len())));
    let (most, _) = text.trim_end().rsplit_once('\n').expect("lines");
    assert!(trace(most.as_bytes()).expect("a trace").cut.expect("no end").contains("no end"));
}

#[test]
fn what_is_no_trace_of_this_version_is_refused_with_the_line_and_the_column() {
    assert!(why("").contains("empty"));
    assert!(why("hello\n").starts_with("line 1: not a trace: column 1"), "{}", why("hello\n"));
    assert_eq!(why("{}\n"), "line 1: not a trace: it begins with no header");
    let other = HEADER.replace("vrtrace/1", "vrtrace/2");
    assert_eq!(why(other), "line 1: format vrtrace/2; this version reads vrtrace/1");
    assert!(trace(HEADER.replace("vrtrace/1", "vrtrace/1.7").as_bytes()).is_ok(), "a newer minor version is read");
    assert!(why([0x1F, 0x8B, 8, 0, 10]).contains("gzip"));
    let crowd = (0..65).map(|id| format!("\"r{id}\"")).collect::<Vec<_>>().join(",");
    assert!(why(HEADER.replace("\"r0\"", &crowd)).contains("65 replicas; 1 to 64"));
    let note = |i: u64| format!("{{\"i\":{i},\"t\":5,\"k\":\"note\",\"n\":\"r0\",\"text\":\"x\"}}");
    assert!(trace(format!("{HEADER}{}\n", note(1)).as_bytes()).is_ok());
    assert_eq!(after_header(&note(2)), "line 2: column \"i\": 2 where 1 was expected");
    assert!(after_header(&note(1).replace("\"t\":5", "\"t\":oh")).starts_with("line 2: column 12: "));
    assert!(after_header(&note(1).replace("r0", "nobody")).contains("not the name of a node"));
    let deep = format!("{{\"i\":1,\"t\":5,\"k\":\"new\",\"x\":{}1{}}}", "[".repeat(16), "]".repeat(16));
    assert!(after_header(&deep).contains("nested more than 16 deep"));
    assert!(after_header(&note(1).replace('x', &"x".repeat(LINE_MAX))).contains("longer than 1048576 bytes"));
}

#[test]
fn kinds_and_fields_of_a_newer_version_are_read() {
    let text = format!("{HEADER}{{\"i\":1,\"t\":5,\"k\":\"new\",\"n\":\"r0\",\"deep\":{{\"a\":[\"]}}\"]}}}}\n");
    let read = trace(text.as_bytes()).expect("a trace");
    assert_eq!(read.events[1].what, What::Unknown);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, at in 0..200_usize, with: u8) {
        let _ = trace(&bytes[..]);
        let mut text = format!("{HEADER}{{\"i\":1,\"t\":5,\"k\":\"exec\",\"n\":\"r0\",\"op\":3}}\n").into_bytes();
        let end = text.len();
        text[at.min(end - 1)] = with;
        let _ = trace(&text[..]);
    }
}
