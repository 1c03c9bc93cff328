//! The engine's sans-IO core: packets and time in, packets and events out.
//! No socket, clock, thread or global randomness; `engine/net` drives it.

mod allocate;
pub mod bandwidth;
mod calls;
pub mod collections;
pub mod command;
mod commands;
pub mod config;
mod control;
pub mod core;
pub mod drops;
pub mod egress;
pub mod event;
mod fanout;
mod housekeeping;
pub mod ice;
pub mod ingress;
pub mod io;
pub mod packet;
pub mod path;
pub mod peer;
mod peers;
mod probing;
mod publishing;
mod rate;
mod receive;
mod reports;
mod send;
pub mod snapshot;
pub mod speakers;
pub mod spec;
mod subscribing;
pub mod time;
pub mod transport;
pub mod wire;

pub use crate::core::Core;
