//! cargo-fuzz entry of `wire::fuzzing::srtp_unprotect`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sotto_engine_core::wire::fuzzing::srtp_unprotect(data));
