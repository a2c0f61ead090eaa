//! Messages between replicas: both encodings, order, reconnection, bounds. Owns no helper.

use super::*;

/// Everything a peer may be told arrives, in order, equal to what was sent, whatever the encoding.
async fn arrives(codec: Codec) {
    let mut ear = Ear::of(R1).await;
    let (peers, metrics) = mouth(R0, &[(R1, ear.address)], |options| options.transport.body = codec);
    let sent: Vec<_> =
        (0..200).map(|seq| prepare(R0, seq, seq % 7 + 1, usize::try_from(seq).expect("small") * 3)).collect();
    let link = metrics.link(R1);
    until(|| link.connected.get() == 1).await;
    sent.iter().for_each(|message| peers.send(To::One(R1), message));
    for message in &sent {
        assert_eq!(ear.hears().await, *message);
    }
    assert_eq!((link.messages.get(), link.dropped_full.get(), link.dropped_broken.get()), (200, 0, 0));
    let source = ear.metrics.source(R0);
    assert_eq!((source.messages.get(), source.bytes.get()), (200, link.bytes.get()));
    assert!(source.requests.get() < 200, "what is queued goes together: {}", source.requests.get());
}

#[tokio::test]
async fn messages_arrive_in_order_as_frames() {
    arrives(Codec::Bincode).await;
}

#[tokio::test]
async fn messages_arrive_in_order_as_json() {
    arrives(Codec::Json).await;
}

#[tokio::test]
async fn a_replica_that_speaks_json_and_one_that_speaks_frames_understand_each_other() {
    let (mut ear0, mut ear1) = (Ear::of(R0).await, Ear::of(R1).await);
    let (mouth0, _m0) = mouth(R0, &[(R1, ear1.address)], |options| options.transport.body = Codec::Json);
    let (mouth1, _m1) = mouth(R1, &[(R0, ear0.address)], |_| ());
    let sends = [(&mouth0, R1), (&mouth1, R0)];
    until(|| _m0.link(R1).connected.get() == 1 && _m1.link(R0).connected.get() == 1).await;
    for (seq, (mouth, to)) in (0..).zip(sends) {
        let from = if to == R1 { R0 } else { R1 };
        mouth.send(To::One(to), &prepare(from, seq, 3, 100));
    }
    assert_eq!(ear1.hears().await, prepare(R0, 0, 3, 100));
    assert_eq!(ear0.hears().await, prepare(R1, 1, 3, 100));
}

#[tokio::test]
async fn what_is_for_the_others_reaches_each_of_them_and_what_is_for_one_only_him() {
    let (mut ear1, mut ear2) = (Ear::of(R1).await, Ear::of(R2).await);
    let (peers, metrics) = mouth(R0, &[(R1, ear1.address), (R2, ear2.address)], |_| ());
    until(|| [R1, R2].iter().all(|id| metrics.link(*id).connected.get() == 1)).await;
    peers.send(To::One(R2), &beat(R0, 1));
    peers.send(To::Others, &beat(R0, 2));
    assert_eq!(ear1.hears().await, beat(R0, 2));
    assert_eq!(ear2.hears().await, beat(R0, 1));
    assert_eq!(ear2.hears().await, beat(R0, 2));
}

#[tokio::test]
async fn the_longest_message_goes_alone_through_a_batch_that_is_shorter() {
    let mut ear = Ear::of(R1).await;
    let (peers, metrics) = mouth(R0, &[(R1, ear.address)], |options| options.transport.batch_bytes = 100);
    until(|| metrics.link(R1).connected.get() == 1).await;
    let long = prepare(R0, 1, 60, 1 << 10);
    assert!(vr_core::wire::encoded_size(&long) > 60 << 10);
    peers.send(To::One(R1), &long);
    peers.send(To::One(R1), &beat(R0, 2));
    assert_eq!(ear.hears().await, long);
    assert_eq!(ear.hears().await, beat(R0, 2));
    assert_eq!(metrics.link(R1).requests.get(), 2);
}

#[tokio::test]
async fn a_peer_that_restarts_at_its_address_is_heard_again() {
    let ear = Ear::of(R1).await;
    let address = ear.address;
    let (peers, metrics) = mouth(R0, &[(R1, address)], |_| ());
    let link = metrics.link(R1);
    until(|| link.connected.get() == 1).await;
    timely(ear.server.shutdown()).await;
    until(|| link.connected.get() == 0).await;
    let mut ear = Ear::at(&address.to_string(), R1, |_| ()).await;
    until(|| link.connects.get() >= 2 && link.connected.get() == 1).await;
    peers.send(To::One(R1), &beat(R0, 1));
    assert_eq!(ear.hears().await, beat(R0, 1));
}

#[tokio::test]
async fn while_a_peer_does_not_answer_the_newest_messages_wait_and_no_more_than_allowed() {
    // It accepts a connection and reads nothing from it.
    let deaf = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = deaf.local_addr().expect("bound");
    let (peers, metrics) = mouth(R0, &[(R1, address)], |options| {
        options.transport.queue_messages = 10;
        options.transport.window = 1;
    });
    let link = metrics.link(R1);
    until(|| link.connected.get() == 1).await;
    peers.send(To::One(R1), &beat(R0, 0));
    until(|| link.requests.get() == 1).await; // the window is full
    (1..=25).for_each(|seq| peers.send(To::One(R1), &beat(R0, seq)));
    assert_eq!((link.queued_messages.get(), link.dropped_full.get()), (10, 15));
}

#[tokio::test]
async fn what_waits_for_a_peer_that_is_down_is_bounded_and_dropped() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = gone.local_addr().expect("bound");
    drop(gone);
    let (peers, metrics) = mouth(R0, &[(R1, address)], |options| options.transport.queue_bytes = 1000);
    let link = metrics.link(R1);
    for seq in 0..100 {
        peers.send(To::One(R1), &prepare(R0, seq, 1, 100));
        assert!(link.queued_bytes.get() <= 1000);
    }
    until(|| link.dropped_full.get() + link.dropped_unreachable.get() == 100).await;
    assert_eq!((link.queued_messages.get(), link.queued_bytes.get(), link.requests.get()), (0, 0, 0));
}

#[tokio::test]
async fn a_peer_that_never_answers_is_given_up_and_what_was_under_way_is_counted() {
    let deaf = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = deaf.local_addr().expect("bound");
    let (peers, metrics) = mouth(R0, &[(R1, address)], |options| options.transport.answer_timeout_ms = 50);
    let link = metrics.link(R1);
    until(|| link.connected.get() == 1).await;
    peers.send(To::One(R1), &beat(R0, 0));
    until(|| link.connects.get() >= 2).await;
    assert_eq!(link.dropped_broken.get(), 1);
}
