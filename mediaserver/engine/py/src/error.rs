//! The one place where an engine error becomes a Python exception.

use pyo3::PyErr;
use sotto_engine_net::EngineError;

mod python {
    pyo3::import_exception!(mediaserver.engine_types, EngineError);
}

pub fn to_python(error: EngineError) -> PyErr {
    python::EngineError::new_err((error.code(), error.to_string()))
}

pub fn argument(text: impl Into<String>) -> PyErr {
    to_python(EngineError::Argument(text.into()))
}

pub fn config(text: impl Into<String>) -> PyErr {
    to_python(EngineError::Config(text.into()))
}
