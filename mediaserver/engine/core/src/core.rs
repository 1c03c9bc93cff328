//! One `Core` per worker thread, shared nothing. This file holds the state and the public verbs;
//! what they do is in `commands`, `receive`, `control`, `fanout`, `send`, `reports`, `calls` and
//! `housekeeping`, each an `impl Core` over the part of the state it needs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::calls::Call;
use crate::collections::{FastMap, Rng, Slab};
use crate::command::{CallId, Command, PublicationId, SubscriptionId, TransportId};
use crate::config::CoreConfig;
use crate::drops::{Drop, Drops};
use crate::egress::feed::Feed;
use crate::egress::subscription::Subscription;
use crate::event::Event;
use crate::ingress::publication::Publication;
use crate::io::Io;
use crate::path::Path;
use crate::peer::PeerMessage;
use crate::send::Scratch;
use crate::snapshot::Counters;
use crate::time::{MILLIS, Time};
use crate::transport::Transport;

pub struct Core {
    pub(crate) cfg: CoreConfig,
    pub(crate) worker: u16,
    pub(crate) rng: Rng,
    pub(crate) drops: Drops,
    pub(crate) counters: Counters,
    pub(crate) transports: Slab<Transport>,
    pub(crate) transport_ids: FastMap<TransportId, u32>,
    /// Validated pairs only: what is not here may not do anything but check.
    pub(crate) paths: FastMap<Path, u32>,
    pub(crate) ufrags: BTreeMap<Box<[u8]>, u32>,
    pub(crate) publications: Slab<Publication>,
    pub(crate) publication_ids: FastMap<PublicationId, u32>,
    pub(crate) feeds: Slab<Feed>,
    pub(crate) feed_ids: FastMap<PublicationId, u32>,
    pub(crate) subscriptions: Slab<Subscription>,
    pub(crate) subscription_ids: FastMap<SubscriptionId, u32>,
    pub(crate) calls: FastMap<CallId, Call>,
    /// Workers that asked for a publication before it was published here.
    pub(crate) early_joins: Vec<(PublicationId, u16)>,
    /// Feeds with packets that were not offered yet.
    pub(crate) waiting: Vec<u32>,
    /// Transports with something queued.
    pub(crate) dirty: Vec<u32>,
    pub(crate) scratch: Scratch,
    pub(crate) ticks: BinaryHeap<Reverse<(Time, u32)>>,
    /// When something queued is due although nothing arrives.
    pub(crate) send_due: Option<Time>,
    pub(crate) calls_due: Time,
}

impl Core {
    pub fn new(cfg: CoreConfig, worker: u16) -> Core {
        let rng = Rng::new(cfg.seed ^ (u64::from(worker) << 32));
        Core {
            cfg,
            worker,
            rng,
            drops: Drops::default(),
            counters: Counters::default(),
            transports: Slab::default(),
            transport_ids: FastMap::default(),
            paths: FastMap::default(),
            ufrags: BTreeMap::new(),
            publications: Slab::default(),
            publication_ids: FastMap::default(),
            feeds: Slab::default(),
            feed_ids: FastMap::default(),
            subscriptions: Slab::default(),
            subscription_ids: FastMap::default(),
            calls: FastMap::default(),
            early_joins: Vec::new(),
            waiting: Vec::new(),
            dirty: Vec::new(),
            scratch: Scratch::default(),
            ticks: BinaryHeap::new(),
            send_due: None,
            calls_due: Time::ZERO,
        }
    }

    /// A datagram arrived; it is decrypted in place. Never panics on any bytes.
    pub fn receive(&mut self, now: Time, path: Path, datagram: &mut [u8], io: &mut dyn Io) {
        if let Err(reason) = self.datagram(now, path, datagram, io) {
            self.drops.add(reason);
        }
    }

    pub fn command(&mut self, now: Time, command: Command, io: &mut dyn Io) {
        if let Err(reason) = self.apply(now, command, io) {
            self.drops.add(reason);
        }
    }

    /// A message from another worker's `Core`.
    pub fn peer(&mut self, now: Time, from: u16, msg: PeerMessage, io: &mut dyn Io) {
        self.peer_message(now, from, msg, io);
    }

    /// A TCP connection went away.
    pub fn path_closed(&mut self, now: Time, path: Path, io: &mut dyn Io) {
        let Some(index) = self.paths.remove(&path) else {
            return;
        };
        let transport = &mut self.transports[index];
        let id = transport.id;
        match transport.ice.path_closed(path) {
            Some(Some(path)) => io.event(Event::IcePathChanged {
                transport: id,
                path,
            }),
            Some(None) => self.restart_subscriptions(index),
            None => {}
        }
        self.schedule(index, now + MILLIS);
    }

    /// End of a socket drain: encrypts and sends the runs that are due.
    pub fn flush(&mut self, now: Time, io: &mut dyn Io) {
        self.send_due = None;
        if !self.waiting.is_empty() {
            self.offer_waiting(now, io);
        }
        if !self.dirty.is_empty() {
            self.flush_dirty(now, io);
        }
    }

    pub fn next_timer(&self) -> Option<Time> {
        let tick = self.ticks.peek().map(|Reverse((at, _))| *at);
        let calls = (!self.publications.is_empty()).then_some(self.calls_due);
        [tick, self.send_due, calls].into_iter().flatten().min()
    }

    /// May be called early; cheap.
    pub fn timer(&mut self, now: Time, io: &mut dyn Io) {
        while let Some(Reverse((at, index))) = self.ticks.peek().copied() {
            if at > now {
                break;
            }
            self.ticks.pop();
            let due = self
                .transports
                .get_mut(index)
                .filter(|t| t.tick_at == Some(at));
            if let Some(transport) = due {
                transport.tick_at = None;
                self.tick(now, index, io);
            }
        }
        if now >= self.calls_due && !self.publications.is_empty() {
            self.tick_calls(now, io);
        }
        let queued = !self.dirty.is_empty() || !self.waiting.is_empty();
        if queued || self.send_due.is_some_and(|at| now >= at) {
            self.flush(now, io);
        }
    }

    /// Makes sure that a transport is looked at by then.
    pub(crate) fn schedule(&mut self, index: u32, at: Time) {
        let Some(transport) = self.transports.get_mut(index) else {
            return;
        };
        if transport.tick_at.is_none_or(|before| at < before) {
            transport.tick_at = Some(at);
            self.ticks.push(Reverse((at, index)));
        }
    }

    pub(crate) fn transport(&self, id: TransportId) -> Result<u32, Drop> {
        self.transport_ids.get(&id).copied().ok_or(Drop::UnknownId)
    }

    pub(crate) fn publication(&self, id: PublicationId) -> Result<u32, Drop> {
        self.publication_ids
            .get(&id)
            .copied()
            .ok_or(Drop::UnknownId)
    }

    pub(crate) fn subscription(&self, id: SubscriptionId) -> Result<u32, Drop> {
        self.subscription_ids
            .get(&id)
            .copied()
            .ok_or(Drop::UnknownId)
    }

    /// NTP time (RFC 3550 section 4) of an instant.
    pub(crate) fn ntp(&self, now: Time) -> u64 {
        self.cfg
            .ntp_epoch
            .wrapping_add(crate::control::ntp_span(now))
    }
}
