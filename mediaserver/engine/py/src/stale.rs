//! Refuses a native module that was built from other sources than those beside it: without this
//! a forgotten build tests yesterday's engine. An installed wheel has no sources beside it.

use std::path::Path;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

use crate::digest;

/// Set to any value it lets a stale module pass, for work on one half of the engine.
const ACCEPT: &str = "SOTTO_STALE_ENGINE";

pub fn check(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let file = module.filename()?;
    let Some(engine) = Path::new(file.to_str()?)
        .parent()
        .map(|folder| folder.join("engine"))
    else {
        return Ok(());
    };
    if !engine.join("Cargo.toml").is_file() || std::env::var_os(ACCEPT).is_some() {
        return Ok(());
    }
    // Sources that cannot be read (a tree half moved) say nothing about staleness.
    let Ok(now) = digest::of_sources(&engine) else {
        return Ok(());
    };
    if now == env!("SOTTO_SOURCE_DIGEST") {
        return Ok(());
    }
    Err(PyImportError::new_err(format!(
        "mediaserver._engine was built from other sources than mediaserver/engine: \
         run `maturin develop --release`, or set {ACCEPT}=1 to go on with the old one"
    )))
}
