//! What a fingerprint tells apart and what it does not, on data that is nothing but its shape.
//!
//! Structs and fields have the names that the walk knows.

use super::*;
use crate::id::{ReplicaId, Time, WriteId};
use crate::quorum::{Position, ReplicaSet};
use alloc::collections::BTreeMap;
use alloc::vec;
use serde::Serialize;

const AS_THEY_ARE: &[u8] = &[0, 1, 2];

fn at(position: usize) -> Position {
    Position::new(position).expect("there are as many")
}

fn of<T: Serialize>(what: &T) -> u128 {
    fingerprint(what, AS_THEY_ARE, Writes::default())
}

#[derive(Serialize)]
struct Header {
    view: u64,
    seq: u64,
}

#[derive(Serialize)]
struct Primary {
    members: Vec<u64>,
}

#[derive(Serialize)]
struct Pending {
    held: Vec<u64>,
    others: Vec<u64>,
}

#[derive(Serialize)]
enum Kind {
    One,
    Other,
}

#[test]
fn what_a_field_holds_counts_unless_it_makes_no_difference() {
    let header = Header { view: 3, seq: 5 };
    assert_eq!(of(&header), of(&Header { view: 3, seq: 6 }));
    assert_ne!(of(&header), of(&Header { view: 4, seq: 5 }));
    assert_eq!(of(&Time(1)), of(&Time(2)));
}

#[test]
fn each_variant_is_another() {
    assert_ne!(of(&Kind::One), of(&Kind::Other));
    assert_ne!(of(&Some(0_u64)), of(&None::<u64>));
}

#[test]
fn a_member_is_called_by_its_place_wherever_it_is_named() {
    let swapped: &[u8] = &[0, 2, 1];
    let under = |what: ReplicaId, places| fingerprint(&what, places, Writes::default());
    assert_eq!(under(ReplicaId(1), swapped), of(&ReplicaId(2)));
    assert_ne!(under(ReplicaId(1), swapped), of(&ReplicaId(1)));
    assert_eq!(fingerprint(&at(2), swapped, Writes::default()), of(&at(1)));
    let set = |position| ReplicaSet::of(at(position));
    assert_eq!(fingerprint(&set(1), swapped, Writes::default()), of(&set(2)));
    assert_ne!(of(&set(1)), of(&set(2)));
}

#[test]
fn a_list_by_members_follows_their_places_and_each_element_counts() {
    let list = |members: &[u64]| Primary { members: members.to_vec() };
    let under = |members: &[u64], places| fingerprint(&list(members), places, Writes::default());
    assert_eq!(under(&[7, 8, 9], &[0, 2, 1]), of(&list(&[7, 9, 8])));
    assert_ne!(of(&list(&[7, 8, 9])), of(&list(&[7, 9, 8])));
    assert_ne!(of(&list(&[7, 8, 9])), of(&list(&[7, 8, 10])));
}

#[test]
fn a_set_has_no_order_and_no_repetition_and_a_list_has_both() {
    let held = |held: &[u64]| Pending { held: held.to_vec(), others: vec![] };
    assert_eq!(of(&held(&[1, 2])), of(&held(&[2, 1, 2])));
    assert_ne!(of(&held(&[1, 2])), of(&held(&[1, 3])));
    assert_ne!(of(&held(&[1, 2])), of(&held(&[1])));
    let others = |others: &[u64]| Pending { held: vec![], others: others.to_vec() };
    assert_ne!(of(&others(&[1, 2])), of(&others(&[2, 1])));
    assert_ne!(of(&others(&[1])), of(&others(&[1, 1])));
}

#[test]
fn each_pair_of_a_map_counts() {
    let map = |pairs: &[(u64, u64)]| pairs.iter().copied().collect::<BTreeMap<_, _>>();
    assert_ne!(of(&map(&[(1, 2), (3, 4)])), of(&map(&[(1, 4), (3, 2)])));
    assert_ne!(of(&map(&[(1, 2)])), of(&map(&[(1, 2), (3, 4)])));
    assert_eq!(of(&map(&[(1, 2), (3, 4)])), of(&map(&[(3, 4), (1, 2)])));
}

#[test]
fn writes_are_counted_back_from_the_newest() {
    let after = |issued, durable, write| fingerprint(&WriteId(write), AS_THEY_ARE, Writes { issued, durable });
    assert_eq!(after(10, 8, 9), after(20, 18, 19));
    assert_ne!(after(10, 8, 9), after(10, 8, 10));
    assert_eq!(after(10, 8, 7), after(10, 8, 3), "both are durable");
}

#[test]
fn numbers_that_fit_a_byte_and_those_that_do_not_are_told_apart() {
    assert_ne!(of(&254_u64), of(&255_u64));
    assert_ne!(of(&255_u64), of(&256_u64));
    assert_ne!(of(&vec![255_u64]), of(&vec![255_u64, 0]));
}

#[test]
fn the_bytes_of_a_body_count_and_how_many_they_are() {
    let body = |bytes: &'static [u8]| of(&bytes::Bytes::from_static(bytes));
    assert_ne!(body(b"a"), body(b"b"));
    assert_ne!(of(&("ab", "c")), of(&("a", "bc")), "each says how long it is");
}

/// Types that have the names of others, and are no numbers.
mod odd {
    use serde::Serialize;

    #[derive(Serialize)]
    pub(super) struct WriteId(pub(super) Option<u64>);

    #[derive(Serialize)]
    pub(super) struct ReplicaId(pub(super) WriteId);
}

#[test]
#[should_panic(expected = "names are numbers")]
fn a_write_that_may_be_none_has_no_number_to_count_back_from() {
    of(&odd::WriteId(Some(1)));
}

#[test]
#[should_panic(expected = "names are numbers")]
fn a_member_that_is_named_by_another_name_has_no_place() {
    of(&odd::ReplicaId(odd::WriteId(None)));
}
