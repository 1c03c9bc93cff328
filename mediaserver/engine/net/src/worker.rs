//! One worker: a thread that owns a `Core`, its sockets and its connections. A turn drains what
//! is readable, hands it to the core, flushes once, runs timers, and delivers what was gathered.
//! Started and stopped by `engine.rs`; TCP lives in `connections.rs`, panics in `faults.rs`.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use sotto_engine_core::Core;
use sotto_engine_core::command::Command;
use sotto_engine_core::config::CoreConfig;
use sotto_engine_core::path::Path;
use sotto_engine_core::time::{MILLIS, Time};

use crate::io::Net;
use crate::mailbox::{Datagram, Datagrams};
use crate::panics;
use crate::routes::{Routes, is_request, owner};
use crate::shared::Shared;
use crate::stats::WorkerSnapshot;
use crate::sys::{self, Epoll, Ready};
use crate::tcp::{Listener, SCRATCH};
use crate::udp::{BATCH, Batch, UdpSocket};

/// Housekeeping: TCP deadlines four times a second, so that a limit is late by at most this.
const TICK: u64 = 250 * MILLIS;
/// Ticks between two published snapshots; the stub promises at most a second.
const SNAPSHOT_TICKS: u64 = 3;
/// recvmmsg calls on one socket before the flush: a flood of input must not hold back output.
const ROUNDS: usize = 4;
/// Media goes before the Python threads of the same process, where the system allows it.
const NICE: libc::c_int = -10;

/// What an epoll token names.
pub const MAILBOX: u64 = 0;
pub const UDP: u64 = 1 << 32;
pub const LISTENER: u64 = 2 << 32;
pub const CONNECTION: u64 = 3 << 32;
const KIND: u64 = 0xFFFF_FFFF << 32;

/// Sockets of one worker, opened before its thread starts.
pub struct Sockets {
    pub udp: Vec<UdpSocket>,
    pub listeners: Vec<Listener>,
}

pub struct Worker {
    batch: Batch,
    scratch: Vec<u8>,
    ready: Vec<Ready>,
    pub state: State,
}

/// Everything but the receive buffers, which are lent while the state acts on them.
pub struct State {
    pub core: Core,
    pub core_config: CoreConfig,
    pub net: Net,
    pub epoll: Epoll,
    pub listeners: Vec<Listener>,
    /// Listeners rest until then when the process has run out of descriptors.
    pub listeners_rest: Option<Time>,
    pub routes: Routes,
    pub faults: u32,
    pub fault_at: Time,
    next_tick: Time,
    ticks: u64,
    stop: bool,
}

impl Worker {
    pub fn new(
        shared: Arc<Shared>,
        index: u16,
        sockets: Sockets,
        core_config: CoreConfig,
    ) -> std::io::Result<Worker> {
        let epoll = Epoll::new()?;
        epoll.add(&shared.mailboxes[usize::from(index)], MAILBOX)?;
        for (at, socket) in sockets.udp.iter().enumerate() {
            epoll.add(socket, UDP | at as u64)?;
        }
        for (at, listener) in sockets.listeners.iter().enumerate() {
            epoll.add(listener, LISTENER | at as u64)?;
        }
        let state = State {
            core: Core::new(core_config.clone(), index),
            core_config,
            net: Net::new(shared, index, sockets.udp),
            epoll,
            listeners: sockets.listeners,
            listeners_rest: None,
            routes: Routes::default(),
            faults: 0,
            fault_at: Time::ZERO,
            next_tick: Time::ZERO,
            ticks: 0,
            stop: false,
        };
        Ok(Worker {
            batch: Batch::new(),
            scratch: vec![0; SCRATCH],
            ready: Vec::new(),
            state,
        })
    }

    /// Runs until told to stop.
    pub fn run(&mut self) {
        panics::watch_this_thread();
        sys::prefer_this_thread(NICE);
        while !self.state.stop {
            let now = self.state.tick_clock();
            let timeout = self.state.timeout(now);
            if self.state.epoll.wait(timeout, &mut self.ready).is_err() {
                break;
            }
            let woke = self.state.tick_clock();
            self.turn();
            let lag = self.state.clock().since(woke);
            self.state.net.stats.lag.add(lag);
        }
    }

