//! tmp
use vr_sim::{swarm::Options, decider::Decider, tape::Tape};
fn main() {
    let seed: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let (setup, odds) = vr_sim::swarm::draw(seed, &Options::default());
    println!("{setup:?}\n{odds:?}");
    let mut w = vr_sim::run::world_of(&setup, Decider::seeded(seed, odds));
    w.record(Tape::default());
    w.run();
    for (t, f) in &w.schedule().faults { println!("FAULT {t:?} {f:?}"); }
    for l in w.take_tape().unwrap().lines { println!("{:?} {}", l.at, l.text); }
    println!("{:?}", w.violation());
}
