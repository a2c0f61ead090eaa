//! Any bytes as the lives of a log and its disk: no start panics, loses what was confirmed, or makes anything up.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vr_tokio::fuzz::wal(data));