    fn turn(&mut self) {
        let ready = mem::take(&mut self.ready);
        for ready in &ready {
            let index = (ready.token & !KIND) as usize;
            match ready.token & KIND {
                UDP => self.drain(index),
                LISTENER => self.state.accept(index),
                CONNECTION => self
                    .state
                    .connection_ready(index as u32, *ready, &mut self.scratch),
                _ => self.state.inbox(&mut self.scratch),
            }
        }
        self.ready = ready;
        let state = &mut self.state;
        let now = state.net.now;
        state.guard(|core, net| core.flush(now, net));
        state.timers();
        state.flush_connections();
        state.net.deliver();
    }

    fn drain(&mut self, socket: usize) {
        for _ in 0..ROUNDS {
            let Ok(mut messages) = self.state.net.udp[socket].receive(&mut self.batch) else {
                return;
            };
            let count = messages.count();
            self.state.net.stats.receives += 1;
            self.state.net.stats.messages_in += count as u64;
            while let Some(message) = messages.next() {
                let head = Datagram {
                    remote: message.remote,
                    socket: socket as u16,
                    local: message.local,
                    size: 0,
                };
                self.state.message(head, message.bytes, message.segment);
            }
            if count < BATCH {
                return;
            }
            self.state.tick_clock();
        }
    }
}

impl State {
    pub fn clock(&self) -> Time {
        self.net.shared.clock.now()
    }

    /// Reads the clock; all that follows happens at this time, until it is read again.
    fn tick_clock(&mut self) -> Time {
        self.net.now = self.clock();
        self.net.now
    }

    fn timeout(&self, now: Time) -> Duration {
        let due = self
            .core
            .next_timer()
            .map_or(self.next_tick, |due| due.min(self.next_tick));
        Duration::from_micros(due.since(now))
    }

    /// One message of the socket: datagrams of `segment` bytes from one remote.
    fn message(&mut self, head: Datagram, bytes: &mut [u8], segment: usize) {
        let path = self.net.udp_path(head.socket, head.local, head.remote);
        let alone = self.net.shared.workers() == 1;
        for datagram in bytes.chunks_mut(segment) {
            self.net.stats.datagrams_in += 1;
            if alone {
                self.receive(path, datagram);
            } else {
                self.route(path, head, datagram);
            }
        }
    }

    /// Keeps what is ours and passes on what another worker's transport receives.
    fn route(&mut self, path: Path, head: Datagram, datagram: &mut [u8]) {
        let (now, index) = (self.net.now, self.net.index);
        let named = owner(datagram).filter(|worker| *worker < self.net.shared.workers());
        let worker = named
            .or_else(|| self.routes.find(now, &head.remote))
            .unwrap_or(index);
        if worker != index {
            self.net.stats.passed_on += 1;
            let size = datagram.len() as u32;
            self.net.datagrams[usize::from(worker)].push(Datagram { size, ..head }, datagram);
        } else if named.is_some() && self.routes.contains(&head.remote) {
            if self.receive_proving(path, datagram) {
                self.routes.remove(&head.remote);
            }
        } else {
            self.receive(path, datagram);
        }
    }

    pub fn receive(&mut self, path: Path, datagram: &mut [u8]) {
        let now = self.net.now;
        let fine = self.guard(|core, net| {
            #[cfg(test)]
            assert_ne!(datagram, b"\xffpanic", "injected");
            core.receive(now, path, datagram, net);
        });
        if !fine {
            self.end_broken(path);
        }
    }

    /// True when the core answered: only an authenticated request is, so the remote is ours.
    fn receive_proving(&mut self, path: Path, datagram: &mut [u8]) -> bool {
        self.net.awaiting = Some(path);
        self.receive(path, datagram);
        self.net.awaiting.take().is_none()
    }

    fn inbox(&mut self, scratch: &mut [u8]) {
        let shared = self.net.shared.clone();
        let inbox = shared.mailboxes[usize::from(self.net.index)].take();
        self.stop |= inbox.stop;
        for command in inbox.commands {
            self.command(command);
        }
        let now = self.net.now;
        for (from, message) in inbox.peers {
            self.guard(|core, net| core.peer(now, from, message, net));
        }
        for batch in inbox.datagrams {
            self.passed_in(batch);
        }
        for (remote, worker) in inbox.owned {
            // An address that one of our pairs uses is not given away, whoever else it convinced.
            if self.net.owners.in_use(&remote) {
                self.net.drop_one("route_in_use", 1);
            } else if !self.routes.learn(now, remote, worker) {
                self.net.drop_one("routes_full", 1);
            }
        }
        for connection in inbox.connections {
            self.adopt(connection, scratch);
        }
    }

