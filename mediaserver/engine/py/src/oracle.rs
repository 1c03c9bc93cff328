//! One direction of the engine's SRTP, for the differential test against libsrtp and nothing
//! else. It numbers packets as libsrtp does, which the core leaves to its subscriptions.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sotto_engine_core::wire::rtp::Header;
use sotto_engine_core::wire::srtp::{Profile, Receiver, Sender, estimate_index};

use crate::error;

/// Room for any profile's tag and SRTCP index.
const OVERHEAD: usize = 64;

struct State {
    sender: Sender,
    receiver: Receiver,
    highest: HashMap<u32, u64>,
}

#[pyclass(frozen, module = "mediaserver._engine")]
pub struct SrtpOracle {
    state: Mutex<State>,
}

impl SrtpOracle {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl SrtpOracle {
    #[new]
    fn new(profile: &str, key: &[u8], salt: &[u8]) -> PyResult<SrtpOracle> {
        let refused = |text: String| error::argument(text);
        let profile = Profile::from_name(profile)
            .ok_or_else(|| refused(format!("unknown SRTP profile {profile:?}")))?;
        let sender = Sender::new(profile, key, salt).map_err(|e| refused(e.to_string()))?;
        let receiver = Receiver::new(profile, key, salt).map_err(|e| refused(e.to_string()))?;
        Ok(SrtpOracle {
            state: Mutex::new(State {
                sender,
                receiver,
                highest: HashMap::new(),
            }),
        })
    }

    fn protect<'py>(&self, py: Python<'py>, packet: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let header = Header::parse(packet).map_err(|e| error::argument(e.to_string()))?;
        let mut state = self.lock();
        let sequence = header.sequence;
        let index = match state.highest.get(&header.ssrc) {
            Some(highest) => estimate_index(*highest, sequence),
            None => u64::from(sequence),
        };
        let highest = state.highest.entry(header.ssrc).or_default();
        *highest = index.max(*highest);
        let mut out = vec![0; packet.len() + OVERHEAD];
        let (head, body) = packet.split_at(header.len);
        let size = state
            .sender
            .protect_rtp(index, head, body, 0, &mut out)
            .map_err(|e| error::argument(e.to_string()))?;
        Ok(PyBytes::new(py, &out[..size]))
    }

    fn unprotect<'py>(&self, py: Python<'py>, packet: &[u8]) -> Option<Bound<'py, PyBytes>> {
        let mut bytes = packet.to_vec();
        let opened = self.lock().receiver.unprotect_rtp(&mut bytes).ok()?;
        Some(PyBytes::new(py, &bytes[..opened.len]))
    }

    fn protect_rtcp<'py>(&self, py: Python<'py>, packet: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let mut out = vec![0; packet.len() + OVERHEAD];
        let protected = self.lock().sender.protect_rtcp(packet, &mut out);
        let size = protected.map_err(|e| error::argument(e.to_string()))?;
        Ok(PyBytes::new(py, &out[..size]))
    }

    fn unprotect_rtcp<'py>(&self, py: Python<'py>, packet: &[u8]) -> Option<Bound<'py, PyBytes>> {
        let mut bytes = packet.to_vec();
        let size = self.lock().receiver.unprotect_rtcp(&mut bytes).ok()?;
        Some(PyBytes::new(py, &bytes[..size]))
    }
}
