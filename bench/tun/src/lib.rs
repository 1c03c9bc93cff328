//! The transmit-only sink: a TUN device that takes what a server sends as a network card would,
//! and a UDP/IPv4 stack just large enough to read it and to write datagrams back. The load client
//! and the bare loop share it; `bench/sinks.py` makes the device in a namespace of its own.

mod device;
mod packet;

pub use device::{Run, Tun};
