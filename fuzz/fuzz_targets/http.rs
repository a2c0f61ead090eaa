//! Any bytes as what comes over a connection: no end of it panics, and what is refused is counted by its reason.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vr_tokio::fuzz::http(data));
