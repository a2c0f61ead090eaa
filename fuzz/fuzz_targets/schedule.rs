//! Any bytes as a cluster and all that departs from its default schedule: every property holds.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vr_sim::fuzz::schedule(data));
