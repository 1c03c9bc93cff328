//! The worker's side of ICE-TCP: accepting, reading frames into the core, handing a connection
//! to the worker that owns its ufrag, flushing what the core queued, and cutting what is overdue.

use std::io;

use sotto_engine_core::time::SECONDS;
use sotto_engine_core::wire::framing::next_frame;
use sotto_engine_core::wire::stun::is_stun;

use crate::routes::owner;
use crate::sys::Ready;
use crate::tcp::{Connection, Cut};
use crate::worker::{CONNECTION, LISTENER, State};

/// Connections accepted in one turn, so that a flood of them leaves time for media.
const ACCEPTS: usize = 64;
/// Rest of the listeners when descriptors have run out.
const REST: u64 = SECONDS;

impl State {
    pub fn accept(&mut self, listener: usize) {
        for _ in 0..ACCEPTS {
            match self.listeners[listener].accept() {
                Ok((fd, remote)) => {
                    let Some(permit) = self.net.shared.admission.admit(remote.ip()) else {
                        self.net.drop_one("tcp_limit", 1);
                        continue;
                    };
                    let id = self.net.shared.connection_id();
                    let (now, local) = (self.net.now, listener as u16);
                    self.net.stats.tcp_accepted += 1;
                    self.register(Connection::new(fd, local, remote, id, now, permit));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    if exhausted(&error) {
                        self.rest_listeners();
                        return;
                    }
                }
            }
        }
    }

    /// Level-triggered readiness would spin while `accept` cannot succeed.
    fn rest_listeners(&mut self) {
        self.net.drop_one("tcp_no_descriptors", 1);
        for listener in &self.listeners {
            self.epoll.remove(listener);
        }
        self.listeners_rest = Some(self.net.now + REST);
    }

    fn register(&mut self, connection: Connection) -> bool {
        let id = connection.path().conn;
        if self
            .epoll
            .add(&connection, CONNECTION | u64::from(id))
            .is_err()
        {
            self.net.drop_one("tcp_no_descriptors", 1);
            return false;
        }
        self.net.connections.insert(id, connection);
        true
    }

    /// Takes over a connection whose first frame named this worker; its frames were kept.
    pub fn adopt(&mut self, connection: Connection, scratch: &mut [u8]) {
        let id = connection.path().conn;
        if self.register(connection) {
            self.read(id, scratch);
        }
    }

    pub fn connection_ready(&mut self, id: u32, ready: Ready, scratch: &mut [u8]) {
        if ready.readable {
            self.read(id, scratch);
        }
        if ready.writable {
            self.net.dirty.push(id);
        }
    }

    fn read(&mut self, id: u32, scratch: &mut [u8]) {
        let now = self.net.now;
        let Some(connection) = self.net.connections.get_mut(&id) else {
            return;
        };
        let path = connection.path();
        let read = connection.read(now, scratch);
        let mut at = 0;
        let mut cut = read.cut;
        loop {
            let before = at;
            let frame = match next_frame(&mut scratch[..read.end], &mut at) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_) => {
                    cut = Some(Cut::Oversize);
                    break;
                }
            };
            let Some(connection) = self.net.connections.get_mut(&id) else {
                return;
            };
            if connection.first_frame() {
                match self.judge_first(frame) {
                    Ok(None) => {}
                    Ok(Some(worker)) => {
                        self.hand_over(id, worker, &scratch[before..read.end]);
                        return;
                    }
                    Err(reason) => {
                        cut = Some(reason);
                        break;
                    }
                }
            }
            self.net.stats.datagrams_in += 1;
            self.receive(path, frame);
        }
        match (cut, self.net.connections.get_mut(&id)) {
            (Some(reason), _) => self.cut(id, reason),
            (None, Some(connection)) => connection.keep(&scratch[at..read.end]),
            (None, None) => {}
        }
    }

    /// RFC 6544 section 7: the first thing on a connection is a connectivity check.
    fn judge_first(&self, frame: &[u8]) -> Result<Option<u16>, Cut> {
        if !is_stun(frame) {
            return Err(Cut::NotStun);
        }
        let (index, workers) = (self.net.index, self.net.shared.workers());
        Ok(owner(frame).filter(|worker| *worker != index && *worker < workers))
    }

    fn hand_over(&mut self, id: u32, worker: u16, frames: &[u8]) {
        let Some(mut connection) = self.net.connections.remove(&id) else {
            return;
        };
        self.epoll.remove(&connection);
        connection.keep_for_another(frames);
        self.net.stats.passed_on += 1;
        self.net.shared.mailboxes[usize::from(worker)].connection(connection);
    }

    pub fn cut(&mut self, id: u32, reason: Cut) {
        let Some(connection) = self.net.connections.remove(&id) else {
            return;
        };
        self.epoll.remove(&connection);
        *self.net.stats.tcp_cut.entry(reason.label()).or_default() += 1;
        let (now, path) = (self.net.now, connection.path());
        drop(connection);
        self.guard(|core, net| core.path_closed(now, path, net));
    }

    pub fn flush_connections(&mut self) {
        let now = self.net.now;
        let mut dirty = std::mem::take(&mut self.net.dirty);
        dirty.sort_unstable();
        dirty.dedup();
        for id in dirty.drain(..) {
            let Some(connection) = self.net.connections.get_mut(&id) else {
                continue;
            };
            let token = CONNECTION | u64::from(id);
            match connection.flush(now) {
                Ok(left) => {
                    if connection.wants_write(left) {
                        let _ = self.epoll.want(connection, token, left);
                    }
                }
                Err(reason) => self.cut(id, reason),
            }
        }
        if self.net.dirty.is_empty() {
            self.net.dirty = dirty;
        }
    }

    pub fn sweep_connections(&mut self) {
        let now = self.net.now;
        if self.listeners_rest.is_some_and(|until| until <= now) {
            self.listeners_rest = None;
            for (at, listener) in self.listeners.iter().enumerate() {
                let _ = self.epoll.add(listener, LISTENER | at as u64);
            }
        }
        let limits = &self.net.shared.config.limits.tcp;
        let overdue: Vec<_> = self
            .net
            .connections
            .iter()
            .filter_map(|(id, connection)| Some((*id, connection.overdue(now, limits)?)))
            .collect();
        for (id, reason) in overdue {
            self.cut(id, reason);
        }
    }
}

fn exhausted(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    matches!(
        code,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}
