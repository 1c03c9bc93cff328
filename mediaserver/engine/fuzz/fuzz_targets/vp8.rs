//! cargo-fuzz entry of `wire::fuzzing::vp8`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sotto_engine_core::wire::fuzzing::vp8(data));
