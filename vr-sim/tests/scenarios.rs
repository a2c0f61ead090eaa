//! tmp
use vr_core::Rules;
#[test]
fn every() {
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut bad = 0;
    for info in vr_sim::scenario::all() {
        if !info.name.contains(&only) { continue; }
        for mode in info.modes {
            let t = std::time::Instant::now();
            let o = vr_sim::scenario::run(info.name, *mode, Rules::default());
            let ok = o.passed();
            println!("{} {:?} {} {:?} steps {}", info.name, mode, if ok {"ok"} else {"FAILED"}, t.elapsed(), o.steps);
            if let Some(v) = o.violation { bad += 1; println!("    {} | {}", v.property, v.message); }
            if let Some(p) = o.panicked { bad += 1; println!("    PANIC {p}"); }
        }
    }
    assert_eq!(bad, 0);
}
