//! The example of three processes, run as its reader would run it: it counts to ten although the first primary is killed
//! with SIGKILL in between. Owns the ports and the directory; must not know how the example does it.

use std::fmt::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

/// Free ports, outside the range from which outgoing connections take theirs.
fn free_ports() -> Vec<u16> {
    let first = u16::try_from(std::process::id() % 20_000).expect("below 20,000") + 10_000;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..).filter(is_free).take(6).collect()
}

/// Where cargo put the example. It builds examples with the tests, unless one test alone is asked for.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let target = test.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps");
    let example = target.join("examples").join("counter");
    if !example.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "-p", "vr-tokio", "--example", "counter"]);
        if target.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo runs").success(), "the example is built");
    }
    example
}

#[test]
fn a_counter_of_three_processes_outlives_its_killed_primary_and_misses_no_step() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut file = "[cluster]\nid = \"00000000000000000000000000c0ffee\"\nmembers = [0, 1, 2]\n".to_owned();
    for (id, ports) in free_ports().chunks(2).enumerate() {
        let (client, peer) = (ports[0], ports[1]);
        writeln!(
            file,
            "[[node]]\nid = {id}\ndir = \"{id}\"\nclient = \"127.0.0.1:{client}\"\npeer = \"127.0.0.1:{peer}\""
        )
        .expect("memory");
    }
    std::fs::write(dir.path().join("cluster.toml"), file).expect("written");
    let output = Command::new(example()).arg(dir.path()).output().expect("cargo has built it");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let counts: Vec<&str> = said.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(counts, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"], "{said}");
    let last = said.lines().last().expect("ten lines");
    assert!(!last.ends_with("of view v0"), "another primary has taken over: {last}");
}

#[test]
fn the_example_is_no_longer_than_promised() {
    let lines = include_str!("../examples/counter.rs").lines().count();
    assert!(lines <= 60, "{lines} lines");
}
