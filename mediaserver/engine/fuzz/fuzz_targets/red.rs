//! cargo-fuzz entry of `wire::fuzzing::red`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sotto_engine_core::wire::fuzzing::red(data));
