//! cargo-fuzz entry of `wire::fuzzing::framing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sotto_engine_core::wire::fuzzing::framing(data));
