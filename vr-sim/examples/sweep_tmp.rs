//! tmp
use vr_sim::swarm::Options;
fn main() {
    let args: Vec<u64> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let (from, to) = (args[0], args[1]);
    let t = std::time::Instant::now();
    let (mut steps, mut acked, mut virt, mut marks) = (0, 0, 0, vr_sim::marks::Marks::default());
    let mut fails = std::collections::BTreeMap::new();
    std::panic::set_hook(Box::new(|_| {}));
    let mut undecided = 0;
    for seed in from..to {
        let o = vr_sim::run::run_seed(&Options::default(), seed);
        steps += o.steps;
        acked += o.acked_ops;
        virt += o.virtual_ns;
        marks.merge(&o.marks);
        undecided += o.undecided;
        if let Some(f) = o.failure() {
            let e = fails.entry(f.to_owned()).or_insert_with(Vec::new);
            e.push((seed, o.violation.as_ref().map(|v| v.message.clone()).or(o.panicked.clone()).unwrap()));
        }
    }
    let dt = t.elapsed().as_secs_f64();
    println!(
        "{} seeds in {dt:.2}s: {:.0} seeds/s, {:.0} steps/s, {} steps/seed, acked/seed {:.1}, undecided {undecided}",
        to - from,
        (to - from) as f64 / dt,
        steps as f64 / dt,
        steps / (to - from),
        acked as f64 / (to - from) as f64
    );
    println!("virtual s {:.0}", virt as f64 / 1e9);
    for m in marks.table() {
        print!("{}={} ", m.name, m.seen);
    }
    println!();
    for (f, v) in fails {
        println!("{f}: {}", v.len());
        for (s, m) in v.iter().take(4) {
            println!("   {s}: {m}");
        }
    }
}
