//! Why the engine refuses. Mapped once onto Python's `EngineError` in the py crate.

use std::io;
use std::net::SocketAddr;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("cannot bind {proto} {address}: {source}")]
    Bind {
        proto: &'static str,
        address: SocketAddr,
        source: io::Error,
    },
    #[error("{0}")]
    Config(String),
    #[error("{0}")]
    Argument(String),
    #[error("no {kind} {id}")]
    Unknown { kind: &'static str, id: u64 },
    #[error("limit reached: {0}")]
    Limit(String),
    #[error("the worker's command queue is full")]
    Busy,
    #[error("the engine is closed")]
    Closed,
}

impl EngineError {
    /// The value of Python's `EngineErrorCode`.
    pub fn code(&self) -> &'static str {
        match self {
            EngineError::Bind { .. } => "bind",
            EngineError::Config(_) => "config",
            EngineError::Argument(_) => "argument",
            EngineError::Unknown { .. } => "unknown",
            EngineError::Limit(_) => "limit",
            EngineError::Busy => "busy",
            EngineError::Closed => "closed",
        }
    }
}
