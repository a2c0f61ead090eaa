//! The HTTP form of requests and answers, without sockets: what is written is read back, and bad input is refused.
//! Owns no helper beyond it.

use super::super::form::{Answer, address_of, answer_of, headers_of, response_of};
use super::*;
use http::Request;
use http_body_util::{BodyExt, Full};

fn ask(number: u64) -> Ask {
    let session = if number == 0 { Session::ZERO } else { SESSION };
    Ask { client: ClientId(u128::MAX - 1), session, number: RequestNumber(number), body: Bytes::from_static(b"x") }
}

async fn status_of(node: &Node, headers: &[(&str, &str)], body: &'static str) -> u16 {
    let mut request = Request::post(ROUTE);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).expect("a request");
    answer(node, request).await.status().as_u16()
}

#[tokio::test]
async fn a_request_that_makes_no_sense_never_reaches_the_node() {
    let node = Node::default();
    let (client, session, number) = (("vr-client", "ff"), ("vr-session", "41"), ("vr-request", "1"));
    assert_eq!(status_of(&node, &[client, session, number], "x").await, 200);
    let bad: [&[(&str, &str)]; 9] = [
        &[],
        &[session, number],
        &[client, session],
        &[client, number],
        &[client, session, ("vr-request", "0")],
        &[client, ("vr-request", "0")], // with a body
        &[("vr-client", "xyz"), session, number],
        &[client, ("vr-session", "-1"), number],
        &[client, session, ("vr-request", "18446744073709551616")],
    ];
    for headers in bad {
        assert_eq!(status_of(&node, headers, "x").await, 400, "{headers:?}");
    }
    assert_eq!(node.seen.lock().unwrap().len(), 1);
    assert_eq!(status_of(&node, &[client, ("vr-request", "0")], "").await, 200);
}

#[tokio::test]
async fn every_refusal_is_read_as_it_was_written() {
    let refusals = [
        Refused::NotPrimary { primary: Some((ReplicaId(2), "10.0.0.1:80".to_owned())), view: View(9) },
        Refused::NotPrimary { primary: Some((ReplicaId(2), "[::1]:80".to_owned())), view: View(9) },
        Refused::NotPrimary { primary: None, view: View(9) },
        Refused::Deposed { view: View(9) },
        Refused::Busy,
        Refused::NoSpace,
        Refused::Halted,
        Refused::Timeout,
        Refused::Evicted,
        Refused::TooLarge,
        Refused::Malformed,
    ];
    for refused in refusals {
        let (head, body) = response_of(Err(refused.clone()), "http").into_parts();
        let body = body.collect().await.expect("all there").to_bytes();
        assert_eq!(answer_of(&ask(1), head.status, &head.headers, body), Answer::Refused(refused));
    }
}

#[tokio::test]
async fn a_reply_is_read_as_it_was_written() {
    let Ask { client, session, number, .. } = ask(7);
    let (result, op, view) = (Bytes::from_static(b"{}"), Op(u64::MAX), View(3));
    let reply = Reply { client, session, number, op, view, result, duplicate: true };
    let (head, body) = response_of(Ok(reply.clone()), "http").into_parts();
    let body = body.collect().await.expect("all there").to_bytes();
    assert_eq!(answer_of(&ask(7), head.status, &head.headers, body), Answer::Reply(reply));
}

#[test]
fn the_headers_of_a_request_are_those_that_are_documented() {
    let headers = headers_of(&ask(1));
    let client = headers.get("VR-Client").expect("whose");
    assert_eq!((client.len(), headers.get("VR-Session").expect("which").as_bytes()), (32, &b"41"[..]));
    assert!(headers_of(&ask(0)).get("VR-Session").is_none());
}

#[test]
fn addresses_are_told_from_what_is_none() {
    for good in ["127.0.0.1:8080", "http://127.0.0.1:8080", "https://[::1]:1/x/y", "db-1.example:65535"] {
        assert!(address_of(good).is_some(), "{good}");
    }
    for bad in ["", ":80", "host", "host:", "host:65536", "ftp://host:1", "http://user@host:1", "http:// :1"] {
        assert_eq!(address_of(bad), None, "{bad}");
    }
    assert_eq!(Client::new([""; 0], quick()).err(), Some(ClientError::Address(String::new())));
    assert_eq!(Client::new(["host"], quick()).err(), Some(ClientError::Address("host".to_owned())));
}
