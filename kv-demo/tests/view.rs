//! The view of real processes: what a browser is told while a cluster works, fails and comes back, and what it is not.
//!
//! Owns no browser: the page has tests of its own. Must not know how anything is collected. VIEW.md §5.2, §5.4, §7.

mod support;

use serde_json::{Value, json};
use support::cluster::{Cluster, Plan};
use support::eventually;
use support::view::{Events, ViewProcess};

fn three() -> Cluster {
    Cluster::started(Plan { replicas: 3, more: "[events]\nenabled = true\n", ..Plan::default() })
}

fn view_of(cluster: &Cluster) -> ViewProcess {
    ViewProcess::start(&["--nodes", &cluster.endpoints()])
}

/// Waits until a snapshot is so.
fn until(view: &ViewProcess, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || Some(view.get("/api/v1/snapshot").json()).filter(|snapshot| is_so(snapshot)))
}

/// Waits until all nodes are heard.
fn all_up(view: &ViewProcess) {
    until(view, "all nodes", |snapshot| {
        snapshot["nodes"].as_array().is_some_and(|nodes| nodes.iter().all(|node| node["link"] == "up"))
    });
}

/// Takes batches until one of their events is so; gives all events, in order.
fn events_until(events: &mut Events, is_so: impl Fn(&Value) -> bool) -> (Vec<Value>, String) {
    let mut all = Vec::new();
    loop {
        let batch = events.next_of("batch");
        all.extend(batch.data);
        if all.iter().any(&is_so) {
            return (all, batch.id.expect("a cursor"));
        }
    }
}

#[test]
fn the_view_shows_what_the_nodes_know_and_what_each_sent_last() {
    let (cluster, mut asked) = (three(), 0);
    let (view, mut client) = (view_of(&cluster), cluster.client());
    for key in 0..10 {
        client.put(&key.to_string(), "value");
        asked += 1;
    }
    let shown = until(&view, "ten ops at all nodes", |snapshot| {
        let nodes = snapshot["nodes"].as_array().expect("a list");
        nodes.iter().all(|node| {
            let state = &node["state"];
            state["commit"].as_u64() > Some(asked) && state["applied"] == state["commit"] && node["link"] == "up"
        })
    });
    assert_eq!(shown["meta"]["config"]["members"], json!(["r0", "r1", "r2"]));
    assert_eq!(shown["meta"]["redact"], "hash");
    let primary = format!("r{}", cluster.await_primary());
    for node in shown["nodes"].as_array().expect("a list") {
        assert_eq!(node["state"]["primary"], primary);
        assert_eq!(node["latest"]["k"], "send", "{node}");
        let log = node["log"].as_array().expect("a list");
        assert!(log.iter().all(|slot| slot[0].is_u64() && slot[1].is_u64() && slot[2].is_string()), "{node}");
    }
}

#[test]
fn a_killed_primary_is_seen_to_be_gone_and_its_successor_to_lead_and_itself_to_return_in_another_life() {
    let mut cluster = three();
    let view = view_of(&cluster);
    all_up(&view);
    let mut events = view.events(None);
    assert_eq!(events.next().name, "snapshot");
    let primary = cluster.await_primary();
    let name = format!("r{primary}");
    cluster.kill(primary);
    let (all, _) = events_until(&mut events, |event| {
        event["k"] == "set" && event["primary"] != name.as_str() && event["status"] == "normal"
    });
    assert!(all.iter().any(|event| event["n"] == name.as_str() && event["what"] == "unreachable"), "{all:#?}");
    let down = |snapshot: &Value| snapshot["nodes"][usize::from(primary)]["link"] == "down";
    until(&view, "it to be down", down);
    cluster.start(primary);
    let (all, _) = events_until(&mut events, |event| event["k"] == "snap" && event["n"] == name.as_str());
    let what: Vec<_> =
        all.iter().filter(|event| event["n"] == name.as_str()).map(|event| event["k"].as_str()).collect();
    assert!(what.starts_with(&[Some("note"), Some("restart"), Some("snap")]), "{what:?}");
    let restart = all.iter().find(|event| event["k"] == "restart").expect("seen above");
    assert_eq!(restart["inc"], 2);
}

