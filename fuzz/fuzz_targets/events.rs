//! Any bytes as the decisions of a run: no sequence of events makes a replica panic or break a property.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vr_sim::fuzz::events(data));
