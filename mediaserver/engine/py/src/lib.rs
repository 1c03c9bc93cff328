//! The Python module `mediaserver._engine`: `net`'s engine as a class, and two functions. It
//! converts and maps errors, nothing else; `_engine.pyi` describes it. The GIL is released
//! around every call into the engine.

mod config;
mod data;
mod digest;
mod engine;
mod error;
mod events;
mod oracle;
mod specs;
mod stale;

use pyo3::prelude::*;

/// The reason why this SCTP packet must not reach aiortc; None when it is well formed.
#[pyfunction]
fn check_sctp(packet: &[u8]) -> Option<String> {
    sotto_engine_core::wire::sctp::check(packet)
        .err()
        .map(|error| error.to_string())
}

/// SHA-256 of the Rust sources and lock file that this module was built from.
#[pyfunction]
fn source_digest() -> &'static str {
    env!("SOTTO_SOURCE_DIGEST")
}

#[pymodule(gil_used = true)]
mod _engine {
    #[pymodule_export]
    use super::check_sctp;
    #[pymodule_export]
    use super::data::{DataEvent, DataTransport};
    #[pymodule_export]
    use super::engine::Engine;
    #[pymodule_export]
    use super::oracle::SrtpOracle;
    #[pymodule_export]
    use super::source_digest;
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::stale::check(module)
    }
}
