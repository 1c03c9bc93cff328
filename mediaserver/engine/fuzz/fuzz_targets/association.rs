//! cargo-fuzz entry of the data crate's `fuzzing::association`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sotto_engine_data::fuzzing::association(data));
