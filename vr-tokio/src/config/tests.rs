//! Configurations: the worked example, and what is refused in which words. Owns no helper of others.

use super::*;
use vr_core::Lease;

const EXAMPLE: &str = include_str!("../../cluster.example.toml");

fn refused(change: (&str, &str)) -> String {
    let text = EXAMPLE.replace(change.0, change.1);
    assert_ne!(text, EXAMPLE, "the example has changed: {change:?} changes nothing");
    NodeConfig::parse(&text, ReplicaId(0), Path::new("")).map(|_| ()).expect_err("it must be refused").to_string()
}

#[test]
fn the_worked_example_is_a_configuration_of_three_nodes() {
    let config = NodeConfig::parse(EXAMPLE, ReplicaId(1), Path::new("/etc/vr")).expect("it is valid");
    assert_eq!(config.cluster.members.len(), 3);
    assert!(config.cluster.witnesses.is_empty());
    assert_eq!(config.dir, Path::new("/etc/vr/data/1"));
    assert_eq!(config.client_of(ReplicaId(2)).map(|address| address.port()), Some(8100));
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    assert!(refused(("members = [0, 1, 2]", "members = [0, 1, 2, 3]")).contains("member 3 has no [[node]]"));
    assert!(refused(("members = [0, 1, 2]", "members = [1, 2]")).contains("replica 0 is not a member"));
    assert!(refused(("members = [0, 1, 2]", "members = [0, 0, 1]")).contains("twice"));
    assert!(refused(("id = \"", "id = \"f")).contains("32 hexadecimal digits"));
    assert!(refused(("\"127.0.0.1:8080\"", "\"0.0.0.0:8080\"")).contains("has no TLS"));
    assert!(refused(("[cluster]", "[cluster]\ncolour = \"red\"")).contains("colour"));
}

#[test]
fn one_that_joins_is_none_of_the_first_members_and_says_so() {
    let node = "[[node]]\nid = 7\ndir = \"data/7\"\nclient = \"127.0.0.1:8150\"\npeer = \"127.0.0.1:8151\"\n";
    let text = format!("{EXAMPLE}\n{node}");
    let parse =
        |text: &str, id| NodeConfig::parse(text, ReplicaId(id), Path::new("")).map_err(|error| error.to_string());
    assert!(parse(&text, 7).expect_err("refused").contains("joins = true"));
    let newcomer = parse(&format!("{text}joins = true\n"), 7).expect("it waits to be added");
    assert!(newcomer.core().joins);
    let old = EXAMPLE.replacen("id = 0\n", "id = 0\njoins = true\n", 1);
    assert!(parse(&old, 0).expect_err("refused").contains("one of the first members"));
}

#[test]
fn a_node_that_the_file_does_not_know_is_refused() {
    let error = NodeConfig::parse(EXAMPLE, ReplicaId(9), Path::new("")).map(|_| ()).expect_err("no such node");
    assert!(error.to_string().contains("no [[node]] with id = 9"));
}

#[test]
fn a_lease_is_there_if_its_section_is_and_is_judged_by_patience() {
    let with = |section: &str| NodeConfig::parse(&format!("{EXAMPLE}\n{section}"), ReplicaId(0), Path::new(""));
    let lease = |section: &str| with(section).map(|config| config.core().cluster.lease).map_err(|why| why.to_string());
    assert_eq!(lease(""), Ok(None));
    let expected = Lease { length: Wait::millis(150), drift_ppm: 110_000 };
    assert_eq!(lease("[lease]\nlength_ms = 150"), Ok(Some(expected)));
    assert_eq!(lease("[lease]\nlength_ms = 150\ndrift_ppm = 20"), Ok(Some(Lease { drift_ppm: 20, ..expected })));
    assert!(lease("[lease]\nlength_ms = 201").expect_err("8 H are 200 ms").contains("patience"));
    assert!(lease("[lease]\nlength_ms = 150\ncolour = 1").expect_err("no such word").contains("colour"));
}
