//! Sockets and worker threads around the core: the only crate that reads clocks, opens
//! descriptors or starts threads. Knows no codec and no policy. Driven by the py crate.

mod check;
pub mod config;
mod connections;
pub mod credentials;
pub mod engine;
pub mod error;
pub mod events;
mod faults;
mod io;
mod mailbox;
mod open;
mod outgoing;
mod owners;
mod panics;
mod registry;
mod report;
mod routes;
mod shared;
mod stats;
mod sys;
mod tcp;
mod udp;
mod worker;

pub use engine::Engine;
pub use error::EngineError;
