//! The engine's sans-IO core: packets and time in, packets and events out.
//! No socket, clock, thread or global randomness; `engine/net` drives it.

pub mod command;
pub mod config;
pub mod core;
pub mod event;
pub mod ice;
pub mod io;
pub mod packet;
pub mod path;
pub mod peer;
pub mod snapshot;
pub mod spec;
pub mod time;
pub mod wire;

pub use crate::core::Core;
