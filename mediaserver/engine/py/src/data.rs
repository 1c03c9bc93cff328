//! `DataTransport`: one SCTP association with its data channels, for Python.
//!
//! Pure computation under the GIL, a few microseconds a call; DTLS stays in Python (aiortc). The only
//! clock here is the monotonic one that the association's timers are measured with.

use std::time::Instant;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sotto_engine_data::{Channels, Config, Event, Open, Reliability, SendError};

/// What happened on an association; read the fields that the kind names.
#[pyclass(frozen, get_all, module = "mediaserver._engine")]
pub struct DataEvent {
    /// "connected", "opened", "received", "closed" or "lost".
    kind: &'static str,
    stream: u16,
    label: String,
    ordered: bool,
    ours: bool,
    binary: bool,
    data: Option<Py<PyBytes>>,
    reason: String,
}

/// An SCTP association (RFC 8831) that the peer initiates.
#[pyclass(module = "mediaserver._engine")]
pub struct DataTransport {
    channels: Channels,
}

#[allow(clippy::disallowed_methods)] // The association's timers run on this clock alone.
fn now() -> Instant {
    Instant::now()
}

fn translate(py: Python<'_>, event: Event) -> DataEvent {
    let mut out = DataEvent {
        kind: "connected",
        stream: 0,
        label: String::new(),
        ordered: true,
        ours: false,
        binary: true,
        data: None,
        reason: String::new(),
    };
    match event {
        Event::Connected => {}
        Event::Opened { stream, open, ours } => {
            (out.kind, out.stream, out.ours) = ("opened", stream, ours);
            (out.label, out.ordered) = (open.label, open.ordered);
        }
        Event::Received {
            stream,
            data,
            binary,
        } => {
            (out.kind, out.stream, out.binary) = ("received", stream, binary);
            out.data = Some(PyBytes::new(py, &data).unbind());
        }
        Event::Closed { stream } => (out.kind, out.stream) = ("closed", stream),
        Event::Lost { reason } => (out.kind, out.reason) = ("lost", reason),
    }
    out
}

#[pymethods]
impl DataTransport {
    #[new]
    #[pyo3(signature = (dtls_server, max_message=262_144, receive_buffer=1_048_576, send_buffer=4_194_304, channels=16))]
    fn new(
        dtls_server: bool,
        max_message: u32,
        receive_buffer: u32,
        send_buffer: usize,
        channels: usize,
    ) -> Self {
        let config = Config {
            max_message,
            receive_buffer,
            send_buffer,
            channels,
        };
        Self {
            channels: Channels::new(config, dtls_server),
        }
    }

    /// Takes one packet; False when it was malformed and dropped.
    fn receive(&mut self, packet: &[u8]) -> bool {
        self.channels.receive(now(), packet)
    }

    /// Announces a channel; None when there are too many.
    #[pyo3(signature = (label, ordered=true, max_retransmits=None))]
    fn open(&mut self, label: String, ordered: bool, max_retransmits: Option<u32>) -> Option<u16> {
        let reliability = max_retransmits.map_or(Reliability::Reliable, Reliability::Retransmits);
        self.channels.open(Open {
            label,
            protocol: String::new(),
            ordered,
            reliability,
        })
    }

    /// Queues one message; False when the peer does not drain. Raises ValueError for a message
    /// above the limit or a channel that is not open.
    #[pyo3(signature = (stream, data, binary=true))]
    fn send(&mut self, stream: u16, data: &[u8], binary: bool) -> PyResult<bool> {
        match self.channels.send(stream, data, binary) {
            Ok(()) => Ok(true),
            Err(SendError::Full) => Ok(false),
            Err(error) => Err(PyValueError::new_err(error.to_string())),
        }
    }

    /// The packets that wait to be sent through DTLS.
    fn transmit<'py>(&mut self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let mut out = Vec::new();
        let now = now();
        while let Some(packets) = self.channels.transmit(now) {
            out.extend(packets.iter().map(|packet| PyBytes::new(py, packet)));
        }
        out
    }

    fn events(&mut self, py: Python<'_>) -> Vec<DataEvent> {
        std::iter::from_fn(|| self.channels.event())
            .map(|event| translate(py, event))
            .collect()
    }

    /// Seconds until `timer` wants to be called, None without a timer.
    fn next_timer(&self) -> Option<f64> {
        self.channels
            .next_timer()
            .map(|at| at.saturating_duration_since(now()).as_secs_f64())
    }

    fn timer(&mut self) {
        self.channels.timer(now());
    }

    /// Bytes queued and not yet acknowledged.
    fn buffered(&mut self) -> usize {
        self.channels.buffered()
    }

    /// Packets and messages refused so far.
    #[getter]
    fn refused(&self) -> u64 {
        self.channels.refused()
    }

    /// Ends the association; an ABORT waits in `transmit`.
    fn close(&mut self) {
        self.channels.close();
    }
}
