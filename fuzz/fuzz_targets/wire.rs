//! Any bytes into the decoder: it refuses or gives back what encodes to the same bytes, and never panics.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| vr_core::wire::fuzz_decode(data));
