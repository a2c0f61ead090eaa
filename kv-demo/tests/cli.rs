//! The command line of `kv-demo`: what it prints, and its exit codes.
//!
//! 0: done; 1: it failed; 2: it was asked for wrongly; 3: the key is not as expected. A mistake is answered with one
//! line that says what to do. Must not know the protocol.

mod support;

use support::cluster::{Cluster, Plan};
use support::{free_ports, kv_demo, run};

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

#[test]
fn help_teaches() {
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    for word in [
        "serve",
        "cluster",
        "format",
        "put",
        "get",
        "delete",
        "cas",
        "list",
        "status",
        "hand-over",
        "member",
        "bench",
        "curl -L",
    ] {
        assert!(help.out.contains(word), "{word} is missing in:\n{}", help.out);
    }
    assert!(run(&["bench", "--help"]).out.contains("coordinated omission"));
    assert!(run(&["member", "--help"]).out.contains("EXPERIMENTAL"));
}

#[test]
fn wrong_usage_exits_with_2_and_one_clear_line() {
    for (args, word) in [
        (&["get", "key", "--endpoints", "nonsense"][..], "nonsense"),
        (&["status", "--endpoints", "https://a:1"], "plain HTTP"),
        (&["bench", "--endpoints", "x"], "host:port"),
        (&["member", "list", "--endpoints", "x"], "host:port"),
        (&["serve", "--id", "0", "--config", "/does/not/exist"], "/does/not/exist"),
        (&["format", "--id", "0", "--config", "/does/not/exist"], "/does/not/exist"),
        (&["serve", "--id", "0", "--config", "x", "--log", "a=b=c"], "--log"),
    ] {
        let ran = run(args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(word) && ran.err.lines().count() == 1, "{args:?}: {}", ran.err);
    }
    for args in [&[][..], &["nonsense"], &["bench", "--clients", "0"], &["cas", "key", "value"], &["put", "key"]] {
        assert_eq!(run(args).code, Some(2), "{args:?}");
    }
}

#[test]
fn nobody_there_is_a_failure_that_says_so() {
    let ran = run(&["get", "key", "--timeout", "1", "--endpoints", &format!("127.0.0.1:{}", free_ports())]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("can be reached") && ran.err.lines().count() == 1, "{}", ran.err);
}

#[test]
fn a_value_is_put_found_changed_listed_and_deleted_from_a_shell() {
    let cluster = Cluster::started(Plan { replicas: 3, ..Plan::default() });
    let endpoints = cluster.endpoints();
    let ask = |args: &[&str]| {
        let ran = run(&[args, &["--endpoints", &endpoints]].concat());
        (ran.code.unwrap_or(-1), ran.out.trim_end().to_owned())
    };
    assert_eq!(ask(&["get", "a/b"]).0, 3);
    let (code, said) = ask(&["put", "a/b", "one", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, said["created"].as_bool()), (0, Some(true)));
    let revision = said["revision"].to_string();
    assert_eq!(ask(&["get", "a/b"]), (0, "one".to_owned()));
    assert_eq!(ask(&["cas", "a/b", "two", "--revision", "999999"]).0, 3);
    assert_eq!(ask(&["cas", "a/b", "two", "--revision", &revision]).0, 0);
    assert_eq!(ask(&["cas", "a/b", "three", "--value-is", "one"]).0, 3);
    assert_eq!(ask(&["cas", "a/b", "three", "--value-is", "two"]).0, 0);
    assert_eq!(ask(&["put", "a/ä \"", "{}"]).0, 0);
    assert_eq!((ask(&["put", "t", "x", "--ttl", "3600"]).0, ask(&["put", "t", "x", "--ttl", "0"]).0), (0, 2));
    let expires: serde_json::Value = serde_json::from_str(&ask(&["get", "t", "--json"]).1).expect("JSON");
    assert!(expires["expires_ms"].as_u64().is_some(), "{expires}");
    assert_eq!(ask(&["delete", "t"]).0, 0);
    assert_eq!(ask(&["list", "a/"]), (0, "a/b\tthree\na/ä \"\t{}".to_owned()));
    assert_eq!(ask(&["list", "--keys", "--limit", "1"]), (0, "a/b".to_owned()));
    assert_eq!(ask(&["delete", "a/b"]), (0, "deleted".to_owned()));
    assert_eq!(ask(&["delete", "a/b"]).0, 3);
    let (code, said) = ask(&["hand-over", "--to", "2"]);
    assert_eq!((code, &said[..]), (0, "replica 0 gave way to replica 2, which leads view 2"));
    assert_eq!(ask(&["hand-over", "--to", "2"]).0, 1, "it leads already");
    assert_eq!(ask(&["get", "a/ä \""]), (0, "{}".to_owned()));
    let (code, table) = ask(&["status"]);
    assert_eq!((code, table.lines().count()), (0, 4), "{table}");
    value_from_standard_input(&endpoints);
    bench_reports(&endpoints);
}

