//! cargo-fuzz entry of `wire::fuzzing::dcep`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sotto_engine_core::wire::fuzzing::dcep(data));
