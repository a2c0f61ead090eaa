//! Ways that change with the group: who is connected to, who is only answered, and where somebody is who moved. Owns no
//! helper.

use super::*;
use crate::members::tests::next_group;
use crate::members::{MemberAddress, NextMember};

const R7: ReplicaId = ReplicaId(7);

#[tokio::test]
async fn whoever_is_no_member_is_connected_to_when_there_is_something_to_say_to_it_and_not_before() {
    let (mut member, mut guest) = (Ear::of(R1).await, Ear::of(R7).await);
    let (peers, metrics) = mouth(R0, &[(R1, member.address), (R7, guest.address)], |_| ());
    until(|| metrics.link(R1).connected.get() == 1).await;
    peers.send(To::Others, &beat(R0, 1));
    assert_eq!(member.hears().await, beat(R0, 1));
    assert_eq!(guest.metrics.server.accepted(), 0);
    peers.send(To::One(R7), &beat(R0, 2));
    assert_eq!(guest.hears().await, beat(R0, 2));
    // Nobody knows where this one is.
    peers.send(To::One(ReplicaId(8)), &beat(R0, 3));
    peers.send(To::Others, &beat(R0, 4));
    assert_eq!(member.hears().await, beat(R0, 4));
    assert!(guest.inbox.try_recv().is_err());
}

#[tokio::test]
async fn members_of_the_next_group_are_reached_where_it_says_and_those_of_the_last_one_can_still_be_told() {
    let (mut old, mut moved, mut new) = (Ear::of(R1).await, Ear::of(R1).await, Ear::of(R7).await);
    let mut gone = Ear::of(R2).await;
    let book = book(R0, &[(R1, old.address), (R2, gone.address)]);
    let transport = TransportConfig { reconnect_max_ms: 20, ..TransportConfig::default() };
    let options = PeerOptions { cluster: cluster(), book: Arc::clone(&book), transport, tls: None };
    let peers = Peers::start(options, &Metrics::default());
    peers.send(To::Others, &beat(R0, 1));
    assert_eq!((old.hears().await, gone.hears().await), (beat(R0, 1), beat(R0, 1)));
    let at = |address| Some(MemberAddress { client: address, peer: address, disk: None });
    let next = [(R0, old.address), (R1, moved.address), (R7, new.address)];
    let next = next.map(|(id, address)| NextMember { id, address: at(address) });
    book.turn(&next_group(&cluster(), book.fill(&next).expect("all are somewhere")));
    peers.regroup();
    peers.send(To::Others, &beat(R0, 2));
    assert_eq!((moved.hears().await, new.hears().await), (beat(R0, 2), beat(R0, 2)));
    peers.send(To::One(R2), &beat(R0, 3));
    assert_eq!(gone.hears().await, beat(R0, 3));
    assert!(old.inbox.try_recv().is_err(), "nobody is there any more");
}

#[tokio::test]
async fn a_member_that_is_not_where_the_group_says_is_found_where_the_file_says() {
    let mut moved = Ear::of(R1).await;
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a free port");
    let at = |address| Some(MemberAddress { client: address, peer: address, disk: None });
    let next = [(R0, nowhere), (R1, nowhere)].map(|(id, address)| NextMember { id, address: at(address) });
    let group = next_group(&cluster(), book(R0, &[]).fill(&next).expect("all are somewhere"));
    let places = [(R1, moved.address, moved.address)];
    let book = Arc::new(Book::of(R0, places, &group, true));
    let transport = TransportConfig { reconnect_max_ms: 20, ..TransportConfig::default() };
    let metrics = Metrics::default();
    let peers = Peers::start(PeerOptions { cluster: cluster(), book, transport, tls: None }, &metrics);
    until(|| metrics.link(R1).connected.get() == 1).await;
    peers.send(To::One(R1), &beat(R0, 1));
    assert_eq!(moved.hears().await, beat(R0, 1));
}

#[tokio::test]
async fn an_epoch_that_begins_is_in_the_heads_of_a_connection_that_lasts() {
    let mut ear = Ear::of(R1).await;
    let book = book(R0, &[(R0, ear.address), (R1, ear.address)]);
    let transport = TransportConfig::default();
    let options = PeerOptions { cluster: cluster(), book: Arc::clone(&book), transport, tls: None };
    let metrics = Metrics::default();
    let peers = Peers::start(options, &metrics);
    peers.send(To::One(R1), &beat(R0, 1));
    assert_eq!(ear.hears().await, beat(R0, 1));
    let stays = |id| NextMember { id, address: None };
    book.turn(&next_group(&cluster(), book.fill(&[stays(R0), stays(R1)]).expect("all are somewhere")));
    peers.regroup();
    let mut head = String::new();
    head::Prefix::new("x".to_owned(), cluster().digest(), Codec::Bincode, Arc::clone(&book)).put(&mut head);
    assert!(head.contains("vr-epoch: 1\r\n") && head.contains("vr-address: 127.0.0.1:"), "{head}");
    peers.send(To::One(R1), &beat(R0, 2));
    assert_eq!(ear.hears().await, beat(R0, 2));
    assert_eq!((metrics.link(R1).connects.get(), ear.metrics.refused("epoch")), (1, 0));
}
