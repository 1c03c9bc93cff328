//! What the workers of one engine and its handle share: configuration, clock, mailboxes, the queue
//! of events, and the last snapshot of each worker. Made by `engine.rs`.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sotto_engine_core::time::Time;

use crate::config::EngineConfig;
use crate::events::EventQueue;
use crate::mailbox::Mailbox;
use crate::stats::WorkerSnapshot;
use crate::tcp::Admission;

/// The one clock of an engine.
pub struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the engine's clock is read here")]
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    pub fn now(&self) -> Time {
        Time(self.0.elapsed().as_micros() as u64)
    }
}

/// What the workers and the handle share.
pub struct Shared {
    pub config: EngineConfig,
    pub clock: Clock,
    pub mailboxes: Vec<Mailbox>,
    pub events: EventQueue,
    pub admission: Arc<Admission>,
    snapshots: Vec<Mutex<WorkerSnapshot>>,
    connection_ids: AtomicU32,
}

impl Shared {
    pub fn new(config: EngineConfig, workers: u16) -> io::Result<Shared> {
        let limits = &config.limits;
        let mailboxes = (0..workers).map(|_| Mailbox::new(limits.commands));
        Ok(Shared {
            mailboxes: mailboxes.collect::<io::Result<_>>()?,
            events: EventQueue::new(limits.events, limits.dtls_events_per_transport)?,
            admission: Admission::new(&limits.tcp),
            snapshots: (0..workers).map(|_| Mutex::default()).collect(),
            connection_ids: AtomicU32::new(1),
            clock: Clock::start(),
            config,
        })
    }

    pub fn workers(&self) -> u16 {
        self.mailboxes.len() as u16
    }

    /// Never 0, which means UDP. After 2^32 connections numbers come again; the old are gone.
    pub fn connection_id(&self) -> u32 {
        loop {
            let id = self.connection_ids.fetch_add(1, Ordering::Relaxed);
            if id != 0 {
                return id;
            }
        }
    }

    pub fn publish(&self, worker: u16, snapshot: WorkerSnapshot) {
        let place = &self.snapshots[usize::from(worker)];
        *place.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    pub fn snapshots(&self) -> Vec<WorkerSnapshot> {
        let read = |place: &Mutex<WorkerSnapshot>| {
            place.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        self.snapshots.iter().map(read).collect()
    }
}
