//! The core's `Io` over real sockets: sends at once on UDP, queues on TCP, and gathers events
//! and messages to other workers until the end of the turn. One per worker, on its thread.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use sotto_engine_core::event::Event;
use sotto_engine_core::io::{Io, Run};
use sotto_engine_core::path::{Path, Proto};
use sotto_engine_core::peer::PeerMessage;
use sotto_engine_core::time::Time;

use crate::events::Notice;
use crate::mailbox::Datagrams;
use crate::outgoing::{MAX_TOGETHER, Outgoing};
use crate::owners::Owners;
use crate::shared::Shared;
use crate::stats::NetStats;
use crate::tcp::Connection;
use crate::udp::{Sent, UdpSocket};

/// Local addresses told apart; a host with more (a routed prefix) answers from its default one.
const MAX_LOCALS: usize = 1024;
/// Paths remembered as refusing GSO; forgotten all at once when full.
const MAX_PLAIN: usize = 4096;

/// What `Path::local` of a UDP path means: a socket, and on wildcard sockets the address asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    pub socket: u16,
    pub source: Option<IpAddr>,
}

pub struct Net {
    pub shared: Arc<Shared>,
    pub index: u16,
    pub now: Time,
    pub udp: Vec<UdpSocket>,
    pub connections: HashMap<u32, Connection>,
    /// Connections with something queued in this turn.
    pub dirty: Vec<u32>,
    pub stats: NetStats,
    pub events: Vec<Notice>,
    pub peers: Vec<Vec<PeerMessage>>,
    pub datagrams: Vec<Datagrams>,
    /// Set while a request whose answer proves ownership is with the core; cleared by the answer.
    pub awaiting: Option<Path>,
    pub owners: Owners,
    locals: Vec<Local>,
    plain: HashSet<SocketAddr>,
    gso: bool,
    outgoing: Outgoing,
}

impl Net {
    pub fn new(shared: Arc<Shared>, index: u16, udp: Vec<UdpSocket>) -> Net {
        let workers = usize::from(shared.workers());
        let gso = shared.config.gso;
        Net {
            shared,
            index,
            now: Time::ZERO,
            udp,
            connections: HashMap::new(),
            dirty: Vec::new(),
            stats: NetStats::default(),
            events: Vec::new(),
            peers: (0..workers).map(|_| Vec::new()).collect(),
            datagrams: (0..workers).map(|_| Datagrams::default()).collect(),
            awaiting: None,
            owners: Owners::default(),
            locals: Vec::new(),
            plain: HashSet::new(),
            gso,
            outgoing: Outgoing::new(),
        }
    }

    /// The path of a datagram that came in on a socket, sent to the address `asked`.
    pub fn udp_path(&mut self, socket: u16, asked: Option<IpAddr>, remote: SocketAddr) -> Path {
        let wildcard = self.udp[usize::from(socket)]
            .address()
            .ip()
            .is_unspecified();
        let wanted = Local {
            socket,
            source: asked.filter(|_| wildcard),
        };
        let known = self.locals.iter().position(|local| *local == wanted);
        let index = known.unwrap_or_else(|| self.add_local(wanted));
        Path::udp(index as u16, remote)
    }

    #[cold]
    fn add_local(&mut self, wanted: Local) -> usize {
        let default = Local {
            socket: wanted.socket,
            source: None,
        };
        if self.locals.len() >= MAX_LOCALS {
            return self
                .locals
                .iter()
                .position(|local| *local == default)
                .unwrap_or_else(|| {
                    self.locals.push(default);
                    self.locals.len() - 1
                });
        }
        self.locals.push(wanted);
        self.locals.len() - 1
    }

    pub fn local(&self, path: Path) -> Option<Local> {
        self.locals.get(usize::from(path.local)).copied()
    }

    pub fn drop_one(&mut self, reason: &'static str, count: u64) {
        *self.stats.drops.entry(reason).or_default() += count;
    }

    fn send_udp(&mut self, path: Path, bytes: &[u8], segment: usize) -> bool {
        let Some(local) = self.local(path) else {
            return false;
        };
        let socket = &self.udp[usize::from(local.socket)];
        let datagrams = bytes.len().div_ceil(segment.max(1)) as u64;
        let run = datagrams > 1 && self.takes_runs(path);
        let mut sent = if run {
            socket.send_run(&path.remote, local.source, bytes, segment)
        } else {
            socket.send_each(&path.remote, local.source, bytes, segment)
        };
        self.stats.sends += if run { 1 } else { datagrams };
        if sent == Sent::NoSegments {
            sent = socket.send_each(&path.remote, local.source, bytes, segment);
            self.stats.sends += datagrams;
            self.stats.gso_refused += 1;
            if self.plain.len() >= MAX_PLAIN {
                self.plain.clear();
            }
            self.plain.insert(path.remote);
        }
        match sent {
            Sent::All => {
                self.stats.datagrams_out += datagrams;
                self.stats.bytes_out += bytes.len() as u64;
                true
            }
            Sent::Dropped => {
                self.drop_one("send_buffer_full", datagrams);
                false
            }
            Sent::NoSegments | Sent::Refused => {
                self.drop_one("send_refused", datagrams);
                false
            }
        }
    }

