//! The REST interface over real sockets, and its document: every status that is documented is given, and the other way
//! round.
//!
//! Must not know the protocol: one replica answers here like five do elsewhere.

mod support;

use support::cluster::{Cluster, Plan, curl};
use support::eventually;
use support::http::{Response, ask, ask_within, value};

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

fn one() -> (Cluster, SocketAddr) {
    let cluster = Cluster::started(Plan { replicas: 1, cluster: "max_request_bytes = 1114112", ..Plan::default() });
    let address = cluster.address(0);
    (cluster, address)
}

fn with(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    ask(address, method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
}

#[test]
fn a_value_is_written_read_and_removed() {
    let (_cluster, node) = one();
    let missing = curl(node, "GET", "/object/a/b", b"");
    assert_eq!((missing.status, &missing.code()[..]), (404, "not_found"));
    let put = curl(node, "PUT", "/object/a/b", &value("ünï \"\n"));
    assert_eq!((put.status, put.json()["created"].as_bool()), (200, Some(true)));
    let got = curl(node, "GET", "/object/a%2Fb", b"");
    assert_eq!((got.status, got.json()["value"].as_str()), (200, Some("ünï \"\n")));
    assert_eq!((got.header("etag"), got.json()["key"].as_str()), (put.header("etag"), Some("a/b")));
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(with(node, "PUT", "/object/a/b", &kind, b" {\"value\": \"2\", \"more\": []} ").status, 200);
    assert_eq!(curl(node, "GET", "/object/a/b?consistency=stale", b"").json()["value"], "2");
    assert_eq!(curl(node, "GET", "/object/a/b?consistency=here", b"").json()["value"], "2");
    assert_eq!(curl(node, "DELETE", "/object/a/b", b"").json()["deleted"], true);
    assert_eq!(curl(node, "DELETE", "/object/a/b", b"").status, 404);
    assert_eq!(with(node, "HEAD", "/object/a/b", &[], b"").body, "");
}

#[test]
fn a_key_that_was_given_a_time_goes_by_itself_and_others_stay() {
    let (_cluster, node) = one();
    for wrong in ["0", "-1", "soon", "3153600001"] {
        let refused = curl(node, "PUT", &format!("/object/short?ttl_s={wrong}"), &value("x"));
        assert_eq!((refused.status, &refused.code()[..]), (400, "bad_request"), "{wrong}");
    }
    assert_eq!(curl(node, "PUT", "/object/stays", &value("x")).status, 200);
    let batch =
        json!({"operations": [{"put": {"key": "batched", "value": "x", "ttl_s": 1}}, {"get": {"key": "batched"}}]});
    let batched = curl(node, "POST", "/batch", batch.to_string().as_bytes()).json();
    assert!(batched["results"][1]["expires_ms"].as_u64().is_some(), "{batched}");
    assert_eq!(curl(node, "PUT", "/object/short?ttl_s=2", &value("x")).status, 200);
    let got = curl(node, "GET", "/object/short", b"");
    assert_eq!(got.status, 200);
    assert!(got.json()["expires_ms"].as_u64().expect("when it goes") > 1_700_000_000_000);
    assert_eq!(curl(node, "GET", "/object/stays", b"").json().get("expires_ms"), None);
    // Nobody writes: the node has it logged.
    for key in ["short", "batched"] {
        let path = format!("/object/{key}?consistency=stale");
        eventually("the key goes", || (curl(node, "GET", &path, b"").status == 404).then_some(()));
    }
    assert_eq!(curl(node, "GET", "/object/short", b"").status, 404);
    assert_eq!(curl(node, "GET", "/object/stays", b"").status, 200);
}

#[test]
fn a_condition_is_judged_by_the_group() {
    let (_cluster, node) = one();
    let put = |headers: &[(&str, &str)]| with(node, "PUT", "/object/key", headers, &value("x"));
    assert_eq!(put(&[("if-match", "*")]).status, 412);
    let first = put(&[("if-none-match", "*")]);
    let tag = first.header("etag").expect("a tag").to_owned();
    assert_eq!(put(&[("if-none-match", "*")]).code(), "precondition_failed");
    let second = put(&[("if-match", &tag)]);
    assert_eq!(second.status, 200);
    let stale = put(&[("if-match", &tag)]);
    assert_eq!(Some(format!("\"{}\"", stale.json()["revision"])), second.header("etag").map(str::to_owned));
    assert_eq!(with(node, "DELETE", "/object/key", &[("if-match", &tag)], b"").status, 412);
    assert_eq!(curl(node, "DELETE", "/object/key", b"").status, 200);
}

#[test]
fn a_request_that_is_repeated_in_its_session_takes_effect_once() {
    let (_cluster, node) = one();
    let opened = curl(node, "POST", "/session", b"");
    assert_eq!(opened.status, 201);
    let (client, session) = (opened.json()["client"].clone(), opened.json()["session"].to_string());
    let client = client.as_str().expect("a client");
    let put = |number: &str, text: &str| {
        let headers = [("VR-Client", client), ("VR-Session", &session[..]), ("VR-Request", number)];
        with(node, "PUT", "/object/key", &headers, &value(text))
    };
    let first = put("1", "one");
    assert_eq!((first.status, first.json()["created"].as_bool()), (200, Some(true)));
    curl(node, "PUT", "/object/key", &value("another's"));
    let again = put("1", "one");
    assert_eq!((again.status, &again.body), (200, &first.body), "the answer of the first time");
    assert_eq!(curl(node, "GET", "/object/key", b"").json()["value"], "another's", "and no second effect");
    assert_eq!(put("2", "two").status, 200);
    let gone = [("VR-Client", "99"), ("VR-Session", "1"), ("VR-Request", "1")];
    let gone = with(node, "PUT", "/object/key", &gone, &value("x"));
    assert_eq!((gone.status, &gone.code()[..]), (410, "evicted"));
}

#[test]
fn a_prefix_is_listed_page_by_page_and_a_batch_is_one_operation() {
    let (_cluster, node) = one();
    let puts: Vec<_> = (0..5).map(|i| json!({"put": {"key": format!("p/{i}"), "value": "v"}})).collect();
    let batch = json!({ "operations": puts }).to_string();
    let answer = curl(node, "POST", "/batch", batch.as_bytes());
    let results = answer.json()["results"].as_array().expect("results").clone();
    assert_eq!((answer.status, results.len()), (200, 5));
    assert!(results.iter().all(|result| result["revision"] == results[0]["revision"]), "one op");
    curl(node, "PUT", "/object/q", &value("other"));
    let page = curl(node, "GET", "/object?prefix=p/&limit=3", b"").json();
    assert_eq!((page["objects"].as_array().map(Vec::len), page["more"].as_bool()), (Some(3), Some(true)));
    let rest = curl(node, "GET", "/object?prefix=p%2F&after=p/2", b"").json();
    assert_eq!((rest["objects"].as_array().map(Vec::len), rest["more"].as_bool()), (Some(2), Some(false)));
    let mixed = json!({"operations": [{"get": {"key": "p/0"}}, {"get": {"key": "none"}}, {"delete": {"key": "q"}},
        {"put": {"key": "p/0", "value": "w", "if_match": 0}}]});
    let results = curl(node, "POST", "/batch", mixed.to_string().as_bytes()).json()["results"].clone();
    let statuses: Vec<_> = results.as_array().expect("results").iter().map(|result| result["status"].clone()).collect();
    assert_eq!(statuses, [200, 404, 200, 412]);
}

#[test]
fn values_up_to_a_mebibyte_pass_and_longer_ones_are_refused() {
    let (_cluster, node) = one();
    let longest = "x".repeat(1 << 20);
    assert_eq!(curl(node, "PUT", "/object/long", &value(&longest)).status, 200);
    assert_eq!(curl(node, "GET", "/object/long", b"").json()["value"].as_str().map(str::len), Some(1 << 20));
    let refused = curl(node, "PUT", "/object/longer", &value(&(longest + "x")));
    assert_eq!((refused.status, &refused.code()[..]), (413, "too_large"));
    let refused = curl(node, "PUT", "/object/longest", &value(&"x".repeat(3 << 20)));
    assert_eq!((refused.status, &refused.code()[..]), (413, "too_large"));
    assert_eq!(curl(node, "GET", "/object/longer", b"").status, 404);
}

#[test]
fn what_makes_no_sense_is_refused_as_json_with_a_code() {
    let (_cluster, node) = one();
    let session = [("VR-Client", "zz"), ("VR-Session", "1"), ("VR-Request", "1")];
    for (method, path, headers, body, status, code) in [
        ("PUT", "/object/k", &[][..], &b"{"[..], 400, "bad_json"),
        ("PUT", "/object/k", &[], b"{\"value\": 1}", 400, "bad_json"),
        ("PUT", "/object/k", &[], b"\xff", 400, "bad_request"),
        ("PUT", "/object/%FF", &[], b"{\"value\": \"\"}", 400, "bad_request"),
        ("PUT", "/object/k", &[("if-match", "x")], b"{\"value\": \"\"}", 400, "bad_request"),
        ("GET", "/object/k", &session, b"", 400, "bad_request"),
        ("GET", "/object/k?consistency=odd", &[], b"", 400, "bad_request"),
        ("GET", "/object?limit=0", &[], b"", 400, "bad_request"),
        ("POST", "/batch", &[], b"{\"operations\": []}", 400, "bad_request"),
        ("POST", "/session", &[("VR-Client", "-")], b"", 400, "bad_request"),
        ("POST", "/object/k", &[], b"", 405, "method_not_allowed"),
        ("GET", "/batch", &[], b"", 405, "method_not_allowed"),
        ("POST", "/status", &[], b"", 405, "method_not_allowed"),
        ("GET", "/nothing/here", &[], b"", 404, "no_such_route"),
    ] {
        let answer = with(node, method, path, headers, body);
        assert_eq!((answer.status, &answer.code()[..]), (status, code), "{method} {path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/json"), "{method} {path}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
    }
}

/// What this test cannot bring about: answers that the store never gives, a full disk, a node that has stopped and
/// still answers.
fn is_provoked(path: &str, status: &str) -> bool {
    !matches!((path, status), (_, "500" | "507") | ("/healthz", "503"))
}

/// A route of the document, and a status.
type Given = BTreeSet<(String, String, String)>;

fn documented(document: &Value) -> Given {
    let mut all = Given::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path's methods") {
            for status in operation["responses"].as_object().into_iter().flat_map(|all| all.keys()) {
                if is_provoked(path, status) {
                    all.insert((method.to_uppercase(), path.clone(), status.clone()));
                }
            }
        }
    }
    all
}

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Asks, and notes what was answered.
struct Asker {
    given: Given,
}

