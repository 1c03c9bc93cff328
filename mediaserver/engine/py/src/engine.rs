//! `mediaserver._engine.Engine`: every method converts, releases the GIL, and calls `net`.

use std::os::fd::AsRawFd;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use sotto_engine_net as net;

use crate::config::EngineConfig;
use crate::error::to_python;
use crate::events;
use crate::specs::{
    CallSettings, PublicationSpec, SrtpKeys, SubscriptionSettings, SubscriptionSpec,
};

#[pyclass(frozen, module = "mediaserver._engine")]
pub struct Engine {
    engine: net::Engine,
}

impl Engine {
    fn run<T: Send>(
        &self,
        py: Python<'_>,
        act: impl FnOnce(&net::Engine) -> Result<T, net::EngineError> + Send,
    ) -> PyResult<T> {
        py.detach(|| act(&self.engine)).map_err(to_python)
    }
}

#[pymethods]
impl Engine {
    #[new]
    fn new(py: Python<'_>, config: EngineConfig) -> PyResult<Engine> {
        let config = config.into_net()?;
        let engine = py.detach(|| net::Engine::new(config)).map_err(to_python)?;
        Ok(Engine { engine })
    }

    #[getter]
    fn udp_port(&self) -> u16 {
        self.engine.opened().udp_port
    }

    #[getter]
    fn tcp_port(&self) -> Option<u16> {
        self.engine.opened().tcp_port
    }

    #[getter]
    fn udp_addresses(&self) -> Vec<String> {
        self.engine
            .opened()
            .udp_addresses
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[getter]
    fn tcp_addresses(&self) -> Vec<String> {
        self.engine
            .opened()
            .tcp_addresses
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[getter]
    fn workers(&self) -> u16 {
        self.engine.workers()
    }

    fn event_fd(&self) -> i32 {
        self.engine.event_queue().as_raw_fd()
    }

    #[pyo3(signature = (limit = 1024))]
    fn events<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        let notices = py.detach(|| self.engine.events(limit));
        let list = PyList::empty(py);
        for notice in notices {
            list.append(events::to_python(py, notice)?)?;
        }
        Ok(list)
    }

    #[pyo3(signature = (call, worker = None))]
    fn create_transport<'py>(
        &self,
        py: Python<'py>,
        call: u64,
        worker: Option<u16>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let ice = self.run(py, |engine| engine.create_transport(call, worker))?;
        events::local_ice(py, ice)
    }

    fn set_remote_ice(
        &self,
        py: Python<'_>,
        transport: u64,
        ufrag: String,
        pwd: String,
    ) -> PyResult<()> {
        self.run(py, |engine| engine.set_remote_ice(transport, ufrag, pwd))
    }

    fn restart_ice<'py>(&self, py: Python<'py>, transport: u64) -> PyResult<Bound<'py, PyAny>> {
        let ice = self.run(py, |engine| engine.restart_ice(transport))?;
        events::local_ice(py, ice)
    }

    fn set_srtp(&self, py: Python<'_>, transport: u64, keys: SrtpKeys) -> PyResult<()> {
        let keys = keys.into_net()?;
        self.run(py, |engine| engine.set_srtp(transport, keys))
    }

    fn send_dtls(&self, py: Python<'_>, transport: u64, datagram: &[u8]) -> PyResult<()> {
        let datagram = datagram.to_vec();
        self.run(py, |engine| engine.send_dtls(transport, datagram))
    }

    fn cap_transport(&self, py: Python<'_>, transport: u64, bitrate: u64) -> PyResult<()> {
        self.run(py, |engine| engine.cap_transport(transport, bitrate))
    }

    fn close_transport(&self, py: Python<'_>, transport: u64) -> PyResult<()> {
        self.run(py, |engine| engine.close_transport(transport))
    }

    fn publish(&self, py: Python<'_>, transport: u64, spec: PublicationSpec) -> PyResult<u64> {
        let spec = spec.into_core()?;
        self.run(py, |engine| engine.publish(transport, spec))
    }

    fn update_publication(
        &self,
        py: Python<'_>,
        publication: u64,
        spec: PublicationSpec,
    ) -> PyResult<()> {
        let spec = spec.into_core()?;
        self.run(py, |engine| engine.update_publication(publication, spec))
    }

    fn set_publication_muted(&self, py: Python<'_>, publication: u64, muted: bool) -> PyResult<()> {
        self.run(py, |engine| {
            engine.set_publication_muted(publication, muted)
        })
    }

    fn unpublish(&self, py: Python<'_>, publication: u64) -> PyResult<()> {
        self.run(py, |engine| engine.unpublish(publication))
    }

    fn subscribe(
        &self,
        py: Python<'_>,
        transport: u64,
        publication: u64,
        spec: SubscriptionSpec,
        settings: SubscriptionSettings,
    ) -> PyResult<u64> {
        let (spec, settings) = (spec.into_core()?, settings.into_core());
        self.run(py, |engine| {
            engine.subscribe(transport, publication, spec, settings)
        })
    }

    fn update_subscription(
        &self,
        py: Python<'_>,
        subscription: u64,
        settings: SubscriptionSettings,
    ) -> PyResult<()> {
        let settings = settings.into_core();
        self.run(py, |engine| {
            engine.update_subscription(subscription, settings)
        })
    }

    fn respec_subscription(
        &self,
        py: Python<'_>,
        subscription: u64,
        spec: SubscriptionSpec,
    ) -> PyResult<()> {
        let spec = spec.into_core()?;
        self.run(py, |engine| engine.respec_subscription(subscription, spec))
    }

    fn unsubscribe(&self, py: Python<'_>, subscription: u64) -> PyResult<()> {
        self.run(py, |engine| engine.unsubscribe(subscription))
    }

    fn set_call(&self, py: Python<'_>, call: u64, settings: CallSettings) -> PyResult<()> {
        let settings = settings.into_core();
        self.run(py, |engine| engine.set_call(call, settings))
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let json = self.run(py, net::Engine::snapshot)?;
        Ok(PyBytes::new(py, &json))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.engine.close());
    }
}
