//! tmp
use vr_sim::{decider::Decider, swarm::Options, tape::Tape};
fn main() {
    let seed: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let (setup, odds) = vr_sim::swarm::draw(seed, &Options::default());
    println!("{setup:?}\n{odds:?}");
    let mut w = vr_sim::run::world_of(&setup, Decider::seeded(seed, odds));
    let mut t = Tape::default();
    t.begin(&setup, None);
    w.record(t);
    w.run();
    for (t, f) in &w.schedule().faults {
        println!("FAULT {t:?} {f:?}");
    }
    let t = w.take_tape().unwrap();
    if std::env::args().nth(2).is_some() {
        print!("{}", t.write())
    } else {
        print!("{}", t.sentences())
    }
    println!("{:?}", w.violation());
}