impl Asker {
    fn ask(
        &mut self,
        node: SocketAddr,
        route: (&str, &str),
        path: &str,
        headers: Headers<'_>,
        body: &[u8],
    ) -> Response {
        let (method, documented) = route;
        // The stream of events never ends: its head is enough.
        let patience = Duration::from_secs(if path.contains("/events") { 1 } else { 12 });
        let answer = ask_within(patience, node, method, path, headers, body);
        let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        self.given.insert((method.to_owned(), documented.to_owned(), answer.status.to_string()));
        answer
    }

    /// Everything that is replicated, as it is answered by a node in some trouble.
    fn replicated(&mut self, node: SocketAddr, headers: &[(&str, &str)]) {
        self.ask(node, ("GET", "/object/{key}"), "/object/k", headers, b"");
        self.ask(node, ("PUT", "/object/{key}"), "/object/k", headers, &value("v"));
        self.ask(node, ("DELETE", "/object/{key}"), "/object/k", headers, b"");
        self.ask(node, ("GET", "/object"), "/object", headers, b"");
        self.ask(node, ("POST", "/batch"), "/batch", headers, b"{\"operations\": [{\"get\": {\"key\": \"k\"}}]}");
        if headers.is_empty() {
            self.ask(node, ("POST", "/session"), "/session", headers, b"");
        }
    }

