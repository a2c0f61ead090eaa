//! What the client table says of sessions and requests, by example.

use super::*;
use crate::entry::{Predicted, Request};
use crate::id::{Epoch, View};

fn entry(op: u64, client: u128, session: u64, number: u64) -> Entry {
    let kind = if number == 0 { Kind::Register } else { Kind::Operation };
    let request = Request {
        client: ClientId(client),
        session: Session(session),
        number: RequestNumber(number),
        kind,
        predicted: Predicted::default(),
        body: Bytes::new(),
    };
    Entry::new(Epoch(0), View(0), Op(op), Hash(0), request)
}

fn take(table: &mut ClientTable, op: u64, client: u128, session: u64, number: u64) -> Turn {
    table.take(Rules::default(), 0, &entry(op, client, session, number))
}

#[test]
fn the_reply_of_a_duplicate_is_the_first_reply() {
    let mut table = ClientTable::new(4);
    assert_eq!(take(&mut table, 1, 7, 0, 0), Turn::Registered { session: Session(1), evicted: None });
    assert_eq!(take(&mut table, 2, 7, 1, 1), Turn::Execute(SlotId(0)));
    assert_eq!(table.seen(ClientId(7), Session(1), RequestNumber(1), Op(9)), Seen::Executing);
    table.answered(SlotId(0), Op(2), Bytes::from_static(b"first"));
    let first = Bytes::from_static(b"first");
    assert_eq!(table.seen(ClientId(7), Session(1), RequestNumber(1), Op(9)), Seen::Answered(Op(2), first.clone()));
    assert_eq!(take(&mut table, 3, 7, 1, 1), Turn::Duplicate(Some((Op(2), first))));
    assert_eq!(take(&mut table, 4, 7, 1, 2), Turn::Execute(SlotId(0)));
    assert_eq!(table.seen(ClientId(7), Session(1), RequestNumber(1), Op(9)), Seen::Older);
    assert_eq!(take(&mut table, 5, 7, 1, 1), Turn::Duplicate(None));
}

#[test]
fn registering_again_gives_the_same_session() {
    let mut table = ClientTable::new(1);
    take(&mut table, 1, 7, 0, 0);
    assert_eq!(take(&mut table, 2, 7, 0, 0), Turn::Registered { session: Session(1), evicted: None });
}

#[test]
fn the_session_that_executed_longest_ago_gives_way_and_its_requests_have_no_effect() {
    let mut table = ClientTable::new(2);
    take(&mut table, 1, 7, 0, 0);
    take(&mut table, 2, 8, 0, 0);
    take(&mut table, 3, 7, 1, 1);
    let evicted = Some((ClientId(8), Session(2)));
    assert_eq!(take(&mut table, 4, 9, 0, 0), Turn::Registered { session: Session(4), evicted });
    assert_eq!(take(&mut table, 5, 8, 2, 1), Turn::Evicted);
    assert_eq!(table.seen(ClientId(8), Session(2), RequestNumber(1), Op(9)), Seen::NoSession);
    assert_eq!(table.session(ClientId(7)), Some(Session(1)));
}

#[test]
fn a_table_that_was_written_down_is_the_table_and_what_is_cut_or_too_long_is_none() {
    let mut table = ClientTable::new(3);
    for client in [9, 2, 5] {
        take(&mut table, u64::try_from(client).expect("small"), client, 0, 0);
    }
    take(&mut table, 10, 2, 2, 1);
    let bytes = table.encode();
    let again = ClientTable::decode(bytes.clone(), 3).expect("its own bytes");
    assert_eq!((again.digest(), again.encode()), (table.digest(), bytes.clone()));
    assert_eq!(again.seen(ClientId(2), Session(2), RequestNumber(1), Op(10)), Seen::Executing);
    assert!(ClientTable::decode(bytes.clone(), 2).is_none(), "more sessions than there may be");
    assert!((1..bytes.len()).filter(|cut| ClientTable::decode(bytes.slice(..*cut), 3).is_some()).count() <= 2);
    assert!(ClientTable::decode(Bytes::from([&bytes[..], &bytes[..]].concat()), 9).is_none(), "each client once");
}

#[test]
fn equal_histories_give_equal_digests_and_a_missing_reply_shows() {
    let (mut a, mut b) = (ClientTable::new(9), ClientTable::new(9));
    for table in [&mut a, &mut b] {
        for client in 1..=5 {
            take(table, u64::try_from(client).expect("small"), client, 0, 0);
        }
        take(table, 6, 3, 3, 1);
    }
    assert_eq!(a.digest(), b.digest());
    a.answered(SlotId(2), Op(6), Bytes::new());
    assert_ne!(a.digest(), b.digest());
}