fn value_from_standard_input(endpoints: &str) {
    let mut put = kv_demo();
    put.args(["put", "piped", "-", "--endpoints", endpoints]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = put.spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all("from a pipe, ü".as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(run(&["get", "piped", "--endpoints", endpoints]).out, "from a pipe, ü\n");
}

fn bench_reports(endpoints: &str) {
    for extra in [&[][..], &["--batch", "10"], &["--reads", "50"]] {
        let args = ["bench", "--clients", "4", "--seconds", "1", "--json", "--endpoints", endpoints];
        let ran = run(&[&args, extra].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let said: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
        for field in ["ops", "seconds", "ops_per_s", "p50_ms", "p90_ms", "p99_ms", "p999_ms"] {
            assert!(said[field].as_f64().is_some_and(|figure| figure > 0.0), "{field}: {said}");
        }
        assert_eq!(said["errors"], 0, "{said}");
    }
}

#[test]
fn a_cluster_that_cannot_be_is_refused_without_a_trace() {
    let dir = tempfile::tempdir().expect("a directory");
    let place = dir.path().join("cluster");
    for (wrong, why) in [(["--lease", "5000"], "patience"), (["--witness", "7"], "witness")] {
        let place = place.to_str().expect("a name");
        let ran = run(&[&["cluster", "--replicas", "3", "--no-view", "--dir", place][..], &wrong].concat());
        assert_eq!((ran.code, ran.err.contains(why)), (Some(2), true), "{}", ran.err);
        assert!(
            fs::read_dir(dir.path()).expect("it is there").next().is_none(),
            "nothing is in the way of the next try"
        );
    }
}

#[test]
fn a_cluster_starts_tells_where_it_is_and_finds_its_data_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let port = free_ports();
    let address = format!("127.0.0.1:{port}");
    for round in 0..2 {
        let mut command = kv_demo();
        command.args(["cluster", "--replicas", "1", "--base-port", &port.to_string(), "--dir"]).arg(&data);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("curl -L -X PUT")), "it says what to try");
        if round == 0 {
            assert_eq!(run(&["put", "key", "kept", "--endpoints", &address]).code, Some(0));
        }
        let got = run(&["get", "key", "--endpoints", &address]);
        let taken = kv_demo().args(["cluster", "--replicas", "1", "--dir"]).arg(&data).output().expect("it runs");
        let id = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("an id");
        rustix::process::kill_process(id, rustix::process::Signal::INT).expect("Ctrl-C");
        assert!(child.wait().expect("it ends").success());
        assert_eq!(got.out, "kept\n");
        let said = String::from_utf8_lossy(&taken.stderr).into_owned();
        assert_eq!(taken.status.code(), Some(2), "{said}");
        assert!(said.contains("in use") && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn a_directory_with_something_else_in_it_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("letter.txt"), "dear").expect("it is written");
    let ran = kv_demo().args(["cluster", "--dir"]).arg(dir.path()).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!((ran.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 1);
}

#[test]
fn a_log_is_not_formatted_twice() {
    let cluster = Cluster::formatted(Plan { replicas: 1, ..Plan::default() });
    let config = cluster.config();
    let again = run(&["format", "--id", "0", "--config", config.to_str().expect("a path")]);
    assert_eq!(again.code, Some(1));
    assert_eq!(again.err.lines().count(), 1, "{}", again.err);
}
