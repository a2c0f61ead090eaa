//! Requests that are refused: by which check, with which status, counted how, and that nothing of them is delivered.
//! Owns no helper.

use super::*;

/// Asks, and checks the status, the reason, its counter, and that the inbox stays empty.
async fn refused(ear: &mut Ear, request: ByHand, status: u16, reason: &'static str) {
    let before = ear.metrics.refused(reason);
    assert_eq!(request.ask(ear.address).await, (status, format!("{{\"error\":\"{reason}\"}}\n")));
    assert_eq!(ear.metrics.refused(reason), before + 1, "{reason} is counted once");
    assert!(ear.inbox.try_recv().is_err(), "nothing of a refused request is delivered");
}

fn good() -> ByHand {
    ByHand::from(R1, frames(&[beat(R1, 1)]))
}

#[tokio::test]
async fn a_request_that_is_as_it_should_be_is_taken() {
    let mut ear = Ear::of(R0).await;
    assert_eq!(good().ask(ear.address).await, (204, String::new()));
    assert_eq!(ear.hears().await, beat(R1, 1));
    let json = serde_json::to_vec(&[beat(R1, 2)]).expect("JSON");
    let by_json = ByHand::from(R1, json).with("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(by_json.ask(ear.address).await, (204, String::new()));
    assert_eq!(ear.hears().await, beat(R1, 2));
}

#[tokio::test]
async fn a_wrong_head_is_refused_by_its_first_fault() {
    let mut ear = Ear::of(R0).await;
    let ear = &mut ear;
    refused(ear, ByHand { line: "POST /vr/v1/massages HTTP/1.1", ..good() }, 404, "route").await;
    refused(ear, ByHand { line: "PUT /vr/v1/messages HTTP/1.1", ..good() }, 405, "method").await;
    refused(ear, good().with("vr-protocol", "2"), 501, "version").await;
    refused(ear, good().with("vr-config", "00"), 409, "cluster").await;
    refused(ear, good().with("vr-epoch", "4194304"), 409, "epoch").await;
    refused(ear, good().with("vr-from", "0"), 403, "not_a_member").await;
    refused(ear, good().with("content-type", "text/plain"), 415, "content_type").await;
    for name in ["vr-protocol", "vr-config", "vr-epoch", "vr-from", "content-type"] {
        refused(ear, good().without(name), 400, "head").await;
        let mut twice = good();
        twice.headers.push((name, "0".to_owned()));
        refused(ear, twice, 400, "head").await;
    }
    for name in ["vr-config", "vr-epoch", "vr-from"] {
        for nonsense in ["", "-1", "é", "340282366920938463463374607431768211456"] {
            refused(ear, good().with(name, nonsense), 400, "head").await;
        }
    }
}

#[tokio::test]
async fn a_wrong_head_is_refused_before_its_body_is_there() {
    let ear = Ear::of(R0).await;
    let request = good().with("vr-config", "00").with("content-length", "60000");
    let mut tcp = TcpStream::connect(ear.address).await.expect("it listens");
    tcp.write_all(request.head().as_bytes()).await.expect("sent");
    assert_eq!(answer(&mut tcp).await.0, 409);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_before_it_is_read() {
    let mut ear = Ear::of(R0).await;
    let limit = cluster().max_message_bytes;
    refused(&mut ear, good().with("content-length", (limit + 1).to_string()), 413, "too_large").await;
    let json = good().with("content-type", "application/json");
    refused(&mut ear, json.with("content-length", (8 * limit + 1).to_string()), 413, "too_large").await;
}

#[tokio::test]
async fn a_body_that_grows_too_long_is_refused() {
    let mut ear = Ear::of(R0).await;
    let mut chunked = good().without("content-length").with("transfer-encoding", "chunked");
    chunked.body = format!("{:x}\r\n{}\r\n0\r\n\r\n", 70 << 10, "x".repeat(70 << 10)).into_bytes();
    refused(&mut ear, chunked, 413, "too_large").await;
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_whole() {
    let mut ear = Ear::of(R0).await;
    let ear = &mut ear;
    let body = frames(&[beat(R1, 1), prepare(R1, 2, 3, 10)]);
    refused(ear, ByHand::from(R1, b"garbage, and not little of it".to_vec()), 400, "undecodable").await;
    refused(ear, ByHand::from(R1, body[..body.len() - 1].to_vec()), 400, "undecodable").await;
    for at in 0..body.len() {
        let mut flipped = body.clone();
        flipped[at] ^= 0x10;
        refused(ear, ByHand::from(R1, flipped), 400, "undecodable").await;
    }
    let json = |body: &[u8]| ByHand::from(R1, body.to_vec()).with("content-type", "application/json");
    refused(ear, json(b"[{]"), 400, "undecodable").await;
    refused(ear, json(&body), 400, "undecodable").await;
    let text = serde_json::to_string(&[prepare(R1, 2, 3, 10)]).expect("JSON");
    refused(ear, json(text.replace("\"seq\":2", "\"seq\":18446744073709551615").as_bytes()), 400, "undecodable").await;
    refused(ear, json(text.replace("\"op\":2", "\"op\":3").as_bytes()), 400, "undecodable").await;
    refused(ear, json("[".repeat(50_000).as_bytes()), 400, "undecodable").await;
}

#[tokio::test]
async fn a_message_from_another_than_the_sender_spoils_the_request() {
    let mut ear = Ear::of(R0).await;
    refused(&mut ear, ByHand::from(R1, frames(&[beat(R1, 1), beat(R2, 2)])), 403, "forged").await;
    refused(&mut ear, ByHand::from(R1, frames(&[beat(R0, 1)])), 403, "forged").await;
}

#[tokio::test]
async fn a_full_inbox_takes_all_of_a_request_or_nothing() {
    let mut ear = Ear::with_inbox("127.0.0.1:0", R0, 2, |_| ()).await;
    let three = ByHand::from(R1, frames(&[beat(R1, 1), beat(R1, 2), beat(R1, 3)]));
    refused(&mut ear, three, 503, "inbox_full").await;
    assert_eq!(ByHand::from(R1, frames(&[beat(R1, 1), beat(R1, 2)])).ask(ear.address).await.0, 204);
}

#[tokio::test]
async fn a_sender_counts_what_a_full_inbox_did_not_take_and_stays_connected() {
    let ear = Ear::with_inbox("127.0.0.1:0", R1, 1, |_| ()).await;
    let (peers, metrics) = mouth(R0, &[(R1, ear.address)], |_| ());
    let link = metrics.link(R1);
    until(|| link.connected.get() == 1).await;
    (0..3).for_each(|seq| peers.send(To::One(R1), &beat(R0, seq)));
    until(|| link.dropped_inbox_full.get() >= 2).await;
    assert_eq!((link.connects.get(), link.connected.get(), link.dropped_refused.get()), (1, 1, 0));
}

#[tokio::test]
async fn a_sender_that_is_refused_counts_it_and_backs_off() {
    let ear = Ear::at("127.0.0.1:0", R1, |options| options.cluster.cluster = ClusterId(8)).await;
    let (peers, metrics) = mouth(R0, &[(R1, ear.address)], |_| ());
    let link = metrics.link(R1);
    until(|| link.connected.get() == 1).await;
    peers.send(To::One(R1), &beat(R0, 1));
    until(|| link.dropped_refused.get() == 1).await;
    until(|| link.connects.get() == 2).await;
    assert_eq!(ear.metrics.refused("cluster"), 1);
}

#[tokio::test]
async fn who_sends_a_head_or_a_body_too_slowly_is_cut_off() {
    let ear = Ear::at("127.0.0.1:0", R0, |options| options.transport.read_timeout_ms = 100).await;
    let mut silent = TcpStream::connect(ear.address).await.expect("it listens");
    let mut slow = TcpStream::connect(ear.address).await.expect("it listens");
    slow.write_all(good().head().as_bytes()).await.expect("sent");
    slow.write_all(b"V").await.expect("sent");
    let mut rest = Vec::new();
    assert_eq!(timely(silent.read_to_end(&mut rest)).await.expect("closed in order"), 0);
    assert_eq!(answer(&mut slow).await, (400, "{\"error\":\"broken\"}\n".to_owned()));
    until(|| ear.metrics.server.failed("timeout") == 2).await;
    assert_eq!(ear.metrics.refused("broken"), 1);
}

#[tokio::test]
async fn a_head_that_trickles_does_not_get_more_time() {
    let ear = Ear::at("127.0.0.1:0", R0, |options| options.transport.read_timeout_ms = 100).await;
    let tcp = TcpStream::connect(ear.address).await.expect("it listens");
    let (mut read, mut write) = tcp.into_split();
    let trickle = tokio::spawn(async move {
        while write.write_all(b"P").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await; // the point is to be slow
        }
    });
    let mut rest = Vec::new();
    let _ = timely(read.read_to_end(&mut rest)).await;
    until(|| ear.metrics.server.failed("timeout") == 1).await;
    timely(trickle).await.expect("it ends");
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_the_others_live_on() {
    let mut ear = Ear::at("127.0.0.1:0", R0, |options| options.transport.max_connections = 1).await;
    let mut first = TcpStream::connect(ear.address).await.expect("it listens");
    until(|| ear.metrics.server.accepted() == 1).await;
    let mut second = TcpStream::connect(ear.address).await.expect("it listens");
    let mut rest = Vec::new();
    let _ = timely(second.read_to_end(&mut rest)).await;
    assert_eq!((rest.len(), ear.metrics.server.failed("too_many")), (0, 1));
    let request = good();
    first.write_all(request.head().as_bytes()).await.expect("sent");
    first.write_all(&request.body).await.expect("sent");
    assert_eq!(answer(&mut first).await.0, 204);
    assert_eq!(ear.hears().await, beat(R1, 1));
}