    fn passed_in(&mut self, mut batch: Datagrams) {
        let mut rest = batch.bytes.as_mut_slice();
        for item in &batch.items {
            let (datagram, tail) = mem::take(&mut rest).split_at_mut(item.size as usize);
            rest = tail;
            self.net.stats.passed_in += 1;
            let path = self.net.udp_path(item.socket, item.local, item.remote);
            if !is_request(datagram) {
                self.receive(path, datagram);
            } else if self.receive_proving(path, datagram) {
                let mailbox = &self.net.shared.mailboxes[usize::from(batch.from)];
                mailbox.owned(item.remote, self.net.index);
            }
        }
    }

    fn command(&mut self, command: Command) {
        match &command {
            Command::CreateTransport { id, .. } => self.net.owners.created(*id),
            Command::CloseTransport { id } => self.net.owners.ended(*id),
            _ => {}
        }
        let now = self.net.now;
        self.guard(|core, net| core.command(now, command, net));
    }

    fn timers(&mut self) {
        let now = self.net.now;
        if self.core.next_timer().is_some_and(|due| due <= now) {
            self.guard(|core, net| core.timer(now, net));
        }
        if now < self.next_tick {
            return;
        }
        self.next_tick = now + TICK;
        self.ticks += 1;
        self.sweep_connections();
        self.routes.age(now);
        if self.ticks % SNAPSHOT_TICKS == 1 {
            self.publish();
        }
    }

    fn publish(&mut self) {
        self.net.stats.tcp_connections = self.net.connections.len() as u64;
        let lost = self.net.udp.iter().map(sys::kernel_drops).sum();
        self.net.stats.drops.insert("receive_buffer_full", lost);
        let now = self.net.now;
        let core = &self.core;
        let taken = catch_unwind(AssertUnwindSafe(|| core.snapshot(now)));
        let Ok(core) = taken else {
            self.note_panic();
            return;
        };
        let snapshot = WorkerSnapshot {
            core,
            net: self.net.stats.clone(),
        };
        self.net.shared.publish(self.net.index, snapshot);
    }
}

#[cfg(test)]
pub mod tests {
    use std::net::UdpSocket as Client;

    use super::*;
    use crate::Engine;
    use crate::config::tests::config;
    use crate::routes::is_request;

    pub fn engine(workers: u16) -> Engine {
        Engine::new(crate::config::EngineConfig {
            workers,
            ..config()
        })
        .unwrap()
    }

    pub fn client(engine: &Engine) -> Client {
        let client = Client::bind("127.0.0.1:0").unwrap();
        client
            .connect(("127.0.0.1", engine.opened().udp_port))
            .unwrap();
        client
    }

    pub fn until(mut what: impl FnMut() -> bool) {
        for _ in 0..500 {
            if what() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it did not happen within five seconds");
    }

    #[test]
    fn garbage_at_full_speed_leaves_the_loop_alive() {
        let engine = engine(2);
        let clients: Vec<_> = (0..16).map(|_| client(&engine)).collect();
        let mut state = 1u32;
        for round in 0..20_000usize {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let mut datagram = [0u8; 64];
            for (at, byte) in datagram.iter_mut().enumerate() {
                *byte = (state.rotate_left(at as u32) >> 13) as u8;
            }
            assert!(!is_request(&datagram));
            let _ = clients[round % 16].send(&datagram[..(state >> 26) as usize]);
        }
        let ice = engine.create_transport(1, Some(1)).unwrap();
        until(|| {
            engine.snapshots()[1]
                .core
                .transports
                .contains_key(&ice.transport)
        });
        let received: u64 = engine.snapshots().iter().map(|s| s.net.datagrams_in).sum();
        assert!(received > 0);
        assert!(engine.snapshots().iter().all(|s| s.net.panics == 0));
    }
}
