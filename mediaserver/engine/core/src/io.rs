//! What a `Core` may do to the outside. `net` implements it over sockets and queues, tests over vectors.

use crate::event::Event;
use crate::path::Path;
use crate::peer::PeerMessage;

pub trait Io {
    /// `bytes` holds one or more datagrams of `segment` bytes each; only the last may be shorter
    /// (the shape that UDP GSO wants). Returns false when they were dropped (EAGAIN).
    fn send(&mut self, path: Path, bytes: &[u8], segment: usize) -> bool;
    fn event(&mut self, event: Event);
    fn to_worker(&mut self, worker: u16, msg: PeerMessage);
}