    /// As many of the first runs as one call takes. 0: the first one needs a call of its own,
    /// because of its path, or because it was refused and the reason decides what comes next.
    fn send_together(&mut self, runs: &[Run], arena: &[u8]) -> usize {
        let Some(local) = runs.first().and_then(|run| self.local(run.path)) else {
            return 0;
        };
        let many = runs.iter().take(MAX_TOGETHER).take_while(|run| {
            run.path.proto == Proto::Udp
                && self.awaiting != Some(run.path)
                && (run.len <= run.segment || self.takes_runs(run.path))
                && self.local(run.path).map(|l| l.socket) == Some(local.socket)
        });
        let count = many.count();
        if count < 2 {
            return 0;
        }
        let sources = |run: &Run| self.locals.get(usize::from(run.path.local))?.source;
        let mut call = self.outgoing.fill();
        for run in &runs[..count] {
            call.push(
                &run.path.remote,
                sources(run),
                run.bytes(arena),
                run.segment,
            );
        }
        let sent = call.send(&self.udp[usize::from(local.socket)]);
        self.stats.sends += u64::from(sent > 0);
        for run in &runs[..sent] {
            self.stats.datagrams_out += run.datagrams();
            self.stats.bytes_out += run.len as u64;
        }
        sent
    }

    fn takes_runs(&self, path: Path) -> bool {
        self.gso && (self.plain.is_empty() || !self.plain.contains(&path.remote))
    }

    fn send_tcp(&mut self, path: Path, bytes: &[u8], segment: usize) -> bool {
        let limit = self.shared.config.limits.tcp.send_buffer;
        let Some(connection) = self.connections.get_mut(&path.conn) else {
            self.drop_one("tcp_gone", 1);
            return false;
        };
        let datagrams = bytes.len().div_ceil(segment.max(1));
        let refused = connection.queue(self.now, bytes, segment, limit);
        self.dirty.push(path.conn);
        self.stats.datagrams_out += (datagrams - refused) as u64;
        self.stats.bytes_out += bytes.len() as u64;
        if refused > 0 {
            self.drop_one("tcp_buffer_full", refused as u64);
        }
        refused == 0
    }

    /// End of a turn: hands over what was gathered.
    pub fn deliver(&mut self) {
        if !self.events.is_empty() {
            self.shared.events.push(&mut self.events);
        }
        for worker in 0..self.peers.len() {
            let mailbox = &self.shared.mailboxes[worker];
            if !self.peers[worker].is_empty() {
                let dropped = mailbox.peers(self.index, &mut self.peers[worker]);
                if dropped > 0 {
                    *self.stats.drops.entry("worker_queue_full").or_default() += dropped;
                }
            }
            if !self.datagrams[worker].items.is_empty() {
                let mut batch = std::mem::take(&mut self.datagrams[worker]);
                batch.from = self.index;
                let dropped = mailbox.datagrams(batch);
                if dropped > 0 {
                    *self.stats.drops.entry("worker_queue_full").or_default() += dropped;
                }
            }
        }
    }
}

impl Io for Net {
    fn send(&mut self, path: Path, bytes: &[u8], segment: usize) -> bool {
        if self.awaiting == Some(path) {
            self.awaiting = None;
        }
        match path.proto {
            Proto::Udp => self.send_udp(path, bytes, segment),
            Proto::Tcp => self.send_tcp(path, bytes, segment),
        }
    }

    fn send_many(&mut self, runs: &[Run], arena: &[u8]) -> u64 {
        let mut dropped = 0;
        let mut rest = runs;
        while let Some(first) = rest.first() {
            let sent = self.send_together(rest, arena);
            if sent == 0 && !self.send(first.path, first.bytes(arena), first.segment) {
                dropped += first.datagrams();
            }
            rest = &rest[sent.max(1)..];
        }
        dropped
    }

    fn event(&mut self, event: Event) {
        self.owners.observe(&event);
        self.events.push(Notice::Event(event));
    }

    fn to_worker(&mut self, worker: u16, msg: PeerMessage) {
        if let Some(queue) = self.peers.get_mut(usize::from(worker)) {
            queue.push(msg);
        }
    }
}
