//! Tests of admission: which requests of clients that are only registering are known to be in flight, and how long.

use super::super::tests::leading;
use super::*;

#[test]
fn what_flies_is_known_until_its_turn_has_come_and_can_be_forgotten_then() {
    let mut registering = Registering::default();
    registering.insert(ClientId(1), RequestNumber(2), Op(3));
    registering.insert(ClientId(2), RequestNumber(1), Op(5));
    let has = |number: u64, issued: u64| registering.has(ClientId(1), RequestNumber(number), Op(issued));
    assert!(has(1, 2) && has(2, 2) && !has(3, 2), "this number and those before it");
    assert!(!has(2, 3) && !has(1, 3), "its turn has come");
    registering.forget(Op(2));
    assert_eq!(registering.len(), 2);
    registering.forget(Op(3));
    assert_eq!(registering.len(), 1);
    registering.forget(Op(5));
    assert_eq!(registering.len(), 0);
}

#[test]
fn those_whose_turn_has_come_are_forgotten_once_more_than_64_are_noted() {
    for (noted, left) in [(64, 64), (65, 0), (70, 0)] {
        let (mut common, mut primary) = leading();
        (0..noted).for_each(|client| primary.registering.insert(ClientId(client), RequestNumber::ZERO, Op::ZERO));
        primary.flush(&mut common, &mut Vec::new());
        assert_eq!(primary.registering.len(), left, "{noted}");
    }
}
