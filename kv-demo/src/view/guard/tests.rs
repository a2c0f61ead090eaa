//! Every line of VIEW.md §5.4 that a head of a request decides.
//!
//! Owns heads made by hand. Must not know connections.

use super::*;
use http::Request;

const LOCAL: &str = "127.0.0.1:4000";

fn guard(address: &str, takes_posts: bool) -> Guard {
    Guard::new(address.parse().expect("an address"), Some(Token("0".repeat(32))), takes_posts)
}

fn head(method: Method, path: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a head").into_parts().0
}

fn get(host: &str) -> Parts {
    head(Method::GET, "/", &[("host", host)])
}

#[test]
fn only_hosts_that_are_this_machine_by_itself_are_answered() {
    let guard = guard(LOCAL, false);
    for host in ["127.0.0.1:4000", "localhost:4000", "LocalHost:4000", "[::1]:4000"] {
        assert_eq!(guard.check(&get(host)), Ok(()), "{host}");
    }
    let others = [
        "evil.example",
        "evil.example:4000",
        "127.0.0.1",
        "127.0.0.1:4001",
        "localhost.evil.example:4000",
        "192.168.0.1:4000",
        "127.0.0.1:4000:4000",
        "",
        "[::1]",
    ];
    for host in others {
        assert_eq!(guard.check(&get(host)), Err(Problem::BadHost), "{host}");
    }
    assert_eq!(guard.check(&head(Method::GET, "/", &[])), Err(Problem::BadHost), "no host at all");
    let two = head(Method::GET, "/", &[("host", LOCAL), ("host", "evil.example")]);
    assert_eq!(guard.check(&two), Err(Problem::BadHost));
    let absolute = head(Method::GET, "http://evil.example/", &[("host", LOCAL)]);
    assert_eq!(guard.check(&absolute), Err(Problem::BadHost));
}

#[test]
fn without_a_laboratory_nothing_can_be_posted() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
        let asked = guard(LOCAL, false).check(&head(method.clone(), "/api/v1/lab/do", &[("host", LOCAL)]));
        assert_eq!(asked, Err(Problem::MethodNotAllowed("GET, HEAD")), "{method}");
    }
    let elsewhere = guard(LOCAL, true).check(&head(Method::POST, "/api/v1/events", &[("host", LOCAL)]));
    assert_eq!(elsewhere, Err(Problem::MethodNotAllowed("GET, HEAD")));
}

#[test]
fn a_laboratory_is_changed_only_with_the_token_from_its_own_page_and_in_json() {
    let token = "0".repeat(32);
    let json = ("content-type", "application/json; charset=utf-8");
    let (token, host) = (("x-vr-token", token.as_str()), ("host", LOCAL));
    let post = |headers: &[(&str, &str)]| guard(LOCAL, true).check(&head(Method::POST, "/api/v1/lab/do", headers));
    assert_eq!(post(&[host, token, json]), Ok(()), "no browser asks");
    assert_eq!(post(&[host, token, json, ("origin", "http://127.0.0.1:4000")]), Ok(()));
    assert_eq!(post(&[host, token, json, ("origin", "http://localhost:4000")]), Ok(()));
    for origin in ["null", "http://evil.example", "https://127.0.0.1:4000", "http://127.0.0.1:4001", "http://127.0.0.1"]
    {
        assert!(matches!(post(&[host, token, json, ("origin", origin)]), Err(Problem::Forbidden(_))), "{origin}");
    }
    assert!(matches!(post(&[host, json]), Err(Problem::Forbidden(_))));
    let cookie = format!("vr-token={}", token.1);
    assert!(
        matches!(post(&[host, json, ("cookie", &cookie)]), Err(Problem::Forbidden(_))),
        "cookies come by themselves"
    );
    for wrong in ["", "0", &"1".repeat(32), &"0".repeat(33)] {
        assert!(matches!(post(&[host, json, ("x-vr-token", wrong)]), Err(Problem::Forbidden(_))), "{wrong}");
    }
    assert_eq!(post(&[host, token]), Err(Problem::NotJson));
    assert_eq!(post(&[host, token, ("content-type", "text/plain")]), Err(Problem::NotJson));
}

#[test]
fn on_an_address_that_others_reach_looking_needs_the_token_too() {
    let guard = guard("0.0.0.0:4000", false);
    let (host, token) = (("host", "192.168.0.1:4000"), "0".repeat(32));
    assert!(matches!(guard.check(&head(Method::GET, "/", &[host])), Err(Problem::Forbidden(_))));
    assert!(matches!(guard.check(&head(Method::GET, "/api/v1/events", &[host])), Err(Problem::Forbidden(_))));
    let first = head(Method::GET, &format!("/?token={token}"), &[host]);
    assert_eq!(guard.check(&first), Ok(()));
    let cookie = guard.cookie_for(&first).expect("it takes the token's place");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let then = head(Method::GET, "/api/v1/events", &[host, ("cookie", &format!("a=b; vr-token={token}"))]);
    assert_eq!(guard.check(&then), Ok(()));
    let wrong = head(Method::GET, "/api/v1/events", &[host, ("cookie", "vr-token=1")]);
    assert!(matches!(guard.check(&wrong), Err(Problem::Forbidden(_))));
    assert_eq!(guard.check(&head(Method::GET, "/", &[("host", "evil.example:4000")])), Err(Problem::BadHost));
}

#[test]
fn tokens_are_long_and_never_the_same() {
    let (one, two) = (Token::new().expect("random"), Token::new().expect("random"));
    assert_eq!(one.to_string().len(), 32);
    assert_ne!(one.to_string(), two.to_string());
    assert_eq!(format!("{one:?}"), "Token", "logs do not hold it");
}
