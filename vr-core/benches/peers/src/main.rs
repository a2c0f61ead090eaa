//! x
mod contender; mod omni; mod raft_rs;
use contender::*;
fn main() {
    let ops: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let cs: [&dyn Contender; 2] = [&omni::Omni, &raft_rs::RaftRs];
    for (replicas, payload_bytes) in [(3,64),(3,256),(5,64),(5,256)] { for outstanding in [1,64,256] {
        let case = Case { replicas, payload_bytes, outstanding };
        print!("{replicas} {payload_bytes:4} {outstanding:4}");
        for c in cs {
            if std::env::args().nth(2).is_some_and(|n| n != c.name()) { continue }
            let mut v: Vec<f64> = (0..9).map(|_| ops as f64 / c.run(case, ops).as_secs_f64() / 1e6).collect();
            v.sort_by(f64::total_cmp);
            print!("  {} {:.2} ({:.2}-{:.2})", c.name(), v[4], v[0], v[8]);
        }
        println!();
    }}
}
