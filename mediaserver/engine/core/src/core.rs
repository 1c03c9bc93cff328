//! One `Core` per worker thread, shared nothing.

use crate::command::Command;
use crate::config::CoreConfig;
use crate::io::Io;
use crate::path::Path;
use crate::peer::PeerMessage;
use crate::snapshot::Snapshot;
use crate::time::Time;

pub struct Core {
    cfg: CoreConfig,
    worker: u16,
}

impl Core {
    pub fn new(cfg: CoreConfig, worker: u16) -> Core {
        Core { cfg, worker }
    }

    /// A datagram arrived; it is decrypted in place. Never panics on any bytes.
    pub fn receive(&mut self, _now: Time, _path: Path, _datagram: &mut [u8], _io: &mut dyn Io) {}

    pub fn command(&mut self, _now: Time, _command: Command, _io: &mut dyn Io) {}

    /// A message from another worker's `Core`.
    pub fn peer(&mut self, _now: Time, _from: u16, _msg: PeerMessage, _io: &mut dyn Io) {}

    /// A TCP connection went away.
    pub fn path_closed(&mut self, _now: Time, _path: Path, _io: &mut dyn Io) {}

    /// End of a socket drain: encrypts and sends the runs that are due.
    pub fn flush(&mut self, _now: Time, _io: &mut dyn Io) {}

    pub fn next_timer(&self) -> Option<Time> {
        None
    }

    /// May be called early; cheap.
    pub fn timer(&mut self, _now: Time, _io: &mut dyn Io) {}

    pub fn snapshot(&self, now: Time) -> Snapshot {
        let _ = &self.cfg;
        Snapshot {
            worker: self.worker,
            at_ms: now.millis(),
            ..Snapshot::default()
        }
    }
}
