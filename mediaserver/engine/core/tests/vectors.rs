//! The wire formats against published vectors and against themselves: RFC 5769, 7714, 3711,
//! 8285, 2198, 4585, and every parser against damaged input. Nothing here knows a call.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "vectors/codecs.rs"]
mod codecs;
#[path = "vectors/descriptor.rs"]
mod descriptor;
#[path = "vectors/fuzzing.rs"]
mod fuzzing;
#[path = "vectors/rtcp.rs"]
mod rtcp;
#[path = "vectors/rtp.rs"]
mod rtp;
#[path = "vectors/sctp.rs"]
mod sctp;
#[path = "vectors/srtp.rs"]
mod srtp;
#[path = "vectors/stun.rs"]
mod stun;
#[path = "vectors/twcc.rs"]
mod twcc;

/// Bytes from hexadecimal; white space is free.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
