//! Sockets and worker threads around the core: the only crate that reads clocks, opens
//! descriptors or starts threads. Knows no codec and no policy. Driven by the py crate.

pub mod config;
pub mod error;
pub mod sys;
pub mod udp;
