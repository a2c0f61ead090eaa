//! tmp
use vr_sim::swarm::Options;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (from, to): (u64, u64) = (args[0].parse().unwrap(), args[1].parse().unwrap());
    let only: Option<&String> = args.get(2);
    std::panic::set_hook(Box::new(|_| {}));
    #[cfg(feature = "mutants")]
    for m in vr_core::Mutant::all() {
        if only.is_some_and(|o| o != m.name()) {
            continue;
        }
        let options = Options { mutant: Some(m.name().to_owned()), ..Options::default() };
        let (mut n, mut first, mut props) = (0, None, std::collections::BTreeMap::<String, u32>::new());
        let t = std::time::Instant::now();
        let mut ran = 0;
        for seed in from..to {
            let (setup, odds) = vr_sim::swarm::draw(seed, &options);
            let mut w = vr_sim::run::world_of(&setup, vr_sim::decider::Decider::seeded(seed, odds));
            let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| w.run()));
            ran += 1;
            let f = match (r, w.violation()) {
                (Err(_), _) => "panic".to_owned(),
                (_, Some(v)) => v.property.to_owned(),
                _ => continue,
            };
            n += 1;
            first.get_or_insert(seed - from);
            *props.entry(f).or_default() += 1;
            if n >= 50 || t.elapsed().as_secs() > 60 {
                break;
            }
        }
        println!("{:26} {:5} of {:6}  first {:?} {:?}", m.name(), n, ran, first, props);
    }
    let _ = (from, to, only, Options::default());
}
