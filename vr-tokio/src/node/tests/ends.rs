//! How a node ends, and what those who wait hear of it.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_write_halts_the_node_and_the_others_go_on() {
    let mut cluster = Cluster::start(|_| ()).await;
    let client = cluster.client();
    let mut session = timely(client.session()).await.expect("opened");
    timely(session.call("1")).await.expect("answered");
    let primary = cluster.nodes[0].take().expect("it runs");
    let handle = primary.handle();
    handle.inject(Arrival::Disk(DiskAnswer::Failed(std::io::Error::other("injected"))));
    assert_eq!(timely(primary.stopped()).await, StopReason::Halted(HaltReason::WriteFailed));
    assert_eq!(timely(handle.request(ANN, number(1), body("1"))).await, Err(RequestError::Halted));
    assert!(handle.status().stopped.is_some() && !handle.status().is_ready());
    assert_eq!(timely(session.call("1")).await.expect("answered").result, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_panics_stops_its_node_with_its_words() {
    let mut cluster = Cluster::start(|_| ()).await;
    let primary = cluster.nodes[0].take().expect("it runs");
    let handle = primary.handle();
    let session = timely(handle.register(ANN)).await.expect("opened");
    let waits = tokio::spawn(async move { handle.request_in(ANN, session, number(1), body("panic")).await });
    assert_eq!(timely(primary.stopped()).await, StopReason::ServicePanicked("as it was told".to_owned()));
    assert_eq!(timely(waits).await.expect("no panic here"), Err(RequestError::Halted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_stop_answers_whoever_waits_and_frees_the_directory() {
    let mut cluster = Cluster::format(steady);
    cluster.up(0).await;
    let primary = cluster.handle(0);
    let asks = primary.clone();
    let waits = tokio::spawn(async move { asks.register(ANN).await });
    cluster.until(0, |status| status.op > Op(0)).await;
    assert_eq!(timely(cluster.stop(0)).await, StopReason::Stopped);
    let told = timely(waits).await.expect("no panic here").expect_err("alone");
    assert!(told.is_outcome_unknown(), "{told}");
    assert_eq!(timely(primary.register(BOB)).await, Err(RequestError::Halted));
    cluster.up(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_was_not_formatted_or_is_in_use_is_refused() {
    let cluster = Cluster::start(|_| ()).await;
    assert!(matches!(Node::format(&cluster.configs[0]), Err(StartError::Log(_))), "it is not empty");
    let mut config = cluster.configs[0].clone();
    config.peer = free();
    let refused = Node::start(config.clone(), Counter::default()).await.expect_err("another process has it");
    assert!(refused.to_string().contains("Stop the other process"), "{refused}");
    config.dir = config.dir.with_file_name("empty");
    let refused = Node::start(config, Counter::default()).await.expect_err("nothing is there");
    assert!(refused.to_string().contains("format"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_dropped_ends_and_whoever_waits_hears_of_it() {
    let mut cluster = Cluster::format(steady);
    cluster.up(0).await;
    let handle = cluster.handle(0);
    let asks = handle.clone();
    let waits = tokio::spawn(async move { asks.register(ANN).await });
    cluster.until(0, |status| status.op > Op(0)).await;
    drop(cluster.nodes[0].take());
    assert_eq!(timely(waits).await.expect("no panic here"), Err(RequestError::Halted));
    assert!(timely(handle.wait_until(|_| false)).await.stopped.is_some());
}
