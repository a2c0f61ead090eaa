//! The curl lines of the README do what it says: each is run, as it stands there, against a cluster of five.
//!
//! Only the ports are replaced by those of the test. Must not know what the lines ask.

mod support;

use support::cluster::{Cluster, Plan};

use std::process::Command;

#[test]
fn every_curl_line_of_the_readme_is_answered_with_success() {
    let cluster = Cluster::started(Plan::default());
    cluster.await_agreement(&[0, 1, 2, 3, 4]);
    let readme = include_str!("../README.md");
    let lines: Vec<_> = readme.lines().filter(|line| line.starts_with("curl ")).collect();
    assert!(lines.len() > 10, "the README has lost its examples");
    for line in lines {
        // A busy machine may be between two views: 503 is answered by asking again, as the README says.
        let mut here = line.replacen("curl ", "curl --silent --show-error --fail --retry 5 ", 1);
        for id in cluster.ids() {
            here = here.replace(&format!("127.0.0.1:{}/", 8080 + 10 * id), &format!("{}/", cluster.address(id)));
            here = here.replace(&format!("127.0.0.1:{}?", 8080 + 10 * id), &format!("{}?", cluster.address(id)));
        }
        // What one line wrote, the next may read at any node.
        cluster.await_agreement(&[0, 1, 2, 3, 4]);
        let ran = Command::new("sh").args(["-c", &here]).output().expect("there is a shell");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && !said.is_empty(), "{line}\n{said}");
        if line.ends_with("8090/object/greeting") {
            assert!(said.contains("\"hello\""), "{said}");
        }
    }
}
