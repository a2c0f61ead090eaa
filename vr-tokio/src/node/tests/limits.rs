//! What is refused, and with which reason. Owns the bounds of requests; how a node ends is not its business.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_the_bound_are_busy_while_the_protocol_goes_on() {
    let mut cluster = Cluster::format(|config| {
        steady(config);
        config.requests.waiting_max = 1;
    });
    let gate = Arc::new(Gate::default());
    cluster.up_with(0, Counter { gate: Arc::clone(&gate), ..Counter::default() }).await;
    cluster.up(1).await;
    let primary = cluster.handle(0);
    let session = timely(primary.register(ANN)).await.expect("opened");
    // Only the primary executes it before the gate opens: the third node is not there, and the second one waits too.
    let blocked = primary.clone();
    let slow = tokio::spawn(async move { blocked.request_in(ANN, session, number(1), body("block")).await });
    cluster.until(0, |status| status.service_queue > 0).await;
    assert_eq!(timely(primary.register(BOB)).await, Err(RequestError::Busy));
    let view = primary.status().view;
    let commits = primary.status().commit;
    assert!(commits > Op(1), "it is committed, though not executed");
    gate.open();
    timely(slow).await.expect("no panic").expect("answered");
    assert_eq!(primary.status().view, view, "a slow service is no reason for another view");
    assert!(primary.metrics().contains("vr_requests_rejected_total{reason=\"busy\"} 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_gave_way_is_evicted_and_the_next_request_opens_another() {
    let cluster = Cluster::start(|config| {
        steady(config);
        config.cluster.client_capacity = 1;
    })
    .await;
    let primary = cluster.handle(0);
    let session = timely(primary.register(ANN)).await.expect("opened");
    timely(primary.request_in(ANN, session, number(1), body("1"))).await.expect("answered");
    timely(primary.register(BOB)).await.expect("opened");
    assert_eq!(timely(primary.request_in(ANN, session, number(2), body("1"))).await, Err(RequestError::Evicted));
    let again = timely(primary.request(ANN, number(3), body("1"))).await.expect("answered");
    assert_eq!(again.result, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_or_makes_no_sense_is_refused() {
    let cluster = Cluster::start(|config| {
        steady(config);
        config.cluster.max_request_bytes = 16;
    })
    .await;
    let primary = cluster.handle(0);
    let session = timely(primary.register(ANN)).await.expect("opened");
    let long = Bytes::from(vec![b'0'; 17]);
    assert_eq!(timely(primary.request_in(ANN, session, number(1), long)).await, Err(RequestError::TooLarge));
    let unnumbered = primary.request_in(ANN, session, RequestNumber::ZERO, body("1"));
    assert_eq!(timely(unnumbered).await, Err(RequestError::Malformed));
    // The name under which this node asks its replica for reads.
    let reader = primary.request_in(ClientId(u128::MAX), session, number(1), body("1"));
    assert_eq!(timely(reader).await, Err(RequestError::Malformed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_no_quorum_hears_times_out_and_leaves_nothing_behind() {
    let mut cluster = Cluster::format(|config| {
        steady(config);
        config.requests.timeout_ms = 50;
    });
    cluster.up(0).await;
    let primary = cluster.handle(0);
    let outcome = timely(primary.register(ANN)).await.expect_err("alone");
    assert!(outcome.is_outcome_unknown(), "{outcome}");
    assert_eq!(primary.status().waiting, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_requests_share_their_answer() {
    let cluster = Cluster::start(steady).await;
    let primary = cluster.handle(0);
    let session = timely(primary.register(ANN)).await.expect("opened");
    let ask = || primary.request_in(ANN, session, number(1), body("7"));
    let (one, other) = timely(async { tokio::join!(ask(), ask()) }).await;
    let result = |answer: Answer| answer.expect("answered").result;
    assert_eq!((result(one), result(other)), (body("7"), body("7")));
}