#[test]
fn what_is_in_flight_is_known_until_its_turn_has_come() {
    let mut table = ClientTable::new(2);
    assert!(!table.flies(ClientId(7), RequestNumber(1), Op(2)), "there is no session to note it with");
    take(&mut table, 1, 7, 0, 0);
    assert!(table.flies(ClientId(7), RequestNumber(2), Op(5)));
    let seen = |number, issued| table.seen(ClientId(7), Session(1), RequestNumber(number), Op(issued));
    assert_eq!((seen(1, 4), seen(2, 4), seen(3, 4)), (Seen::Flying, Seen::Flying, Seen::New(SlotId(0))));
    assert_eq!((seen(1, 5), seen(2, 5)), (Seen::New(SlotId(0)), Seen::New(SlotId(0))), "its turn has come");
}

#[test]
fn a_request_of_a_session_before_the_present_one_is_none_of_it() {
    let mut table = ClientTable::new(1);
    take(&mut table, 1, 7, 0, 0);
    take(&mut table, 2, 8, 0, 0);
    take(&mut table, 3, 7, 0, 0);
    assert_eq!(take(&mut table, 4, 7, 3, 1), Turn::Execute(SlotId(0)));
    assert_eq!(take(&mut table, 5, 7, 1, 1), Turn::Evicted, "not a duplicate: it is of another session");
    assert_eq!(table.last(ClientId(7)), Some(RequestNumber(1)));
    assert_eq!(table.last(ClientId(8)), None);
}

#[test]
fn a_run_is_taken_up_to_the_first_entry_that_is_no_news() {
    let mut table = ClientTable::new(2);
    take(&mut table, 1, 7, 0, 0);
    take(&mut table, 2, 8, 0, 0);
    let run = [entry(3, 7, 1, 1), entry(4, 8, 2, 1), entry(5, 7, 1, 1), entry(6, 8, 2, 2)];
    let mut slots = VecDeque::new();
    assert_eq!(table.take_run(Rules::default(), &run, &mut slots), 2);
    assert_eq!(slots, [Some(SlotId(0)), Some(SlotId(1))]);
    assert_eq!(table.take_one(Rules::default(), &run[2], &mut slots), 0);
    assert_eq!((table.take_one(Rules::default(), &run[3], &mut slots), slots.len()), (1, 3));
}

#[test]
fn tables_are_equal_when_their_sessions_are_and_not_otherwise() {
    let of = |clients: &[u128]| {
        let mut table = ClientTable::new(3);
        for (op, client) in (1..).zip(clients) {
            take(&mut table, op, *client, 0, 0);
        }
        table
    };
    assert_eq!(of(&[7, 8]), of(&[7, 8]));
    assert_ne!(of(&[7, 8]), of(&[7, 9]));
    assert_ne!(of(&[7]), ClientTable { capacity: 4, ..of(&[7]) });
}

#[test]
fn who_becomes_primary_holds_no_request_back_that_it_noted_when_it_led_before() {
    let mut table = ClientTable::new(2);
    take(&mut table, 1, 7, 0, 0);
    let seen = |table: &ClientTable| table.seen(ClientId(7), Session(1), RequestNumber(2), Op(4));
    assert!(table.flies(ClientId(7), RequestNumber(2), Op(5)));
    assert_eq!(seen(&table), Seen::Flying);
    table.ground();
    assert_eq!(seen(&table), Seen::New(SlotId(0)), "another primary may have put something else at op 5");
}

#[test]
fn a_reconfiguration_is_taken_once_and_answered_with_the_number_of_the_epoch_that_begins_with_it() {
    let mut table = ClientTable::new(2);
    take(&mut table, 1, 7, 0, 0);
    let reconfigures = |op: u64, number: u64| {
        let (client, session, number) = (ClientId(7), Session(1), RequestNumber(number));
        let (kind, predicted, body) = (Kind::Reconfiguration, Predicted::default(), Bytes::new());
        let request = Request { client, session, number, kind, predicted, body };
        Entry::new(Epoch(4), View::first_of(Epoch(4)), Op(op), Hash(0), request)
    };
    let answer = Bytes::copy_from_slice(&5u64.to_le_bytes());
    let mut take = |op, number| table.take(Rules::default(), 0, &reconfigures(op, number));
    assert_eq!(take(2, 3), Turn::Reconfigured(answer.clone()), "no service is asked");
    assert_eq!(take(3, 3), Turn::Duplicate(Some((Op(2), answer.clone()))));
    assert_eq!(take(4, 2), Turn::Duplicate(None));
    assert_eq!(table.seen(ClientId(7), Session(1), RequestNumber(3), Op(9)), Seen::Answered(Op(2), answer));
}
