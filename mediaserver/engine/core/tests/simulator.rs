//! The core in virtual time: real cores, clients of our own, and a seeded network between them.
//! `SOTTO_SEED` sets the first seed, `SOTTO_SEEDS` how many are tried (1 by default); a failing
//! test prints the seed it failed with.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "simulator/client.rs"]
mod client;
#[path = "simulator/network.rs"]
mod network;
#[path = "simulator/source.rs"]
mod source;
#[path = "simulator/specs.rs"]
mod specs;
#[path = "simulator/world.rs"]
mod world;

#[path = "simulator/attacks.rs"]
mod attacks;
#[path = "simulator/bandwidth.rs"]
mod bandwidth;
#[path = "simulator/forwarding.rs"]
mod forwarding;
#[path = "simulator/keyframes.rs"]
mod keyframes;
#[path = "simulator/lies.rs"]
mod lies;
#[path = "simulator/narrow.rs"]
mod narrow;
#[path = "simulator/paths.rs"]
mod paths;
#[path = "simulator/radio.rs"]
mod radio;
#[path = "simulator/redundancy.rs"]
mod redundancy;
#[path = "simulator/scalable.rs"]
mod scalable;
#[path = "simulator/speakers.rs"]
mod speakers;
#[path = "simulator/workers.rs"]
mod workers;