    /// As a typed client asks; gives the session.
    fn typed(&mut self, node: SocketAddr, session: &str, number: &str, body: &[u8]) -> String {
        let headers = [("VR-Client", "77"), ("VR-Request", number), ("VR-Session", session)];
        let headers = if number == "0" { &headers[..2] } else { &headers[..] };
        let answer = self.ask(node, ("POST", "/vr/v1/request"), "/vr/v1/request", headers, body);
        answer.header("vr-session").unwrap_or_default().to_owned()
    }

    fn refusals(&mut self, node: SocketAddr) {
        let wrong = [("VR-Client", "x")];
        self.replicated(node, &wrong);
        self.ask(node, ("POST", "/session"), "/session", &wrong, b"");
        let gone = [("VR-Client", "99"), ("VR-Session", "1"), ("VR-Request", "1")];
        self.replicated(node, &gone);
        self.typed(node, "x", "1", b"");
        self.typed(node, "1", "1", b"");
        let long = "x".repeat(5 << 20);
        self.ask(node, ("PUT", "/object/{key}"), "/object/k", &[], &value(&long));
        self.ask(node, ("POST", "/batch"), "/batch", &[], &value(&long));
        self.typed(node, "1", "1", long.as_bytes());
        let never = [("if-match", "\"999999\"")];
        self.ask(node, ("PUT", "/object/{key}"), "/object/k", &never, &value("v"));
        self.ask(node, ("DELETE", "/object/{key}"), "/object/k", &never, b"");
    }
}

