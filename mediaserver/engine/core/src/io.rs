//! What a `Core` may do to the outside. `net` implements it over sockets and queues, tests over vectors.

use crate::event::Event;
use crate::path::Path;
use crate::peer::PeerMessage;

/// One run of datagrams within an arena, to one remote.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub path: Path,
    pub at: usize,
    pub len: usize,
    pub segment: usize,
}

impl Run {
    pub fn bytes<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        &arena[self.at..self.at + self.len]
    }

    pub fn datagrams(&self) -> u64 {
        self.len.div_ceil(self.segment.max(1)) as u64
    }
}

pub trait Io {
    /// `bytes` holds one or more datagrams of `segment` bytes each; only the last may be shorter
    /// (the shape that UDP GSO wants). Returns false when they were dropped (EAGAIN).
    fn send(&mut self, path: Path, bytes: &[u8], segment: usize) -> bool;
    /// The same for several runs, in order: one call to the system where it takes many. Answers
    /// how many datagrams were dropped.
    fn send_many(&mut self, runs: &[Run], arena: &[u8]) -> u64 {
        let mut dropped = 0;
        for run in runs {
            if !self.send(run.path, run.bytes(arena), run.segment) {
                dropped += run.datagrams();
            }
        }
        dropped
    }
    fn event(&mut self, event: Event);
    fn to_worker(&mut self, worker: u16, msg: PeerMessage);
}
