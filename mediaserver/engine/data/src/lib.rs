//! Data channels (RFC 8831, RFC 8832) over one SCTP association, sans-IO.
//!
//! Packets come in and go out in clear: DTLS is around this, not inside. The association itself is
//! `sctp-proto`; every packet passes `wire::sctp::check` before it gets there. Driven by
//! `engine/py` on behalf of `mediaserver/data_channels.py`; time is an argument.

mod channels;
pub mod fuzzing;

pub use channels::{Channels, Config, Event, SendError};
pub use sotto_engine_core::wire::dcep::{Open, Reliability};
