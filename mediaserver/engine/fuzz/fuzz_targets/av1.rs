//! cargo-fuzz entry of `wire::fuzzing::av1`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sotto_engine_core::wire::fuzzing::av1(data));
