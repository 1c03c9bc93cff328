//! Makes the frozen dataclasses of engine_types.py out of the engine's notices.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple};
use sotto_engine_core::event::Event;
use sotto_engine_core::path::{Path, Proto};
use sotto_engine_net::credentials::LocalIce;
use sotto_engine_net::events::Notice;

static TYPES: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

fn make<'py>(
    py: Python<'py>,
    class: &str,
    arguments: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
) -> PyResult<Bound<'py, PyAny>> {
    let types = TYPES.get_or_try_init(py, || {
        PyModule::import(py, "mediaserver.engine_types").map(Bound::unbind)
    })?;
    types
        .bind(py)
        .getattr(class)?
        .call1(arguments.into_pyobject(py)?)
}

fn protocol(path: Path) -> &'static str {
    match path.proto {
        Proto::Udp => "udp",
        Proto::Tcp => "tcp",
    }
}

pub fn local_ice(py: Python<'_>, ice: LocalIce) -> PyResult<Bound<'_, PyAny>> {
    make(
        py,
        "LocalIce",
        (ice.transport, ice.ufrag, ice.pwd, ice.worker),
    )
}

pub fn to_python(py: Python<'_>, notice: Notice) -> PyResult<Bound<'_, PyAny>> {
    match notice {
        Notice::Event(event) => event_to_python(py, event),
        Notice::Broken { transport, reason } => make(py, "TransportFailed", (transport, reason)),
        Notice::Lost { count } => make(py, "EventsLost", (count,)),
    }
}

fn event_to_python(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyAny>> {
    match event {
        Event::DtlsReceived { transport, data } => {
            make(py, "DtlsReceived", (transport, PyBytes::new(py, &data)))
        }
        Event::IceConnected { transport, path } => make(
            py,
            "IceConnected",
            (transport, protocol(path), path.remote.to_string()),
        ),
        Event::IcePathChanged { transport, path } => make(
            py,
            "IcePathChanged",
            (transport, protocol(path), path.remote.to_string()),
        ),
        Event::TransportIdle { transport, idle_ms } => {
            make(py, "TransportIdle", (transport, idle_ms))
        }
        Event::TransportActive { transport } => make(py, "TransportActive", (transport,)),
        Event::TransportFailed { transport, reason } => {
            make(py, "TransportFailed", (transport, reason))
        }
        Event::EncodingStarted {
            publication,
            quality,
            ssrc,
            codec,
        } => make(
            py,
            "EncodingStarted",
            (publication, quality, ssrc, codec.as_str()),
        ),
        Event::StreamStateChanged {
            subscription,
            paused,
        } => make(py, "StreamStateChanged", (subscription, paused)),
        Event::LayerChanged {
            subscription,
            spatial,
            temporal,
        } => make(py, "LayerChanged", (subscription, spatial, temporal)),
        Event::DemandChanged {
            publication,
            max_spatial,
        } => make(py, "DemandChanged", (publication, max_spatial)),
        Event::ActiveSpeakers { call, levels } => {
            let levels = levels.iter().map(|l| (l.publication, l.level, l.active));
            make(
                py,
                "ActiveSpeakers",
                (call, PyTuple::new(py, levels.collect::<Vec<_>>())?),
            )
        }
    }
}