#[test]
fn the_document_lists_every_status_that_is_given_and_no_other() {
    let more = "[events]\nenabled = true";
    // A primary that is alone believes to be one for 3 s, longer than anybody waits for an answer.
    let plan = Plan { replicas: 3, timeout_ms: 700, heartbeat_ms: 300, more, ..Plan::default() };
    let mut cluster = Cluster::started(plan);
    let mut asker = Asker { given: Given::new() };
    cluster.await_agreement(&[0, 1, 2]);
    let primary = cluster.await_primary();
    let (at_primary, at_backup) = (cluster.address(primary), cluster.address((primary + 1) % 3));
    for path in ["/openapi.json", "/status", "/metrics", "/healthz", "/readyz", "/vr/v1/events"] {
        asker.ask(at_primary, ("GET", path), path, &[], b"");
    }
    let (lone, node) = one();
    asker.ask(node, ("GET", "/vr/v1/events"), "/vr/v1/events", &[], b"");
    drop(lone);
    asker.ask(at_primary, ("GET", "/object/{key}"), "/object/k", &[], b"");
    asker.ask(at_primary, ("DELETE", "/object/{key}"), "/object/k", &[], b"");
    curl(at_primary, "PUT", "/object/k", &value("v"));
    asker.refusals(at_primary);
    asker.replicated(at_primary, &[]);
    asker.replicated(at_backup, &[]);
    let session = asker.typed(at_primary, "", "0", b"");
    asker.typed(at_primary, &session, "1", b"no operation");
    asker.typed(at_backup, &session, "2", b"");

    cluster.ids().filter(|id| *id != primary).for_each(|id| cluster.kill(id));
    unknown_outcomes(&mut asker, at_primary, &session);
    eventually("that it leads nobody", || (curl(at_primary, "GET", "/object/k", b"").status == 503).then_some(()));
    asker.replicated(at_primary, &[]);
    asker.typed(at_primary, &session, "3", b"");
    asker.ask(at_primary, ("GET", "/readyz"), "/readyz", &[], b"");

    let document: Value = serde_json::from_str(kv_demo::api::OPENAPI).expect("it is JSON");
    let (documented, given) = (documented(&document), asker.given);
    let missing: Vec<_> = given.difference(&documented).collect();
    let never: Vec<_> = documented.difference(&given).collect();
    assert!(missing.is_empty() && never.is_empty(), "not in the document: {missing:?}\nnever given: {never:?}");
}

/// All at once, while the primary does not know that it is alone.
fn unknown_outcomes(asker: &mut Asker, node: SocketAddr, session: &str) {
    let ask = |route: (&'static str, &'static str), path: &'static str, body: Vec<u8>| {
        thread::spawn(move || {
            let mut asker = Asker { given: Given::new() };
            asker.ask(node, route, path, &[], &body);
            asker.given
        })
    };
    let batch = b"{\"operations\": [{\"get\": {\"key\": \"k\"}}]}".to_vec();
    let all = [
        ask(("GET", "/object/{key}"), "/object/k", Vec::new()),
        ask(("PUT", "/object/{key}"), "/object/k", value("v")),
        ask(("DELETE", "/object/{key}"), "/object/k", Vec::new()),
        ask(("GET", "/object"), "/object", Vec::new()),
        ask(("POST", "/batch"), "/batch", batch),
        ask(("POST", "/session"), "/session", Vec::new()),
    ];
    asker.typed(node, session, "2", b"");
    for thread in all {
        asker.given.extend(thread.join().expect("it is answered"));
    }
}
