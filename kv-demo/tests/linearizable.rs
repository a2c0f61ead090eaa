//! What concurrent clients see while replicas are killed could have happened one call at a time: judged by the checker
//! that the simulator uses.
//!
//! The clients send each call once, without a session, and do not repeat it: whatever is not answered has an unknown
//! outcome, and the checker must find an order all the same. Must not know replicas.

mod support;

use support::cluster::{Cluster, Plan};
use support::eventually;
use support::http::{ask_within, value};

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use vr_sim::flight;
use vr_sim::history::{Call, KeyValue, KvCall, Linearizable, judge};
use vr_tokio::vr_core::recording;

/// The one clock of all clients.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// A client, and what it saw.
struct Watcher {
    name: u64,
    nodes: Vec<SocketAddr>,
    at: usize,
    clock: Clock,
    dice: u64,
    calls: Vec<Call>,
    answered: Arc<AtomicU64>,
}

impl Watcher {
    fn below(&mut self, bound: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % bound
    }

    fn call(&mut self, number: u64) {
        let key = format!("k{}", self.below(5));
        let text = format!("{}.{number}", self.name);
        let (key_bytes, text_bytes) = (key.as_bytes(), text.as_bytes());
        let (method, body, call) = match self.below(10) {
            0..4 => ("GET", Vec::new(), KvCall::Get { key: key_bytes }),
            4..9 => ("PUT", value(&text), KvCall::Put { key: key_bytes, value: text_bytes }),
            _ => ("DELETE", Vec::new(), KvCall::Delete { key: key_bytes }),
        };
        let (call, invoked) = (call.encode(), self.clock.now());
        let patience = Duration::from_millis(1500);
        let answer = ask_within(patience, self.nodes[self.at], method, &format!("/object/{key}"), &[], &body);
        let result = match answer {
            Ok(answer) if answer.status == 200 && method == "GET" => {
                Some(KeyValue::found(answer.json()["value"].as_str().expect("a value").as_bytes()))
            }
            Ok(answer) if answer.status == 200 => Some(KeyValue::done()),
            Ok(answer) if answer.status == 404 => Some(KeyValue::absent()),
            Ok(answer) if answer.status == 307 => {
                let location = answer.header("location").expect("a redirection says where");
                let found = self.nodes.iter().position(|node| location.contains(&node.to_string()));
                self.at = found.expect("a node of the cluster");
                return; // it had no effect
            }
            other => {
                self.at = (self.at + 1) % self.nodes.len();
                thread::sleep(Duration::from_millis(5));
                let was_refused = match other {
                    Ok(answer) => answer.status == 503,
                    Err(error) => error.kind() == ErrorKind::ConnectionRefused,
                };
                if was_refused || method == "GET" {
                    return; // it had no effect
                }
                None
            }
        };
        self.answered.fetch_add(u64::from(result.is_some()), Ordering::Relaxed);
        let returned = result.map(|result| (self.clock.now(), result));
        self.calls.push(Call { body: call, invoked, returned });
    }
}

#[test]
fn clients_of_a_cluster_whose_primaries_are_killed_see_one_order_of_calls() {
    let mut cluster = Cluster::started(Plan { timeout_ms: 1000, is_recorded: true, ..Plan::default() });
    let (clock, stop) = (Clock::default(), Arc::new(AtomicBool::new(false)));
    let answered = Arc::new(AtomicU64::new(0));
    let clients = (1..=5).map(|name| {
        let nodes: Vec<_> = cluster.ids().map(|id| cluster.address(id)).collect();
        let (clock, stop, answered) = (clock.clone(), Arc::clone(&stop), Arc::clone(&answered));
        thread::spawn(move || {
            let mut watcher = Watcher { name, nodes, at: 0, clock, dice: name, calls: Vec::new(), answered };
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                watcher.call(number);
            }
            watcher.calls
        })
    });
    let clients: Vec<_> = clients.collect();
    let await_more = |more: u64| {
        let goal = answered.load(Ordering::Relaxed) + more;
        eventually("that clients are answered", || (answered.load(Ordering::Relaxed) >= goal).then_some(()));
    };
    for _ in 0..4 {
        await_more(100);
        let primary = cluster.await_primary();
        cluster.kill(primary);
        await_more(50);
        cluster.start(primary);
    }
    stop.store(true, Ordering::Relaxed);
    let history: Vec<_> = clients.into_iter().flat_map(|client| client.join().expect("it ends")).collect();
    let answered = history.iter().filter(|call| call.returned.is_some()).count();
    println!("{} calls, {answered} of them answered, 4 primaries killed", history.len());
    assert_eq!(judge(&history, &KeyValue), Linearizable::Yes);
    eventually("that all answer", || cluster.ids().all(|id| cluster.status(id).is_some()).then_some(()));
    cluster.ids().for_each(|id| assert!(cluster.terminate(id).success(), "{}", cluster.log_text(id)));
    let mut recordings = Vec::new();
    for file in fs::read_dir(cluster.config().with_file_name("flight")).expect("the recordings are there") {
        let bytes = fs::read(file.expect("a file").path()).expect("read");
        // Those of the killed ones end in the midst of an event.
        recordings.push(recording::read(&bytes.into()).expect("whole frames, but for the last"));
    }
    let report = flight::judge_all(&recordings, None).expect("everything holds, before all checkers of the simulator");
    println!("{report:?}");
    assert_eq!((report.lives, &report.partial), (9, &None), "five replicas, four of which were started again");
    assert!(report.views >= 4 && report.committed.0 > 200, "{report:?}");
}
