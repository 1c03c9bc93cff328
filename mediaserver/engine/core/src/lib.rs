//! The engine's sans-IO core: packets and time in, packets and events out.
//! No socket, clock, thread or global randomness; `engine/net` drives it.

pub mod wire;