#[test]
fn a_frozen_node_is_silent_and_that_is_not_health() {
    let cluster = three();
    let view = view_of(&cluster);
    all_up(&view);
    cluster.freeze(2);
    until(&view, "its silence", |snapshot| snapshot["nodes"][2]["link"] == "silent");
    cluster.thaw(2);
    until(&view, "its return", |snapshot| snapshot["nodes"][2]["link"] == "up");
}

#[test]
fn a_browser_that_connects_again_misses_nothing_and_gets_nothing_twice() {
    let cluster = three();
    let (view, mut client) = (view_of(&cluster), cluster.client());
    all_up(&view);
    let mut events = view.events(None);
    let mut next = events.next_of("snapshot").data[0]["next"].as_u64().expect("an index");
    let (mut batch, mut sent) = (events.next_of("batch"), Vec::new());
    for round in 0..5 {
        client.put("key", &round.to_string());
        for event in &batch.data {
            assert_eq!(event["i"].as_u64(), Some(next), "no index is missing, none comes twice");
            next += 1;
            if event["k"] == "send" {
                sent.push((event["m"].clone(), event["i"].clone()));
            }
            if event["k"] == "recv" && event["by"].is_u64() {
                let by = sent.iter().rev().find(|(m, _)| *m == event["m"]).map(|(_, i)| i);
                assert!(by.is_none_or(|i| *i == event["by"]), "what arrives is caused by what was sent: {event}");
            }
        }
        drop(events);
        events = view.events(batch.id.as_deref());
        let first = events.next();
        assert_ne!(first.name, "snapshot", "its cursor is known");
        batch = if first.name == "batch" { first } else { events.next_of("batch") };
    }
    let mut strange = view.events(Some("0123456789abcdef.0-7"));
    assert_eq!(strange.next().name, "snapshot");
}

#[test]
fn whoever_asks_from_another_host_or_for_what_is_not_there_is_refused() {
    let view = ViewProcess::start(&["--nodes", "127.0.0.1:9"]);
    let host = view.address.to_string();
    let with_host = |host: &str| view.raw("GET", "/", &[("host", host)], "").status;
    assert_eq!(with_host(&host), 200);
    assert_eq!(with_host(&format!("localhost:{}", view.address.port())), 200);
    for other in ["evil.example", "evil.example:80", &format!("evil.example:{}", view.address.port()), "127.0.0.1"] {
        assert_eq!(with_host(other), 400, "{other}");
    }
    assert_eq!(view.raw("GET", "/", &[], "").status, 400);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = view.ask(method, "/api/v1/lab/do", &[("content-type", "application/json")], "{}");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    for path in [
        "/../",
        "/%2e%2e/etc/passwd",
        "/x",
        "/api/v1/../../x",
        "//",
        "/api/v1/lab",
        "/api/v1/trace",
        "/api/v1/export/x",
    ] {
        assert_eq!(view.get(path).status, 404, "{path}");
    }
    for path in ["/", "/healthz", "/api/v1/meta", "/api/v1/snapshot", "/nothing"] {
        let answer = view.ask("GET", path, &[("origin", "http://evil.example")], "");
        assert!(!answer.head.to_lowercase().contains("access-control"), "{path}: {}", answer.head);
        for (name, value) in [
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}: {name}");
        }
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
    let page = view.get("/");
    let policy = page.header("content-security-policy").expect("seen above");
    for part in ["script-src 'sha256-", "connect-src 'self'", "require-trusted-types-for 'script'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(page.body.contains("\"mode\":\"live\""), "the page knows what it shows");
    assert_eq!(view.get("/healthz").json(), json!({"ok": true}));
    assert_eq!(view.get("/api/v1/meta").json()["mode"], "live");
}

