//! tmp
#![cfg(feature = "mutants")]
use vr_core::{Mutant, Rules};
#[test]
fn probe() {
    let only = std::env::var("ONLY").unwrap_or_default();
    let bug = std::env::var("BUG").ok().and_then(|b| Mutant::named(&b));
    std::panic::set_hook(Box::new(|_| {}));
    for info in vr_sim::scenario::all() {
        if !info.name.contains(&only) || info.name.starts_with("a11") { continue; }
        for mode in info.modes {
            for m in Mutant::all() {
                if bug.is_some_and(|b| b != m) { continue; }
                let o = vr_sim::scenario::run(info.name, *mode, Rules { mutant: Some(m) });
                if let Some(v) = &o.violation { println!("KILL {} {} {:?} {}", m.name(), info.name, mode, v.property);
                 if std::env::var("MSG").is_ok() { println!("    {}", v.message); } }
                if let Some(p) = &o.panicked { println!("KILL {} {} {:?} PANIC {p}", m.name(), info.name, mode); }
            }
        }
    }
}

#[test]
fn tape() {
    let (Ok(name), Ok(bug)) = (std::env::var("NAME"), std::env::var("BUG")) else { return };
    let mode = if std::env::var("ASYNC").is_ok() { vr_core::Durability::Async } else { vr_core::Durability::Sync };
    let (o, tape) = vr_sim::scenario::trace(&name, mode, Rules { mutant: Mutant::named(&bug) });
    println!("{}", tape.sentences());
    println!("{:?}", o.violation);
}
