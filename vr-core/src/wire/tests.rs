//! Tests of the check that finds a value with two encodings: whoever feeds it arbitrary bytes relies on it.

use super::*;

/// A frame whose decoder overlooks all bits of its byte but one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Loose(bool);

impl Shape for Loose {
    fn put(&self, to: &mut impl Sink) {
        to.put(&[u8::from(self.0)]);
    }
    fn get(from: &mut Source<'_>) -> Result<Self, WireError> {
        from.byte().map(|byte| Self(byte & 1 == 1))
    }
}

impl Framed for Loose {
    const LETTER: u8 = b'M';
}

#[test]
fn what_is_the_encoding_of_its_value_or_no_encoding_at_all_passes() {
    for data in [&[][..], &[0], &[1], &[1, 1]] {
        fuzz_as::<Loose>(data);
    }
}

#[test]
#[should_panic(expected = "a value has one encoding: Loose(true)")]
fn what_is_accepted_and_written_otherwise_is_found() {
    fuzz_as::<Loose>(&[3]);
}