#[test]
fn an_address_that_others_reach_is_refused_unless_it_is_meant_and_then_needs_a_token() {
    let refused = support::run(&["view", "--nodes", "127.0.0.1:9", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains("--i-understand-this-exposes-data"), "{}", refused.err);
    let options = ["--nodes", "127.0.0.1:9", "--listen", "0.0.0.0:0", "--i-understand-this-exposes-data"];
    let view = ViewProcess::start(&options);
    let token = view.token.clone().expect("it is printed");
    let host = format!("127.0.0.1:{}", view.address.port());
    let get =
        |path: &str, more: &[(&str, &str)]| view.raw("GET", path, &[&[("host", host.as_str())], more].concat(), "");
    assert_eq!(get("/api/v1/snapshot", &[]).status, 403);
    assert_eq!(get("/", &[]).status, 403);
    let first = get(&format!("/?token={token}"), &[]);
    assert_eq!((first.status, first.header("location")), (303, Some("/")));
    let cookie = first.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie");
    assert_eq!(get("/api/v1/snapshot", &[("cookie", cookie)]).status, 200);
}

#[test]
fn a_trace_is_given_out_as_it_is_in_its_file_and_nothing_else_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a trace.jsonl");
    let trace = concat!(
        "{\"i\":0,\"t\":0,\"k\":\"meta\",\"format\":\"vrtrace/1\",\"mode\":\"sim\",\"config\":{\"members\":[\"r0\"],",
        "\"epoch\":0,\"f\":0,\"quorum\":1},\"redact\":\"full\"}\n",
        "{\"i\":1,\"t\":5,\"k\":\"note\",\"n\":\"r0\",\"text\":\"<img src=x onerror=alert(1)>\"}\n",
    );
    std::fs::write(&path, trace).expect("written");
    let name = path.to_str().expect("text");
    let view = ViewProcess::start(&["--trace", name]);
    assert_eq!(view.get("/api/v1/meta").json(), json!({"mode": "trace", "name": "a trace.jsonl"}));
    let answer = view.get("/api/v1/trace");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
    assert!(trace.lines().all(|line| answer.body.contains(line)), "{}", answer.body);
    assert_eq!(view.get("/api/v1/events").status, 404);
    assert_eq!(view.ask("POST", "/api/v1/trace", &[], "").status, 405);
    let text = support::run(&["view", "--trace", name, "--text"]);
    let lines = text.out.lines().filter(|line| !line.starts_with('#'));
    assert_eq!((text.code, lines.count()), (Some(0), 2), "{}", text.err);
    assert!(text.err.contains("no end"), "what is cut off is said to be: {}", text.err);
    assert_eq!(view.get("/api/v1/export/text").body.trim_end(), text.out.trim_end());
    for (form, begins) in [("shiviz", "0.000000 <img"), ("perfetto", "{\"displayTimeUnit\""), ("history", "")] {
        let (answer, exported) = (view.get(&format!("/api/v1/export/{form}")), {
            support::run(&["view", "--trace", name, "--export", form])
        });
        assert!(answer.status == 200 && answer.body.contains(begins), "{form}: {}", answer.body);
        assert!(
            exported.code == Some(0) && exported.out.starts_with(begins),
            "{form}: {}{}",
            exported.out,
            exported.err
        );
    }
    let table = support::run(&["view", "--trace", name, "--table", "--at", "0"]);
    assert!(table.code == Some(0) && table.out.starts_with("after event 0,"), "{}{}", table.out, table.err);
    let table = support::run(&["view", "--trace", name, "--table", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&table.out).expect("JSON")["replicas"][0]["n"], "r0");
    let beyond = support::run(&["view", "--trace", name, "--table", "--at", "7"]);
    assert_eq!((beyond.code, beyond.err.lines().count()), (Some(1), 2), "{}", beyond.err);
    let missing = support::run(&["view", "--trace", "/nowhere"]);
    assert_eq!((missing.code, missing.err.lines().count()), (Some(1), 1), "{}", missing.err);
}

#[test]
fn a_running_cluster_is_shown_as_a_table_and_a_node_that_is_away_is_named_with_the_reason() {
    let (mut cluster, mut asked) = (three(), 0);
    let mut client = cluster.client();
    for key in 0..3 {
        client.put(&key.to_string(), "value");
        asked += 1;
    }
    let primary = cluster.await_primary();
    // Where a machine is busy one of them may say nothing for as long as the table takes.
    let table = eventually("each to be heard sending", || {
        let table = support::run(&["view", "--nodes", &cluster.endpoints(), "--table", "--json"]);
        let table: Value = serde_json::from_str(&table.out).expect("JSON");
        let sends = |all: &Vec<Value>| all.iter().all(|one| one["latest"]["k"] == "send");
        table["replicas"].as_array().is_some_and(sends).then_some(table)
    });
    assert_eq!(table["primary"], format!("r{primary}"));
    assert!(table["committed"].as_u64() > Some(asked), "{table}");
    let other = (primary + 1) % 3;
    cluster.kill(other);
    let text = support::run(&["view", "--nodes", &cluster.endpoints(), "--table"]);
    assert!(text.code == Some(0) && text.out.contains(&format!("? r{other}")), "{}{}", text.out, text.err);
    assert!(text.err.contains(&format!("r{other} is unreachable: ")), "{}", text.err);
    let nobody = support::run(&["view", "--nodes", "127.0.0.1:9", "--table"]);
    assert_eq!(nobody.code, Some(1), "{}", nobody.err);
}

