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

#[test]
fn what_flies_is_noted_with_the_session_of_its_client_or_apart_if_it_has_none() {
    let (common, mut primary) = leading();
    let mut clients = ClientTable::new(8);
    let register = Request {
        client: ClientId(1),
        session: crate::id::Session::ZERO,
        number: RequestNumber::ZERO,
        kind: Kind::Register,
        predicted: crate::entry::Predicted::default(),
        body: Bytes::new(),
    };
    let entry = Entry::new(common.epoch(), common.view(), Op(1), common.log.head().hash, register);
    let _ = clients.take(common.rules, 0, &entry);
    primary.fly(&mut clients, ClientId(1), RequestNumber(3), Op(5));
    assert_eq!(primary.registering.len(), 0);
    assert_eq!(clients.seen(ClientId(1), crate::id::Session(1), RequestNumber(3), Op(4)), Seen::Flying);
    primary.fly(&mut clients, ClientId(2), RequestNumber(3), Op(6));
    assert!(primary.registering.has(ClientId(2), RequestNumber(3), Op(5)));
    primary.fly(&mut clients, ClientId(1), RequestNumber::ZERO, Op(7));
    assert!(primary.registering.has(ClientId(1), RequestNumber::ZERO, Op(6)), "a session of its own is on its way");
}