#[test]
fn a_laboratory_does_what_its_own_page_says_and_nobody_elses() {
    let view = ViewProcess::start(&["--lab", "--replicas", "3", "--seed", "7"]);
    let (token, kind) = (view.token.clone().expect("printed"), ("content-type", "application/json"));
    let token = ("x-vr-token", token.as_str());
    let own = format!("http://{}", view.address);
    let body = r#"{"branch":0,"from":0,"do":["register c0 r0","run 20ms","crash r0"]}"#;
    let post = |path: &str, headers: &[(&str, &str)], body: &str| view.ask("POST", path, headers, body);
    let status = |headers: &[(&str, &str)]| post("/api/v1/lab/do", headers, body).status;
    assert_eq!(status(&[kind]), 403);
    assert_eq!(status(&[kind, ("x-vr-token", "0")]), 403);
    assert_eq!(status(&[kind, token, ("origin", "http://evil.example")]), 403);
    assert_eq!(status(&[token]), 415);
    assert_eq!(status(&[token, ("content-type", "text/plain")]), 415);
    let done = post("/api/v1/lab/do", &[kind, token, ("origin", &own)], body);
    assert_eq!(done.status, 200, "{}", done.body);
    let events = done.json()["events"].as_array().expect("a list").len();
    let mistake = post("/api/v1/lab/do", &[kind, token], r#"{"branch":0,"from":1,"do":["run 1ms","crash r9"]}"#);
    assert_eq!(mistake.status, 400);
    assert!(mistake.json()["error"].as_str().is_some_and(|why| why.contains("r9")), "{}", mistake.body);
    assert!(mistake.json()["events"].is_array());
    let fork = post("/api/v1/lab/fork", &[kind, token], &json!({"branch": 0, "at": events / 2}).to_string());
    assert_eq!((fork.status, &fork.json()["branch"]), (200, &json!(1)), "{}", fork.body);
    let reset = json!({"replicas": 5, "seed": "9", "durability": "async", "clients": 1}).to_string();
    assert_eq!(post("/api/v1/lab/reset", &[kind, token], &reset).json()["branch"], 2);
    let lab = view.get("/api/v1/lab").json();
    assert_eq!(lab["branches"].as_array().map(Vec::len), Some(3));
    let tour = json!({"name": lab["tours"][0]["name"]}).to_string();
    let tour = post("/api/v1/lab/tour", &[kind, token], &tour).json();
    assert!(tour["tour"]["steps"].is_array() && tour["events"].is_array(), "{tour}");
    for nonsense in ["", "{}", "[]", "{\"branch\":-1}", "{\"branch\":99,\"do\":[]}", "\u{0}"] {
        assert_eq!(post("/api/v1/lab/do", &[kind, token], nonsense).status, 400, "{nonsense}");
    }
    assert_eq!(post("/api/v1/lab/nonsense", &[kind, token], "{}").status, 404);
    let trace = view.get("/api/v1/trace?branch=0");
    assert!(trace.body.lines().count() > 3 && trace.body.contains("\"k\":\"crash\""), "{}", trace.body);
    assert!(view.get("/api/v1/lab/command?branch=0").json()["command"].as_str().is_some_and(|is| is.contains("lab")));
    let case = view.get("/api/v1/lab/case?branch=0");
    assert!(case.header("content-disposition").is_some_and(|is| is.contains("attachment")), "{}", case.head);
    assert_eq!(view.get("/api/v1/trace?branch=x").status, 400);
    assert_eq!(view.get("/api/v1/trace?branch=99").status, 400);
    assert_eq!(view.get("/api/v1/snapshot").status, 404);
}
